//! How a plaintext was transformed before it was sealed: one stored pair of the library's own.

use std::fmt;

use super::{Context, EncryptionContext};
use crate::error::{Error, ErrorKind, Result};

/// What was done to a plaintext before it was sealed, and must be undone after it was opened.
///
/// The header says so in the stored pair `bulla.transform` (FORMAT.md, "Pairs"), which is authenticated like
/// every other. Such a message opens only under a context that
/// [names the transform](Context::with_transform), and what opens are the transformed bytes. The crate
/// `bulla-pipeline` does both directions.
///
/// ```
/// use bulla::{Context, format::Transform};
///
/// let context = Context::new().with_key("tenant", "acme")?.with_transform(Transform::Zstd)?;
/// assert_eq!(context.key().get("bulla.transform"), Some("zstd"));
/// # Ok::<(), bulla::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Transform {
    /// Compressed as one frame of Zstandard (RFC 8878).
    Zstd,
}

impl Transform {
    /// The stored pair's key.
    pub const KEY: &'static str = "bulla.transform";

    /// The name in the stored pair.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Zstd => "zstd",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        (name == Self::Zstd.as_str()).then_some(Self::Zstd)
    }
}

impl fmt::Display for Transform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl EncryptionContext {
    /// What the pairs of a header say of the plaintext.
    ///
    /// # Errors
    /// [`Unsupported`](ErrorKind::Unsupported) for a reserved key or a transform that is not known.
    pub(crate) fn transform(&self) -> Result<Option<Transform>> {
        let unknown =
            self.iter().find(|(key, _)| super::is_reserved(key) && *key != Transform::KEY);
        if let Some((key, _)) = unknown {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!(
                    "the stored context has {key:?}, which this version of bulla does not know"
                ),
            ));
        }
        // The value is not quoted: nobody has authenticated it yet.
        self.get(Transform::KEY)
            .map(|name| {
                Transform::from_name(name).ok_or_else(|| {
                    Error::new(
                        ErrorKind::Unsupported,
                        "the plaintext was transformed before it was sealed, in a way that this version \
                         of bulla does not know",
                    )
                })
            })
            .transpose()
    }

    /// Refuses a plaintext that was transformed, for those who take whatever context a header has: they
    /// would take the transformed bytes for the plaintext.
    pub(crate) fn refuse_transform(&self) -> Result<()> {
        match self.transform()? {
            None => Ok(()),
            Some(transform) => Err(Error::new(
                ErrorKind::Unsupported,
                format!(
                    "the plaintext was transformed ({transform}) before it was sealed, and opens only under \
                     a context that names the transform: open it with bulla-pipeline"
                ),
            )),
        }
    }
}

impl Context {
    /// Says that the plaintext is transformed: before it is sealed, by the caller; and after it was opened,
    /// back. The pair goes into the key context: it is stored in the header and bound in the KMS.
    ///
    /// What is sealed under such a context must be what the transform made, and what opens under it **is not
    /// the plaintext** until the caller has turned it back, within bounds. No message without the transform
    /// opens under it, and none with it under a context that does not name it, not even under one that was
    /// copied from the header.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] if a transform was named before, or if the context grows past its limits.
    pub fn with_transform(mut self, transform: Transform) -> Result<Self> {
        let name = transform.as_str();
        // The pair itself may have come with a key context out of a header; that it is meant is said here.
        if self.key.get(Transform::KEY) != Some(name) || self.transform.is_some() {
            self.all.insert_any(Transform::KEY.to_owned(), name.to_owned())?;
            self.key.insert_any(Transform::KEY.to_owned(), name.to_owned())?;
        }
        self.transform = Some(transform);
        Ok(self)
    }

    /// The transform that was [named](Self::with_transform), if one was.
    #[must_use]
    pub fn transform(&self) -> Option<Transform> {
        self.transform
    }

    /// Refuses, for sealing, pairs that only the library may set: all but a transform that was named. They can
    /// get here out of a parsed header.
    pub(crate) fn refuse_reserved(&self) -> Result<()> {
        let named = |key: &str| key == Transform::KEY && self.transform.is_some();
        match self.all.iter().find(|(key, _)| super::is_reserved(key) && !named(key)) {
            None => Ok(()),
            Some((key, _)) => {
                Err(Error::invalid(format!("context key {key:?} is kept for the library")))
            }
        }
    }

    /// Refuses all of them, for direct messages, which have none.
    pub(crate) fn refuse_all_reserved(&self) -> Result<()> {
        match self.all.reserved_key() {
            None => Ok(()),
            Some(key) => Err(Error::invalid(format!(
                "context key {key:?} is kept for the library, and direct messages have none such"
            ))),
        }
    }

    /// Refuses a stored context that says something else of the plaintext than these pairs do.
    pub(super) fn agrees(&self, stored: &EncryptionContext) -> Result<()> {
        let mismatch = |text| Err(Error::new(ErrorKind::ContextMismatch, text));
        match (stored.transform()?, self.transform) {
            (stored, named) if stored == named => Ok(()),
            (Some(transform), _) => mismatch(format!(
                "the plaintext was transformed ({transform}) before it was sealed: open it with \
                 bulla-pipeline, or name the transform in the context and undo it"
            )),
            (None, _) => mismatch(
                "the context names a transform, and the plaintext of this message was not transformed"
                    .to_owned(),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(pairs: &[(&str, &str)]) -> EncryptionContext {
        let mut context = EncryptionContext::new();
        for (key, value) in pairs {
            context.insert_any((*key).to_owned(), (*value).to_owned()).unwrap();
        }
        context
    }

    #[test]
    fn the_pair_is_stored_and_named_once() {
        let context = Context::new().with_item("row", "7").unwrap();
        let context = context.with_transform(Transform::Zstd).unwrap();
        assert_eq!(context.key(), &stored(&[("bulla.transform", "zstd")]));
        assert_eq!(context.item().len(), 1);
        assert_eq!(context.all().get(Transform::KEY), Some("zstd"));
        assert!(context.refuse_reserved().is_ok());
        assert!(context.refuse_all_reserved().is_err());
        let again = context.with_transform(Transform::Zstd);
        assert_eq!(again.unwrap_err().kind(), ErrorKind::InvalidInput);
    }

    #[test]
    fn a_pair_out_of_a_header_names_nothing() {
        let pair = stored(&[("bulla.transform", "zstd")]);
        let copied = Context::from(pair.clone());
        assert!(copied.refuse_reserved().is_err());
        assert_eq!(copied.covers(&pair).unwrap_err().kind(), ErrorKind::ContextMismatch);
        let named = copied.with_transform(Transform::Zstd).unwrap();
        assert!(named.covers(&pair).is_ok() && named.refuse_reserved().is_ok());
        // Not stored, it would be no pair of the header's.
        let item = Context::from_parts(EncryptionContext::new(), pair).unwrap();
        assert!(item.with_transform(Transform::Zstd).is_err());
        let other = Context::from(stored(&[("bulla.transform", "lz4")]));
        assert!(other.with_transform(Transform::Zstd).is_err());
    }

    #[test]
    fn what_is_not_known_is_refused() {
        for (pair, kind) in [
            (("bulla.transform", "lz4"), ErrorKind::Unsupported),
            (("bulla.transform", ""), ErrorKind::Unsupported),
            (("bulla.transform", "ZSTD"), ErrorKind::Unsupported),
            (("bulla.transforms", "zstd"), ErrorKind::Unsupported),
            (("bulla", "zstd"), ErrorKind::Unsupported),
            (("a", "zstd"), ErrorKind::ContextMismatch),
        ] {
            let named = Context::new().with_transform(Transform::Zstd).unwrap();
            assert_eq!(named.covers(&stored(&[pair])).unwrap_err().kind(), kind, "{pair:?}");
        }
    }
}
