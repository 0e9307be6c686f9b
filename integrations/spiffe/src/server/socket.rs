//! A socket in the file system that is ours alone.

use std::{
    fmt,
    fs::{self, File, OpenOptions, Permissions, TryLockError},
    io,
    os::unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use bulla::{Error, ErrorKind, Operation, Result};
use rustix::{io::Errno, net};
use tokio::net::UnixListener;

/// Others may write to a directory and remove only what is theirs.
const STICKY: u32 = 0o1000;

const OTHERS_WRITE: u32 = 0o002;

/// A Unix socket to serve at. While it is, a file beside it (`.lock`) is locked, so that two servers don't take it
/// from each other; dropping it removes the socket and leaves that file.
pub struct WorkloadSocket {
    listener: UnixListener,
    path: PathBuf,
    /// Device and inode: another server may have put its own in our place.
    file: (u64, u64),
    _lock: File,
}

impl WorkloadSocket {
    /// Listens at `path`, and lets those connect whom `mode` gives write permission: `0o666` for everybody, with the
    /// entries to tell who is who, or `0o660` for one group. The directory must exist, and be writable by others
    /// only if it is sticky, as `/tmp` is.
    ///
    /// What a server left that has died is replaced. The new socket comes with its mode, under another name, and is
    /// renamed, so that at `path` there is never none, nor one of another mode.
    ///
    /// # Errors
    /// [`AlreadyExists`](ErrorKind::AlreadyExists) if another server listens there, or what is there is no socket;
    /// [`InvalidInput`](ErrorKind::InvalidInput) for a path that is too long for a socket (107 bytes on Linux, the
    /// longer name that it begins with included) or a directory that anybody may replace it in;
    /// [`Io`](ErrorKind::Io) for what the system says. Needs tokio.
    pub fn bind(path: impl Into<PathBuf>, mode: u32) -> Result<Self> {
        let path = path.into();
        listen(&path, mode).map_err(|error| error.with_operation(Operation::Build))
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn listener(&self) -> &UnixListener {
        &self.listener
    }
}

impl Drop for WorkloadSocket {
    fn drop(&mut self) {
        // The lock is still held: a server that comes now waits for it, or gives up.
        if inode(&self.path).is_ok_and(|file| file == self.file) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl fmt::Debug for WorkloadSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkloadSocket").field("path", &self.path).finish_non_exhaustive()
    }
}

fn listen(path: &Path, mode: u32) -> Result<WorkloadSocket> {
    let (Some(directory), Some(name)) = (directory(path), path.file_name()) else {
        return Err(invalid(path, "that is no name for a socket"));
    };
    is_safe(directory)?;
    let lock = lock(path)?;
    is_free(path)?;
    // Short, since there are only 107 bytes; the lock makes it ours.
    let mut beginning = std::ffi::OsString::from(".");
    beginning.push(name);
    let beginning = directory.join(beginning);
    match fs::remove_file(&beginning) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(failed(&beginning, "can't be removed", error));
        }
        _ => {}
    }
    let listener = UnixListener::bind(&beginning).map_err(|error| match error.kind() {
        io::ErrorKind::InvalidInput => invalid(path, "the path is too long for a socket"),
        _ => failed(path, "can't be listened at", error),
    })?;
    let placed = fs::set_permissions(&beginning, Permissions::from_mode(mode & 0o777))
        .and_then(|()| inode(&beginning))
        .and_then(|file| fs::rename(&beginning, path).map(|()| file));
    match placed {
        Ok(file) => Ok(WorkloadSocket { listener, path: path.to_path_buf(), file, _lock: lock }),
        Err(error) => {
            let _ = fs::remove_file(&beginning);
            Err(failed(path, "can't be put in its place", error))
        }
    }
}

fn directory(path: &Path) -> Option<&Path> {
    let parent = path.parent()?;
    Some(if parent.as_os_str().is_empty() { Path::new(".") } else { parent })
}

/// Whoever may rename in the directory may put a socket of their own there, and be the server.
fn is_safe(directory: &Path) -> Result<()> {
    let found =
        fs::metadata(directory).map_err(|error| failed(directory, "can't be looked at", error))?;
    if !found.is_dir() {
        return Err(invalid(directory, "that is no directory"));
    }
    if found.mode() & OTHERS_WRITE != 0 && found.mode() & STICKY == 0 {
        return Err(invalid(directory, "anybody may replace a socket in it"));
    }
    Ok(())
}

fn lock(path: &Path) -> Result<File> {
    let mut name = path.as_os_str().to_os_string();
    name.push(".lock");
    let at = PathBuf::from(name);
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed())
        .open(&at)
        .map_err(|error| failed(&at, "can't be opened", error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(taken(path)),
        Err(TryLockError::Error(error)) => Err(failed(&at, "can't be locked", error)),
    }
}

/// That nothing is there but what a server has left.
fn is_free(path: &Path) -> Result<()> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(path, "can't be looked at", error)),
        Ok(found) if found.file_type().is_socket() => {}
        Ok(_) => {
            let message = format!("{}: there is something that is no socket", path.display());
            return Err(Error::new(ErrorKind::AlreadyExists, message));
        }
    }
    // A server that does not know of the lock.
    match connect(path) {
        Ok(()) => Err(taken(path)),
        Err(Errno::CONNREFUSED | Errno::NOENT) => Ok(()),
        // A backlog that is full is somebody's who listens.
        Err(Errno::AGAIN) => Err(taken(path)),
        Err(error) => Err(failed(path, "can't be tried", error.into())),
    }
}

/// Connects and hangs up, without waiting for room in a backlog.
fn connect(path: &Path) -> rustix::io::Result<()> {
    let socket = net::socket(net::AddressFamily::UNIX, net::SocketType::STREAM, None)?;
    rustix::io::ioctl_fionbio(&socket, true)?;
    net::connect(&socket, &net::SocketAddrUnix::new(path)?)
}

fn inode(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|file| (file.dev(), file.ino()))
}

fn taken(path: &Path) -> Error {
    let message = format!("{}: another server listens there", path.display());
    Error::new(ErrorKind::AlreadyExists, message)
}

fn invalid(path: &Path, why: &str) -> Error {
    Error::new(ErrorKind::InvalidInput, format!("{}: {why}", path.display()))
}

fn failed(path: &Path, what: &str, error: io::Error) -> Error {
    Error::new(ErrorKind::Io, format!("{}: {what}", path.display())).with_source(error)
}
