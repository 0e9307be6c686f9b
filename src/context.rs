//! The encryption context: what data belongs to, bound to it by cryptography.
//!
//! A context is a set of key–value pairs such as `tenant = acme`. It is not secret. Whoever opens
//! must give exactly the pairs that were sealed under; nothing is filled in, nothing is ignored.
//!
//! Two kinds of pairs make up a [`Context`]:
//!
//! * the **key context** is stored in the header, bound in the derivation *and* in the KMS, which
//!   logs it and can tie permissions to it;
//! * the **item context** is not stored and never sent to a KMS: it is bound in the derivation
//!   only. It ties each message to its own place (`row = 7`), while one data key serves many.

mod transform;

use std::{collections::BTreeMap, fmt};

#[cfg(any(feature = "aws-lc-rs", feature = "rustcrypto"))]
pub use transform::Transform;
#[cfg(not(any(feature = "aws-lc-rs", feature = "rustcrypto")))]
use transform::Transform;

use crate::error::{Error, ErrorKind, Result};

/// The name that the library writes for itself, alone or followed by a dot.
const RESERVED: &str = "bulla";

/// A set of key–value pairs, sorted by the bytes of the keys; no key is empty or appears twice.
///
/// At most [`MAX_PAIRS`](Self::MAX_PAIRS) pairs, at most [`MAX_ENCODED_LEN`](Self::MAX_ENCODED_LEN)
/// bytes encoded. Text is taken as it is
/// given: two Unicode spellings of one word are two values.
///
/// ```
/// let context = bulla::EncryptionContext::from_pairs([("tenant", "acme")])?;
/// assert_eq!(context.get("tenant"), Some("acme"));
/// # Ok::<(), bulla::Error>(())
/// ```
#[derive(Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EncryptionContext {
    pairs: BTreeMap<String, String>,
}

impl EncryptionContext {
    /// The most pairs that a context may have.
    pub const MAX_PAIRS: usize = 32;

    /// The most bytes that the canonical encoding of a context may have: 4 KiB.
    pub const MAX_ENCODED_LEN: usize = 4096;

    /// The empty context. Empty means empty: data sealed under it opens under it alone.
    #[must_use]
    pub const fn new() -> Self {
        Self { pairs: BTreeMap::new() }
    }

    /// A context of these pairs.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] as for [`insert`](Self::insert).
    pub fn from_pairs<K, V>(pairs: impl IntoIterator<Item = (K, V)>) -> Result<Self>
    where
        K: Into<String>,
        V: Into<String>,
    {
        let mut context = Self::new();
        for (key, value) in pairs {
            context.insert(key, value)?;
        }
        Ok(context)
    }

    /// Adds a pair.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] if the key is empty, present already, `bulla` or `bulla.*`
    /// (kept for the library), or if the context grows past its limits.
    pub fn insert(&mut self, key: impl Into<String>, value: impl Into<String>) -> Result<()> {
        let key = key.into();
        if is_reserved(&key) {
            return Err(Error::invalid(
                "context keys `bulla` and `bulla.*` are kept for the library; choose another name",
            ));
        }
        self.insert_any(key, value.into())
    }

    fn insert_any(&mut self, key: String, value: String) -> Result<()> {
        if key.is_empty() {
            return Err(Error::invalid("a context key is empty"));
        }
        if self.pairs.contains_key(&key) {
            return Err(Error::invalid(format!("context key {key:?} is given twice")));
        }
        if self.pairs.len() >= Self::MAX_PAIRS {
            return Err(Error::invalid(format!(
                "a context has more than {} pairs",
                Self::MAX_PAIRS
            )));
        }
        if self.encoded_len() + 4 + key.len() + value.len() > Self::MAX_ENCODED_LEN {
            return Err(Error::invalid(format!(
                "a context is longer than {} bytes encoded",
                Self::MAX_ENCODED_LEN
            )));
        }
        self.pairs.insert(key, value);
        Ok(())
    }

    /// The value of `key`.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.pairs.get(key).map(String::as_str)
    }

    /// The pairs in canonical order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.pairs.iter().map(|(k, v)| (k.as_str(), v.as_str()))
    }

    /// How many pairs there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.pairs.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// The canonical encoding, `pairs(S)` in FORMAT.md: count (1 byte), then for each pair the
    /// length (2 bytes, big-endian) and bytes of the key and of the value.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.encoded_len());
        self.encode_to(&mut out);
        out
    }

    /// The same, behind what `out` holds.
    pub(crate) fn encode_to(&self, out: &mut Vec<u8>) {
        // The limits hold by construction: at most 32 pairs, 4 KiB in all.
        out.push(u8::try_from(self.pairs.len()).unwrap_or(u8::MAX));
        for text in self.pairs.iter().flat_map(|(k, v)| [k, v]) {
            out.extend_from_slice(&u16::try_from(text.len()).unwrap_or(u16::MAX).to_be_bytes());
            out.extend_from_slice(text.as_bytes());
        }
    }

    /// The length of [`encode`](Self::encode) in bytes.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        1 + self.pairs.iter().map(|(k, v)| 4 + k.len() + v.len()).sum::<usize>()
    }

    /// Both sets in one.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] if a key is in both, or the union is over the limits.
    pub fn union(&self, other: &Self) -> Result<Self> {
        let mut all = self.clone();
        for (key, value) in &other.pairs {
            all.insert_any(key.clone(), value.clone())?;
        }
        Ok(all)
    }

    /// Builds a context from parsed pairs, whose order is the format's rule and is checked here.
    /// Keys of the library's own are let through: a header may hold them.
    pub(crate) fn from_ordered(
        pairs: impl IntoIterator<Item = Result<(String, String)>>,
    ) -> Result<Self> {
        let mut context = Self::new();
        for pair in pairs {
            let (key, value) = pair?;
            if context.pairs.last_key_value().is_some_and(|(last, _)| *last >= key) {
                return Err(Error::malformed("stored context is not in strictly ascending order"));
            }
            context.insert_any(key, value).map_err(|e| Error::malformed(e.message().to_owned()))?;
        }
        Ok(context)
    }

    /// The first key that only the library may write, if there is one.
    pub(crate) fn reserved_key(&self) -> Option<&str> {
        self.pairs.keys().map(String::as_str).find(|key| is_reserved(key))
    }

    /// Whether every pair of `self` is in `all`, value and all.
    pub(crate) fn is_within(&self, all: &Self) -> bool {
        self.pairs.iter().all(|(k, v)| all.pairs.get(k) == Some(v))
    }
}

/// Keys only: values can be personal data and have no place in a log.
impl fmt::Debug for EncryptionContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.pairs.keys()).finish()
    }
}

fn is_reserved(key: &str) -> bool {
    key.strip_prefix(RESERVED).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// What a message is sealed under: key context and item context.
///
/// To open, the split does not matter: only the union of both is compared.
///
/// ```
/// use bulla::Context;
///
/// let context = Context::new().with_key("tenant", "acme")?.with_item("row", "7")?;
/// assert_eq!(context.all().len(), 2);
/// # Ok::<(), bulla::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Context {
    key: EncryptionContext,
    item: EncryptionContext,
    all: EncryptionContext,
    /// Named by whoever seals or opens: that the pair is in `key` is not enough.
    transform: Option<Transform>,
}

impl Context {
    /// The empty context.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            key: EncryptionContext::new(),
            item: EncryptionContext::new(),
            all: EncryptionContext::new(),
            transform: None,
        }
    }

    /// Adds a pair to the key context: stored in the header, bound in the KMS.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] as for [`EncryptionContext::insert`].
    pub fn with_key(mut self, key: impl Into<String>, value: impl Into<String>) -> Result<Self> {
        let (key, value) = (key.into(), value.into());
        self.all.insert(key.clone(), value.clone())?;
        self.key.insert(key, value)?;
        Ok(self)
    }

    /// Adds a pair to the item context: not stored, bound in the derivation only.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] as for [`EncryptionContext::insert`].
    pub fn with_item(mut self, key: impl Into<String>, value: impl Into<String>) -> Result<Self> {
        let (key, value) = (key.into(), value.into());
        self.all.insert(key.clone(), value.clone())?;
        self.item.insert(key, value)?;
        Ok(self)
    }

    /// A context of these two parts.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] if a key is in both, or the union is over the limits.
    pub fn from_parts(key: EncryptionContext, item: EncryptionContext) -> Result<Self> {
        let all = key.union(&item)?;
        Ok(Self { key, item, all, transform: None })
    }

    /// The key context.
    #[must_use]
    pub fn key(&self) -> &EncryptionContext {
        &self.key
    }

    /// The item context.
    #[must_use]
    pub fn item(&self) -> &EncryptionContext {
        &self.item
    }

    /// The union of both.
    #[must_use]
    pub fn all(&self) -> &EncryptionContext {
        &self.all
    }

    /// The same pairs, split as a header has them: what it stores is the key context, and only that.
    pub(crate) fn split_as(&self, stored: &EncryptionContext) -> Self {
        let rest = self.all.pairs.iter().filter(|(key, _)| !stored.pairs.contains_key(*key));
        let item = rest.map(|(k, v)| (k.clone(), v.clone())).collect();
        let item = EncryptionContext { pairs: item };
        Self { key: stored.clone(), item, all: self.all.clone(), transform: self.transform }
    }

    /// Refuses a stored context that these pairs do not cover, or that says something else of the
    /// plaintext.
    pub(crate) fn covers(&self, stored: &EncryptionContext) -> Result<()> {
        self.agrees(stored)?;
        if stored.is_within(&self.all) {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::ContextMismatch,
            "a pair stored in the header is missing from the context given, or has another value",
        ))
    }
}

impl From<EncryptionContext> for Context {
    fn from(key: EncryptionContext) -> Self {
        Self { all: key.clone(), item: EncryptionContext::new(), key, transform: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoding_is_sorted_and_unambiguous() {
        let context = EncryptionContext::from_pairs([("b", "2"), ("a", "")]).unwrap();
        assert_eq!(context.encode(), b"\x02\x00\x01a\x00\x00\x00\x01b\x00\x012");
        assert_eq!(context.encode().len(), context.encoded_len());
        let one = EncryptionContext::from_pairs([("a", "bc")]).unwrap();
        let two = EncryptionContext::from_pairs([("ab", "c")]).unwrap();
        assert_ne!(one.encode(), two.encode());
        assert_eq!(EncryptionContext::new().encode(), [0]);
    }

    #[test]
    fn refuses_what_the_format_can_not_hold() {
        let kind = |r: Result<EncryptionContext>| r.unwrap_err().kind();
        let pairs = |p: &[(&str, &str)]| EncryptionContext::from_pairs(p.to_vec());
        assert_eq!(kind(pairs(&[("", "x")])), ErrorKind::InvalidInput);
        assert_eq!(kind(pairs(&[("a", "1"), ("a", "2")])), ErrorKind::InvalidInput);
        for name in ["bulla", "bulla.transform"] {
            assert_eq!(kind(pairs(&[(name, "1")])), ErrorKind::InvalidInput);
        }
        assert!(pairs(&[("bullae", "1")]).is_ok());
        let many = (0..=EncryptionContext::MAX_PAIRS).map(|i| (format!("k{i}"), "v"));
        assert_eq!(kind(EncryptionContext::from_pairs(many)), ErrorKind::InvalidInput);
        let exact = "v".repeat(EncryptionContext::MAX_ENCODED_LEN - 6);
        assert!(pairs(&[("k", &exact)]).is_ok());
        assert!(pairs(&[("kk", &exact)]).is_err());
    }

    #[test]
    fn parts_may_not_overlap() {
        let a = EncryptionContext::from_pairs([("a", "1")]).unwrap();
        assert!(Context::from_parts(a.clone(), a).is_err());
        assert!(Context::new().with_key("a", "1").unwrap().with_item("a", "1").is_err());
    }

    #[test]
    fn debug_shows_no_values() {
        let context = Context::new().with_key("tenant", "acme").unwrap();
        assert!(!format!("{context:?}").contains("acme"));
    }
}
