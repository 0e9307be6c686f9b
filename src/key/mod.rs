//! Keys by name, and the secrets that they protect.

#[cfg(any(feature = "aws-lc-rs", feature = "rustcrypto"))]
mod locked;
pub(crate) mod name;
pub(crate) mod secret;
mod state;
pub(crate) mod uri;
mod wiped;
pub(crate) mod wrapped;

#[cfg(any(feature = "aws-lc-rs", feature = "rustcrypto"))]
pub(crate) use self::{locked::LockedKey, secret::fill_random, wiped::Wiped};
pub(crate) use self::{
    name::{KeyName, KeyVersion},
    secret::{DataKey, Plaintext},
    uri::KeyUri,
    wrapped::Wrapped,
};
pub use self::{
    name::{MAX_NAME_LEN, MAX_SCHEME_LEN},
    secret::DATA_KEY_LEN,
    state::KeyState,
    uri::{AwsKmsUri, AzureKeyVaultUri, GcpKmsUri, LocalUri, Pkcs11Uri, SCHEMES, VaultUri},
    wrapped::{MAX_WRAPPED_LEN, WrapAlgorithm},
};
