//! Signatures between KMS's form and that of JWS: ECDSA as DER here, as fixed-width r‖s there.

use bulla::{Error, Result};
use der::{Encode as _, Reader as _, SliceReader, asn1::UintRef};

use crate::metadata::Pair;

/// A signature as KMS made it, in the form of JWS; `None` if it is none of that key.
pub(crate) fn from_kms(pair: Pair, bytes: &[u8]) -> Option<Vec<u8>> {
    match width(pair) {
        Width::Whole(len) => (bytes.len() == len).then(|| bytes.to_vec()),
        Width::Halves(len) => {
            let halves = halves(bytes).ok()?;
            let mut out = Vec::with_capacity(2 * len);
            for half in halves {
                let half = half.as_bytes();
                // Neither half of an ECDSA signature is zero.
                let padding = len.checked_sub(half.len()).filter(|_| half != [0])?;
                out.resize(out.len() + padding, 0);
                out.extend_from_slice(half);
            }
            Some(out)
        }
    }
}

fn halves(bytes: &[u8]) -> der::Result<[UintRef<'_>; 2]> {
    let mut reader = SliceReader::new(bytes)?;
    let halves = reader.sequence(|r| Ok::<_, der::Error>([r.decode()?, r.decode()?]))?;
    reader.finish()?;
    Ok(halves)
}

/// The same back.
///
/// # Errors
/// [`NotAuthentic`](bulla::ErrorKind::NotAuthentic) for a length that no signature of that key has.
pub(crate) fn to_kms(pair: Pair, signature: &[u8]) -> Result<Vec<u8>> {
    let encoded = match width(pair) {
        Width::Whole(len) => (signature.len() == len).then(|| signature.to_vec()),
        Width::Halves(len) => signature
            .split_at_checked(len)
            .filter(|(_, s)| s.len() == len)
            .and_then(|(r, s)| [UintRef::new(r).ok()?, UintRef::new(s).ok()?].to_der().ok()),
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
    use proptest::prelude::*;

    use super::*;

    const CURVES: [(Pair, usize); 3] = [(Pair::P256, 32), (Pair::P384, 48), (Pair::P521, 66)];

    #[test]
    fn halves_are_padded_and_stripped() {
        let der = [0x30, 0x07, 0x02, 0x01, 0x05, 0x02, 0x02, 0x00, 0x80];
        for (pair, len) in CURVES {
            let fixed = from_kms(pair, &der).unwrap();
            assert_eq!(fixed.len(), 2 * len);
            assert_eq!((fixed[len - 1], fixed[2 * len - 1]), (5, 0x80));
            assert_eq!(fixed.iter().filter(|b| **b != 0).count(), 2);
            assert_eq!(to_kms(pair, &fixed).unwrap(), der);
        }
    }

    #[test]
    fn p521_takes_the_long_form_of_lengths() {
        let fixed = [&[0x01][..], &[0xff; 65], &[0x01], &[0xfe; 65]].concat();
        let der = to_kms(Pair::P521, &fixed).unwrap();
        assert_eq!(der[..3], [0x30, 0x81, 136]);
        assert_eq!(from_kms(Pair::P521, &der).unwrap(), fixed);
    }

    #[test]
    fn what_is_not_strict_der_is_no_signature() {
        for bad in [
            &[][..],
            &[0x30, 0x00],
            &[0x30, 0x06, 0x02, 0x01, 0x80, 0x02, 0x01, 0x01], // negative
            &[0x30, 0x06, 0x02, 0x01, 0x00, 0x02, 0x01, 0x01], // zero
            &[0x30, 0x07, 0x02, 0x02, 0x00, 0x01, 0x02, 0x01, 0x01], // overlong integer
            &[0x30, 0x81, 0x06, 0x02, 0x01, 0x01, 0x02, 0x01, 0x01], // overlong length
            &[0x30, 0x06, 0x02, 0x01, 0x01, 0x02, 0x01, 0x01, 0x00], // trailing byte
            &[0x30, 0x07, 0x02, 0x01, 0x01, 0x02, 0x01, 0x01, 0x00], // trailing byte inside
            &[0x30, 0x09, 0x02, 0x01, 0x01, 0x02, 0x01, 0x01, 0x02, 0x01, 0x01], // three
            &[0x30, 0x03, 0x02, 0x01, 0x01],                   // one
            &[0x31, 0x06, 0x02, 0x01, 0x01, 0x02, 0x01, 0x01], // a set
            &[0x30, 0x80, 0x02, 0x01, 0x01, 0x02, 0x01, 0x01, 0x00, 0x00], // indefinite
        ] {
            assert_eq!(from_kms(Pair::P256, bad), None, "{bad:02x?}");
        }
        let too_wide = to_kms(Pair::P384, &[0x7f; 96]).unwrap();
        assert_eq!(from_kms(Pair::P256, &too_wide), None);
    }

    #[test]
    fn no_other_length_is_a_signature() {
        for pair in [Pair::Rsa(256), Pair::Ed25519, Pair::P256, Pair::P384, Pair::P521] {
            for len in 0..200 {
                let fits = match width(pair) {
                    Width::Whole(own) => len == own,
                    Width::Halves(own) => len == 2 * own,
                };
                assert_eq!(to_kms(pair, &vec![1; len]).is_ok(), fits, "{pair:?} {len}");
                let _ = from_kms(pair, &vec![0x30; len]);
            }
        }
    }

    proptest! {
        #[test]
        fn there_and_back(
            bytes in proptest::collection::vec(any::<u8>(), 132),
            zeros in [0usize..66, 0usize..66],
        ) {
            for (pair, len) in CURVES {
                let mut fixed = bytes[..2 * len].to_vec();
                for (half, zeros) in fixed.chunks_mut(len).zip(zeros) {
                    half[..zeros.min(len - 1)].fill(0);
                }
                fixed[len - 1] |= 1;
                fixed[2 * len - 1] |= 1;
                let der = to_kms(pair, &fixed).unwrap();
                prop_assert_eq!(from_kms(pair, &der), Some(fixed));
            }
        }

        #[test]
        fn one_signature_has_one_spelling(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            for (pair, _) in CURVES {
                if let Some(fixed) = from_kms(pair, &bytes) {
                    prop_assert_eq!(to_kms(pair, &fixed).unwrap(), bytes.clone());
                }
            }
        }

        #[test]
        fn damage_never_panics(at in 0usize..72, to in any::<u8>(), cut in 0usize..72) {
            let mut der = to_kms(Pair::P256, &[0x9c; 64]).unwrap();
            let last = der.len() - 1;
            der[at.min(last)] = to;
            der.truncate(cut);
            if let Some(fixed) = from_kms(Pair::P256, &der) {
                prop_assert_eq!(fixed.len(), 64);
            }
        }
    }
}
