//! What a run must not leave behind: its temporary file, and a terminal that shows nothing.
//!
//! The thread that works may hang in a read when a signal comes, so both are kept here, where the
//! thread that waits for signals can put them right. One lock decides which comes first, the
//! rename or the signal.

use std::{
    fs::{File, Permissions},
    io,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};
use tempfile::{NamedTempFile, TempPath};

#[derive(Clone, Default)]
pub(crate) struct Cleanup(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    interrupted: bool,
    /// Removed when dropped.
    temporary: Option<TempPath>,
    /// A terminal and the settings that it had before it was asked for a passphrase.
    terminal: Option<(File, Termios)>,
}

impl Cleanup {
    /// A new file in `dir` that goes away unless it is [`put`](Self::put) in its place. It is nobody
    /// else's: what ends a run without a word, such as SIGKILL, leaves it behind.
    pub(crate) fn create(&self, dir: &Path) -> io::Result<File> {
        let mut state = self.lock();
        if state.interrupted {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let (file, path) = temporary(dir, 0o600).map(NamedTempFile::into_parts)?;
        state.temporary = Some(path);
        Ok(file)
    }

    /// How open a new file in `dir` is. Only making one tells, since besides the umask the directory may
    /// have a default ACL, and file systems have rules of their own.
    pub(crate) fn permissions_of_new(&self, dir: &Path) -> io::Result<Permissions> {
        // It is gone again before a signal can end the run.
        let _state = self.lock();
        Ok(temporary(dir, 0o666)?.as_file().metadata()?.permissions())
    }

    /// Gives the file its name: in place of another only if `replace`.
    pub(crate) fn put(&self, target: &Path, replace: bool) -> io::Result<()> {
        let mut state = self.lock();
        let Some(path) = state.temporary.take() else {
            return Err(io::ErrorKind::Interrupted.into());
        };
        if replace { path.persist(target) } else { path.persist_noclobber(target) }
            .map_err(|e| e.error)
    }

    /// Removes the file, if it has not been put in its place.
    pub(crate) fn discard(&self) {
        self.lock().temporary = None;
    }

    /// Remembers how a terminal is set, for [`restore`](Self::restore) or for the case that the run ends
    /// before.
    pub(crate) fn restore_later(&self, terminal: File) {
        if let Ok(settings) = tcgetattr(&terminal) {
            self.lock().terminal = Some((terminal, settings));
        }
    }

    /// Sets the terminal as it was.
    pub(crate) fn restore(&self) {
        self.lock().restore();
    }

    /// Removes the file and refuses every other: the run ends now.
    pub(crate) fn interrupt(&self) {
        let mut state = self.lock();
        state.interrupted = true;
        state.temporary = None;
        state.restore();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn restore(&mut self) {
        if let Some((terminal, settings)) = self.terminal.take() {
            let _ = tcsetattr(terminal, OptionalActions::Now, &settings);
        }
    }
}

fn temporary(dir: &Path, mode: u32) -> io::Result<NamedTempFile> {
    tempfile::Builder::new()
        .prefix(".bulla-")
        .suffix(".tmp")
        .permissions(Permissions::from_mode(mode))
        .tempfile_in(dir)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(dir: &Path) -> usize {
        std::fs::read_dir(dir).unwrap().count()
    }

    #[test]
    fn a_signal_before_the_rename_wins() {
        let dir = tempfile::tempdir().unwrap();
        let cleanup = Cleanup::default();
        cleanup.create(dir.path()).unwrap();
        assert_eq!(names(dir.path()), 1);
        cleanup.interrupt();
        assert!(cleanup.put(&dir.path().join("out"), false).is_err());
        assert!(cleanup.create(dir.path()).is_err());
        assert_eq!(names(dir.path()), 0);
    }

    #[test]
    fn without_replace_a_file_made_meanwhile_stays() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("out");
        let cleanup = Cleanup::default();
        cleanup.create(dir.path()).unwrap();
        std::fs::write(&target, "theirs").unwrap();
        let error = cleanup.put(&target, false).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read_to_string(&target).unwrap(), "theirs");
        assert_eq!(names(dir.path()), 1);
    }
}
