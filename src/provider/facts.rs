//! What a provider says of itself and of its keys.

use std::time::Duration;

use crate::{
    crypto::SigningAlgorithm,
    key::{KeyName, KeyState, KeyVersion, WrapAlgorithm},
};

/// How far a provider binds the encryption context in an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ContextBinding {
    /// The provider itself authenticates it.
    Bound,
    /// The provider can't; it is bound in the derivation of the message's keys only.
    LocalOnly,
    /// The provider can't, and the operation is refused.
    Refused,
}

/// What a provider can do. A capability that is absent answers
/// [`Unsupported`](crate::ErrorKind::Unsupported).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// How direct mode binds the context; `Refused` means no direct mode.
    pub direct: ContextBinding,
    /// The largest payload of direct mode, in bytes.
    pub max_direct_len: usize,
    /// How wraps bind the key context; `Refused` means no data keys.
    pub data_keys: ContextBinding,
    /// The largest wrapped data key that this provider makes, in bytes.
    pub max_wrapped_len: usize,
    /// Whether a wrap proves that somebody with permission at the key made it. A public-key wrap
    /// does not.
    pub wrap_authenticates: bool,
    /// What the signing key can do; empty means none is bound.
    pub signing: Vec<SigningAlgorithm>,
}

impl Capabilities {
    /// A provider that can do nothing: set what yours can.
    #[must_use]
    pub const fn none() -> Self {
        Self {
            direct: ContextBinding::Refused,
            max_direct_len: 0,
            data_keys: ContextBinding::Refused,
            max_wrapped_len: 0,
            wrap_authenticates: false,
            signing: Vec::new(),
        }
    }
}

/// How data keys wrapped by one key are opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnwrapPolicy {
    /// What the key does; a recipient record that says otherwise is refused.
    pub algorithm: WrapAlgorithm,
    /// Whether a wrap proves that its maker had permission at the key.
    pub authenticates: bool,
    /// Whether the owner accepts wraps of this key that prove nothing about who sealed.
    pub accept_public_key_wraps: bool,
}

impl UnwrapPolicy {
    /// A key whose wraps prove that their maker had permission at it.
    #[must_use]
    pub const fn authenticated(algorithm: WrapAlgorithm) -> Self {
        Self { algorithm, authenticates: true, accept_public_key_wraps: false }
    }

    /// A key that anybody can wrap for; its owner says whether such wraps are accepted.
    #[must_use]
    pub const fn public_key(algorithm: WrapAlgorithm, accept: bool) -> Self {
        Self { algorithm, authenticates: false, accept_public_key_wraps: accept }
    }
}

/// Whether a call now is likely to succeed. Ordered: the best comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Availability {
    /// Nothing is known against it.
    Available,
    /// Recent calls failed.
    Degraded,
    /// The breaker is open.
    Unavailable,
}

/// What a provider says of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyInfo {
    /// The canonical name.
    pub name: KeyName,
    /// The current version, where the provider tells.
    pub version: Option<KeyVersion>,
    /// The key's state.
    pub state: KeyState,
    /// The provider's own word for the kind of key, such as `aes-256`.
    pub kind: String,
    /// Aliases that the provider knows the key by.
    pub aliases: Vec<String>,
}

impl KeyInfo {
    /// What is known of every key; set the rest.
    #[must_use]
    pub fn new(name: KeyName, state: KeyState, kind: impl Into<String>) -> Self {
        Self { name, version: None, state, kind: kind.into(), aliases: Vec::new() }
    }
}

/// The answer of a provider that can serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Health {
    /// How long the provider took to answer.
    pub latency: Duration,
}

impl Health {
    /// A provider that answered after `latency`.
    #[must_use]
    pub const fn new(latency: Duration) -> Self {
        Self { latency }
    }
}
