//! What went wrong and in which operation, as stable words.

use std::fmt;

/// What went wrong, in one word, for a program to act on.
///
/// Everything that concerns the authenticity of data is one kind, [`NotAuthentic`], with one text:
/// which of the checks failed is nobody's business but an attacker's.
///
/// [`NotAuthentic`]: ErrorKind::NotAuthentic
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The data was altered, truncated or extended, or the key or the context is not the one that
    /// it was sealed with. Trying again can't help.
    NotAuthentic,
    /// The bytes are no sealed data of a known version: wrong magic, a length that does not add
    /// up, a rule of the format broken.
    Malformed,
    /// The context given does not match the context stored in the header. Found before any
    /// provider is called.
    ContextMismatch,
    /// No recipient that the header names is one that these providers may open.
    NoRecipient,
    /// The token is malformed, or its claims are not what the verifier expects; the source is a
    /// `jwt::InvalidToken`, which has the reason.
    InvalidToken,
    /// The caller's argument or configuration is at fault; the message names it.
    InvalidInput,
    /// The provider, the build or this version can't do what was asked.
    Unsupported,
    /// The key, or that version of it, does not exist.
    NotFound,
    /// Something of that name exists already and is not replaced.
    AlreadyExists,
    /// The provider refused: a permission is missing.
    Denied,
    /// The key exists and is disabled, or this deployment has no keys at all.
    Disabled,
    /// The key is scheduled for deletion.
    PendingDeletion,
    /// The key's material is gone for good.
    Destroyed,
    /// What the provider keeps on its own side, such as a file of a key store, is damaged; or what was sealed is
    /// authentic, and not what it says it is.
    Damaged,
    /// The provider asks to slow down.
    Throttled,
    /// A quota that waiting a moment won't refill, or a bound that the owner set.
    QuotaExceeded,
    /// The provider can't be reached or answers that it is not able to serve.
    Unavailable,
    /// No answer within the time allowed.
    Timeout,
    /// The circuit breaker is open: the provider was not asked.
    CircuitOpen,
    /// The provider, stream or secret was closed before this call.
    Closed,
    /// The caller's reader or writer failed; the source is the [`std::io::Error`].
    Io,
    /// A fault of this library or of a provider's SDK.
    Internal,
}

impl ErrorKind {
    /// How many kinds there are.
    pub(crate) const COUNT: usize = Self::Internal as usize + 1;

    /// Whether the same call may succeed a little later.
    #[must_use]
    pub const fn is_retryable(self) -> bool {
        matches!(self, Self::Throttled | Self::Unavailable | Self::Timeout | Self::CircuitOpen)
    }

    /// A stable lower-case name, fit for a metrics label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotAuthentic => "not_authentic",
            Self::Malformed => "malformed",
            Self::ContextMismatch => "context_mismatch",
            Self::NoRecipient => "no_recipient",
            Self::InvalidToken => "invalid_token",
            Self::InvalidInput => "invalid_input",
            Self::Unsupported => "unsupported",
            Self::NotFound => "not_found",
            Self::AlreadyExists => "already_exists",
            Self::Denied => "denied",
            Self::Disabled => "disabled",
            Self::PendingDeletion => "pending_deletion",
            Self::Destroyed => "destroyed",
            Self::Damaged => "damaged",
            Self::Throttled => "throttled",
            Self::QuotaExceeded => "quota_exceeded",
            Self::Unavailable => "unavailable",
            Self::Timeout => "timeout",
            Self::CircuitOpen => "circuit_open",
            Self::Closed => "closed",
            Self::Io => "io",
            Self::Internal => "internal",
        }
    }

    /// The words that open a message of this kind.
    #[must_use]
    pub const fn describe(self) -> &'static str {
        match self {
            Self::NotAuthentic => "not authentic",
            Self::Malformed => "not sealed data",
            Self::ContextMismatch => "context mismatch",
            Self::NoRecipient => "no recipient to open with",
            Self::InvalidToken => "invalid token",
            Self::InvalidInput => "invalid input",
            Self::Unsupported => "unsupported",
            Self::NotFound => "key not found",
            Self::AlreadyExists => "already exists",
            Self::Denied => "denied",
            Self::Disabled => "disabled",
            Self::PendingDeletion => "key pending deletion",
            Self::Destroyed => "key destroyed",
            Self::Damaged => "damaged",
            Self::Throttled => "throttled",
            Self::QuotaExceeded => "quota exceeded",
            Self::Unavailable => "provider unavailable",
            Self::Timeout => "timed out",
            Self::CircuitOpen => "circuit breaker open",
            Self::Closed => "closed",
            Self::Io => "input/output",
            Self::Internal => "internal fault",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.describe())
    }
}

/// The operation during which an [`Error`](crate::Error) arose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[allow(missing_docs, reason = "each is named after the method")]
pub enum Operation {
    Build,
    Encrypt,
    Decrypt,
    Reencrypt,
    GenerateDataKey,
    WrapDataKey,
    UnwrapDataKey,
    PublicKeys,
    Sign,
    DescribeKeys,
    Health,
    Close,
    Seal,
    Open,
    Rewrap,
}

impl Operation {
    /// How many operations there are.
    pub(crate) const COUNT: usize = Self::Rewrap as usize + 1;

    /// A stable lower-case name, fit for a metrics label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Build => "build",
            Self::Encrypt => "encrypt",
            Self::Decrypt => "decrypt",
            Self::Reencrypt => "reencrypt",
            Self::GenerateDataKey => "generate_data_key",
            Self::WrapDataKey => "wrap_data_key",
            Self::UnwrapDataKey => "unwrap_data_key",
            Self::PublicKeys => "public_keys",
            Self::Sign => "sign",
            Self::DescribeKeys => "describe_keys",
            Self::Health => "health",
            Self::Close => "close",
            Self::Seal => "seal",
            Self::Open => "open",
            Self::Rewrap => "rewrap",
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
