//! Checking a signature on this machine, by AWS-LC.

use aws_lc_rs::{
    digest::{self, Digest},
    signature::{self, UnparsedPublicKey, VerificationAlgorithm},
};
use bulla::{Error, Result, SigningAlgorithm, SigningInput};

/// Checks a signature in the form of JWS under a SubjectPublicKeyInfo. AWS-LC checks that the key
/// in it is of the algorithm's kind, that PSS salts are as long as the digest, and all lengths.
///
/// # Errors
/// [`NotAuthentic`](bulla::ErrorKind::NotAuthentic).
pub(crate) fn verify(spki: &[u8], input: &SigningInput<'_>, signature: &[u8]) -> Result<()> {
    let (algorithm, digest) = algorithms(input.algorithm()).ok_or_else(Error::not_authentic)?;
    let key = UnparsedPublicKey::new(algorithm, spki);
    let checked = match (input.digest(), digest) {
        (Some(bytes), Some(digest)) => Digest::import_less_safe(bytes, digest)
            .and_then(|digest| key.verify_digest(&digest, signature)),
        _ => key.verify(input.message().unwrap_or_default(), signature),
    };
    checked.map_err(|_| Error::not_authentic())
}

type Algorithms = (&'static dyn VerificationAlgorithm, Option<&'static digest::Algorithm>);

fn algorithms(algorithm: SigningAlgorithm) -> Option<Algorithms> {
    let (sha256, sha384, sha512) =
        (Some(&digest::SHA256), Some(&digest::SHA384), Some(&digest::SHA512));
    Some(match algorithm {
        SigningAlgorithm::Rs256 => (&signature::RSA_PKCS1_2048_8192_SHA256, sha256),
        SigningAlgorithm::Rs384 => (&signature::RSA_PKCS1_2048_8192_SHA384, sha384),
        SigningAlgorithm::Rs512 => (&signature::RSA_PKCS1_2048_8192_SHA512, sha512),
        SigningAlgorithm::Ps256 => (&signature::RSA_PSS_2048_8192_SHA256, sha256),
        SigningAlgorithm::Ps384 => (&signature::RSA_PSS_2048_8192_SHA384, sha384),
        SigningAlgorithm::Ps512 => (&signature::RSA_PSS_2048_8192_SHA512, sha512),
        SigningAlgorithm::Es256 => (&signature::ECDSA_P256_SHA256_FIXED, sha256),
        SigningAlgorithm::Es384 => (&signature::ECDSA_P384_SHA384_FIXED, sha384),
        SigningAlgorithm::Es512 => (&signature::ECDSA_P521_SHA512_FIXED, sha512),
        SigningAlgorithm::Ed25519 => (&signature::ED25519, None),
        _ => return None,
    })
}
