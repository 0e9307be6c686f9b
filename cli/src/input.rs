//! Where bytes come from.

use std::{
    fs::File,
    io::{self, Cursor, IsTerminal as _, Read, Seek as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;

use crate::{
    failure::{Failure, Outcome},
    shown, stdio,
};

/// The longest text form that is read: it is held in memory.
pub(crate) const MAX_TEXT_LEN: u64 = 64 << 20;

/// What INPUT names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Stdin,
    File(PathBuf),
}

impl Source {
    /// No INPUT stands for a pipe, and never for a terminal: whoever typed just `bulla encrypt`
    /// would wait for nothing.
    pub(crate) fn choose(input: Option<PathBuf>) -> Outcome<Self> {
        match input {
            Some(path) if path.as_os_str() == "-" => Ok(Self::Stdin),
            Some(path) => Ok(Self::File(path)),
            None if io::stdin().is_terminal() => {
                Err(Failure::usage("no input: standard input is a terminal")
                    .hint("name a file, pipe something in, or say `-` to type it"))
            }
            None => Ok(Self::Stdin),
        }
    }

    pub(crate) fn name(&self) -> String {
        match self {
            Self::Stdin => stdio::STDIN.to_owned(),
            Self::File(path) => shown::path(path),
        }
    }

    /// The source as an argument of `bulla inspect` in a hint.
    pub(crate) fn argument(&self) -> String {
        match self {
            Self::Stdin => "FILE".to_owned(),
            Self::File(path) => shown::path(path),
        }
    }

    pub(crate) fn path(&self) -> Option<&Path> {
        match self {
            Self::Stdin => None,
            Self::File(path) => Some(path),
        }
    }

    pub(crate) fn open(&self) -> Outcome<Input> {
        let name = self.name();
        let failed = |error: io::Error| Failure::io(&name, &error);
        let mut file = match self {
            Self::Stdin => stdio::stdin(),
            Self::File(path) => File::open(path),
        }
        .map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        if metadata.is_dir() {
            return Err(Failure::other("is a directory").at(&name));
        }
        let len = if metadata.is_file() {
            let start = file.stream_position().map_err(failed)?;
            Some(metadata.len().saturating_sub(start))
        } else {
            None
        };
        // Reading at offsets is reading from the beginning.
        let whole = len == Some(metadata.len());
        Ok(Input { file, len, whole, name })
    }
}

/// An open source.
#[derive(Debug)]
pub(crate) struct Input {
    pub(crate) file: File,
    /// How many bytes there are to read, where that is known.
    pub(crate) len: Option<u64>,
    /// Whether it is a file, read from its beginning.
    whole: bool,
    pub(crate) name: String,
}

impl Input {
    /// All of it, if it is at most `most` bytes.
    pub(crate) fn read_all(self, most: u64) -> Outcome<Option<Vec<u8>>> {
        let capacity = usize::try_from(self.len.unwrap_or(0).min(most)).unwrap_or(0);
        let mut bytes = Vec::with_capacity(capacity + 1);
        let read = self.file.take(most + 1).read_to_end(&mut bytes);
        let len = read.map_err(|e| Failure::io(&self.name, &e))?;
        Ok((len as u64 <= most).then_some(bytes))
    }

    /// Sealed bytes, whichever form they are in.
    pub(crate) fn into_sealed(mut self) -> Outcome<Sealed> {
        let mut start = Vec::with_capacity(bulla::format::TEXT_PREFIX.len());
        let taken =
            (&mut self.file).take(bulla::format::TEXT_PREFIX.len() as u64).read_to_end(&mut start);
        taken.map_err(|e| Failure::io(&self.name, &e))?;
        if start == bulla::format::TEXT_PREFIX.as_bytes() {
            return self.into_sealed_text(start);
        }
        let Self { file, len, whole, name } = self;
        let again = if whole { file.try_clone() } else { Err(io::ErrorKind::NotSeekable.into()) };
        let access = again.ok().map(|file| Access::File(Arc::new(file)));
        let reader = Box::new(Cursor::new(start).chain(file));
        Ok(Sealed { reader, access, len, form: Form::Binary, name })
    }

    fn into_sealed_text(self, mut text: Vec<u8>) -> Outcome<Sealed> {
        let name = self.name.clone();
        let rest = self.read_all(MAX_TEXT_LEN)?;
        text.extend(rest.ok_or_else(|| {
            Failure::other("sealed text is read up to 64 MiB, and this is longer").at(&name)
        })?);
        // Editors, `echo` and our own output end a line.
        if text.last() == Some(&b'\n') {
            text.pop();
            text.pop_if(|byte| *byte == b'\r');
        }
        let text = String::from_utf8_lossy(&text);
        let bytes = bulla::format::from_text(&text).map_err(|e| Failure::from(e).at(&name))?;
        let bytes = Bytes::from(bytes);
        let len = Some(bytes.len() as u64);
        let access = Some(Access::Memory(bytes.clone()));
        Ok(Sealed { reader: Box::new(Cursor::new(bytes)), access, len, form: Form::Text, name })
    }
}

/// Sealed bytes to read, in binary.
pub(crate) struct Sealed {
    pub(crate) reader: Box<dyn Read + Send>,
    /// The same bytes at any offset, where they can be had so.
    pub(crate) access: Option<Access>,
    pub(crate) len: Option<u64>,
    pub(crate) form: Form,
    pub(crate) name: String,
}

/// Random access to sealed bytes.
pub(crate) enum Access {
    File(Arc<File>),
    Memory(Bytes),
}

/// How sealed bytes were written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Form {
    Binary,
    Text,
}

impl Form {
    pub(crate) const fn in_words(self) -> &'static str {
        match self {
            Self::Binary => "binary",
            Self::Text => "text (bulla1. and base64url)",
        }
    }
}
