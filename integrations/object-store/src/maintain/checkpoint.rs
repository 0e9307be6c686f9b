//! What earlier runs have found out, in a file, so that not every header is read again.
//!
//! It is a help and no authority: an object that it knows is skipped only under the ETag that it had then.
//! Losing it costs requests. Whoever can write to it can have objects skipped, so it is its owner's alone.

use std::{
    collections::HashSet,
    fs::{self, File},
    io::{self, BufRead as _, BufReader, BufWriter, ErrorKind, Write as _},
    path::{Path, PathBuf},
};

use object_store::path::Path as Location;
use sha2::{Digest as _, Sha256};

/// The first word of the file.
const MAGIC: &str = "bulla-rotation/1";

/// The most of a file that is read: entries of 32 million objects. What is longer is none.
const MOST: u64 = 1 << 30;

/// It is written anew when it has grown by so many entries, and by an eighth.
const LEAST: usize = 256;

/// The beginning of a digest of everything that an object's entry depends on.
type Entry = [u8; 16];

#[derive(Debug)]
pub(super) struct Checkpoint {
    path: PathBuf,
    /// Of keys, store and prefix: what makes it another plan.
    plan: [u8; 32],
    /// The same with the keys' versions: after another rotation of theirs, no entry counts.
    salt: [u8; 32],
    known: HashSet<Entry>,
    unsaved: usize,
}

/// Digests texts so that no two lists of them are the same bytes.
pub(super) fn digest(texts: &[&str]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for text in texts {
        hash.update((text.len() as u64).to_be_bytes());
        hash.update(text.as_bytes());
    }
    hash.finalize().into()
}

impl Checkpoint {
    /// Reads the file, if there is one. `None` if it is one of another plan, or none at all.
    pub(super) fn load(path: &Path, plan: [u8; 32], salt: [u8; 32]) -> io::Result<Option<Self>> {
        let path = path.to_owned();
        let mut known = HashSet::new();
        match File::open(&path) {
            Ok(file) => match read(file, &plan)? {
                Some(read) => known = read,
                None => return Ok(None),
            },
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        Ok(Some(Self { path, plan, salt, known, unsaved: 0 }))
    }

    pub(super) fn knows(&self, location: &Location, e_tag: Option<&str>) -> bool {
        e_tag.is_some_and(|e_tag| self.known.contains(&self.entry(location, e_tag)))
    }

    pub(super) fn add(&mut self, location: &Location, e_tag: &str) {
        let entry = self.entry(location, e_tag);
        self.unsaved += usize::from(self.known.insert(entry));
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether so much was added that it is to be saved.
    pub(super) fn is_due(&self) -> bool {
        self.unsaved >= LEAST.max(self.known.len() / 8)
    }

    pub(super) fn is_saved(&self) -> bool {
        self.unsaved == 0
    }

    /// Writes the file: a new one, flushed, that takes the old one's place.
    pub(super) fn save(&mut self) -> io::Result<()> {
        let dir = match self.path.parent() {
            Some(dir) if !dir.as_os_str().is_empty() => dir,
            _ => Path::new("."),
        };
        // It is its owner's alone.
        let mut file = tempfile::Builder::new().prefix(".bulla-").tempfile_in(dir)?;
        let mut out = BufWriter::new(file.as_file_mut());
        writeln!(out, "{MAGIC} {}", hex(&self.plan))?;
        for entry in &self.known {
            writeln!(out, "{}", hex(entry))?;
        }
        writeln!(out, "end")?;
        out.flush()?;
        drop(out);
        file.as_file().sync_all()?;
        file.persist(&self.path).map_err(|error| error.error)?;
        // What can't be opened can't be flushed either.
        if let Ok(dir) = File::open(dir) {
            let _ = dir.sync_all();
        }
        self.unsaved = 0;
        Ok(())
    }

    fn entry(&self, location: &Location, e_tag: &str) -> Entry {
        let mut hash = Sha256::new();
        hash.update(self.salt);
        hash.update(digest(&[location.as_ref(), e_tag]));
        let all: [u8; 32] = hash.finalize().into();
        let mut entry = Entry::default();
        entry.iter_mut().zip(all).for_each(|(to, from)| *to = from);
        entry
    }
}

fn read(file: File, plan: &[u8; 32]) -> io::Result<Option<HashSet<Entry>>> {
    // A special file could go on for ever.
    if !file.metadata()?.is_file() {
        return Ok(None);
    }
    let mut lines = BufReader::new(io::Read::take(file, MOST)).lines();
    let first = format!("{MAGIC} {}", hex(plan));
    if lines.next().transpose().ok().flatten().as_deref() != Some(first.as_str()) {
        return Ok(None);
    }
    let mut known = HashSet::new();
    for line in lines {
        let line = line?;
        if line == "end" {
            return Ok(Some(known));
        }
        let Some(entry) = unhex(&line) else { return Ok(None) };
        known.insert(entry);
    }
    Ok(None)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Entry> {
    if text.len() != 32 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    Some(u128::from_str_radix(text, 16).ok()?.to_be_bytes())
}

/// Whether a checkpoint could be written there, before any work is done.
pub(super) fn check_place(path: &Path) -> io::Result<()> {
    let dir = match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    };
    match fs::metadata(dir)?.is_dir() {
        true => Ok(()),
        false => Err(ErrorKind::NotADirectory.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_saved_is_known_again_under_the_same_etag_and_plan_only() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("checkpoint");
        let (plan, salt) = (digest(&["a"]), digest(&["b"]));
        let mut checkpoint = Checkpoint::load(&path, plan, salt).unwrap().unwrap();
        let location = Location::from("x/y");
        checkpoint.add(&location, "\"1\"");
        assert!(!checkpoint.is_saved());
        checkpoint.save().unwrap();
        assert!(checkpoint.is_saved());

        let again = Checkpoint::load(&path, plan, salt).unwrap().unwrap();
        assert!(again.knows(&location, Some("\"1\"")));
        assert!(!again.knows(&location, Some("\"2\"")) && !again.knows(&location, None));
        assert!(!again.knows(&"x".into(), Some("\"1\"")));
        let rotated = Checkpoint::load(&path, plan, digest(&["c"])).unwrap().unwrap();
        assert!(!rotated.knows(&location, Some("\"1\"")));
        assert!(Checkpoint::load(&path, salt, salt).unwrap().is_none());

        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);

        // Cut short, it is none.
        let text = fs::read_to_string(&path).unwrap();
        for end in [0, 10, text.len() - 4, text.len() - 20] {
            fs::write(&path, &text[..end]).unwrap();
            assert!(Checkpoint::load(&path, plan, salt).unwrap().is_none(), "{end}");
        }
    }

    #[test]
    fn lists_of_texts_are_told_apart() {
        assert_ne!(digest(&["ab", "c"]), digest(&["a", "bc"]));
        assert_ne!(digest(&["a"]), digest(&["a", ""]));
    }
}
