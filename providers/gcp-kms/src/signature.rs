//! Signatures from KMS's form to that of JWS: ECDSA as DER there, as fixed-width r‖s here.

use bulla::signing::ecdsa_from_der;

use crate::metadata::Pair;

/// A signature as KMS made it, in the form of JWS; `None` if it is none of that key.
pub(crate) fn from_kms(pair: Pair, bytes: &[u8]) -> Option<Vec<u8>> {
    match pair {
        Pair::Rsa(modulus) => (bytes.len() == modulus).then(|| bytes.to_vec()),
        Pair::Ed25519 => (bytes.len() == 64).then(|| bytes.to_vec()),
        Pair::P256 => ecdsa_from_der(bytes, 32),
        Pair::P384 => ecdsa_from_der(bytes, 48),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_has_the_length_of_its_key() {
        let shortest = [0x30, 0x06, 0x02, 0x01, 0x01, 0x02, 0x01, 0x01];
        for (pair, len) in [(Pair::P256, 64), (Pair::P384, 96)] {
            assert_eq!(from_kms(pair, &shortest).unwrap().len(), len);
            assert_eq!(from_kms(pair, &vec![1; len]), None, "r‖s is not what KMS returns");
        }
        for (pair, len) in [(Pair::Rsa(256), 256), (Pair::Ed25519, 64)] {
            assert_eq!(from_kms(pair, &vec![1; len]), Some(vec![1; len]));
            assert_eq!(from_kms(pair, &vec![1; len - 1]), None);
            assert_eq!(from_kms(pair, &vec![1; len + 1]), None);
        }
    }
}
