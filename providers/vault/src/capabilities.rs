//! What keys can do.

use bulla::{
    Result, SigningAlgorithm,
    provider::{BoundKey as _, Capabilities, ContextBinding},
};

use crate::{
    bound::Keys,
    ciphertext::{MAX_PREFIX_LEN, base64_len},
    metadata::{Cipher, Pair, Purpose},
};

/// The most bytes of a direct payload. The server takes megabytes: it is the limit that other services
/// have, so that what works here works there.
pub(crate) const MAX_DIRECT_LEN: usize = 4096;

/// A wrapped data key: 89 bytes by the first nine versions of an AES key, 105 by those of an XChaCha20
/// one, and a few more as versions grow longer.
pub(crate) const MAX_WRAPPED_LEN: usize =
    MAX_PREFIX_LEN + base64_len(32 + Cipher::XChaCha20Poly1305.overhead());

/// Those of the keys of one provider. Signing may be pinned to one algorithm.
///
/// # Errors
/// [`ErrorKind::InvalidInput`] if the signing key can't do the one that is pinned.
pub(crate) fn of(keys: &Keys, pinned: Option<SigningAlgorithm>) -> Result<Capabilities> {
    let opens = keys.iter().any(|bound| bound.seals());
    let mut capabilities = if opens { sealing() } else { Capabilities::none() };
    if let Some(Purpose::Sign(pair)) = keys.signing_key().map(|bound| bound.purpose) {
        capabilities.set_signing(pair.algorithms(), pinned)?;
    }
    Ok(capabilities)
}

/// Those of all kinds of keys, taken together.
pub(crate) fn of_all_keys() -> Capabilities {
    let mut capabilities = sealing();
    capabilities.signing = Pair::ALL.iter().flat_map(|pair| pair.algorithms()).copied().collect();
    capabilities
}

fn sealing() -> Capabilities {
    let mut capabilities = Capabilities::none();
    capabilities.direct = ContextBinding::Bound;
    capabilities.max_direct_len = MAX_DIRECT_LEN;
    capabilities.data_keys = ContextBinding::Bound;
    capabilities.max_wrapped_len = MAX_WRAPPED_LEN;
    capabilities.wrap_authenticates = true;
    capabilities
}
