//! The configuration file: names for keys, groups of keys, and resilience policies.

mod check;
mod place;
mod schema;
mod source;

use std::{collections::BTreeMap, path::Path};

use bulla::{KeyUri, envelope::WritePolicy, resilience::Policy};

use crate::{
    failure::{Failure, Outcome},
    shown,
};

pub(crate) use self::place::Place;

/// A configuration in which every name that is used is also defined.
#[derive(Debug)]
pub(crate) struct Config {
    /// The file's name, fit to be shown.
    pub(crate) path: String,
    pub(crate) default: Option<String>,
    pub(crate) keys: BTreeMap<String, Key>,
    pub(crate) groups: BTreeMap<String, Group>,
    /// How many there are.
    pub(crate) policies: usize,
}

#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) uri: KeyUri,
    pub(crate) policy: Policy,
}

/// Several keys that are sealed to together.
#[derive(Debug)]
pub(crate) struct Group {
    /// Names of keys.
    pub(crate) recipients: Vec<String>,
    pub(crate) write: WritePolicy,
    pub(crate) header_len: Option<u16>,
}

impl Config {
    /// The configuration that this run goes by, if there is one. `named` is what `--config` says.
    pub(crate) fn load(named: Option<&Path>) -> Outcome<Option<Self>> {
        let Some(place) = Place::find(named) else { return Ok(None) };
        let path = shown::path(&place.path);
        match place.read()? {
            None => Ok(None),
            Some(text) => Self::parse(path, &text).map(Some),
        }
    }

    pub(crate) fn parse(path: String, text: &str) -> Outcome<Self> {
        check::check(&source::Source { path: &path, text })
    }

    /// What `encrypt` uses if no key is named. Nothing is guessed.
    pub(crate) fn default(&self) -> Outcome<&str> {
        self.default.as_deref().ok_or_else(|| {
            Failure::usage(format!("no key is named, and {} has no `default`", self.path))
                .hint(format!("give --key NAME, or set `default`; {}", self.known_names()))
        })
    }

    /// For a name that was not found.
    pub(crate) fn unknown(&self, name: &str) -> Failure {
        // What can't be a name may be anything, such as a pasted secret.
        let name =
            if check::is_name(name) { format!("`{name}`") } else { "of that name".to_owned() };
        Failure::usage(format!("{} has no key or group {name}; {}", self.path, self.known_names()))
    }

    fn known_names(&self) -> String {
        let names: Vec<_> =
            self.keys.keys().chain(self.groups.keys()).map(String::as_str).collect();
        if names.is_empty() {
            return "it names no key".to_owned();
        }
        format!("the names there are {}", names.join(", "))
    }
}
