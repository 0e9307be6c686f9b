//! Directories and files that belong to one user: made so, and refused if they are not so.

use std::{
    fs::{self, DirBuilder, File, Metadata, OpenOptions},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use bulla::{Error, ErrorKind, Result};
use tempfile::{NamedTempFile, TempDir};
use zeroize::Zeroizing;

/// What names of unfinished files and directories start with. No key's name or id does.
const UNFINISHED: &str = ".new-";

/// Makes a directory of mode 0700 unless there is one. Its parent must exist.
pub(crate) fn make_dir(path: &Path) -> Result<()> {
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    match builder.create(path) {
        Ok(()) => sync_dir(parent(path)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(failed("make the directory", path, error)),
    }
}

/// An unfinished directory of mode 0700, removed when dropped.
pub(crate) fn make_unfinished_dir(parent: &Path) -> Result<TempDir> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(UNFINISHED);
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700));
    builder.tempdir_in(parent).map_err(|error| failed("make a directory in", parent, error))
}

/// Gives an unfinished directory its final name, in the same parent.
pub(crate) fn finish_dir(dir: TempDir, path: &Path) -> Result<()> {
    sync_dir(dir.path())?;
    fs::rename(dir.path(), path).map_err(|error| failed("make", path, error))?;
    let _renamed = dir.keep();
    sync_dir(parent(path))
}

/// Checks that a directory is the user's alone and no symbolic link.
///
/// # Errors
/// [`ErrorKind::NotFound`] if there is none; [`ErrorKind::Denied`] otherwise.
pub(crate) fn check_dir(path: &Path) -> Result<()> {
    let metadata = fs::symlink_metadata(path).map_err(|e| failed("read", path, e))?;
    if !metadata.is_dir() {
        return Err(denied(path, "is no directory; symbolic links are not followed in a store"));
    }
    check_access(path, &metadata)
}

/// The same for the root of a store, which may be reached through a symbolic link.
pub(crate) fn check_root(path: &Path) -> Result<()> {
    let metadata = fs::metadata(path).map_err(|e| failed("read", path, e))?;
    if !metadata.is_dir() {
        return Err(denied(path, "is no directory"));
    }
    check_access(path, &metadata)
}

/// Writes a new file of mode 0600. It appears complete or not at all, and replaces nothing.
///
/// # Errors
/// [`ErrorKind::AlreadyExists`] if there is such a file.
pub(crate) fn create(path: &Path, content: &[u8]) -> Result<()> {
    let (file, dir) = unfinished(path, content)?;
    match file.persist_noclobber(path) {
        Ok(_) => sync_dir(&dir),
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => {
            Err(Error::new(ErrorKind::AlreadyExists, format!("{} exists", path.display())))
        }
        Err(error) => Err(failed("write", path, error.error)),
    }
}

/// Replaces a file by one of mode 0600. Whoever reads sees the old one or the new one.
pub(crate) fn replace(path: &Path, content: &[u8]) -> Result<()> {
    let (file, dir) = unfinished(path, content)?;
    file.persist(path).map_err(|error| failed("write", path, error.error))?;
    sync_dir(&dir)
}

fn unfinished(path: &Path, content: &[u8]) -> Result<(NamedTempFile, PathBuf)> {
    let dir = parent(path).to_owned();
    // tempfile makes files of mode 0600.
    let written =
        tempfile::Builder::new().prefix(UNFINISHED).tempfile_in(&dir).and_then(|mut f| {
            f.write_all(content)?;
            f.as_file().sync_all()?;
            Ok(f)
        });
    written.map(|f| (f, dir)).map_err(|error| failed("write", path, error))
}

/// Reads a file of at most `limit` bytes into memory that is wiped; `None` if there is none.
///
/// # Errors
/// [`ErrorKind::Denied`] if it is somebody else's, if others have access to it, or if it is
/// no regular file;
/// [`ErrorKind::Damaged`] if it is longer than `limit`.
pub(crate) fn read(path: &Path, limit: usize) -> Result<Option<Zeroizing<Vec<u8>>>> {
    let found = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed("read", path, error)),
    };
    // Before opening: a device may not like to be opened, and not every system has the flags that
    // `open` asks for.
    check_file(path, &found)?;
    read_checked(path, limit)
}

/// Opens and reads what may have been swapped since it was looked at: a file that replaced the
/// first one is as good, if it passes the same checks; anything else is refused.
fn read_checked(path: &Path, limit: usize) -> Result<Option<Zeroizing<Vec<u8>>>> {
    let file = match open(path, OpenOptions::new().read(true)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(not_opened("read", path, error)),
    };
    let opened = file.metadata().map_err(|error| failed("read", path, error))?;
    check_file(path, &opened)?;
    let len = usize::try_from(opened.len()).unwrap_or(usize::MAX);
    if len > limit {
        let message = format!("{} is longer than {limit} bytes", path.display());
        return Err(Error::new(ErrorKind::Damaged, message));
    }
    // Sized for all of it: growing would leave copies behind.
    let mut content = Zeroizing::new(vec![0; len]);
    (&file).read_exact(&mut content).map_err(|error| failed("read", path, error))?;
    Ok(Some(content))
}

pub(super) fn check_file(path: &Path, metadata: &Metadata) -> Result<()> {
    if !metadata.is_file() {
        return Err(no_file(path));
    }
    check_access(path, metadata)
}

/// Opens a file, but follows no link in its place and waits for nobody, as opening a pipe would.
pub(super) fn open(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    #[cfg(unix)]
    {
        use rustix::fs::OFlags;
        use std::os::unix::fs::OpenOptionsExt;
        let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
        options.mode(0o600).custom_flags(flags);
    }
    options.open(path)
}

/// The error of [`open`]. Systems have several codes for a link in the place of a file.
pub(super) fn not_opened(what: &str, path: &Path, error: io::Error) -> Error {
    match fs::symlink_metadata(path) {
        Ok(metadata) if !metadata.is_file() => no_file(path),
        _ => failed(what, path, error),
    }
}

/// Refuses what is another user's, and what group or others may touch, as ssh does.
#[cfg(unix)]
fn check_access(path: &Path, metadata: &Metadata) -> Result<()> {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    let (owner, user) = (metadata.uid(), rustix::process::geteuid().as_raw());
    if owner != user {
        let why = format!(
            "belongs to user {owner}, and this program runs as user {user}: run it as {owner}, \
             or give the whole store to {user}"
        );
        return Err(denied(path, &why));
    }
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & 0o077 == 0 {
        return Ok(());
    }
    let right = if metadata.is_dir() { "700" } else { "600" };
    Err(denied(
        path,
        &format!("has mode {mode:04o}, open to others; run: chmod {right} '{}'", path.display()),
    ))
}

/// Elsewhere access is the business of the directory that the store lies in.
#[cfg(not(unix))]
fn check_access(_: &Path, _: &Metadata) -> Result<()> {
    Ok(())
}

/// The names in a directory, without unfinished and hidden ones, sorted.
pub(crate) fn list(dir: &Path) -> Result<Vec<String>> {
    let mut names = all_names(dir)?;
    names.retain(|name| !name.starts_with('.'));
    names.sort();
    Ok(names)
}

/// Removes what a crash left unfinished. Only under the store's lock: nobody else is at work then.
pub(crate) fn remove_unfinished(dir: &Path) -> Result<()> {
    for name in all_names(dir)?.iter().filter(|name| name.starts_with(UNFINISHED)) {
        let path = dir.join(name);
        let is_dir = fs::symlink_metadata(&path).is_ok_and(|m| m.is_dir());
        let removed = if is_dir { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        removed.map_err(|error| failed("remove", &path, error))?;
    }
    Ok(())
}

/// Removes a file; that there is none is fine.
pub(crate) fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Ok(()) => sync_dir(parent(path)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(failed("remove", path, error)),
    }
}

fn all_names(dir: &Path) -> Result<Vec<String>> {
    let entries = fs::read_dir(dir).map_err(|error| failed("read", dir, error))?;
    let names = entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
    names.collect::<io::Result<_>>().map_err(|error| failed("read", dir, error))
}

/// The directory that a path is in; `.` for a bare name.
pub(super) fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => path,
    }
}

/// Makes the entries of a directory durable, where the system can.
fn sync_dir(dir: &Path) -> Result<()> {
    #[cfg(test)]
    if UNSYNCABLE.with_borrow(|path| path.as_deref() == Some(dir)) {
        return Err(failed("sync", dir, io::Error::other("as the test wants it")));
    }
    #[cfg(unix)]
    File::open(dir).and_then(|d| d.sync_all()).map_err(|error| failed("sync", dir, error))?;
    #[cfg(not(unix))]
    let _ = dir;
    Ok(())
}

#[cfg(test)]
thread_local! {
    /// A directory that can't be made durable.
    pub(super) static UNSYNCABLE: std::cell::RefCell<Option<PathBuf>> = const {
        std::cell::RefCell::new(None)
    };
}

fn no_file(path: &Path) -> Error {
    denied(path, "is no regular file; symbolic links are not followed in a store")
}

fn denied(path: &Path, why: &str) -> Error {
    Error::new(ErrorKind::Denied, format!("{} {why}", path.display()))
}

/// Names path and purpose in an error of the system.
pub(super) fn failed(what: &str, path: &Path, error: io::Error) -> Error {
    let kind = match error.kind() {
        io::ErrorKind::NotFound => ErrorKind::NotFound,
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => ErrorKind::Denied,
        _ => ErrorKind::Io,
    };
    let cause = if kind == ErrorKind::Io { String::new() } else { format!(": {error}") };
    Error::new(kind, format!("can't {what} {}{cause}", path.display())).with_source(error)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn files_are_the_users_alone_and_are_not_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        create(&path, b"one").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
        assert_eq!(create(&path, b"two").unwrap_err().kind(), ErrorKind::AlreadyExists);
        assert_eq!(**read(&path, 3).unwrap().unwrap(), *b"one");
        replace(&path, b"three").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
        assert_eq!(read(&path, 4).unwrap_err().kind(), ErrorKind::Damaged);
        assert_eq!(list(dir.path()).unwrap(), ["file"]);
        assert!(read(&dir.path().join("none"), 4).unwrap().is_none());
    }

    #[test]
    fn links_pipes_and_directories_are_no_files() {
        let dir = tempfile::tempdir().unwrap();
        let (target, link) = (dir.path().join("target"), dir.path().join("link"));
        create(&target, b"x").unwrap();
        symlink(&target, &link).unwrap();
        assert_eq!(read(&link, 9).unwrap_err().kind(), ErrorKind::Denied);
        assert_eq!(read(dir.path(), 9).unwrap_err().kind(), ErrorKind::Denied);
        let (real, linked_dir) = (dir.path().join("real"), dir.path().join("linked"));
        make_dir(&real).unwrap();
        symlink(&real, &linked_dir).unwrap();
        assert_eq!(check_dir(&linked_dir).unwrap_err().kind(), ErrorKind::Denied);
        assert!(check_root(&linked_dir).is_ok());
    }

    #[test]
    fn what_was_swapped_after_the_first_look_is_refused_too() {
        let dir = tempfile::tempdir().unwrap();
        let (target, link, pipe) =
            (dir.path().join("target"), dir.path().join("link"), dir.path().join("pipe"));
        create(&target, b"x").unwrap();
        symlink(&target, &link).unwrap();
        assert_eq!(**read_checked(&target, 9).unwrap().unwrap(), *b"x");
        assert_eq!(read_checked(&link, 9).unwrap_err().kind(), ErrorKind::Denied);
        assert_eq!(read_checked(dir.path(), 9).unwrap_err().kind(), ErrorKind::Denied);
        let made = std::process::Command::new("mkfifo").args(["-m", "600"]).arg(&pipe).status();
        assert!(made.unwrap().success());
        let (tell, told) = std::sync::mpsc::channel();
        std::thread::spawn(move || tell.send(read_checked(&pipe, 9).unwrap_err().kind()));
        let kind = told.recv_timeout(std::time::Duration::from_secs(10));
        assert_eq!(kind.expect("nobody writes to the pipe"), ErrorKind::Denied);
    }

    #[test]
    fn what_is_another_users_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let user = rustix::process::geteuid().as_raw();
        let (file, sub) = (dir.path().join("file"), dir.path().join("sub"));
        create(&file, b"x").unwrap();
        make_dir(&sub).unwrap();
        let refused = |path: &Path, error: Error, owner: u32| {
            assert_eq!(error.kind(), ErrorKind::Denied);
            let message = error.message();
            assert!(message.contains(&format!("{} belongs to user {owner},", path.display())));
        };
        if user != 0 {
            return refused(Path::new("/"), check_root(Path::new("/")).unwrap_err(), 0);
        }
        for path in [&file, &sub] {
            std::os::unix::fs::chown(path, Some(1), None).unwrap();
        }
        refused(&file, read(&file, 9).unwrap_err(), 1);
        refused(&file, read_checked(&file, 9).unwrap_err(), 1);
        refused(&file, super::super::lock::open(&file).unwrap_err(), 1);
        refused(&sub, check_dir(&sub).unwrap_err(), 1);
        refused(&sub, check_root(&sub).unwrap_err(), 1);
    }

    #[test]
    fn unfinished_work_is_invisible_and_removed() {
        let dir = tempfile::tempdir().unwrap();
        let kept = make_unfinished_dir(dir.path()).unwrap().keep();
        fs::write(dir.path().join(".new-file"), b"half").unwrap();
        assert!(list(dir.path()).unwrap().is_empty());
        remove_unfinished(dir.path()).unwrap();
        assert!(!kept.exists());
        assert!(all_names(dir.path()).unwrap().is_empty());
    }
}
