//! What a backend does, as traits: three capabilities and the umbrella over them.
//!
//! Implementers write [`Encrypt`], [`DataKeys`], [`Sign`] and [`CryptoProvider`]; applications call
//! [`CryptoProviderExt`](crate::CryptoProviderExt), a [`Sealer`](crate::Sealer) or an
//! [`Opener`](crate::Opener). No method has a default body, so a wrapper can't forget one.

mod binding;
mod disabled;
mod facts;
mod key_use;
#[cfg(any(feature = "aws-lc-rs", feature = "rustcrypto"))]
mod software;
pub(crate) mod traits;

#[cfg(any(feature = "aws-lc-rs", feature = "rustcrypto"))]
pub use self::software::{SOFTWARE_WRAP_OVERHEAD, SoftwareKek};
pub(crate) use self::traits::{CryptoProvider, DataKeys, Encrypt, Sign};
pub use self::{
    binding::{Bindings, BoundKey, Role},
    disabled::Disabled,
    facts::{Availability, Capabilities, ContextBinding, Health, KeyInfo, UnwrapPolicy},
    key_use::KeyUse,
    traits::decrypt_and_encrypt,
};
