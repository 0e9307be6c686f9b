//! Local files. No call of the system replaces a file on condition that it is a certain one, but one
//! exchanges two: so nothing is lost, whoever writes at the same time.

use std::{
    fs::{self, File, Metadata, OpenOptions, Permissions},
    io::{self, ErrorKind, Read as _, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown},
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use bulla::format::{Header, PREFIX_LEN};
use bytes::Bytes;
use object_store::{local::LocalFileSystem, path::Path as Location};
use rustix::{
    fs::{CWD, FlockOperation, RenameFlags, flock, renameat_with},
    io::Errno,
};

use super::{Exchange, Replaced, Replacement};
use crate::maintain::{Failure, State};

/// Behind an object's name: the file that is written. Names that end in `#` and digits are no objects for
/// `object_store`, which numbers its own from 1.
const DRAFT: &str = "#4011800001";

/// Behind an object's name: the whole new file, and what it was exchanged for.
const READY: &str = "#4011800002";

/// Salt and commitment, which stay what they are when recipients change.
const BEHIND_HEADER: usize = 56;

/// How often a file is put back that somebody replaced meanwhile.
const TURNS: usize = 64;

/// Exchanges heads in local files, on Linux.
///
/// The new file is written beside the old one, flushed, and exchanged with it in one step
/// (`RENAME_EXCHANGE`). What came out of that is looked at: if it is not the file that was read, since
/// somebody replaced it in the meantime, theirs is put back. So no writer who replaces files by renaming is
/// overwritten, and `object_store` is such a writer; a reader may see the older content for a moment.
///
/// A file keeps its owner, group and mode, or is left as it is; access control lists and other attributes,
/// times and further hard links are not kept. Symbolic links are refused. Bodies are copied by the kernel,
/// which shares the blocks where the file system can. What a run leaves behind that was killed is a file
/// whose name ends in `#` and ten digits, and the next run removes it.
#[derive(Clone, Debug)]
pub struct LocalHead {
    store: Arc<LocalFileSystem>,
}

impl LocalHead {
    /// Exchanges heads in the files of this store.
    #[must_use]
    pub fn new(store: Arc<LocalFileSystem>) -> Self {
        Self { store }
    }

    fn path(&self, location: &Location) -> Result<PathBuf, Failure> {
        Ok(self.store.path_to_filesystem(location)?)
    }
}

#[async_trait]
impl Exchange for LocalHead {
    async fn exchange(&self, replacement: &Replacement) -> Result<Replaced, Failure> {
        let job = Job {
            path: self.path(replacement.location())?,
            size: replacement.old.size,
            old_head: replacement.old_head.clone(),
            new_head: replacement.new_head.clone(),
        };
        let done = tokio::task::spawn_blocking(move || job.run()).await;
        done.map_err(|_| Failure::Refused("this is a fault of the library".to_owned()))?
    }

    /// A job that nobody waits for any more goes on to its end.
    async fn settle(&self) {}
}

/// One file, where it may block.
struct Job {
    path: PathBuf,
    size: u64,
    old_head: Bytes,
    new_head: Bytes,
}

/// Which file it is, and whether anybody wrote to it. Its change time is left out: a new name changes it.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
}

impl Job {
    fn run(self) -> Result<Replaced, Failure> {
        // Old and new file are locked until this is over: no two runs work on one object.
        let (mut old, found) = self.open()?;
        lock(&old)?;
        let (mut new, draft) = draft(beside(&self.path, DRAFT))?;
        let ready = beside(&self.path, READY);
        self.clear(&ready)?;
        new.write_all(&self.new_head)?;
        let body = self.size - self.old_head.len() as u64;
        if io::copy(&mut (&mut old).take(body), &mut new)? != body {
            return Err(Failure::Changed);
        }
        hand_on(&found, &new)?;
        new.sync_all()?;
        let (was, is) = (identity(&found), identity(&new.metadata()?));
        if identity(&old.metadata()?) != was {
            return Err(Failure::Changed);
        }
        draft.becomes(&ready)?;
        self.put(&ready, was, is)?;
        sync_directory(&self.path)?;
        Ok(Replaced::new(e_tag(&new.metadata()?), self.size))
    }

    /// Opens the object, and makes sure that it is the one that was read.
    fn open(&self) -> Result<(File, Metadata), Failure> {
        let named = fs::symlink_metadata(&self.path).map_err(missing)?;
        if !named.is_file() {
            return Err(Failure::Refused("it is a symbolic link or no plain file".to_owned()));
        }
        let mut file = File::open(&self.path).map_err(missing)?;
        let found = file.metadata()?;
        let mut head = vec![0; self.old_head.len()];
        let is_same = found.len() == self.size
            && identity(&found) == identity(&named)
            && file.read_exact(&mut head).is_ok()
            && head == self.old_head;
        if is_same { Ok((file, found)) } else { Err(Failure::Changed) }
    }

    /// Exchanges the two names, until what comes out is what was last known to be at the object's name.
    fn put(&self, ready: &Path, old: Identity, new: Identity) -> Result<(), Failure> {
        let (mut expected, mut goes_in, mut outcome) = (old, new, Ok(()));
        for _ in 0..TURNS {
            match renameat_with(CWD, ready, CWD, &self.path, RenameFlags::EXCHANGE) {
                Ok(()) => {}
                // Whoever removed the object wants it gone.
                Err(Errno::NOENT) => {
                    fs::remove_file(ready)?;
                    return Err(gone());
                }
                // Not every file system can do it.
                Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) if outcome.is_ok() => {
                    fs::remove_file(ready)?;
                    return Err(Failure::Unconditional);
                }
                Err(error) => return Err(io::Error::from(error).into()),
            }
            let came_out = identity(&fs::symlink_metadata(ready)?);
            if came_out == expected {
                fs::remove_file(ready)?;
                return outcome;
            }
            // Somebody was faster, and what came out is theirs: it goes back. If something else than what is
            // there now comes out of that, it is newer still.
            (expected, goes_in, outcome) = (goes_in, came_out, Err(Failure::Changed));
        }
        Err(Failure::Refused(format!(
            "it is being replaced all the time; {} holds what one of its writers wrote",
            ready.display()
        )))
    }

    /// Removes what an interrupted run left, if nothing is lost by that.
    fn clear(&self, ready: &Path) -> Result<(), Failure> {
        let left = match File::open(ready) {
            Ok(left) => left,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        lock(&left)?;
        let mut now = File::open(&self.path).map_err(missing)?;
        match (message(left)?, message(&mut now)?) {
            (Some(left), Some(now)) if left == now => Ok(fs::remove_file(ready)?),
            _ => Err(self.in_the_way(ready)),
        }
    }

    fn in_the_way(&self, ready: &Path) -> Failure {
        Failure::Refused(format!(
            "an interrupted run left {}, which holds something else than the object: look at both, and \
             remove it",
            ready.display()
        ))
    }
}

/// Makes the draft, which nobody else has then. One that an interrupted run left is removed.
fn draft(path: PathBuf) -> Result<(File, Draft), Failure> {
    for _ in 0..TURNS {
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
            Ok(file) => {
                lock(&file)?;
                // Somebody may have taken it for one that was left, before it was locked.
                if is_at(&file, &path) {
                    return Ok((file, Draft(Some(path))));
                }
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                let Ok(left) = File::open(&path) else { continue };
                lock(&left)?;
                if is_at(&left, &path) {
                    fs::remove_file(&path)?;
                }
            }
            Err(error) => return Err(error.into()),
        }
    }
    Err(busy())
}

/// Locks a file against other runs, until it is closed.
fn lock(file: &File) -> Result<(), Failure> {
    match flock(file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(()),
        Err(Errno::WOULDBLOCK) => Err(busy()),
        Err(error) => Err(io::Error::from(error).into()),
    }
}

fn busy() -> Failure {
    Failure::Refused("another run is working on it".to_owned())
}

fn gone() -> Failure {
    Failure::State(State::Gone, None)
}

fn is_at(file: &File, path: &Path) -> bool {
    let (Ok(own), Ok(named)) = (file.metadata(), fs::symlink_metadata(path)) else { return false };
    own.dev() == named.dev() && own.ino() == named.ino()
}

/// Which message a file holds, by what no rewrap changes; `None` if it holds none.
fn message(mut file: impl io::Read) -> io::Result<Option<[u8; BEHIND_HEADER]>> {
    let mut prefix = [0; PREFIX_LEN];
    let mut read = |into: &mut [u8]| match file.read_exact(into) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    };
    if !read(&mut prefix)? {
        return Ok(None);
    }
    let Ok(len) = Header::declared_len(&prefix) else { return Ok(None) };
    let mut rest = vec![0; len - PREFIX_LEN + BEHIND_HEADER];
    Ok(if read(&mut rest)? { rest.last_chunk().copied() } else { None })
}

/// Gives the new file to whom the old one belongs, with its mode.
fn hand_on(old: &Metadata, new: &File) -> Result<(), Failure> {
    let own = new.metadata()?;
    if (own.uid(), own.gid()) != (old.uid(), old.gid()) {
        fchown(new, Some(old.uid()), Some(old.gid())).map_err(|error| {
            Failure::Refused(format!(
                "the new file can't be given to the old one's owner and group, {} and {}: {error}",
                old.uid(),
                old.gid()
            ))
        })?;
    }
    // Whoever owns a file now may not change its mode; whoever could give it away may.
    Ok(new.set_permissions(Permissions::from_mode(old.mode() & 0o777))?)
}

fn identity(metadata: &Metadata) -> Identity {
    Identity {
        device: metadata.dev(),
        inode: metadata.ino(),
        size: metadata.len(),
        modified: (metadata.mtime(), metadata.mtime_nsec()),
    }
}

/// As `object_store` makes it of a file. If it ever makes another, objects are looked at once more.
fn e_tag(metadata: &Metadata) -> Option<String> {
    let modified = metadata.modified().ok()?.duration_since(std::time::UNIX_EPOCH).ok()?;
    let (inode, size) = (metadata.ino(), metadata.len());
    Some(format!("\"{inode:x}-{:x}-{size:x}\"", modified.as_micros()))
}

fn missing(error: io::Error) -> Failure {
    match error.kind() {
        ErrorKind::NotFound => gone(),
        _ => error.into(),
    }
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Makes the exchange last through a crash, where the file system can.
fn sync_directory(path: &Path) -> io::Result<()> {
    let Some(Ok(directory)) = path.parent().map(File::open) else { return Ok(()) };
    match directory.sync_all() {
        Err(error) if error.kind() == ErrorKind::InvalidInput => Ok(()),
        done => done,
    }
}

/// A file that is removed unless it gets another name.
struct Draft(Option<PathBuf>);

impl Draft {
    fn becomes(mut self, path: &Path) -> io::Result<()> {
        if let Some(draft) = &self.0 {
            fs::rename(draft, path)?;
        }
        self.0 = None;
        Ok(())
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if let Some(draft) = &self.0 {
            let _ = fs::remove_file(draft);
        }
    }
}
