//! Signatures by AWS-LC.

use std::sync::OnceLock;

use aws_lc_rs::{
    digest::{self, Digest},
    signature::{
        ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ECDSA_P521_SHA512_FIXED, ED25519,
        ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384,
        RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384,
        RSA_PSS_2048_8192_SHA512, VerificationAlgorithm,
    },
};

use crate::{
    crypto::{Public, Signed, SigningAlgorithm, der},
    error::{Error, Result},
};

/// AWS-LC ties a parsed key to its algorithm, and an RSA key has six.
pub(crate) enum Key {
    One(ParsedPublicKey),
    Rsa { der: Vec<u8>, parsed: Box<[OnceLock<ParsedPublicKey>; 6]> },
}

impl Key {
    pub(super) fn new(public: &Public) -> Result<Self> {
        match public {
            Public::Rsa { n, e } => {
                let der = der::pkcs1(n, e)?;
                parse(SigningAlgorithm::Rs256, &der)?;
                Ok(Self::Rsa { der, parsed: Box::default() })
            }
            Public::Ec { curve, point } => parse(curve.algorithm(), point).map(Self::One),
            Public::Ed25519(point) => parse(SigningAlgorithm::Ed25519, point).map(Self::One),
        }
    }

    pub(super) fn verify(
        &self,
        algorithm: SigningAlgorithm,
        signed: Signed<'_>,
        signature: &[u8],
    ) -> Result<bool> {
        let key = match self {
            Self::One(key) => key,
            Self::Rsa { der, parsed } => {
                let cell = parsed.get(rsa_index(algorithm)).ok_or_else(Error::not_authentic)?;
                match cell.get() {
                    Some(key) => key,
                    None => {
                        let key = parse(algorithm, der)?;
                        cell.get_or_init(|| key)
                    }
                }
            }
        };
        let good = match signed {
            Signed::Message(message) => key.verify_sig(message, signature),
            Signed::Digest(bytes) => {
                let digest = digest(algorithm).ok_or_else(Error::not_authentic)?;
                Digest::import_less_safe(bytes, digest)
                    .and_then(|digest| key.verify_digest_sig(&digest, signature))
            }
        };
        Ok(good.is_ok())
    }
}

fn parse(algorithm: SigningAlgorithm, bytes: &[u8]) -> Result<ParsedPublicKey> {
    ParsedPublicKey::new(verification(algorithm), bytes)
        .map_err(|_| Error::invalid("the public key is damaged, or its point is not on the curve"))
}

fn rsa_index(algorithm: SigningAlgorithm) -> usize {
    match algorithm {
        SigningAlgorithm::Rs256 => 0,
        SigningAlgorithm::Rs384 => 1,
        SigningAlgorithm::Rs512 => 2,
        SigningAlgorithm::Ps256 => 3,
        SigningAlgorithm::Ps384 => 4,
        SigningAlgorithm::Ps512 => 5,
        _ => usize::MAX,
    }
}

/// The PSS ones take a salt as long as the digest and no other; the ECDSA ones r‖s.
fn verification(algorithm: SigningAlgorithm) -> &'static dyn VerificationAlgorithm {
    match algorithm {
        SigningAlgorithm::Rs256 => &RSA_PKCS1_2048_8192_SHA256,
        SigningAlgorithm::Rs384 => &RSA_PKCS1_2048_8192_SHA384,
        SigningAlgorithm::Rs512 => &RSA_PKCS1_2048_8192_SHA512,
        SigningAlgorithm::Ps256 => &RSA_PSS_2048_8192_SHA256,
        SigningAlgorithm::Ps384 => &RSA_PSS_2048_8192_SHA384,
        SigningAlgorithm::Ps512 => &RSA_PSS_2048_8192_SHA512,
        SigningAlgorithm::Es256 => &ECDSA_P256_SHA256_FIXED,
        SigningAlgorithm::Es384 => &ECDSA_P384_SHA384_FIXED,
        SigningAlgorithm::Es512 => &ECDSA_P521_SHA512_FIXED,
        SigningAlgorithm::Ed25519 => &ED25519,
    }
}

/// What an algorithm signs the digest of; Ed25519 signs the message.
fn digest(algorithm: SigningAlgorithm) -> Option<&'static digest::Algorithm> {
    match algorithm.digest_len()? {
        32 => Some(&digest::SHA256),
        48 => Some(&digest::SHA384),
        _ => Some(&digest::SHA512),
    }
}
