//! What keys can do.

use bulla::{
    Result, SigningAlgorithm,
    provider::{Capabilities, ContextBinding},
};

use crate::{
    bound::Keys,
    metadata::{Pair, Purpose},
};

/// The most bytes that Encrypt takes.
pub(crate) const MAX_DIRECT_LEN: usize = 4096;

/// A wrapped data key has 167 bytes in the example of the AWS CLI and 184 typically. KMS documents
/// no other limit than that of what Decrypt takes; this one leaves room for keys in external key stores,
/// whose ciphertext has another one inside.
pub(crate) const MAX_WRAPPED_LEN: usize = 512;

/// Those of the keys of one provider. Signing may be pinned to one algorithm.
///
/// # Errors
/// [`ErrorKind::InvalidInput`] if the signing key can't do the one that is pinned.
pub(crate) fn of(keys: &Keys, pinned: Option<SigningAlgorithm>) -> Result<Capabilities> {
    let opens = keys.iter().any(|bound| bound.purpose == Purpose::Seal);
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
