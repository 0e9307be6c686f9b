//! What fuzz targets reach.

use crate::{address, metadata::Metadata};

/// Reads the metadata of an issuer; what is accepted is that issuer's, and its address is sound.
///
/// # Panics
/// If it is not.
pub fn metadata(issuer: &str, json: &[u8]) {
    let Ok(at) = address::openid(issuer) else { return };
    let Ok(metadata) = Metadata::parse(json, issuer, &at) else { return };
    // Which is stricter about depth and escapes in what is ignored.
    if let Ok(value) = serde_json::from_slice::<serde_json::Value>(json) {
        assert_eq!(value.get("issuer").and_then(|it| it.as_str()), Some(issuer));
    }
    let uri = &metadata.jwks_uri;
    assert!(uri.scheme() == "https" || address::is_loopback(uri) && address::is_loopback(&at));
    assert!(uri.username().is_empty() && uri.password().is_none() && uri.fragment().is_none());
    assert!(address::parse(uri.as_str()).is_ok(), "what was accepted is accepted as it is written");
}
