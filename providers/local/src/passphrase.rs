//! Passphrases, and whether a key is guarded by one.

use std::{fmt, sync::Arc};

use zeroize::Zeroizing;

/// A passphrase, wiped when its last clone is dropped.
///
/// Taken byte for byte: two Unicode spellings of one word are two passphrases.
#[derive(Clone)]
pub struct Passphrase(Arc<Zeroizing<String>>);

impl Passphrase {
    /// Takes the text over.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(Arc::new(Zeroizing::new(text)))
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl From<String> for Passphrase {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase(..)")
    }
}

/// How the material of a new version is kept in its file.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Protection {
    /// As it is: the file's permissions are all that guards it.
    None,
    /// Encrypted under a key that Argon2id makes of the passphrase: 64 MiB, 3 passes, 1 lane.
    ///
    /// There is no way in without the passphrase, for its owner neither.
    Passphrase(Passphrase),
}
