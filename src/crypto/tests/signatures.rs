//! Public keys, and signatures.

use crate::crypto::*;

#[test]
fn debug_and_sizes_of_public_keys() {
    let key = Public::ed25519(&[9; 32]).unwrap();
    assert_eq!(key.signature_len(), 64);
    assert!(key.signs_with(SigningAlgorithm::Ed25519));
    assert!(!key.signs_with(SigningAlgorithm::Es256));
    assert_eq!(Curve::P521.len(), 66);
}

/// Bytes that are no such structure, cut short or grown, are refused and not panicked on.
#[test]
fn der_is_der() {
    let key = Public::ed25519(&[9; 32]).unwrap();
    let good = der::spki(&key).unwrap();
    assert!(der::from_spki(&good).unwrap() == key);
    for cut in 0..good.len() {
        assert!(der::from_spki(&good[..cut]).is_err());
    }
    assert!(der::from_spki(&[&good[..], &[0]].concat()).is_err());
    for at in 0..12 {
        let mut bad = good.clone();
        bad[at] ^= 0x55;
        assert!(der::from_spki(&bad).is_err(), "{at}");
    }
}

#[cfg(all(feature = "aws-lc-rs", feature = "rustcrypto"))]
mod differential {
    use aws_lc_rs::{
        rand::SystemRandom,
        signature::{
            ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING,
            ECDSA_P521_SHA512_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair,
        },
    };
    use proptest::prelude::*;

    use super::*;

    type Other = rust_crypto::RustCrypto;

    /// A public key, its algorithm, and its signature of the message.
    fn signed(kind: u8, message: &[u8]) -> (Public, SigningAlgorithm, Vec<u8>) {
        let (curve, signing) = match kind {
            0 => (Curve::P256, &ECDSA_P256_SHA256_FIXED_SIGNING),
            1 => (Curve::P384, &ECDSA_P384_SHA384_FIXED_SIGNING),
            2 => (Curve::P521, &ECDSA_P521_SHA512_FIXED_SIGNING),
            _ => {
                let pair = Ed25519KeyPair::generate().unwrap();
                let public = Public::ed25519(pair.public_key().as_ref()).unwrap();
                let signature = pair.sign(message).as_ref().to_vec();
                return (public, SigningAlgorithm::Ed25519, signature);
            }
        };
        let pair = EcdsaKeyPair::generate(signing).unwrap();
        let public = Public::ec_point(curve, pair.public_key().as_ref()).unwrap();
        let signature = pair.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec();
        (public, curve.algorithm(), signature)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Good signatures, and ones with a byte changed or a half zeroed or all ones.
        #[test]
        fn both_say_the_same(
            kind in 0_u8..4,
            message in any::<Vec<u8>>(),
            change in prop::option::of((any::<prop::sample::Index>(), any::<u8>())),
            half in prop::option::of((any::<bool>(), any::<bool>())),
        ) {
            let (public, algorithm, mut signature) = signed(kind, &message);
            let original = signature.clone();
            if let Some((at, to)) = change {
                let at = at.index(signature.len());
                signature[at] = to;
            }
            if let Some((first, ones)) = half {
                let middle = signature.len() / 2;
                let part = if first { &mut signature[..middle] } else { &mut signature[middle..] };
                part.fill(if ones { 0xff } else { 0 });
            }
            let one = Verifying::<Preferred>::new(public.clone()).unwrap();
            let two = Verifying::<Other>::new(public).unwrap();
            let (one, two) = (
                one.verify(algorithm, Signed::Message(&message), &signature),
                two.verify(algorithm, Signed::Message(&message), &signature),
            );
            prop_assert_eq!(one.is_ok(), signature == original);
            prop_assert_eq!(one.is_ok(), two.is_ok());
        }

        /// Points, most of which are not on the curve.
        #[test]
        fn both_accept_the_same_points(x in any::<[u8; 32]>(), y in any::<[u8; 32]>()) {
            let public = Public::ec(Curve::P256, &x, &y).unwrap();
            prop_assert!(Verifying::<Preferred>::new(public.clone()).is_err());
            prop_assert!(Verifying::<Other>::new(public).is_err());
        }
    }

    /// The table of points of small order is the one that `ed25519-dalek` computes.
    #[test]
    fn small_orders_are_the_same() {
        let mut refused = 0;
        let order_8 = "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05";
        let other_8 = "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a";
        let ones = "ff".repeat(30);
        for (start, rest) in [
            ("00", "00".repeat(31)),
            ("01", "00".repeat(31)),
            ("ec", format!("{ones}7f")),
            ("ed", format!("{ones}7f")),
            ("ee", format!("{ones}7f")),
            ("", order_8.to_owned()),
            ("", other_8.to_owned()),
            ("02", "00".repeat(31)),
            ("eb", format!("{ones}7f")),
        ] {
            let hex = format!("{start}{rest}");
            let bytes: Vec<u8> =
                (0..32).map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap()).collect();
            for sign in [0, 0x80] {
                let mut point: [u8; 32] = bytes.clone().try_into().unwrap();
                point[31] |= sign;
                let ours = Public::ed25519(&point).is_err();
                // Not every string is a point; those that are not, no library verifies with.
                if let Ok(theirs) = ed25519_dalek::VerifyingKey::from_bytes(&point) {
                    assert_eq!(ours, theirs.is_weak(), "{hex} {sign}");
                }
                refused += usize::from(ours);
            }
        }
        assert_eq!(refused, 14);
    }
}
