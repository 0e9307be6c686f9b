//! What keys can do.

use bulla::{
    Result, SigningAlgorithm,
    provider::{Bindings, Capabilities, ContextBinding},
};

use crate::{bound::Bound, metadata::Wrapping, public::Pair};

/// AES Key Wrap: eight bytes more than the data key.
pub(crate) const KEY_WRAP_LEN: usize = 40;

/// Bytes of the longest modulus.
pub(crate) const MAX_MODULUS: usize = 512;

/// Those of the keys of one provider: of the sealing key, if there is one, or else of what the weakest
/// key that opens can do. Signing may be pinned to one algorithm.
///
/// # Errors
/// [`ErrorKind::InvalidInput`](bulla::ErrorKind::InvalidInput) if the signing key can't do the one that
/// is pinned.
pub(crate) fn of(keys: &Bindings<Bound>, pinned: Option<SigningAlgorithm>) -> Result<Capabilities> {
    let opening = keys.iter().filter_map(Bound::wrapping);
    let weakest = opening.max_by_key(|wrapping| match wrapping {
        Wrapping::KeyWrap => 0,
        Wrapping::Oaep(modulus) => *modulus,
    });
    let mut capabilities = match keys.sealing_key().and_then(Bound::wrapping).or(weakest) {
        Some(wrapping) => sealing(wrapping),
        None => Capabilities::none(),
    };
    if let Some(pair) = keys.signing_key().and_then(Bound::pair) {
        capabilities.set_signing(pair.algorithms(), pinned)?;
    }
    Ok(capabilities)
}

/// Those of the keys that every vault has, taken together. AES Key Wrap is for Managed HSMs alone.
pub(crate) fn of_all_keys() -> Capabilities {
    let mut capabilities = sealing(Wrapping::Oaep(MAX_MODULUS));
    capabilities.signing = Pair::ALL.iter().flat_map(|pair| pair.algorithms()).copied().collect();
    capabilities
}

/// Neither binds a context by itself, so there is no direct mode.
fn sealing(wrapping: Wrapping) -> Capabilities {
    let mut capabilities = Capabilities::none();
    capabilities.data_keys = ContextBinding::LocalOnly;
    (capabilities.max_wrapped_len, capabilities.wrap_authenticates) = match wrapping {
        Wrapping::Oaep(modulus) => (modulus, false),
        Wrapping::KeyWrap => (KEY_WRAP_LEN, true),
    };
    capabilities
}
