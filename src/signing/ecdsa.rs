//! ECDSA signatures between the two forms that they have: DER, and fixed-width r‖s.

use der::{Encode as _, Reader as _, SliceReader, asn1::UintRef};

/// The fixed-width form (r‖s, each of `half_len` bytes: RFC 7518, section 3.4) of an ECDSA signature in
/// strict DER (RFC 3279, section 2.2.3), as key services return it: 32 bytes for P-256, 48 for P-384 and
/// 66 for P-521. `None` for anything else: other encodings of the same numbers, a zero, numbers that are
/// too wide, and bytes behind them. So a signature has one spelling in either form.
#[must_use]
pub fn ecdsa_from_der(der: &[u8], half_len: usize) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(2 * half_len);
    for half in halves(der).ok()? {
        let half = half.as_bytes();
        // Neither half of an ECDSA signature is zero.
        let padding = half_len.checked_sub(half.len()).filter(|_| half != [0])?;
        out.resize(out.len() + padding, 0);
        out.extend_from_slice(half);
    }
    Some(out)
}

/// The same back. `None` if it has another length than two halves.
#[must_use]
pub fn ecdsa_to_der(signature: &[u8], half_len: usize) -> Option<Vec<u8>> {
    let (r, s) = signature.split_at_checked(half_len).filter(|(_, s)| s.len() == half_len)?;
    [UintRef::new(r).ok()?, UintRef::new(s).ok()?].to_der().ok()
}

fn halves(bytes: &[u8]) -> der::Result<[UintRef<'_>; 2]> {
    let mut reader = SliceReader::new(bytes)?;
    let halves = reader.sequence(|r| Ok::<_, der::Error>([r.decode()?, r.decode()?]))?;
    reader.finish()?;
    Ok(halves)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// P-256, P-384 and P-521.
    const WIDTHS: [usize; 3] = [32, 48, 66];

    #[test]
    fn halves_are_padded_and_stripped() {
        let der = [0x30, 0x07, 0x02, 0x01, 0x05, 0x02, 0x02, 0x00, 0x80];
        for len in WIDTHS {
            let fixed = ecdsa_from_der(&der, len).unwrap();
            assert_eq!(fixed.len(), 2 * len);
            assert_eq!((fixed[len - 1], fixed[2 * len - 1]), (5, 0x80));
            assert_eq!(fixed.iter().filter(|b| **b != 0).count(), 2);
            assert_eq!(ecdsa_to_der(&fixed, len).unwrap(), der);
        }
    }

    #[test]
    fn p521_takes_the_long_form_of_lengths() {
        let fixed = [&[0x01][..], &[0xff; 65], &[0x01], &[0xfe; 65]].concat();
        let der = ecdsa_to_der(&fixed, 66).unwrap();
        assert_eq!(der[..3], [0x30, 0x81, 136]);
        assert_eq!(ecdsa_from_der(&der, 66).unwrap(), fixed);
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
            assert_eq!(ecdsa_from_der(bad, 32), None, "{bad:02x?}");
        }
        let too_wide = ecdsa_to_der(&[0x7f; 96], 48).unwrap();
        assert_eq!(ecdsa_from_der(&too_wide, 32), None);
    }

    #[test]
    fn no_other_length_is_a_signature() {
        for half in WIDTHS {
            for len in 0..200 {
                assert_eq!(ecdsa_to_der(&vec![1; len], half).is_some(), len == 2 * half, "{len}");
                let _ = ecdsa_from_der(&vec![0x30; len], half);
            }
        }
    }

    proptest! {
        #[test]
        fn there_and_back(
            bytes in proptest::collection::vec(any::<u8>(), 132),
            zeros in [0usize..66, 0usize..66],
        ) {
            for len in WIDTHS {
                let mut fixed = bytes[..2 * len].to_vec();
                for (half, zeros) in fixed.chunks_mut(len).zip(zeros) {
                    half[..zeros.min(len - 1)].fill(0);
                }
                fixed[len - 1] |= 1;
                fixed[2 * len - 1] |= 1;
                let der = ecdsa_to_der(&fixed, len).unwrap();
                prop_assert_eq!(ecdsa_from_der(&der, len), Some(fixed));
            }
        }

        #[test]
        fn one_signature_has_one_spelling(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            for len in WIDTHS {
                if let Some(fixed) = ecdsa_from_der(&bytes, len) {
                    prop_assert_eq!(ecdsa_to_der(&fixed, len).unwrap(), bytes.clone());
                }
            }
        }

        #[test]
        fn damage_never_panics(at in 0usize..72, to in any::<u8>(), cut in 0usize..72) {
            let mut der = ecdsa_to_der(&[0x9c; 64], 32).unwrap();
            let last = der.len() - 1;
            der[at.min(last)] = to;
            der.truncate(cut);
            if let Some(fixed) = ecdsa_from_der(&der, 32) {
                prop_assert_eq!(fixed.len(), 64);
            }
        }
    }
}
