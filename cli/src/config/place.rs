//! Where the configuration is.

use std::{
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use etcetera::BaseStrategy as _;

use super::source::Source;
use crate::{
    failure::{Failure, Outcome},
    shown,
};

/// Names the file where `--config` does not.
pub(crate) const VARIABLE: &str = "BULLA_CONFIG";

/// No configuration is longer: 64 KiB.
const MAX_LEN: usize = 64 << 10;

/// The file to read.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) path: PathBuf,
    /// What named it, if it was named: then it must exist.
    by: Option<&'static str>,
}

impl Place {
    /// By the option, else by the variable, else in the user's configuration directory.
    pub(crate) fn find(named: Option<&Path>) -> Option<Self> {
        if let Some(path) = named {
            return Some(Self { path: path.to_owned(), by: Some("--config") });
        }
        // As with `BULLA_HOME`, an empty variable is none.
        if let Some(path) = std::env::var_os(VARIABLE).filter(|path| !path.is_empty()) {
            return Some(Self { path: path.into(), by: Some(VARIABLE) });
        }
        // Who has no home has no configuration in it either.
        let dirs = etcetera::choose_base_strategy().ok()?;
        Some(Self { path: dirs.config_dir().join("bulla").join("bulla.toml"), by: None })
    }

    /// The text; `None` if there is no file and none was named.
    pub(crate) fn read(&self) -> Outcome<Option<String>> {
        let name = shown::path(&self.path);
        let failed = |error: io::Error| Failure::io(&name, &error);
        let file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let Some(by) = self.by else { return Ok(None) };
                return Err(Failure::usage(format!("{name}: no such file, and {by} names it")));
            }
            Err(error) => return Err(failed(error)),
        };
        if file.metadata().map_err(failed)?.is_dir() {
            return Err(Failure::usage("is a directory and no configuration").at(&name));
        }
        let mut bytes = Vec::new();
        file.take(MAX_LEN as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
        if bytes.len() > MAX_LEN {
            return Err(Failure::usage("is too long for a configuration: over 64 KiB").at(&name));
        }
        String::from_utf8(bytes).map(Some).map_err(|error| {
            let at = error.utf8_error().valid_up_to();
            let bytes = error.into_bytes();
            let text = String::from_utf8_lossy(bytes.get(..at).unwrap_or_default());
            Source { path: &name, text: &text }.wrong(at..at, "this is not UTF-8")
        })
    }
}
