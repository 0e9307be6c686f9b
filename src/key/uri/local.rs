use std::fmt;

use super::text::{Options, is_name_byte, is_word, require, split_query};
use crate::error::Result;

const SCHEME: &str = "local";

/// A key in a key file, by its name there.
///
/// ```text
/// local = NAME      ; 1 to 64 of [A-Za-z0-9._-], the first not "." or "-"
/// ```
///
/// There are no options: which file it is, is the provider's configuration.
///
/// ```
/// use bulla::KeyUri;
///
/// let KeyUri::Local(uri) = "local:default".parse()? else { unreachable!() };
/// assert_eq!(uri.name(), "default");
/// # Ok::<(), bulla::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LocalUri {
    name: String,
}

impl LocalUri {
    /// The key's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn parse(rest: &str) -> Result<Self> {
        let (name, query) = split_query(rest);
        Options::parse(SCHEME, query, &[])?;
        // A name may end up as a file name or a command-line argument.
        let ok = is_word(name, 64, is_name_byte) && !name.starts_with(['.', '-']);
        let rule = "1 to 64 of [A-Za-z0-9._-], the first not \".\" or \"-\"";
        require(ok, SCHEME, "name", name, rule)?;
        Ok(Self { name: name.to_owned() })
    }

    pub(super) fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}
