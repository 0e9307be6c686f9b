//! Which key, and which version of it: what goes into paths, and what answers name.

use bulla::{Error, ErrorKind, KeyName, KeyUri, KeyVersion, Result, key::AzureKeyVaultUri};

/// The scheme of key names.
pub(crate) const SCHEME: &str = "azurekeyvault";

/// Characters of a version.
const VERSION_LEN: usize = 32;

/// A key of one vault. Its parts are of characters that need no escape in a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeyId {
    /// The vault's host, in lower case.
    pub(crate) host: String,
    /// As it was given. The vault takes upper and lower case for the same.
    pub(crate) key: String,
    /// The version that new data is sealed by and signatures are made by, if not the latest.
    pub(crate) pinned: Option<KeyVersion>,
}

impl KeyId {
    /// A key of a vault, as `KEY` or `KEY/VERSION`.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] if it is not well-formed.
    pub(crate) fn parse(vault: &str, key: &str) -> Result<(Self, AzureKeyVaultUri)> {
        let KeyUri::AzureKeyVault(uri) = format!("{SCHEME}://{vault}/{key}").parse()? else {
            return Err(Error::new(ErrorKind::Internal, "a URI of another scheme was parsed"));
        };
        Ok((Self::of(&uri)?, uri))
    }

    pub(crate) fn of(uri: &AzureKeyVaultUri) -> Result<Self> {
        let pinned = uri.version().map(KeyVersion::parse).transpose()?;
        Ok(Self { host: uri.host().to_owned(), key: uri.key().to_owned(), pinned })
    }

    /// The name in headers: host and key, both in lower case, without a version.
    ///
    /// # Errors
    /// None, for what was parsed.
    pub(crate) fn name(&self) -> Result<KeyName> {
        KeyName::new(SCHEME, format!("{}/{}", self.host, self.key.to_ascii_lowercase()))
    }

    /// The version that an answer's `kid` names, if it is of this key:
    /// `https://HOST/keys/KEY/VERSION`.
    pub(crate) fn version_of(&self, kid: &str) -> Option<KeyVersion> {
        let path = kid.strip_prefix("https://")?;
        let mut parts = path.split('/');
        let host = parts.next().filter(|host| host.eq_ignore_ascii_case(&self.host));
        let keys = parts.next().filter(|keys| *keys == "keys");
        let key = parts.next().filter(|key| key.eq_ignore_ascii_case(&self.key));
        let version = parts.next().and_then(version);
        (host.is_some() && keys.is_some() && key.is_some() && parts.next().is_none())
            .then_some(version)
            .flatten()
    }
}

/// A version of the vault's making: 32 of `[A-Za-z0-9]`. Nothing else goes into a path.
pub(crate) fn version(text: &str) -> Option<KeyVersion> {
    let fits = text.len() == VERSION_LEN && text.bytes().all(|b| b.is_ascii_alphanumeric());
    KeyVersion::parse(text).ok().filter(|_| fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    const VERSION: &str = "0123456789abcdef0123456789abcdef";

    #[test]
    fn names_are_in_lower_case_and_have_no_version() {
        let (id, _) = KeyId::parse("Acme-Prod", &format!("Orders/{VERSION}")).unwrap();
        assert_eq!(id.host, "acme-prod.vault.azure.net");
        assert_eq!(id.key, "Orders");
        assert_eq!(id.pinned.as_ref().map(KeyVersion::as_str), Some(VERSION));
        assert_eq!(id.name().unwrap().id(), "acme-prod.vault.azure.net/orders");
        let (other, _) = KeyId::parse("acme-prod.vault.azure.net", "orders").unwrap();
        assert_eq!(other.name().unwrap(), id.name().unwrap());
        for bad in ["", "a/b", "a/../b", "a?b", "a b", &format!("a/{VERSION}/c")] {
            assert!(KeyId::parse("acme", bad).is_err(), "{bad}");
        }
        assert!(KeyId::parse("vault.example.com", "a").is_err());
    }

    #[test]
    fn an_answer_is_about_the_key_that_was_asked_for() {
        let (id, _) = KeyId::parse("acme", "orders").unwrap();
        let kid = format!("https://acme.vault.azure.net/keys/orders/{VERSION}");
        assert_eq!(id.version_of(&kid).unwrap().as_str(), VERSION);
        assert!(id.version_of(&kid.replace("orders", "ORDERS")).is_some());
        for bad in [
            kid.replace("https", "http"),
            kid.replace("acme", "evil"),
            kid.replace(".net", ".net:8443"),
            kid.replace("orders", "other"),
            kid.replace("keys", "secrets"),
            kid.replace(VERSION, "1"),
            kid.replace(VERSION, &VERSION.replace('0', "-")),
            format!("{kid}/more"),
            kid.replace(&format!("/{VERSION}"), ""),
            String::new(),
        ] {
            assert!(id.version_of(&bad).is_none(), "{bad}");
        }
    }
}
