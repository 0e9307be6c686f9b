//! Where the configuration is looked for, and how its mistakes are told. What is in it is read by
//! `bulla-config`, as in a service.

use std::{
    error::Error as _,
    io,
    path::{Path, PathBuf},
};

use bulla::ErrorKind;
use bulla_config::{CONFIG_VARIABLE, Config, ConfigError};
use etcetera::BaseStrategy as _;

use crate::failure::{Failure, Outcome};

/// The configuration that this run goes by, if there is one. `named` is what `--config` says.
pub(crate) fn load(named: Option<&Path>) -> Outcome<Option<Config>> {
    let Some(place) = Place::find(named) else { return Ok(None) };
    place.read().map_err(|error| place.failure(&error))
}

/// What `encrypt` uses if no key is named. Nothing is guessed.
pub(crate) fn default(config: &Config) -> Outcome<&str> {
    config.default_name().ok_or_else(|| {
        let names: Vec<_> = config.names().collect();
        let names = match names.is_empty() {
            true => "it names no key".to_owned(),
            false => format!("the names there are {}", names.join(", ")),
        };
        Failure::usage(format!("no key is named, and {} has no `default`", config.origin()))
            .hint(format!("give --key NAME, or set `default`; {names}"))
    })
}

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
        if let Some(path) = std::env::var_os(CONFIG_VARIABLE).filter(|path| !path.is_empty()) {
            return Some(Self { path: path.into(), by: Some(CONFIG_VARIABLE) });
        }
        // Who has no home has no configuration in it either.
        let dirs = etcetera::choose_base_strategy().ok()?;
        Some(Self { path: dirs.config_dir().join("bulla").join("bulla.toml"), by: None })
    }

    /// What is there; `None` if there is no file and none was named.
    pub(crate) fn read(&self) -> Result<Option<Config>, ConfigError> {
        match Config::from_path(&self.path) {
            Err(error) if error.kind() == ErrorKind::NotFound && self.by.is_none() => Ok(None),
            read => read.map(Some),
        }
    }

    /// One for each mistake.
    pub(crate) fn failures(&self, error: &ConfigError) -> Vec<Failure> {
        let file = error.origin();
        let one = match (error.kind(), self.by) {
            (ErrorKind::NotFound, Some(by)) => {
                Failure::usage(format!("{file}: no such file, and {by} names it"))
            }
            (ErrorKind::InvalidInput, _) => {
                return error.to_string().lines().map(Failure::usage).collect();
            }
            _ => match error.source().and_then(|source| source.downcast_ref::<io::Error>()) {
                Some(source) => Failure::io(file, source),
                None => Failure::other(error.to_string()),
            },
        };
        vec![one]
    }

    /// All mistakes as one, a line for each.
    fn failure(&self, error: &ConfigError) -> Failure {
        let mut failures = self.failures(error).into_iter();
        let first = failures.next().unwrap_or_else(|| Failure::usage(error.to_string()));
        failures.fold(first, |first, next| first.and(&next))
    }
}
