//! Keys to verify with that others publish: as a JWK set at a URL, or as an issuer.

use bulla::jwt::KeySource;

use crate::{
    failure::{Failure, Outcome},
    shown,
};

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

    /// The source that fetches them.
    ///
    /// # Errors
    /// In a build that fetches nothing.
    pub(crate) fn source(self) -> Outcome<Box<dyn KeySource>> {
        let what = match self {
            Self::JwkSet(url) => format!("the JWK set {}", shown::token(url)),
            Self::Issuer(url) => format!("the keys of {}", shown::token(url)),
        };
        Err(Failure::usage(format!("this build of bulla can't fetch {what}"))
            .hint("fetch the set by other means, and give its file with --jwks"))
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
