//! What keys can do.

use bulla::{
    EncryptionContext, Result,
    provider::{BoundKey as _, Capabilities, ContextBinding},
};

use crate::{bound::Keys, metadata::ALL_SIGNING};

/// The most bytes of a direct payload that a key in software takes.
pub(crate) const MAX_DIRECT_LEN: usize = 64 * 1024;

/// The most bytes that a key in an HSM takes, of plaintext and additional data together.
const MAX_IN_HSM: usize = 8 * 1024;

/// The most bytes of additional data: the context with what the library puts before it.
const MAX_AAD_LEN: usize = EncryptionContext::MAX_ENCODED_LEN + "bulla/1 data-key\0".len();

/// What is left of that for a payload.
pub(crate) const MAX_DIRECT_LEN_IN_HSM: usize = MAX_IN_HSM - MAX_AAD_LEN;

/// A wrapped data key of 32 bytes has about 100. KMS documents no limit; keys in external key managers have
/// another ciphertext inside.
pub(crate) const MAX_WRAPPED_LEN: usize = 512;

/// Those of the keys of one provider.
pub(crate) fn of(keys: &Keys) -> Result<Capabilities> {
    let opens = keys.iter().any(|bound| bound.seals());
    let mut capabilities = if opens { sealing() } else { Capabilities::none() };
    if keys.iter().any(|bound| bound.seals() && bound.in_hsm) {
        capabilities.max_direct_len = MAX_DIRECT_LEN_IN_HSM;
    }
    if let Some(signing) = keys.signing_key().and_then(|bound| bound.signing) {
        capabilities.set_signing(&[signing.algorithm], None)?;
    }
    Ok(capabilities)
}

/// Those of all kinds of keys, taken together.
pub(crate) fn of_all_keys() -> Capabilities {
    let mut capabilities = sealing();
    capabilities.signing = ALL_SIGNING.to_vec();
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
