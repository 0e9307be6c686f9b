//! What failed, as an [`object_store::Error`].

use std::{
    error::Error as StdError,
    fmt::{self, Display},
};

use bulla::{Error, ErrorKind};
use object_store::path::Path;

/// The name of this store in errors.
const STORE: &str = "EncryptedStore";

/// The error of `bulla` behind an error of an [`EncryptedStore`](crate::EncryptedStore), if sealing or
/// opening is what failed: its kind, its provider, and whether trying again can help.
///
/// ```
/// use bulla::ErrorKind;
/// use bulla_object_store::sealing_error;
///
/// # let error = object_store::Error::Generic {
/// #     store: "EncryptedStore", source: Box::new(bulla::Error::not_authentic()),
/// # };
/// assert_eq!(sealing_error(&error).unwrap().kind(), ErrorKind::NotAuthentic);
/// ```
#[must_use]
pub fn sealing_error(error: &object_store::Error) -> Option<&Error> {
    sealing(error)
}

pub(crate) fn sealing<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a Error> {
    let mut next = error.source();
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = error.source();
    }
    None
}

/// An error of sealing or opening. Those of the store beneath are handed on as they are, so
/// `NotFound` is always an object's and never a key's.
pub(crate) fn failed(location: &Path, error: Error) -> object_store::Error {
    let path = location.to_string();
    match error.kind() {
        ErrorKind::Denied => {
            object_store::Error::PermissionDenied { path, source: Box::new(error) }
        }
        _ => generic(error),
    }
}

pub(crate) fn generic(source: impl Into<Box<dyn StdError + Send + Sync>>) -> object_store::Error {
    object_store::Error::Generic { store: STORE, source: source.into() }
}

/// The object is not the one any more of which something was read.
pub(crate) fn replaced(location: &Path) -> object_store::Error {
    object_store::Error::Precondition {
        path: location.to_string(),
        source: "the object was replaced while it was read".into(),
    }
}

/// A plain object where only sealed ones may be.
pub(crate) fn not_sealed(location: &Path) -> object_store::Error {
    let text = format!("{location} was not sealed, and this store reads sealed objects only");
    failed(location, Error::new(ErrorKind::Malformed, text))
}

/// The store sent more or less than it was asked for.
pub(crate) fn wrong_answer(location: &Path, what: impl Display) -> object_store::Error {
    generic(format!("of {location} the store answered {what}"))
}

/// A range that an object of some length does not have.
#[derive(Debug)]
struct OutOfRange(Box<dyn StdError + Send + Sync>);

impl Display for OutOfRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl StdError for OutOfRange {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&*self.0)
    }
}

pub(crate) fn out_of_range(
    error: impl Into<Box<dyn StdError + Send + Sync>>,
) -> object_store::Error {
    generic(OutOfRange(error.into()))
}

/// Whether an object that has been replaced, or that was never good, explains the error: then reading its
/// header anew may help.
pub(crate) fn may_be_another(error: &object_store::Error) -> bool {
    matches!(error, object_store::Error::Precondition { .. })
        || error.source().is_some_and(|source| source.is::<OutOfRange>())
        || sealing_error(error).is_some_and(|e| {
            matches!(e.kind(), ErrorKind::NotAuthentic | ErrorKind::ContextMismatch)
        })
}
