//! What keys can do.

use bulla::{
    Result, SigningAlgorithm,
    provider::{Capabilities, ContextBinding},
};

use crate::{
    bound::{Bound, Keys},
    client::{NONCE_LEN, TAG_LEN},
    object::{Purpose, Wrapping},
    public::Pair,
};

/// The most bytes of a direct payload: what any token takes in one piece.
pub(crate) const MAX_DIRECT_LEN: usize = 4096;

/// AES-GCM: nonce, data key, tag.
pub(crate) const GCM_LEN: usize = NONCE_LEN + 32 + TAG_LEN;

/// AES Key Wrap: eight bytes more than the data key.
pub(crate) const KEY_WRAP_LEN: usize = 40;

/// Those of the keys of one provider: of the sealing key, if there is one, or else of what the weakest
/// key that opens can do. Signing may be pinned to one algorithm.
///
/// # Errors
/// [`ErrorKind::InvalidInput`] if the signing key can't do the one that is pinned.
pub(crate) fn of(keys: &Keys, pinned: Option<SigningAlgorithm>) -> Result<Capabilities> {
    let wrapping = |bound: &Bound| match bound.purpose {
        Purpose::Seal { wrapping, .. } => Some(wrapping),
        Purpose::Sign { .. } => None,
    };
    let opening: Vec<_> = keys.iter().filter_map(wrapping).collect();
    let weakest = opening.into_iter().max_by_key(|wrapping| match wrapping {
        Wrapping::Gcm => 0,
        Wrapping::KeyWrap => 1,
        Wrapping::Oaep { .. } => 2,
    });
    let mut capabilities = match keys.sealing_key().and_then(wrapping).or(weakest) {
        Some(wrapping) => sealing(wrapping),
        None => Capabilities::none(),
    };
    if let Some(Purpose::Sign { algorithms, .. }) = keys.signing_key().map(|key| &key.purpose) {
        capabilities.set_signing(algorithms, pinned)?;
    }
    Ok(capabilities)
}

/// Those of all kinds of keys, taken together, where the token has AES-GCM.
pub(crate) fn of_all_keys() -> Capabilities {
    let mut capabilities = sealing(Wrapping::Gcm);
    capabilities.signing = Pair::ALL.iter().flat_map(|pair| pair.algorithms(|_| true)).collect();
    capabilities
}

fn sealing(wrapping: Wrapping) -> Capabilities {
    let mut capabilities = Capabilities::none();
    capabilities.wrap_authenticates = true;
    match wrapping {
        Wrapping::Gcm => {
            capabilities.direct = ContextBinding::Bound;
            capabilities.max_direct_len = MAX_DIRECT_LEN;
            capabilities.data_keys = ContextBinding::Bound;
            capabilities.max_wrapped_len = GCM_LEN;
        }
        Wrapping::KeyWrap => {
            capabilities.data_keys = ContextBinding::LocalOnly;
            capabilities.max_wrapped_len = KEY_WRAP_LEN;
        }
        Wrapping::Oaep { modulus } => {
            capabilities.data_keys = ContextBinding::LocalOnly;
            capabilities.max_wrapped_len = modulus;
            capabilities.wrap_authenticates = false;
        }
    }
    capabilities
}
