//! Where the server is.

use std::fmt;

use bulla::{Error, ErrorKind, Result};
use url::{Host, Url};

/// An address that requests may go to: `https`, or `http` to this host.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Address {
    /// Without a slash at the end.
    base: String,
    https: bool,
}

impl Address {
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for what is no such address. It is not quoted: a password may be
    /// in it.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let bad = |what: &str| {
            let message = format!("the address of the server {what}");
            Err(Error::new(ErrorKind::InvalidInput, message))
        };
        if text.starts_with("unix:") {
            return bad("is a Unix socket, which is not supported; give the agent a TCP listener");
        }
        let Ok(url) = Url::parse(text) else {
            return bad("is no URL; give it like https://vault.example.com:8200");
        };
        if !url.username().is_empty() || url.password().is_some() {
            return bad("holds a user name or password; it must not");
        }
        if url.query().is_some() || url.fragment().is_some() {
            return bad("has a query or fragment; it must not");
        }
        let this_host = match url.host() {
            Some(Host::Ipv4(ip)) => ip.is_loopback(),
            Some(Host::Ipv6(ip)) => ip.is_loopback(),
            Some(Host::Domain(name)) => name == "localhost",
            None => return bad("has no host"),
        };
        let https = match url.scheme() {
            "https" => true,
            "http" if this_host => false,
            "http" => {
                return bad("is plain http to another host: token and keys would go there in the \
                            clear; use https");
            }
            _ => return bad("begins neither with https:// nor with http://"),
        };
        Ok(Self { base: url.as_str().trim_end_matches('/').to_owned(), https })
    }

    pub(crate) fn is_https(&self) -> bool {
        self.https
    }

    /// Whether it is this host by its name, without TLS to tell if that leads elsewhere.
    pub(crate) fn is_plain_localhost(&self) -> bool {
        let rest = self.base.strip_prefix("http://localhost");
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with([':', '/']))
    }

    /// The URL of an API path, which must be of characters that need no escape.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] if it is none.
    pub(crate) fn api(&self, path: &str) -> Result<Url> {
        Url::parse(&format!("{}/v1/{path}", self.base)).map_err(|_| {
            Error::new(ErrorKind::InvalidInput, format!("{path:?} is no path of the server"))
        })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.base)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.base)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_stays_on_this_host() {
        for (text, base) in [
            ("https://vault.example.com:8200/", "https://vault.example.com:8200"),
            ("https://proxy.example.com/vault/", "https://proxy.example.com/vault"),
            ("http://127.0.0.1:8200", "http://127.0.0.1:8200"),
            ("http://127.1:8200", "http://127.0.0.1:8200"),
            ("http://[::1]:8200", "http://[::1]:8200"),
            ("http://LOCALHOST:8200", "http://localhost:8200"),
        ] {
            let address = Address::parse(text).unwrap();
            assert_eq!(address.to_string(), base);
            assert_eq!(address.is_plain_localhost(), text == "http://LOCALHOST:8200");
        }
        for text in [
            "",
            "vault.example.com:8200",
            "http://vault.example.com",
            "http://10.0.0.1",
            "http://localhost.example.com",
            "http://[::ffff:127.0.0.1]",
            "http://0.0.0.0:8200",
            "ftp://localhost",
            "https://user:hunter2@vault.example.com",
            "https://vault.example.com?a",
            "https://vault.example.com#a",
            "unix:///run/agent.sock",
        ] {
            let error = Address::parse(text).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{text}");
            assert!(!error.to_string().contains("hunter2"));
        }
    }
}
