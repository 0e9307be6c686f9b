//! Signatures of AWS-LC, checked in public.

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256,
        RSA_PSS_SHA384, RsaKeyPair,
    },
};

use super::{PublicKey, Signature, SigningInput, verify};
use crate::{
    crypto::{Curve, Public, SigningAlgorithm, der},
    error::ErrorKind,
    key::{KeyName, KeyVersion},
};

fn public_key(public: &Public, algorithms: &[SigningAlgorithm]) -> PublicKey {
    let name = KeyName::new("local", "k").unwrap();
    let version = KeyVersion::parse("1").unwrap();
    let mut key = PublicKey::new(name, version, der::spki(public).unwrap());
    key.algorithms = algorithms.to_vec();
    key
}

fn rsa() -> (RsaKeyPair, Public) {
    let pair = RsaKeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).unwrap();
    let public = der::from_pkcs1(pair.public_key().as_ref()).unwrap();
    (pair, public)
}

/// From a message and from its digest, which is all that a KMS is sent.
fn check(key: &PublicKey, algorithm: SigningAlgorithm, signature: Vec<u8>) {
    let input = SigningInput::new(algorithm, b"message");
    let mut bad = signature.clone();
    let signature = Signature::new(signature);
    verify(key, &input, &signature).unwrap();
    if let Some(digest) = input.digest() {
        let same = SigningInput::from_digest(algorithm, digest).unwrap();
        verify(key, &same, &signature).unwrap();
    }
    let refused = |input: &SigningInput<'_>, signature: &Signature| {
        assert_eq!(verify(key, input, signature).unwrap_err().kind(), ErrorKind::NotAuthentic);
    };
    refused(&SigningInput::new(algorithm, b"messagE"), &signature);
    bad[7] ^= 1;
    refused(&input, &Signature::new(bad.clone()));
    bad.pop();
    refused(&input, &Signature::new(bad));
    refused(&input, &Signature::new(Vec::new()));
}

#[test]
fn every_kind_of_key() {
    let rng = SystemRandom::new();
    let (pair, public) = rsa();
    for (algorithm, encoding) in [
        (SigningAlgorithm::Rs256, &RSA_PKCS1_SHA256 as &dyn aws_lc_rs::signature::RsaEncoding),
        (SigningAlgorithm::Ps384, &RSA_PSS_SHA384),
    ] {
        let mut signature = vec![0; pair.public_modulus_len()];
        pair.sign(encoding, &rng, b"message", &mut signature).unwrap();
        check(&public_key(&public, &[algorithm]), algorithm, signature);
    }
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let public = Public::ec_point(Curve::P256, pair.public_key().as_ref()).unwrap();
    let signature = pair.sign(&rng, b"message").unwrap().as_ref().to_vec();
    check(&public_key(&public, &[SigningAlgorithm::Es256]), SigningAlgorithm::Es256, signature);
    let pair = Ed25519KeyPair::generate().unwrap();
    let public = Public::ed25519(pair.public_key().as_ref()).unwrap();
    let signature = pair.sign(b"message").as_ref().to_vec();
    check(&public_key(&public, &[SigningAlgorithm::Ed25519]), SigningAlgorithm::Ed25519, signature);
}

#[test]
fn only_algorithms_of_the_key_verify() {
    let (pair, public) = rsa();
    let mut signature = vec![0; pair.public_modulus_len()];
    pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), b"message", &mut signature).unwrap();
    let signature = Signature::new(signature);
    let input = SigningInput::new(SigningAlgorithm::Rs256, b"message");
    let pinned = public_key(&public, &[SigningAlgorithm::Ps256]);
    assert_eq!(verify(&pinned, &input, &signature).unwrap_err().kind(), ErrorKind::NotAuthentic);
    // What the caller says of a key does not make it another kind.
    let wrong = public_key(&Public::ed25519(&[9; 32]).unwrap(), &[SigningAlgorithm::Rs256]);
    assert_eq!(verify(&wrong, &input, &signature).unwrap_err().kind(), ErrorKind::NotAuthentic);
}

#[test]
fn a_damaged_or_weak_key_is_told() {
    let input = SigningInput::new(SigningAlgorithm::Ed25519, b"m");
    let mut key = public_key(&Public::ed25519(&[9; 32]).unwrap(), &[SigningAlgorithm::Ed25519]);
    key.spki.truncate(20);
    let error = verify(&key, &input, &Signature::new(vec![0; 64])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}
