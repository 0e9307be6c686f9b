use std::fmt;

use super::text::{Options, invalid, is_name_byte, is_word, require, split_query, write_options};
use crate::error::Result;

const DEFAULT_MOUNT: &str = "transit";

/// A key in the transit engine of HashiCorp Vault or OpenBao.
///
/// ```text
/// vault   = "//" KEY [ "?" option *( "&" option ) ]
/// option  = "mount=" path / "namespace=" path
/// path    = SEGMENT *( "/" SEGMENT )
///
/// KEY     ; 1 to 128 of [A-Za-z0-9._-], not "." or ".."
/// SEGMENT ; 1 or more of [A-Za-z0-9._-], not "." or ".."
/// ```
///
/// The mount is `transit` unless given; the canonical form leaves that one out. Address and token
/// are never in the URI: they are the provider's configuration.
///
/// ```
/// use bulla::KeyUri;
///
/// let KeyUri::OpenBao(uri) = "openbao://orders?namespace=team/a".parse()? else { unreachable!() };
/// assert_eq!((uri.mount(), uri.key()), ("transit", "orders"));
/// assert_eq!(uri.namespace(), Some("team/a"));
/// # Ok::<(), bulla::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct VaultUri {
    key: String,
    mount: String,
    namespace: Option<String>,
}

impl VaultUri {
    /// The key's name in the engine.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The path at which the engine is mounted, without slashes around it.
    #[must_use]
    pub fn mount(&self) -> &str {
        &self.mount
    }

    /// The namespace, without slashes around it.
    #[must_use]
    pub fn namespace(&self) -> Option<&str> {
        self.namespace.as_deref()
    }

    pub(super) fn parse(scheme: &str, rest: &str) -> Result<Self> {
        let (path, query) = split_query(rest);
        let key = path.strip_prefix("//").ok_or_else(|| {
            invalid(scheme, format_args!("the key stands after \"{scheme}://\", two slashes"))
        })?;
        let is_key = is_word(key, 128, is_name_byte) && is_segment(key);
        require(is_key, scheme, "key", key, "1 to 128 of [A-Za-z0-9._-], not \".\" or \"..\"")?;

        let mut options = Options::parse(scheme, query, &["mount", "namespace"])?;
        let mut take_path = |name| {
            let path = options.take(name);
            if let Some(path) = &path {
                let rule = "segments of [A-Za-z0-9._-], not \".\" or \"..\", joined by \"/\"";
                require(path.split('/').all(is_segment), scheme, name, path, rule)?;
            }
            Ok(path)
        };
        let mount = take_path("mount")?.unwrap_or_else(|| DEFAULT_MOUNT.to_owned());
        Ok(Self { key: key.to_owned(), mount, namespace: take_path("namespace")? })
    }

    pub(super) fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "//{}", self.key)?;
        let mount = Some(self.mount()).filter(|mount| *mount != DEFAULT_MOUNT);
        write_options(f, &[("mount", mount), ("namespace", self.namespace())])
    }
}

/// Dot segments would lead a URL out of the engine.
fn is_segment(text: &str) -> bool {
    !matches!(text, "" | "." | "..") && text.bytes().all(is_name_byte)
}
