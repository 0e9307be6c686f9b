//! A file that is about to be replaced: kept from others who would replace it too, and looked at again
//! before it is.
//!
//! Every run that replaces a file locks it first, so of two runs the second waits for the first and then
//! works on what that one left. Programs that know nothing of the lock are found by the second look.

use std::{
    fs::{self, File, Metadata, OpenOptions, TryLockError},
    io,
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use rustix::fs::OFlags;

use crate::{
    access::Access,
    failure::{Failure, Outcome},
    say,
};

/// How long another run is waited for: some gigabytes.
const PATIENCE: Duration = Duration::from_secs(30);

/// Between two looks at the lock.
const PAUSE: Duration = Duration::from_millis(20);

#[derive(Debug)]
pub(crate) struct Replaced {
    /// As it was named: a link may lead to it.
    named: PathBuf,
    /// Where the file itself is.
    path: PathBuf,
    seen: Seen,
    access: Access,
    has_other_names: bool,
    /// Locked until it is closed.
    _lock: Option<File>,
}

/// What tells a file from another one, and from itself after a change. With the time of the last change of
/// the inode: it can't be set back, and permissions that were taken away meanwhile must not come back.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    device: u64,
    inode: u64,
    len: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Replaced {
    /// Locks the file, waiting for another run that has it, and remembers how it is.
    pub(crate) fn hold(named: PathBuf, name: &str) -> Outcome<Self> {
        let failed = |error: io::Error| Failure::io(name, &error);
        let lock = lock(&named, name, PATIENCE)?;
        let is_link = fs::symlink_metadata(&named).map_err(failed)?.is_symlink();
        // The link stays a link, and the file that it leads to is replaced.
        let path = if is_link { fs::canonicalize(&named).map_err(failed)? } else { named.clone() };
        let found = fs::metadata(&path).map_err(failed)?;
        if !found.is_file() {
            return Err(changed(name));
        }
        let access = Access::of(&path, &found).map_err(failed)?;
        let has_other_names = found.nlink() > 1;
        Ok(Self { named, path, seen: Seen::of(&found), access, has_other_names, _lock: lock })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// What the file that takes its place shall allow.
    pub(crate) fn access(&self) -> &Access {
        &self.access
    }

    /// Whether other names lead to it, which go on leading to it when this one no more does.
    pub(crate) fn has_other_names(&self) -> bool {
        self.has_other_names
    }

    /// Fails if the name leads to anything else by now than to the file as it was.
    pub(crate) fn expect_unchanged(&self, name: &str) -> Outcome<()> {
        match fs::metadata(&self.named) {
            Ok(found) if Seen::of(&found) == self.seen => Ok(()),
            Ok(_) => Err(changed(name)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(Failure::other("was removed meanwhile by another program").at(name))
            }
            Err(error) => Err(Failure::io(name, &error)),
        }
    }
}

impl Seen {
    fn of(found: &Metadata) -> Self {
        Self {
            device: found.dev(),
            inode: found.ino(),
            len: found.len(),
            modified: (found.mtime(), found.mtime_nsec()),
            changed: (found.ctime(), found.ctime_nsec()),
        }
    }
}

/// Locks the file that the name leads to. `None` where there are no locks, or where this user may not read
/// the file: then the second look must do.
fn lock(named: &Path, name: &str, patience: Duration) -> Outcome<Option<File>> {
    let started = Instant::now();
    let mut waits = false;
    loop {
        // What another program may have put there meanwhile must not be waited for, such as a pipe.
        let nonblock = OFlags::NONBLOCK.bits().cast_signed();
        let file = match OpenOptions::new().read(true).custom_flags(nonblock).open(named) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Ok(None),
            Err(error) => return Err(Failure::io(name, &error)),
        };
        match file.try_lock() {
            // Whoever had the lock has most likely put another file there.
            Ok(()) if leads_to(named, &file) => return Ok(Some(file)),
            Ok(()) | Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(_)) => return Ok(None),
        }
        if started.elapsed() >= patience {
            let message = format!("another program has kept it locked for {patience:?}");
            return Err(Failure::other(message)
                .at(name)
                .hint("nothing was done; try again when that one has replaced the file"));
        }
        if !waits {
            say::note(&format!("{name}: another program is about to replace it; waiting for that"));
        }
        waits = true;
        thread::sleep(PAUSE);
    }
}

fn leads_to(named: &Path, file: &File) -> bool {
    let inode = |found: Metadata| (found.dev(), found.ino());
    let (there, here) = (fs::metadata(named).map(inode), file.metadata().map(inode));
    there.ok().zip(here.ok()).is_some_and(|(there, here)| there == here)
}

fn changed(name: &str) -> Failure {
    Failure::other("was changed meanwhile by another program, and is left as that left it")
        .at(name)
        .hint("run the command again to work on it as it is now")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        fs::write(&path, "old").unwrap();
        (dir, path)
    }

    #[test]
    fn a_lock_is_not_waited_for_without_end() {
        let (_dir, path) = file();
        let other = File::open(&path).unwrap();
        other.lock().unwrap();
        let failure = lock(&path, "a", Duration::from_millis(30)).unwrap_err();
        assert_eq!(failure.message(), "a: another program has kept it locked for 30ms");
        drop(other);
        assert!(lock(&path, "a", Duration::ZERO).unwrap().is_some());
    }

    type Change = fn(&Path);

    #[test]
    fn any_change_is_seen() {
        let changes: [(&str, Change); 6] = [
            ("replaced", |path| {
                fs::write(path.with_extension("new"), "new").unwrap();
                fs::rename(path.with_extension("new"), path).unwrap();
            }),
            ("rewritten", |path| {
                let before = fs::metadata(path).unwrap().modified().unwrap();
                fs::write(path, "new").unwrap();
                File::options().write(true).open(path).unwrap().set_modified(before).unwrap();
            }),
            ("longer", |path| fs::write(path, "longer").unwrap()),
            ("closed to others", |path| {
                use std::os::unix::fs::PermissionsExt as _;
                fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
            }),
            ("a link now", |path| {
                fs::rename(path, path.with_extension("far")).unwrap();
                std::os::unix::fs::symlink(path.with_extension("far"), path).unwrap();
            }),
            ("gone", |path| fs::remove_file(path).unwrap()),
        ];
        for (what, change) in changes {
            let (_dir, path) = file();
            let held = Replaced::hold(path.clone(), "a").unwrap();
            assert!(held.expect_unchanged("a").is_ok());
            fs::read(&path).unwrap();
            assert!(held.expect_unchanged("a").is_ok(), "reading is no change");
            // The clock of a file system may be slower than this test.
            thread::sleep(Duration::from_millis(20));
            change(&path);
            let failure = held.expect_unchanged("a").unwrap_err();
            assert!(failure.message().contains("meanwhile by another program"), "{what}");
        }
    }
}
