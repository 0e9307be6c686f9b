//! Where a configuration comes from: a file, a text, the environment.

use std::{
    env,
    ffi::OsString,
    fs::File,
    io::{self, Read as _},
    path::Path,
};

use bulla::KeyUri;

use crate::{
    check,
    config::{Config, Key},
    error::ConfigError,
    source::{Source, printable},
};

/// No configuration is longer: 64 KiB.
pub const MAX_LEN: usize = 64 << 10;

/// The environment variable that holds the path of a configuration.
pub const CONFIG_VARIABLE: &str = "BULLA_CONFIG";

/// The environment variable that holds the URI of the one key there is.
pub const KEY_VARIABLE: &str = "BULLA_KEY";

/// What the key of [`KEY_VARIABLE`] is called.
const ONE_KEY: &str = "default";

impl Config {
    /// Reads what the environment names: the file in `BULLA_CONFIG`, or the one key whose URI is in
    /// `BULLA_KEY`. An empty variable is none.
    ///
    /// `BULLA_KEY` is for containers, which one key is enough for and a file is one more thing to mount.
    /// The key is named `default`, is the default, and has the default policy; whoever needs more names,
    /// groups or policies needs a file. There is one such variable and not one for each name: variables
    /// come from many places, and a name that was mistyped would be a key less, and no mistake.
    ///
    /// Nothing else is looked at, so not the user's configuration directory either, as the command does:
    /// what a service seals to must not depend on whose home it is started in.
    ///
    /// # Errors
    /// If neither is set, or both are: which of two keys was meant is not for a library to guess.
    /// Otherwise as for [`from_path`](Self::from_path).
    ///
    /// # Security
    /// Whoever may set these variables or write to that file says which keys data is sealed to.
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::from_variables(|name| env::var_os(name))
    }

    /// Reads a file. Blocks on it.
    ///
    /// # Errors
    /// If it can't be read, is longer than [`MAX_LEN`], or is not UTF-8; all
    /// [mistakes](ConfigError::mistakes) in it.
    pub fn from_path(path: impl AsRef<Path>) -> Result<Self, ConfigError> {
        let path = path.as_ref();
        let origin = printable(&path.to_string_lossy());
        match read(path) {
            Ok(bytes) => Self::from_bytes(&origin, &bytes),
            Err(error) => Err(ConfigError::unread(origin, error)),
        }
    }

    /// Reads a text. `name` is what messages call it, such as the name of a file.
    ///
    /// # Errors
    /// If it is longer than [`MAX_LEN`]; all [mistakes](ConfigError::mistakes) in it.
    pub fn from_text(name: &str, text: &str) -> Result<Self, ConfigError> {
        Self::from_bytes(&printable(name), text.as_bytes())
    }

    pub(crate) fn from_variables(
        variable: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Self, ConfigError> {
        let variable = |name| variable(name).filter(|value| !value.is_empty());
        match (variable(CONFIG_VARIABLE), variable(KEY_VARIABLE)) {
            (Some(path), None) => Self::from_path(path),
            (None, Some(uri)) => Self::of_one_key(&uri.to_string_lossy()),
            (Some(_), Some(_)) => Err(ConfigError::refused(
                CONFIG_VARIABLE,
                format!("{KEY_VARIABLE} is set too: keep one of them"),
            )),
            (None, None) => Err(ConfigError::refused(
                CONFIG_VARIABLE,
                format!(
                    "is not set; give it the path of a bulla.toml, or {KEY_VARIABLE} a key URI"
                ),
            )),
        }
    }

    fn of_one_key(uri: &str) -> Result<Self, ConfigError> {
        let uri = uri.parse::<KeyUri>().map_err(|error| {
            ConfigError::refused(KEY_VARIABLE, format!("is no key URI: {}", error.message()))
        })?;
        let name = ONE_KEY.to_owned();
        Ok(Self {
            origin: KEY_VARIABLE.to_owned(),
            default: Some(name.clone()),
            keys: [(name.clone(), Key::new(name, uri))].into(),
            groups: [].into(),
            policies: [].into(),
        })
    }

    fn from_bytes(origin: &str, bytes: &[u8]) -> Result<Self, ConfigError> {
        if bytes.len() > MAX_LEN {
            let text = "is too long for a configuration: over 64 KiB";
            return Err(ConfigError::refused(origin, text));
        }
        match str::from_utf8(bytes) {
            Ok(text) => check::check(origin, text),
            Err(error) => {
                let before = bytes.get(..error.valid_up_to()).unwrap_or_default();
                let text = String::from_utf8_lossy(before);
                let mut source = Source::new(&text);
                source.wrong(text.len()..text.len(), "this is not UTF-8");
                Err(ConfigError::mistaken(origin, source.mistakes()))
            }
        }
    }
}

/// No more than it takes to see that it is too long.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    if file.metadata()?.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    let mut bytes = Vec::new();
    file.take(MAX_LEN as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}
