//! Keys to verify with that others publish: as a JWK set at a URL, or as an issuer.

use bulla::jwt::KeySource;
#[cfg(feature = "oidc")]
use bulla_oidc::RemoteKeys;

#[cfg(not(feature = "oidc"))]
use crate::failure::Failure;
use crate::failure::Outcome;

/// Where they are published.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Remote<'a> {
    /// The URL of a JWK set.
    JwkSet(&'a str),
    /// The URL of an issuer, whose metadata name its JWK set.
    Issuer(&'a str),
}

impl<'a> Remote<'a> {
    /// What `--jwks` says, if that is a URL and not a file.
    pub(crate) fn jwk_set(text: &'a str) -> Option<Self> {
        let (scheme, _) = text.split_once("://")?;
        ["http", "https"]
            .iter()
            .any(|known| known.eq_ignore_ascii_case(scheme))
            .then_some(Self::JwkSet(text))
    }

    /// The source that fetches them: once, since a run verifies one token.
    ///
    /// # Errors
    /// For a URL that nothing is fetched from.
    #[cfg(feature = "oidc")]
    pub(crate) fn source(self) -> Outcome<Box<dyn KeySource>> {
        let builder = match self {
            Self::JwkSet(url) => RemoteKeys::jwks(url),
            Self::Issuer(url) => RemoteKeys::discover(url),
        };
        Ok(Box::new(builder.build()?))
    }

    /// # Errors
    /// Always: what fetches them is a feature.
    #[cfg(not(feature = "oidc"))]
    pub(crate) fn source(self) -> Outcome<Box<dyn KeySource>> {
        let (Self::JwkSet(url) | Self::Issuer(url)) = self;
        Err(Failure::usage(format!("this build of bulla fetches no keys from {url}")).hint(
            "build it with `--features oidc`, or fetch the set yourself and give its file to --jwks",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_told_from_files() {
        for url in ["https://a.example/jwks", "HTTP://a.example"] {
            assert!(Remote::jwk_set(url).is_some(), "{url}");
        }
        for file in ["jwks.json", "https", "./https://a", "file:///jwks.json", ""] {
            assert!(Remote::jwk_set(file).is_none(), "{file}");
        }
    }
}
