//! What an object is bound to.

use std::{fmt, sync::Arc};

use bulla::{Context, Error, ErrorKind, Result, format::Header};
use object_store::path::Path;

/// The pair of the key context that has an object's id.
const OBJECT: &str = "object";

/// The pair of the item context that has an object's location.
const LOCATION: &str = "location";

/// What an object is, beyond the [context](crate::EncryptedStoreBuilder::context): authenticated with
/// every byte of it. A store reads only what was written under the same binding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Binding {
    /// A random id of 128 bits, stored in the header as `object` of the key context. The KMS logs it with
    /// each use of the data key, so its log says which object was read. Copies and renames are the store's
    /// own. Every object has a data key of its own.
    ///
    /// The id does not say where an object belongs: who can write to the store can put one object, or an
    /// older one, in the place of another of the same context.
    #[default]
    Object,
    /// The location, as `location` of the item context, which is not stored: an object that was moved or
    /// swapped is refused. Copies and renames are read and sealed anew, by way of this process. An older
    /// object of the same location still opens.
    ///
    /// The location is the one that this store sees: put a [`PrefixStore`](object_store::prefix::PrefixStore)
    /// inside of it, and the prefix is not bound.
    Path,
    /// Nothing else, so that objects of one context can share a data key: where the sealer has a
    /// [cache](bulla::envelope::SealerBuilder::cache), small objects cost mostly no call to the KMS. (So they do
    /// with [`Path`](Self::Path).) Objects of one context can be swapped with each other.
    Context,
}

type Make = dyn Fn(&Path) -> Result<Context> + Send + Sync;

/// A binding and the context that the owner gives to a location.
#[derive(Clone)]
pub(crate) struct Bound {
    pub(crate) binding: Binding,
    pub(crate) context: Option<Arc<Make>>,
}

impl Bound {
    /// What a new object is sealed under.
    pub(crate) fn to_seal(&self, location: &Path) -> Result<Context> {
        let context = self.given(location)?;
        match self.binding {
            Binding::Object => context.with_key(OBJECT, new_id()?),
            Binding::Path => context.with_item(LOCATION, location.as_ref()),
            Binding::Context => Ok(context),
        }
    }

    /// What an object with this header must have been sealed under. Nothing in the header is
    /// authenticated yet.
    pub(crate) fn to_open(&self, location: &Path, header: &Header) -> Result<Context> {
        let context = self.given(location)?;
        match self.binding {
            Binding::Object => {
                let id = header.stored_context().get(OBJECT).filter(|id| is_id(id));
                let missing = || {
                    let text = format!("{location} has no id of an object in its header");
                    Error::new(ErrorKind::ContextMismatch, text)
                };
                context.with_key(OBJECT, id.ok_or_else(missing)?)
            }
            Binding::Path => context.with_item(LOCATION, location.as_ref()),
            Binding::Context => Ok(context),
        }
    }

    /// Whether what is sealed for one location opens at the other.
    pub(crate) fn is_same_for(&self, from: &Path, to: &Path) -> Result<bool> {
        if self.binding == Binding::Path {
            return Ok(false);
        }
        Ok(self.context.is_none() || self.given(from)? == self.given(to)?)
    }

    fn given(&self, location: &Path) -> Result<Context> {
        let context =
            self.context.as_ref().map_or_else(|| Ok(Context::new()), |make| make(location))?;
        if context.transform().is_some() {
            let text = "an object store seals objects as they are; transform what is put into it";
            return Err(Error::new(ErrorKind::InvalidInput, text));
        }
        Ok(context)
    }
}

impl fmt::Debug for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bound")
            .field("binding", &self.binding)
            .field("context", &self.context.is_some())
            .finish()
    }
}

/// 128 random bits in lower-case hex.
pub(crate) fn new_id() -> Result<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|_| {
        Error::new(ErrorKind::Internal, "the operating system's random generator failed")
    })?;
    Ok(format!("{:032x}", u128::from_be_bytes(bytes)))
}

fn is_id(id: &str) -> bool {
    id.len() == 32 && id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use bulla::format::Transform;

    use super::*;

    #[test]
    fn ids_are_random_and_of_one_form() {
        let (a, b) = (new_id().unwrap(), new_id().unwrap());
        assert_ne!(a, b);
        assert!(is_id(&a) && is_id(&b));
        for bad in ["", "0", &a[1..], &a.to_uppercase().replace('0', "A"), &format!("{a}0")] {
            assert!(!is_id(bad), "{bad}");
        }
    }

    #[test]
    fn a_context_of_the_owner_may_not_set_our_pairs() {
        for binding in [Binding::Object, Binding::Path] {
            let make: Arc<Make> =
                Arc::new(|_| Context::new().with_key("object", "1")?.with_key("location", "2"));
            let bound = Bound { binding, context: Some(make) };
            let error = bound.to_seal(&Path::from("a")).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
        }
    }

    #[test]
    fn a_context_may_not_say_that_the_plaintext_was_transformed() {
        let make: Arc<Make> = Arc::new(|_| Context::new().with_transform(Transform::Zstd));
        let bound = Bound { binding: Binding::Object, context: Some(make) };
        let error = bound.to_seal(&Path::from("a")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }
}
