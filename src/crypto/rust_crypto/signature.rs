//! Signatures by the RustCrypto crates.
//!
//! RSA is `Unsupported`: of the crate `rsa`, no version that fits the `digest` of this tree is
//! released (0.10 is a release candidate).

use p256::ecdsa::signature::{Verifier, hazmat::PrehashVerifier};

use crate::{
    crypto::{Curve, Public, Signed},
    error::{Error, ErrorKind, Result},
};

pub(crate) enum Key {
    P256(Box<p256::ecdsa::VerifyingKey>),
    P384(Box<p384::ecdsa::VerifyingKey>),
    P521(Box<p521::ecdsa::VerifyingKey>),
    Ed25519(Box<ed25519_dalek::VerifyingKey>),
    Rsa,
}

impl Key {
    pub(super) fn new(public: &Public) -> Result<Self> {
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

    pub(super) fn verify(&self, signed: Signed<'_>, signature: &[u8]) -> Result<bool> {
        let good = match self {
            Self::P256(key) => p256::ecdsa::Signature::from_slice(signature)
                .and_then(|signature| ecdsa(&**key, signed, &signature)),
            Self::P384(key) => p384::ecdsa::Signature::from_slice(signature)
                .and_then(|signature| ecdsa(&**key, signed, &signature)),
            Self::P521(key) => p521::ecdsa::Signature::from_slice(signature)
                .and_then(|signature| ecdsa(&**key, signed, &signature)),
            Self::Ed25519(key) => {
                let Signed::Message(message) = signed else { return Ok(false) };
                ed25519_dalek::Signature::from_slice(signature)
                    .and_then(|signature| key.verify(message, &signature))
            }
            Self::Rsa => {
                return Err(Error::new(
                    ErrorKind::Unsupported,
                    "RSA signatures need the feature `aws-lc-rs`, which this build lacks",
                ));
            }
        };
        Ok(good.is_ok())
    }
}

fn ecdsa<S>(
    key: &(impl Verifier<S> + PrehashVerifier<S>),
    signed: Signed<'_>,
    signature: &S,
) -> Result<(), p256::ecdsa::Error> {
    match signed {
        Signed::Message(message) => key.verify(message, signature),
        Signed::Digest(digest) => key.verify_prehash(digest, signature),
    }
}
