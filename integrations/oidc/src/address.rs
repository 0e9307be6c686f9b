//! Addresses that keys may come from.

use bulla::{Error, ErrorKind, Result};
use url::{Host, Url};

/// Bytes in the longest address.
const MAX_LEN: usize = 2048;

/// Checks an address: `https`, or `http` of this host; no userinfo, no fragment.
pub(crate) fn parse(text: &str) -> Result<Url> {
    // The parser of the WHATWG drops tabs and line breaks, takes backslashes for slashes and supplies
    // slashes that are missing: what is not an address to others is none here.
    let plain = text.len() <= MAX_LEN && text.bytes().all(|b| b.is_ascii_graphic() && b != b'\\');
    if !plain || !(text.starts_with("https://") || text.starts_with("http://")) {
        return Err(invalid(
            "an address of keys is https:// and at most 2,048 visible ASCII bytes",
        ));
    }
    let url = Url::parse(text).map_err(|_| invalid("an address of keys is no URL"))?;
    // What it escapes makes it longer.
    if url.as_str().len() > MAX_LEN {
        return Err(invalid("an address of keys is at most 2,048 bytes as it is sent"));
    }
    if !url.username().is_empty() || url.password().is_some() || text.contains('@') {
        return Err(invalid("an address of keys has no user, no password and no `@`"));
    }
    if url.fragment().is_some() {
        return Err(invalid("an address of keys has no fragment"));
    }
    if url.scheme() != "https" && !is_loopback(&url) {
        return Err(invalid("keys come over https, unless they come from this host"));
    }
    Ok(url)
}

/// Checks the address of a proxy: `http`, a host and a port.
pub(crate) fn proxy(text: &str) -> Result<Url> {
    let bad = || invalid("a proxy is http://, its host and its port, without user or path");
    let url = Url::parse(text).map_err(|_| bad())?;
    let plain = url.username().is_empty() && url.password().is_none() && url.path() == "/";
    let bare = url.query().is_none() && url.fragment().is_none();
    let named = url.scheme() == "http" && url.host().is_some();
    if plain && bare && named { Ok(url) } else { Err(bad()) }
}

/// Whether the address is this host's: `localhost`, or a loopback address in numbers.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// Where an issuer's metadata is: behind its path (OpenID Connect Discovery 1.0, section 4.1).
pub(crate) fn openid(issuer: &str) -> Result<Url> {
    check_issuer(issuer)?;
    let base = issuer.strip_suffix('/').unwrap_or(issuer);
    parse(&format!("{base}/.well-known/openid-configuration"))
}

/// Where an authorization server's metadata is: before its path (RFC 8414, section 3.1).
pub(crate) fn oauth(issuer: &str) -> Result<Url> {
    let mut url = check_issuer(issuer)?;
    let path = url.path().strip_suffix('/').unwrap_or(url.path());
    let path = format!("/.well-known/oauth-authorization-server{path}");
    url.set_path(&path);
    Ok(url)
}

fn check_issuer(issuer: &str) -> Result<Url> {
    let url = parse(issuer)?;
    if url.query().is_some() {
        return Err(invalid("an issuer's identifier has no query"));
    }
    Ok(url)
}

fn invalid(message: &'static str) -> Error {
    Error::new(ErrorKind::InvalidInput, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An address that was accepted is accepted as it is written down.
    #[test]
    fn what_escapes_make_too_long_is_refused() {
        let quotes = |count: usize| format!("https://id.example/{}", "\"".repeat(count));
        let longest = parse(&quotes((MAX_LEN - 19) / 3)).unwrap();
        assert!(parse(longest.as_str()).is_ok());
        assert!(parse(&quotes((MAX_LEN - 19) / 3 + 1)).is_err());
    }

    #[test]
    fn https_or_this_host() {
        for good in [
            "https://id.example/keys",
            "https://id.example:8443/keys?tenant=a",
            "https://10.0.0.1/keys",
            "http://localhost:8080/keys",
            "http://127.0.0.1/keys",
            "http://127.1.2.3/keys",
            "http://[::1]:8080/keys",
        ] {
            parse(good).unwrap();
        }
        for bad in [
            "",
            "id.example",
            "ftp://id.example/keys",
            "file:///etc/passwd",
            "https:id.example",
            "https:/id.example",
            "https://",
            "https:\\\\id.example",
            "https://id.example\\@evil.example",
            "https://id.example/\nkeys",
            " https://id.example",
            "https://user@id.example/keys",
            "https://user:password@id.example/keys",
            "https://@id.example/keys",
            "https://id.example/keys#a",
            "https://id.example/keys#",
            "https://id.exämple/keys",
            "http://id.example/keys",
            "http://10.0.0.1/keys",
            "http://localhost.example/keys",
            "http://a.localhost/keys",
            "http://0.0.0.0/keys",
            "http://[::]/keys",
            "http://[::ffff:127.0.0.1]/keys",
            "http://[fe80::1]/keys",
        ] {
            let error = parse(bad).expect_err(bad);
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{bad}");
        }
        let long = |len: usize| format!("https://id.example/{}", "a".repeat(len - 19));
        parse(&long(MAX_LEN)).unwrap();
        parse(&long(MAX_LEN + 1)).unwrap_err();
    }

    #[test]
    fn proxies_are_http_and_bare() {
        for good in ["http://proxy.example:3128", "http://10.0.0.1:80/", "http://[::1]:8080"] {
            proxy(good).unwrap();
        }
        for bad in [
            "",
            "proxy.example:3128",
            "https://proxy.example:3128",
            "socks5://proxy.example",
            "http://user:password@proxy.example",
            "http://proxy.example/path",
            "http://proxy.example/?a",
            "http://proxy.example/#a",
        ] {
            assert_eq!(proxy(bad).expect_err(bad).kind(), ErrorKind::InvalidInput, "{bad}");
        }
    }

    #[test]
    fn paths_of_issuers() {
        for (issuer, after, before) in [
            (
                "https://id.example",
                "https://id.example/.well-known/openid-configuration",
                "https://id.example/.well-known/oauth-authorization-server",
            ),
            (
                "https://id.example/",
                "https://id.example/.well-known/openid-configuration",
                "https://id.example/.well-known/oauth-authorization-server",
            ),
            (
                "https://id.example/a/b",
                "https://id.example/a/b/.well-known/openid-configuration",
                "https://id.example/.well-known/oauth-authorization-server/a/b",
            ),
            (
                "https://id.example/a/",
                "https://id.example/a/.well-known/openid-configuration",
                "https://id.example/.well-known/oauth-authorization-server/a",
            ),
        ] {
            assert_eq!(openid(issuer).unwrap().as_str(), after);
            assert_eq!(oauth(issuer).unwrap().as_str(), before);
        }
        for bad in ["https://id.example?a=b", "https://id.example/a?", "http://id.example"] {
            openid(bad).unwrap_err();
            oauth(bad).unwrap_err();
        }
    }
}
