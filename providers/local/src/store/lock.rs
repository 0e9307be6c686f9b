//! The lock of a store: one change at a time, whichever program makes it.

use std::{
    fmt,
    fs::{self, File, OpenOptions, TryLockError},
    path::Path,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use bulla::{Error, ErrorKind, Result};

use super::files::{check_file, failed, not_opened, open as open_file};

/// A change takes milliseconds; one that makes a key under a passphrase, some tenths of a second.
pub(super) const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a look at a lock that is taken is put off: at first, and at most.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// Is told the path of the lock.
type Told = dyn Fn(&Path) + Send + Sync;

/// How a store waits for its lock.
#[derive(Clone)]
pub(super) struct Waiting {
    pub(super) timeout: Duration,
    /// Called in every change that has to wait.
    pub(super) told: Option<Arc<Told>>,
}

impl Default for Waiting {
    fn default() -> Self {
        Self { timeout: DEFAULT_TIMEOUT, told: None }
    }
}

impl fmt::Debug for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiting").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

impl Waiting {
    /// Takes the advisory lock. Released when the file is dropped.
    ///
    /// # Errors
    /// [`ErrorKind::Timeout`] if somebody else keeps it for too long.
    pub(super) fn lock(&self, path: &Path) -> Result<File> {
        let file = open(path)?;
        let started = Instant::now();
        let mut pause = FIRST_PAUSE;
        let mut waits = false;
        // The system has no lock that gives up after a time, so this looks again and again.
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) => return Err(failed("lock", path, error)),
            }
            let left = self.timeout.saturating_sub(started.elapsed());
            if left.is_zero() {
                return Err(held(path, self.timeout));
            }
            if !waits && let Some(told) = &self.told {
                told(path);
            }
            waits = true;
            thread::sleep(pause.min(left));
            pause = LONGEST_PAUSE.min(pause * 2);
        }
    }
}

/// Opens the file of the lock, making it if there is none.
pub(super) fn open(path: &Path) -> Result<File> {
    if let Ok(metadata) = fs::symlink_metadata(path) {
        check_file(path, &metadata)?;
    }
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    let file = open_file(path, &mut options).map_err(|error| not_opened("open", path, error))?;
    check_file(path, &file.metadata().map_err(|error| failed("read", path, error))?)?;
    Ok(file)
}

fn held(path: &Path, timeout: Duration) -> Error {
    Error::new(
        ErrorKind::Timeout,
        format!(
            "another change of the key store is under way and has kept the lock {} for more than \
             {timeout:?}; nothing was changed; try again when it is done, or end the program that \
             keeps it if it hangs",
            path.display(),
        ),
    )
}
