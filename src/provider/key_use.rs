//! What every provider binds beside the key.

use std::collections::BTreeMap;

use crate::context::EncryptionContext;

/// What a provider's key is being used for. Bound beside the context, so that a wrapped data key
/// can't be decrypted as if it were a small payload, nor the other way about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KeyUse {
    /// Wrapping a data key.
    DataKey,
    /// Encrypting a small payload directly.
    Direct,
}

impl KeyUse {
    /// The additional authenticated data for a backend that binds bytes:
    /// `"bulla/1 data-key"` or `"bulla/1 direct"`, a zero byte, and the encoded context.
    #[must_use]
    pub fn aad(self, context: &EncryptionContext) -> Vec<u8> {
        let label: &[u8] = match self {
            Self::DataKey => b"bulla/1 data-key\0",
            Self::Direct => b"bulla/1 direct\0",
        };
        [label, &context.encode()].concat()
    }

    /// The encryption context for a backend that binds a map, such as AWS KMS: the pairs and
    /// `bulla` = `1:data-key` or `1:direct`.
    #[must_use]
    pub fn pairs(self, context: &EncryptionContext) -> BTreeMap<String, String> {
        let own = match self {
            Self::DataKey => "1:data-key",
            Self::Direct => "1:direct",
        };
        let pairs = context.iter().map(|(k, v)| (k.to_owned(), v.to_owned()));
        pairs.chain([("bulla".to_owned(), own.to_owned())]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_map_names_the_use() {
        let context = EncryptionContext::from_pairs([("tenant", "acme")]).unwrap();
        let pairs = KeyUse::Direct.pairs(&context);
        assert_eq!(pairs.get("bulla").map(String::as_str), Some("1:direct"));
        assert_eq!(pairs.len(), 2);
    }
}
