//! Checking a signature on this machine.

use super::{PublicKey, Signature, SigningInput};
use crate::{
    crypto::{Signed, Verifying, der},
    error::{Error, Result},
};

/// Checks a signature under a public key: no call to a provider, and so no permission and no fee.
///
/// The algorithm is the input's, and must be one of the key's. ECDSA signatures are r‖s (RFC 7518,
/// section 3.4), PSS salts as long as the digest (section 3.5). The key is parsed each time; for many
/// signatures under one key, keep a [`Jwk`](crate::jwt::Jwk).
///
/// # Errors
/// [`NotAuthentic`](crate::ErrorKind::NotAuthentic) if the signature is not the key's over this
/// input, or the algorithm none of the key's;
/// [`InvalidInput`](crate::ErrorKind::InvalidInput) or [`Unsupported`](crate::ErrorKind::Unsupported)
/// for a key that is damaged, too weak, or of a kind that is not known here.
pub fn verify(key: &PublicKey, input: &SigningInput<'_>, signature: &Signature) -> Result<()> {
    if !key.algorithms.contains(&input.algorithm()) {
        return Err(Error::not_authentic());
    }
    let signed = match (input.digest(), input.message()) {
        (Some(digest), _) => Signed::Digest(digest),
        (None, message) => Signed::Message(message.unwrap_or_default()),
    };
    let key: Verifying = Verifying::new(der::from_spki(&key.spki)?)?;
    key.verify(input.algorithm(), signed, signature.as_bytes())
}
