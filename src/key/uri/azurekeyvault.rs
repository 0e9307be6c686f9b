use std::fmt;

use super::text::{Options, echo, invalid, is_word, require, split_query};
use crate::error::Result;

const SCHEME: &str = "azurekeyvault";

/// The suffix that a vault without one has.
const DEFAULT_SUFFIX: &str = "vault.azure.net";

const SUFFIXES: [&str; 6] = [
    DEFAULT_SUFFIX,
    "managedhsm.azure.net",
    "vault.azure.cn",
    "managedhsm.azure.cn",
    "vault.usgovcloudapi.net",
    "managedhsm.usgovcloudapi.net",
];

/// A key in Azure Key Vault or Managed HSM.
///
/// ```text
/// azurekeyvault = "//" VAULT [ "." suffix ] "/" KEY [ "/" VERSION ]
/// suffix        = "vault.azure.net" / "vault.azure.cn" / "vault.usgovcloudapi.net"
///               / "managedhsm.azure.net" / "managedhsm.azure.cn"
///               / "managedhsm.usgovcloudapi.net"
///
/// VAULT   ; 3 to 24 of [A-Za-z0-9-]: a letter first, a letter or digit last, no "--"
/// KEY     ; 1 to 127 of [A-Za-z0-9-]
/// VERSION ; 32 of [A-Za-z0-9]
/// ```
///
/// There are no options. A vault without a suffix is in the public cloud, `vault.azure.net`, and
/// the canonical form leaves that suffix out. Vault and suffix are printed in lower case, as DNS
/// names. Other hosts are refused, so that a typing error can't send a token to a stranger.
///
/// ```
/// use bulla::KeyUri;
///
/// let KeyUri::AzureKeyVault(uri) = "azurekeyvault://acme-prod/orders".parse()? else {
///     unreachable!()
/// };
/// assert_eq!((uri.host(), uri.key()), ("acme-prod.vault.azure.net", "orders"));
/// # Ok::<(), bulla::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AzureKeyVaultUri {
    host: String,
    key: String,
    version: Option<String>,
}

impl AzureKeyVaultUri {
    /// The vault's name: the first label of [`host`](Self::host).
    #[must_use]
    pub fn vault(&self) -> &str {
        self.host.split_once('.').map_or(&self.host, |(vault, _)| vault)
    }

    /// The vault's full host name, in lower case.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Whether the vault is a Managed HSM.
    #[must_use]
    pub fn is_managed_hsm(&self) -> bool {
        self.host.contains(".managedhsm.")
    }

    /// The key's name.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The key's version, if the URI pins one.
    #[must_use]
    pub fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }

    pub(super) fn parse(rest: &str) -> Result<Self> {
        let (path, query) = split_query(rest);
        Options::parse(SCHEME, query, &[])?;
        let parts: Vec<&str> = path.strip_prefix("//").unwrap_or_default().split('/').collect();
        let (host, key, version) = match *parts.as_slice() {
            [host, key] => (host, key, None),
            [host, key, version] => (host, key, Some(version)),
            _ => {
                let form = "//VAULT/KEY[/VERSION]";
                return Err(invalid(SCHEME, format_args!("{} is not {form}", echo(path))));
            }
        };
        let host = parse_host(host)?;
        let is_key = is_word(key, 127, |b| b.is_ascii_alphanumeric() || b == b'-');
        require(is_key, SCHEME, "key", key, "1 to 127 of [A-Za-z0-9-]")?;
        if let Some(version) = version {
            let ok = version.len() == 32 && version.bytes().all(|b| b.is_ascii_alphanumeric());
            require(ok, SCHEME, "version", version, "32 of [A-Za-z0-9]")?;
        }
        Ok(Self { host, key: key.to_owned(), version: version.map(str::to_owned) })
    }

    pub(super) fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = match self.host.split_once('.') {
            Some((vault, DEFAULT_SUFFIX)) => vault,
            _ => &self.host,
        };
        write!(f, "//{host}/{}", self.key)?;
        self.version().map_or(Ok(()), |version| write!(f, "/{version}"))
    }
}

/// The full host name in lower case.
fn parse_host(host: &str) -> Result<String> {
    let lower = host.to_ascii_lowercase();
    let (vault, suffix) = lower.split_once('.').unwrap_or((&lower, DEFAULT_SUFFIX));
    if !SUFFIXES.contains(&suffix) {
        let rule = format!("a vault's name or a host in {}", SUFFIXES.join(", "));
        require(false, SCHEME, "host", host, &rule)?;
    }
    let ok = is_word(vault, 24, |b| b.is_ascii_alphanumeric() || b == b'-')
        && vault.len() >= 3
        && vault.starts_with(|c: char| c.is_ascii_alphabetic())
        && !vault.ends_with('-')
        && !vault.contains("--");
    let rule = "3 to 24 of [A-Za-z0-9-]: a letter first, a letter or digit last, no \"--\"";
    require(ok, SCHEME, "vault", vault, rule)?;
    Ok(format!("{vault}.{suffix}"))
}
