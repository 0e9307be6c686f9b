//! What may be done with a key or a version of it.

use std::fmt;

/// The state of a key or of one version of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KeyState {
    /// Seals and opens, signs and verifies.
    Active,
    /// Opens and verifies only.
    Deprecated,
    /// Does nothing until it is enabled again.
    Disabled,
    /// Does nothing, and will be destroyed.
    PendingDeletion,
    /// Gone for good.
    Destroyed,
}

impl KeyState {
    /// A stable lower-case name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Deprecated => "deprecated",
            Self::Disabled => "disabled",
            Self::PendingDeletion => "pending-deletion",
            Self::Destroyed => "destroyed",
        }
    }
}

impl fmt::Display for KeyState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
