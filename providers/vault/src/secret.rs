//! What is shown to the server to log in.

use std::{
    fmt,
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use bulla::{Error, ErrorKind, Result};
use secrecy::{ExposeSecret as _, SecretString};
use subtle::ConstantTimeEq as _;
use tokio::sync::Mutex;
use zeroize::Zeroizing;

/// The most bytes of a file with a secret: tokens of batches and JWTs have a few thousand.
const MAX_LEN: usize = 32 * 1024;

/// A token, a secret id, a password or a JWT: given as it is, or in a file that is read at each login,
/// so that one that was changed needs no restart.
///
/// Redacted in `Debug`, and wiped.
#[derive(Clone)]
pub struct Secret {
    source: Source,
    /// What a wrapping token had in it. All clones share it: it is good once.
    wrapped: Option<Arc<Mutex<Option<Unwrapped>>>>,
}

struct Unwrapped {
    wrapping: SecretString,
    secret: SecretString,
}

#[derive(Clone)]
enum Source {
    Given(SecretString),
    File(PathBuf),
}

impl Secret {
    /// A secret at hand.
    pub fn new(secret: impl Into<String>) -> Self {
        Self { source: Source::Given(secret.into().into()), wrapped: None }
    }

    /// The text of a file, without line ends behind it.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self { source: Source::File(path.into()), wrapped: None }
    }

    /// Says that this is not the secret but a response-wrapping token for it, which is good once. It is
    /// unwrapped at the first login, and the secret kept in memory for later ones, also those of clones;
    /// from a file, another wrapping token is taken when there is one.
    #[must_use]
    pub fn wrapped(mut self) -> Self {
        self.wrapped = Some(Arc::default());
        self
    }

    #[cfg(test)]
    pub(crate) fn is_wrapped(&self) -> bool {
        self.wrapped.is_some()
    }

    /// Whether it can be another one the next time.
    pub(crate) fn is_file(&self) -> bool {
        matches!(self.source, Source::File(_))
    }

    /// What is to be shown, unwrapped if need be.
    ///
    /// # Errors
    /// As for [`read`](Self::read), and for unwrapping.
    pub(crate) async fn show<U>(
        &self,
        unwrap: impl FnOnce(SecretString) -> U + Send,
    ) -> Result<SecretString>
    where
        U: Future<Output = Result<SecretString>> + Send,
    {
        let read = self.read().await?;
        let Some(wrapped) = &self.wrapped else { return Ok(read) };
        // Held meanwhile: a second one who unwrapped it would be told that it is spent.
        let mut unwrapped = wrapped.lock().await;
        if let Some(known) = &*unwrapped {
            let (one, other) = (known.wrapping.expose_secret(), read.expose_secret());
            if bool::from(one.as_bytes().ct_eq(other.as_bytes())) {
                return Ok(known.secret.clone());
            }
        }
        let secret = unwrap(read.clone()).await?;
        *unwrapped = Some(Unwrapped { wrapping: read, secret: secret.clone() });
        Ok(secret)
    }

    /// # Errors
    /// [`ErrorKind::InvalidInput`] if it can't be read, or is empty.
    async fn read(&self) -> Result<SecretString> {
        let text = match &self.source {
            Source::Given(secret) => secret.clone(),
            Source::File(path) => {
                let path = path.clone();
                let read = tokio::task::spawn_blocking(move || read_file(&path)).await;
                read.map_err(|_| Error::new(ErrorKind::Unavailable, "the runtime is ending"))??
            }
        };
        match text.expose_secret().is_empty() {
            true => Err(Error::new(ErrorKind::InvalidInput, "the secret to log in with is empty")),
            false => Ok(text),
        }
    }
}

/// Into memory of a fixed size, which is wiped.
fn read_file(path: &Path) -> Result<SecretString> {
    let cannot = |why: &str| {
        let path = path.display().to_string();
        let message = format!("the secret to log in with can't be read from {path:?}: {why}");
        Error::new(ErrorKind::InvalidInput, message)
    };
    let mut file = File::open(path).map_err(|e| cannot(&e.kind().to_string()))?;
    let mut bytes = Zeroizing::new(vec![0; MAX_LEN]);
    let mut len = 0;
    while let Some(room) = bytes.get_mut(len..).filter(|room| !room.is_empty()) {
        match file.read(room).map_err(|e| cannot(&e.kind().to_string()))? {
            0 => break,
            read => len += read,
        }
    }
    let text = bytes.get(..len).filter(|text| text.len() < MAX_LEN);
    let text = text.and_then(|text| std::str::from_utf8(text).ok());
    let text = text.ok_or_else(|| cannot("it is not text of less than 32 KiB"))?;
    Ok(SecretString::from(text.trim_end_matches(['\r', '\n'])))
}

impl From<&str> for Secret {
    fn from(secret: &str) -> Self {
        Self::new(secret)
    }
}

impl From<String> for Secret {
    fn from(secret: String) -> Self {
        Self::new(secret)
    }
}

/// Without the secret.
impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.wrapped.is_some() { "wrapped " } else { "" })?;
        match &self.source {
            Source::Given(_) => f.write_str("Given(..)"),
            Source::File(path) => f.debug_tuple("File").field(path).finish(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_is_read_each_time_and_bounded() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        let secret = Secret::file(&path);
        assert_eq!(secret.read().await.unwrap_err().kind(), ErrorKind::InvalidInput);
        for text in ["one\n", "two\r\n"] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(secret.read().await.unwrap().expose_secret(), text.trim_end());
        }
        for bad in [&b"\n"[..], b"\xff\xfe", &[b'a'; MAX_LEN]] {
            std::fs::write(&path, bad).unwrap();
            assert_eq!(secret.read().await.unwrap_err().kind(), ErrorKind::InvalidInput);
        }
    }

    #[test]
    fn a_secret_is_not_shown() {
        assert_eq!(format!("{:?}", Secret::new("hunter2")), "Given(..)");
        assert_eq!(format!("{:?}", Secret::new("hunter2").wrapped()), "wrapped Given(..)");
    }
}
