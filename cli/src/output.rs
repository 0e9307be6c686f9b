//! Where bytes go: a file that appears whole or not at all, or a stream.

use std::{
    fs::{self, File, Metadata, OpenOptions, Permissions},
    io::{self, IsTerminal as _, Write as _},
    os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use crate::{
    access::Lost,
    cleanup::Cleanup,
    failure::{Failure, Outcome},
    input::Source,
    replaced::Replaced,
    say, shown, stdio,
};

/// What OUTPUT names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Stdout,
    File(PathBuf),
}

impl Target {
    /// What `-o` says: `-` is standard output, also by its name among the devices, behind which
    /// may be a file that the shell has opened.
    pub(crate) fn named(path: PathBuf) -> Self {
        if path.as_os_str() == "-" || path.as_os_str() == "/dev/stdout" {
            return Self::Stdout;
        }
        Self::File(path)
    }

    /// No OUTPUT is standard output where there is no INPUT. Otherwise it is the name that
    /// `derive` makes of the input's.
    pub(crate) fn choose(
        output: Option<PathBuf>,
        source: &Source,
        derive: impl FnOnce(&Path) -> Outcome<PathBuf>,
    ) -> Outcome<Self> {
        match (output, source.path()) {
            (Some(path), _) => Ok(Self::named(path)),
            (None, None) => Ok(Self::Stdout),
            (None, Some(input)) => derive(input).map(Self::File),
        }
    }
}

/// A target that was looked at and found fit. Nothing is written yet.
#[derive(Debug)]
pub(crate) struct Plan {
    name: String,
    way: Way,
    private: bool,
    force: bool,
}

#[derive(Debug)]
enum Way {
    /// Standard output or a device: bytes go straight through.
    Through { file: File, stdout: bool },
    /// A named pipe: opening it waits for whoever reads.
    Pipe(PathBuf),
    /// A new file, written under another name beside it.
    New(PathBuf),
    /// The same in the place of another.
    Instead(Replaced),
}

impl Plan {
    /// Looks before any work is done. An existing file is replaced only by `force`.
    pub(crate) fn new(target: Target, force: bool, source: Option<&Source>) -> Outcome<Self> {
        match target {
            Target::Stdout => {
                let failed = |e: io::Error| Failure::io(stdio::STDOUT, &e);
                let file = stdio::stdout().map_err(failed)?;
                refuse_same(source, &file.metadata().map_err(failed)?)?;
                let way = Way::Through { file, stdout: true };
                Ok(Self { name: stdio::STDOUT.to_owned(), way, private: false, force })
            }
            Target::File(path) => {
                let name = shown::path(&path);
                let way = look(path, &name, force, source)?;
                Ok(Self { name, way, private: false, force })
            }
        }
    }

    /// The file that is read is the one to replace, when the new one is whole. To be read from here on:
    /// another run may have been waited for.
    pub(crate) fn in_place(path: &Path) -> Outcome<Self> {
        let name = shown::path(path);
        let way = look(path.to_owned(), &name, true, None)?;
        if !matches!(way, Way::New(_) | Way::Instead(_)) {
            let failure = Failure::usage("is no file, so it can't be replaced").at(&name);
            return Err(failure.hint("name the output with -o"));
        }
        Ok(Self { name, way, private: false, force: true })
    }

    /// For a file that only its owner may read, be it new or not.
    pub(crate) fn private(self) -> Self {
        Self { private: true, ..self }
    }

    pub(crate) fn is_terminal(&self) -> bool {
        matches!(&self.way, Way::Through { file, .. } if file.is_terminal())
    }

    #[cfg(feature = "store")]
    pub(crate) fn is_file(&self) -> bool {
        matches!(self.way, Way::New(_) | Way::Instead(_))
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Starts writing.
    pub(crate) fn open(self, cleanup: &Cleanup) -> Outcome<Sink> {
        let Self { name, way, private, force } = self;
        let (file, stdout, place) = match way {
            Way::Through { file, stdout } => (file, stdout, None),
            Way::Pipe(path) => {
                let opened = OpenOptions::new().write(true).open(path);
                (opened.map_err(|e| Failure::io(&name, &e))?, false, None)
            }
            Way::New(path) => {
                let file = create(cleanup, &path, &name)?;
                let own = Permissions::from_mode(0o600);
                let permissions =
                    if private { Ok(own) } else { cleanup.permissions_of_new(parent(&path)) };
                let permissions = permissions.map_err(|e| Failure::io(&name, &e))?;
                (file, false, Some(Place::New { path, permissions, force }))
            }
            Way::Instead(old) => {
                let file = create(cleanup, old.path(), &name)?;
                (file, false, Some(Place::Instead { old, private }))
            }
        };
        Ok(Sink { name, file, stdout, place, cleanup: cleanup.clone() })
    }
}

fn create(cleanup: &Cleanup, path: &Path, name: &str) -> Outcome<File> {
    let made = cleanup.create(parent(path));
    made.map_err(|e| Failure::io(name, &e).hint(cannot_create(path)))
}

/// An open target. Dropped without [`finish`](Self::finish), it leaves no file.
pub(crate) struct Sink {
    name: String,
    file: File,
    stdout: bool,
    place: Option<Place>,
    cleanup: Cleanup,
}

/// Where the file gets its name. Until then it is open to nobody else.
enum Place {
    New { path: PathBuf, permissions: Permissions, force: bool },
    Instead { old: Replaced, private: bool },
}

impl Sink {
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Outcome<()> {
        self.file.write_all(bytes).map_err(|e| {
            if self.stdout { stdio::write_failure(&e) } else { Failure::io(&self.name, &e) }
        })
    }

    /// Says that all was written that should be: the file gets its name when it is on the disk.
    pub(crate) fn finish(mut self) -> Outcome<()> {
        match self.place.take() {
            None => Ok(()),
            Some(Place::New { path, permissions, force }) => {
                self.put_new(&path, permissions, force)
            }
            Some(Place::Instead { old, private }) => self.put_instead(&old, private),
        }
    }

    fn put_new(&self, path: &Path, permissions: Permissions, force: bool) -> Outcome<()> {
        let failed = |e: io::Error| Failure::io(&self.name, &e);
        self.file.set_permissions(permissions).map_err(failed)?;
        self.file.sync_all().map_err(failed)?;
        self.cleanup.put(path, false).map_err(|e| match e.kind() {
            io::ErrorKind::AlreadyExists if force => appeared(&self.name),
            io::ErrorKind::AlreadyExists => exists(&self.name),
            _ => failed(e),
        })?;
        sync_directory(parent(path)).map_err(failed)
    }

    fn put_instead(&self, old: &Replaced, private: bool) -> Outcome<()> {
        let failed = |e: io::Error| Failure::io(&self.name, &e);
        // As it was made, a private one is its user's alone, whosever the old one was.
        let lost = if private { Ok(Lost::default()) } else { old.access().give(&self.file) };
        let lost = lost.map_err(failed)?;
        self.file.sync_all().map_err(failed)?;
        old.expect_unchanged(&self.name)?;
        self.cleanup.put(old.path(), true).map_err(failed)?;
        sync_directory(parent(old.path())).map_err(failed)?;
        tell(&self.name, &lost, old.has_other_names());
        Ok(())
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.cleanup.discard();
    }
}

fn look(path: PathBuf, name: &str, force: bool, source: Option<&Source>) -> Outcome<Way> {
    match fs::symlink_metadata(&path) {
        Ok(_) => {}
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            return Ok(Way::New(path));
        }
        Err(e) => return Err(Failure::io(name, &e)),
    }
    let found = fs::metadata(&path).map_err(|e| match e.kind() {
        io::ErrorKind::NotFound => Failure::other("is a symbolic link to nothing").at(name),
        _ => Failure::io(name, &e),
    })?;
    refuse_same(source, &found)?;
    let kind = found.file_type();
    if kind.is_fifo() {
        return Ok(Way::Pipe(path));
    }
    if kind.is_char_device() {
        let opened = OpenOptions::new().write(true).open(path);
        let file = opened.map_err(|e| Failure::io(name, &e))?;
        return Ok(Way::Through { file, stdout: false });
    }
    if kind.is_dir() {
        return Err(Failure::other("is a directory").at(name).hint("-o names the file itself"));
    }
    if !kind.is_file() {
        return Err(Failure::other("is no file, pipe or character device").at(name));
    }
    if !force {
        return Err(exists(name));
    }
    Replaced::hold(path, name).map(Way::Instead)
}

/// Says what the new file has no more of the old one.
fn tell(name: &str, lost: &Lost, has_other_names: bool) {
    if let Some((last, first)) = lost.what.split_last() {
        let and = if first.is_empty() { "" } else { " and " };
        say::note(&format!("{name}: could not keep its {}{and}{last}", first.join(", ")));
    }
    if let Some((old, new)) = lost.mode {
        say::detail(&format!("so that nobody gains access, mode {old:04o} became {new:04o}"));
    }
    if has_other_names {
        say::note(&format!("{name}: its other names (hard links) keep the old file"));
    }
}

/// Refuses to write over what is being read.
fn refuse_same(source: Option<&Source>, target: &Metadata) -> Outcome<()> {
    let Some(source) = source else { return Ok(()) };
    let input = match source {
        Source::Stdin => stdio::stdin().and_then(|file| file.metadata()),
        Source::File(path) => fs::metadata(path),
    };
    // An input that can't be looked at can't be opened either, and that is told then.
    let Ok(input) = input else { return Ok(()) };
    let same = input.dev() == target.dev() && input.ino() == target.ino();
    if same && input.is_file() {
        return Err(Failure::usage("input and output are the same file").at(&source.name()));
    }
    Ok(())
}

fn exists(name: &str) -> Failure {
    Failure::other("exists already").at(name).hint("--force replaces it")
}

/// Replacing it was allowed, but it was not there when that was looked at.
fn appeared(name: &str) -> Failure {
    Failure::other("was made meanwhile by another program, and is left as it is")
        .at(name)
        .hint("run the command again to replace it")
}

fn cannot_create(path: &Path) -> String {
    let dir = parent(path);
    let shown = shown::path(dir);
    if dir.is_dir() {
        format!("a file must be made in {shown}, which then takes the output's name")
    } else {
        format!("there is no directory {shown}")
    }
}

/// The directory of a file, `.` for a bare name.
fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    }
}

/// Makes the new name last through a crash, where the file system can.
fn sync_directory(dir: &Path) -> io::Result<()> {
    // Who may write in a directory need not be allowed to read it.
    let Ok(dir) = File::open(dir) else { return Ok(()) };
    match dir.sync_all() {
        Err(e) if e.kind() == io::ErrorKind::InvalidInput => Ok(()),
        done => done,
    }
}
