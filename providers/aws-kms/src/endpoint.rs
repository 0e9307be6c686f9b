//! A URL to call instead of the region's own.

use bulla::{Error, ErrorKind, KeyUri, Result, key::AwsKmsUri};

use crate::arn::SCHEME;

/// A URL in the spelling of key URIs: `https`, or `http` to a loopback address.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint(String);

impl Endpoint {
    /// By the rules of key URIs.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for whatever else.
    pub(crate) fn parse(url: &str) -> Result<Self> {
        let uri = format!("{SCHEME}:///alias/x?endpoint={url}").parse()?;
        match uri {
            KeyUri::AwsKms(uri) if !url.contains('&') => Self::of(&uri),
            _ => None,
        }
        .ok_or_else(|| Error::new(ErrorKind::InvalidInput, "the endpoint is not a plain URL"))
    }

    /// That of a key URI, which has been judged there.
    pub(crate) fn of(uri: &AwsKmsUri) -> Option<Self> {
        uri.endpoint().map(|url| Self(url.to_owned()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}
