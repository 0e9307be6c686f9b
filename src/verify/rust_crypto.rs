//! The backend over the RustCrypto crates, for targets without a C toolchain.
//!
//! RSA is `Unsupported`: of the crate `rsa`, no version that fits the `digest` of this tree is
//! released (0.10 is a release candidate).

use p256::ecdsa::signature::Verifier;

use super::{Backend, Curve, Public};
use crate::{
    error::{Error, ErrorKind, Result},
    signing::SigningAlgorithm,
};

pub(crate) struct RustCrypto;

pub(crate) enum Key {
    P256(Box<p256::ecdsa::VerifyingKey>),
    P384(Box<p384::ecdsa::VerifyingKey>),
    P521(Box<p521::ecdsa::VerifyingKey>),
    Ed25519(Box<ed25519_dalek::VerifyingKey>),
    Rsa,
}

impl Backend for RustCrypto {
    type Key = Key;

    fn key(public: &Public) -> Result<Key> {
        let key = match public {
            Public::Rsa { .. } => Some(Key::Rsa),
            Public::Ec { curve: Curve::P256, point } => {
                p256::ecdsa::VerifyingKey::from_sec1_bytes(point).ok().map(|k| Key::P256(k.into()))
            }
            Public::Ec { curve: Curve::P384, point } => {
                p384::ecdsa::VerifyingKey::from_sec1_bytes(point).ok().map(|k| Key::P384(k.into()))
            }
            Public::Ec { curve: Curve::P521, point } => {
                p521::ecdsa::VerifyingKey::from_sec1_bytes(point).ok().map(|k| Key::P521(k.into()))
            }
            Public::Ed25519(point) => {
                ed25519_dalek::VerifyingKey::from_bytes(point).ok().map(|k| Key::Ed25519(k.into()))
            }
        };
        key.ok_or_else(|| {
            Error::invalid("the public key is damaged, or its point is not on the curve")
        })
    }

    fn verify(key: &Key, _: SigningAlgorithm, message: &[u8], signature: &[u8]) -> Result<bool> {
        let good = match key {
            Key::P256(key) => p256::ecdsa::Signature::from_slice(signature)
                .and_then(|signature| key.verify(message, &signature)),
            Key::P384(key) => p384::ecdsa::Signature::from_slice(signature)
                .and_then(|signature| key.verify(message, &signature)),
            Key::P521(key) => p521::ecdsa::Signature::from_slice(signature)
                .and_then(|signature| key.verify(message, &signature)),
            Key::Ed25519(key) => ed25519_dalek::Signature::from_slice(signature)
                .and_then(|signature| key.verify(message, &signature)),
            Key::Rsa => {
                return Err(Error::new(
                    ErrorKind::Unsupported,
                    "RSA signatures need the feature `aws-lc-rs`, which this build lacks",
                ));
            }
        };
        Ok(good.is_ok())
    }
}
