//! Sets of public keys (RFC 7517, section 5).

use std::{collections::HashMap, fmt};

use serde::{Deserialize, Serialize, Serializer, ser::SerializeMap};
use serde_json::value::RawValue;

use super::Jwk;
use crate::{
    error::{Error, Result},
    jwt::strict,
};

/// Bytes of JSON in a set.
pub const MAX_SET_LEN: usize = 1024 * 1024;

/// Keys in a set.
pub const MAX_SET_KEYS: usize = 4096;

/// Public keys, found by their `kid` in constant time.
#[derive(Clone, Default)]
pub struct JwkSet {
    keys: Vec<Jwk>,
    by_kid: HashMap<String, usize>,
    skipped: usize,
}

#[derive(Deserialize)]
struct Document<'a> {
    #[serde(borrow)]
    keys: Vec<&'a RawValue>,
}

impl JwkSet {
    /// A set of these keys.
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) if two have the same `kid`, or if there are
    /// more than [`MAX_SET_KEYS`].
    pub fn new(keys: impl IntoIterator<Item = Jwk>) -> Result<Self> {
        let mut set = Self::default();
        keys.into_iter().try_for_each(|key| set.push(key))?;
        Ok(set)
    }

    /// Parses a set of at most [`MAX_SET_LEN`] bytes.
    ///
    /// Keys that are not usable here are skipped, as RFC 7517, section 5 asks: unknown kinds,
    /// curves and algorithms, symmetric and private keys, sizes that are too small.
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) if it is no JSON object with an array
    /// `keys`, has a member twice, is too long, or has two keys of one `kid`.
    pub fn from_json(json: impl AsRef<[u8]>) -> Result<Self> {
        let json = json.as_ref();
        if json.len() > MAX_SET_LEN {
            return Err(Error::invalid("a JWK set of over 1 MiB"));
        }
        strict::check(json).map_err(|_| {
            Error::invalid("no JWK set: not one JSON object, or a member occurs twice in it")
        })?;
        let document: Document<'_> = serde_json::from_slice(json)
            .map_err(|_| Error::invalid("no JWK set: it has no array `keys`"))?;
        if document.keys.len() > MAX_SET_KEYS {
            return Err(too_many());
        }
        let mut set = Self::default();
        for key in document.keys {
            match Jwk::from_json(key.get()) {
                Ok(key) => set.push(key)?,
                Err(_) => set.skipped += 1,
            }
        }
        Ok(set)
    }

    fn push(&mut self, key: Jwk) -> Result<()> {
        if self.keys.len() == MAX_SET_KEYS {
            return Err(too_many());
        }
        if let Some(kid) = key.kid()
            && self.by_kid.insert(kid.to_owned(), self.keys.len()).is_some()
        {
            return Err(Error::invalid("two keys of the JWK set have the same kid"));
        }
        self.keys.push(key);
        Ok(())
    }

    /// The set as one line of JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        let Ok(json) = serde_json::to_string(self) else { unreachable!("strings become JSON") };
        json
    }

    /// The key called `kid`.
    #[must_use]
    pub fn find(&self, kid: &str) -> Option<&Jwk> {
        self.keys.get(*self.by_kid.get(kid)?)
    }

    /// All keys, in the order that they were given in.
    pub fn iter(&self) -> impl Iterator<Item = &Jwk> {
        self.keys.iter()
    }

    /// How many keys there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// How many keys of the document were skipped.
    #[must_use]
    pub fn skipped(&self) -> usize {
        self.skipped
    }
}

fn too_many() -> Error {
    Error::invalid(format!("a JWK set of over {MAX_SET_KEYS} keys"))
}

impl Serialize for JwkSet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry("keys", &self.keys)?;
        map.end()
    }
}

impl fmt::Debug for JwkSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwkSet").field("keys", &self.keys).field("skipped", &self.skipped).finish()
    }
}
