//! Signatures between KMS's form and that of JWS: ECDSA as DER here, as fixed-width r‖s there.

use bulla::{
    Error, Result,
    signing::{ecdsa_from_der, ecdsa_to_der},
};

use crate::metadata::Pair;

/// A signature as KMS made it, in the form of JWS; `None` if it is none of that key.
pub(crate) fn from_kms(pair: Pair, bytes: &[u8]) -> Option<Vec<u8>> {
    match width(pair) {
        Width::Whole(len) => (bytes.len() == len).then(|| bytes.to_vec()),
        Width::Halves(len) => ecdsa_from_der(bytes, len),
    }
}

/// The same back.
///
/// # Errors
/// [`NotAuthentic`](bulla::ErrorKind::NotAuthentic) for a length that no signature of that key has.
pub(crate) fn to_kms(pair: Pair, signature: &[u8]) -> Result<Vec<u8>> {
    let encoded = match width(pair) {
        Width::Whole(len) => (signature.len() == len).then(|| signature.to_vec()),
        Width::Halves(len) => ecdsa_to_der(signature, len),
    };
    encoded.ok_or_else(Error::not_authentic)
}

/// Bytes in a signature.
enum Width {
    Whole(usize),
    Halves(usize),
}

fn width(pair: Pair) -> Width {
    match pair {
        Pair::Rsa(modulus) => Width::Whole(modulus),
        Pair::Ed25519 => Width::Whole(64),
        Pair::P256 => Width::Halves(32),
        Pair::P384 => Width::Halves(48),
        Pair::P521 => Width::Halves(66),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_other_length_is_a_signature() {
        for pair in [Pair::Rsa(256), Pair::Ed25519, Pair::P256, Pair::P384, Pair::P521] {
            for len in 0..300 {
                let fits = match width(pair) {
                    Width::Whole(own) => len == own,
                    Width::Halves(own) => len == 2 * own,
                };
                let made = to_kms(pair, &vec![1; len]);
                assert_eq!(made.is_ok(), fits, "{pair:?} {len}");
                if let Ok(made) = made {
                    assert_eq!(from_kms(pair, &made).unwrap(), vec![1; len]);
                }
            }
            assert_eq!(from_kms(pair, &[0x30; 65]), None, "{pair:?}");
        }
    }
}
