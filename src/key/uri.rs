//! Key URIs, as users write them in configuration and on command lines.
//!
//! A URI is never read out of a ciphertext; names in ciphertexts are [`KeyName`]s. Each scheme has
//! its own small grammar, stated at its type, and whatever the grammar doesn't provide for is
//! refused: a misspelt option that is silently ignored would be a key in the wrong region.
//!
//! Errors quote what is wrong, but never a PIN and never what stands before an `@`. See
//! [`text::echo`].
//!
//! [`KeyName`]: super::KeyName

mod awskms;
mod azurekeyvault;
mod endpoint;
mod gcpkms;
mod local;
mod pkcs11;
mod text;
mod vault;

use std::{fmt, str::FromStr};

pub use awskms::AwsKmsUri;
pub use azurekeyvault::AzureKeyVaultUri;
pub use gcpkms::GcpKmsUri;
pub use local::LocalUri;
pub use pkcs11::Pkcs11Uri;
pub use vault::VaultUri;

use crate::error::{Error, ErrorKind, Result};

/// The schemes that a [`KeyUri`] may have.
pub const SCHEMES: [&str; 7] =
    ["local", "awskms", "gcpkms", "azurekeyvault", "hashivault", "openbao", "pkcs11"];

const MAX_LEN: usize = 2048;

/// Which key to use, and where it is: what a user writes in a configuration.
///
/// ```text
/// key-uri = "local:"         local          ; see LocalUri
///         / "awskms:"        awskms         ; see AwsKmsUri
///         / "gcpkms:"        gcpkms         ; see GcpKmsUri
///         / "azurekeyvault:" azurekeyvault  ; see AzureKeyVaultUri
///         / "hashivault:"    vault          ; see VaultUri
///         / "openbao:"       vault          ; see VaultUri
///         / "pkcs11:"        pkcs11         ; see Pkcs11Uri
/// ```
///
/// A URI has 1 to 2,048 bytes of visible ASCII, as written and in its canonical form. The scheme
/// is lower-case. Options follow a `?`, as `name=value` joined by `&`, each name at most once;
/// their values may be percent-encoded. Credentials are never part of a URI.
///
/// [`Display`](fmt::Display) prints the canonical form: options in a fixed order, defaults left
/// out, no needless percent-encoding. Two URIs are equal if their canonical forms are. That says
/// nothing about the keys: an alias and an ARN may be the same key.
///
/// ```
/// use bulla::KeyUri;
///
/// let uri: KeyUri = "awskms:///alias/orders?profile=prod&region=eu-central-1".parse()?;
/// assert_eq!(uri.scheme(), "awskms");
/// assert_eq!(uri.to_string(), "awskms:///alias/orders?region=eu-central-1&profile=prod");
///
/// let KeyUri::AwsKms(aws) = &uri else { unreachable!() };
/// assert_eq!(aws.key(), "alias/orders");
/// assert_eq!(aws.region(), Some("eu-central-1"));
///
/// let error = "awskms:///alias/orders?regoin=eu-central-1".parse::<KeyUri>().unwrap_err();
/// assert_eq!(
///     error.message(),
///     r#"awskms URI: unknown option "regoin"; the options are region, profile, endpoint"#
/// );
/// # Ok::<(), bulla::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[allow(clippy::large_enum_variant, reason = "there are few, and a box would show in the API")]
pub enum KeyUri {
    /// A key in a key file, with no service behind it.
    Local(LocalUri),
    /// A key in AWS KMS.
    AwsKms(AwsKmsUri),
    /// A key in Google Cloud KMS.
    GcpKms(GcpKmsUri),
    /// A key in Azure Key Vault or Managed HSM.
    AzureKeyVault(AzureKeyVaultUri),
    /// A key in the transit engine of HashiCorp Vault.
    HashiVault(VaultUri),
    /// A key in the transit engine of OpenBao.
    OpenBao(VaultUri),
    /// A key in a PKCS #11 token.
    Pkcs11(Pkcs11Uri),
}

impl KeyUri {
    /// The scheme, one of [`SCHEMES`].
    #[must_use]
    pub const fn scheme(&self) -> &'static str {
        match self {
            Self::Local(_) => "local",
            Self::AwsKms(_) => "awskms",
            Self::GcpKms(_) => "gcpkms",
            Self::AzureKeyVault(_) => "azurekeyvault",
            Self::HashiVault(_) => "hashivault",
            Self::OpenBao(_) => "openbao",
            Self::Pkcs11(_) => "pkcs11",
        }
    }

    /// The scheme of the [names](super::KeyName) that headers have of such keys. It is another one for
    /// Vault and OpenBao alone: `transit`, since a server that took the place of the other has the same
    /// keys.
    ///
    /// ```
    /// let uri: bulla::KeyUri = "openbao://orders".parse()?;
    /// assert_eq!((uri.scheme(), uri.name_scheme()), ("openbao", "transit"));
    /// # Ok::<(), bulla::Error>(())
    /// ```
    #[must_use]
    pub const fn name_scheme(&self) -> &'static str {
        match self {
            Self::HashiVault(_) | Self::OpenBao(_) => "transit",
            other => other.scheme(),
        }
    }
}

/// Fails with [`InvalidInput`](ErrorKind::InvalidInput); the message names the part at fault.
impl FromStr for KeyUri {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        check_text(text)?;
        let (scheme, rest) = text.split_once(':').ok_or_else(|| no_known_scheme(text, None))?;
        if scheme != "pkcs11" && SCHEMES.contains(&scheme) && rest.contains('@') {
            return Err(text::invalid(
                scheme,
                "\"@\" is not allowed: a key URI holds no user name or password",
            ));
        }
        let uri = match scheme {
            "local" => Self::Local(LocalUri::parse(rest)?),
            "awskms" => Self::AwsKms(AwsKmsUri::parse(rest)?),
            "gcpkms" => Self::GcpKms(GcpKmsUri::parse(rest)?),
            "azurekeyvault" => Self::AzureKeyVault(AzureKeyVaultUri::parse(rest)?),
            "hashivault" => Self::HashiVault(VaultUri::parse("hashivault", rest)?),
            "openbao" => Self::OpenBao(VaultUri::parse("openbao", rest)?),
            "pkcs11" => Self::Pkcs11(Pkcs11Uri::parse(rest)?),
            _ => return Err(no_known_scheme(text, Some((scheme, rest)))),
        };
        // Otherwise the canonical form of an accepted URI could be refused.
        let canonical = uri.to_string().len();
        if canonical > MAX_LEN {
            return Err(text::invalid(
                scheme,
                format_args!("{canonical} bytes long in canonical form; {MAX_LEN} are allowed"),
            ));
        }
        Ok(uri)
    }
}

/// The canonical form, which parses to an equal URI.
impl fmt::Display for KeyUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.scheme())?;
        match self {
            Self::Local(uri) => uri.write(f),
            Self::AwsKms(uri) => uri.write(f),
            Self::GcpKms(uri) => uri.write(f),
            Self::AzureKeyVault(uri) => uri.write(f),
            Self::HashiVault(uri) | Self::OpenBao(uri) => uri.write(f),
            Self::Pkcs11(uri) => uri.write(f),
        }
    }
}

/// What every URI must be, whatever its scheme. Quotes nothing: it may be a pasted secret.
fn check_text(text: &str) -> Result<()> {
    let problem = if text.is_empty() {
        "it is empty".to_owned()
    } else if text.len() > MAX_LEN {
        format!("it is {} bytes long; {MAX_LEN} are allowed", text.len())
    } else if let Some((at, bad)) = text.char_indices().find(|(_, c)| !c.is_ascii_graphic()) {
        let what = match bad {
            ' ' => "a space",
            _ if bad.is_control() => "a control character",
            _ => "a character outside ASCII",
        };
        format!("it holds {what}, at byte {}", at + 1)
    } else {
        return Ok(());
    };
    Err(Error::new(ErrorKind::InvalidInput, format!("not a key URI: {problem}")))
}

/// The error for a missing or unknown scheme, with the URI that was probably meant.
fn no_known_scheme(text: &str, split: Option<(&str, &str)>) -> Error {
    let is_scheme = |s: &str| {
        s.starts_with(|c: char| c.is_ascii_alphabetic())
            && s.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'))
    };
    let problem = match split {
        // In `user:password@host` the user is no scheme.
        Some((scheme, rest))
            if is_scheme(scheme) && (rest.starts_with("//") || !rest.contains('@')) =>
        {
            format!("unknown scheme {}", text::echo(scheme))
        }
        None if SCHEMES.contains(&text) => format!("nothing follows the scheme in {text:?}"),
        _ => format!("no scheme in {}", text::echo(text)),
    };
    let lower = split.map(|(scheme, rest)| format!("{}:{rest}", scheme.to_ascii_lowercase()));
    let meant = ["awskms:///", "gcpkms://", "local:"]
        .into_iter()
        .filter(|_| !SCHEMES.contains(&text))
        .map(|prefix| format!("{prefix}{text}"))
        .chain(lower.filter(|lower| lower != text))
        .find(|guess| guess.parse::<KeyUri>().is_ok())
        .map(|guess| format!("; did you mean {}?", text::echo(&guess)))
        .unwrap_or_default();
    Error::new(
        ErrorKind::InvalidInput,
        format!("{problem}; the schemes are {}{meant}", SCHEMES.join(", ")),
    )
}

#[cfg(test)]
mod tests;
