//! A ring in a file.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
};

use async_trait::async_trait;
use bulla::{Error, ErrorKind, Result};

use super::{MAX_RING_LEN, RingStore};

/// A ring in a file, which is replaced and never written to: whoever reads sees the old one or the new
/// one, whole.
///
/// Beside it lies an empty `NAME.lock`, which writers lock; on a network file system that has no locks,
/// two processes may both win. A symbolic link is followed, and stays. A new file has mode 0600; one that is
/// replaced keeps mode, owner and group, and where the process may not give it these, it is not replaced: whoever
/// signs or publishes could no longer read it.
#[derive(Clone, Debug)]
pub struct FileRing(PathBuf);

impl FileRing {
    /// The ring in this file, which need not be there yet. Its directory must be.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }
}

#[async_trait]
impl RingStore for FileRing {
    async fn load(&self) -> Result<Option<Vec<u8>>> {
        let path = self.0.clone();
        blocking(move || read(&path)).await
    }

    async fn replace(&self, expected: Option<&[u8]>, document: &[u8]) -> Result<bool> {
        let (path, document) = (self.0.clone(), document.to_owned());
        let expected = expected.map(<[u8]>::to_owned);
        // A task of its own: a caller who gives up does not end it half-way.
        blocking(move || replace(&path, expected.as_deref(), &document)).await
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| {
        Err(Error::new(ErrorKind::Internal, "the thread that was at the ring ended")
            .with_source(error))
    })
}

fn read(path: &Path) -> Result<Option<Vec<u8>>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed("read", path, error)),
    };
    let mut read = Vec::new();
    let limit = MAX_RING_LEN as u64 + 1;
    file.take(limit).read_to_end(&mut read).map_err(|error| failed("read", path, error))?;
    if read.len() > MAX_RING_LEN {
        let message = format!("{} is no ring: it has over {MAX_RING_LEN} bytes", path.display());
        return Err(Error::new(ErrorKind::Damaged, message));
    }
    Ok(Some(read))
}

fn replace(path: &Path, expected: Option<&[u8]>, document: &[u8]) -> Result<bool> {
    // Whatever leads there, it is one file with one lock.
    let path = &target(path)?;
    let _lock = lock(path)?;
    if read(path)?.as_deref() != expected {
        return Ok(false);
    }
    let dir = directory(path);
    let write = || {
        let mut file = tempfile::Builder::new().prefix(".keyring-").tempfile_in(dir)?;
        file.write_all(document)?;
        keep_owner(path, file.as_file())?;
        file.as_file().sync_all()?;
        match expected {
            Some(_) => file.persist(path)?,
            // Somebody may have put a file there who takes no lock.
            None => file.persist_noclobber(path)?,
        };
        sync(dir)
    };
    write().map_err(|error: io::Error| failed("write", path, error))?;
    Ok(true)
}

/// Where a path leads to, if it leads anywhere.
fn target(path: &Path) -> Result<PathBuf> {
    match path.canonicalize() {
        Err(error) if error.kind() == io::ErrorKind::NotFound && !path.is_symlink() => {
            let dir = directory(path);
            let dir = dir.canonicalize().map_err(|error| failed("find", dir, error))?;
            let name = path.file_name().ok_or_else(|| {
                Error::new(ErrorKind::InvalidInput, format!("{} names no file", path.display()))
            })?;
            Ok(dir.join(name))
        }
        found => found.map_err(|error| failed("find", path, error)),
    }
}

/// Held until it is dropped, and by a process that is killed no longer.
fn lock(path: &Path) -> Result<File> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let name = PathBuf::from(name);
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let locked = options.open(&name).and_then(|file| file.lock().map(|()| file));
    locked.map_err(|error| failed("lock", &name, error))
}

/// Gives the new file the owner, group and mode of the one that it replaces.
#[cfg(unix)]
fn keep_owner(path: &Path, new: &File) -> io::Result<()> {
    use std::os::unix::fs::MetadataExt as _;

    let old = match path.metadata() {
        Ok(old) => old,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let is = new.metadata()?;
    if (is.uid(), is.gid()) != (old.uid(), old.gid()) {
        std::os::unix::fs::fchown(new, Some(old.uid()), Some(old.gid())).map_err(|error| {
            let message = format!(
                "it belongs to user {} and group {}, which this user can't give the new one; run this as \
                 that user, or give it the file",
                old.uid(),
                old.gid()
            );
            io::Error::new(error.kind(), message)
        })?;
    }
    new.set_permissions(old.permissions())
}

#[cfg(not(unix))]
fn keep_owner(_: &Path, _: &File) -> io::Result<()> {
    Ok(())
}

fn directory(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => path,
    }
}

fn sync(dir: &Path) -> io::Result<()> {
    #[cfg(unix)]
    File::open(dir)?.sync_all()?;
    #[cfg(not(unix))]
    let _ = dir;
    Ok(())
}

fn failed(what: &str, path: &Path, error: io::Error) -> Error {
    let kind = match error.kind() {
        io::ErrorKind::PermissionDenied => ErrorKind::Denied,
        _ => ErrorKind::Io,
    };
    Error::new(kind, format!("cannot {what} {}: {error}", path.display())).with_source(error)
}
