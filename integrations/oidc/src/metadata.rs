//! The metadata of an issuer (OpenID Connect Discovery 1.0, section 3; RFC 8414, section 2).

use bulla::{Error, ErrorKind, Result};
use serde::Deserialize;
use url::Url;

use crate::address;

/// Bytes of JSON. Those of large issuers have 2 to 8 KiB.
pub(crate) const MAX_LEN: usize = 64 * 1024;

/// What is read of it: nothing about algorithms, which are the keys'.
#[derive(Clone)]
pub(crate) struct Metadata {
    pub(crate) jwks_uri: Url,
}

/// Either member twice is an error; others are ignored.
#[derive(Deserialize)]
struct Members {
    issuer: String,
    jwks_uri: String,
}

impl Metadata {
    /// Reads the metadata that was found at the issuer's address. It has to be the issuer's own
    /// (section 4.3), and its keys on another host only if they come over https.
    pub(crate) fn parse(json: &[u8], issuer: &str, at: &Url) -> Result<Self> {
        // What is derived for a struct takes an array as well.
        let object = json.trim_ascii_start().first() == Some(&b'{');
        if !object || json.len() > MAX_LEN {
            return Err(damaged("the issuer's metadata is not one JSON object of at most 64 KiB"));
        }
        // Of members that are ignored serde_json checks no encoding.
        let text = std::str::from_utf8(json)
            .map_err(|_| damaged("the issuer's metadata is not UTF-8 (RFC 8259, section 8.1)"))?;
        let members: Members = serde_json::from_str(text).map_err(|_| {
            damaged("the issuer's metadata is no JSON, or not once issuer and jwks_uri as strings")
        })?;
        if members.issuer != issuer {
            return Err(damaged("the metadata names another issuer than the one configured"));
        }
        let jwks_uri = address::parse(&members.jwks_uri).map_err(|error| {
            damaged("the jwks_uri of the metadata is no address to ask").with_source(error)
        })?;
        if address::is_loopback(&jwks_uri) && !address::is_loopback(at) {
            return Err(damaged("an issuer elsewhere says that its keys are on this host"));
        }
        Ok(Self { jwks_uri })
    }
}

fn damaged(message: &'static str) -> Error {
    Error::new(ErrorKind::Damaged, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ISSUER: &str = "https://id.example/a";

    fn parse_at(issuer: &str, json: &str) -> Result<Url> {
        let at = address::openid(issuer).unwrap();
        Ok(Metadata::parse(json.as_bytes(), issuer, &at)?.jwks_uri)
    }

    #[test]
    fn its_own_issuer_and_an_address() {
        let good = r#" {"issuer":"https://id.example/a","jwks_uri":"https://keys.example/a",
            "id_token_signing_alg_values_supported":["none"],"x":{"y":[1,2]}} "#;
        assert_eq!(parse_at(ISSUER, good).unwrap().as_str(), "https://keys.example/a");
        for bad in [
            "",
            "null",
            r#"["https://id.example/a","https://keys.example/a"]"#,
            r#"{"issuer":"https://id.example/a"}"#,
            r#"{"jwks_uri":"https://keys.example/a"}"#,
            r#"{"issuer":["https://id.example/a"],"jwks_uri":"https://keys.example/a"}"#,
            r#"{"issuer":"https://id.example/a/","jwks_uri":"https://keys.example/a"}"#,
            r#"{"issuer":"https://ID.example/a","jwks_uri":"https://keys.example/a"}"#,
            r#"{"issuer":"https://id.example/a","jwks_uri":"http://keys.example/a"}"#,
            r#"{"issuer":"https://id.example/a","jwks_uri":"https://u@keys.example/a"}"#,
            r#"{"issuer":"https://id.example/a","jwks_uri":"https://keys.example/a#b"}"#,
            r#"{"issuer":"https://id.example/a","jwks_uri":"/keys"}"#,
            r#"{"issuer":"https://id.example/a","jwks_uri":"http://127.0.0.1/keys"}"#,
            r#"{"issuer":"https://id.example/a","jwks_uri":"https://localhost/keys"}"#,
            r#"{"issuer":"https://id.example/a","jwks_uri":"https://k.example","jwks_uri":"https://k.example"}"#,
            r#"{"issuer":"https://id.example/a","\u0069ssuer":"x","jwks_uri":"https://k.example"}"#,
            r#"{"issuer":"https://id.example/a","jwks_uri":"https://keys.example/a"} {}"#,
        ] {
            let error = parse_at(ISSUER, bad).expect_err(bad);
            assert_eq!(error.kind(), ErrorKind::Damaged, "{bad}");
        }
    }

    #[test]
    fn on_this_host_if_the_issuer_is() {
        let json = r#"{"issuer":"http://localhost:1","jwks_uri":"http://127.0.0.1:2/keys"}"#;
        assert_eq!(parse_at("http://localhost:1", json).unwrap().port(), Some(2));
    }

    #[test]
    fn all_of_it_is_utf8() {
        let json = b"{\"issuer\":\"https://id.example/a\",\"jwks_uri\":\"https://k.example\",\"x\":\"\xff\"}";
        let at = address::openid(ISSUER).unwrap();
        let error = Metadata::parse(json, ISSUER, &at).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Damaged);
    }

    #[test]
    fn neither_long_nor_deep() {
        let padded = |len: usize| {
            let json = r#"{"issuer":"https://id.example/a","jwks_uri":"https://k.example"}"#;
            format!("{json}{}", " ".repeat(len - json.len()))
        };
        parse_at(ISSUER, &padded(MAX_LEN)).unwrap();
        parse_at(ISSUER, &padded(MAX_LEN + 1)).unwrap_err();
        let deep = format!("{{\"x\":{}", "[".repeat(MAX_LEN - 10));
        parse_at(ISSUER, &deep).unwrap_err();
    }
}
