//! Reading a bundle document.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bulla::{
    Error, ErrorKind, Result,
    jwt::{Jwk, JwkSet},
};
use rustls_pki_types::CertificateDer;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Bundle, JWT_SVID, MAX_BUNDLE_KEYS, MAX_BUNDLE_LEN, X509_SVID, signs_svids, x509};
use crate::id::TrustDomain;

/// Other members are ignored (section 4.1); these are known, so one that occurs twice is refused.
#[derive(Deserialize)]
struct Document<'a> {
    spiffe_sequence: Option<u64>,
    spiffe_refresh_hint: Option<u64>,
    #[serde(borrow)]
    keys: Vec<&'a RawValue>,
}

/// What is looked at before a key is read as a JWK.
#[derive(Deserialize)]
struct Peeked {
    #[serde(rename = "use")]
    usage: Option<String>,
    x5c: Option<Vec<String>>,
}

/// What a key of the document comes to.
enum Read {
    Jwt(Jwk),
    X509(CertificateDer<'static>),
    Skipped,
}

impl Bundle {
    /// Parses a document of at most [`MAX_BUNDLE_LEN`] bytes as the bundle of this trust domain, which the
    /// caller knows from elsewhere.
    ///
    /// As the standard asks, keys of an unknown `use` or kind are skipped, and so are entries for X.509
    /// without `x5c`; of several certificates in one the first counts (X509-SVID, section 6.2). An array
    /// `keys` that is empty is a bundle under which no SVID is valid.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] if it is too long or no JSON object with an array `keys`, if the sequence
    /// or the hint is no whole number from 0, if a key is malformed, private or symmetric, if one for
    /// JWT-SVIDs has no `kid` or that of another, or if a certificate is none or has another key than its
    /// entry says.
    pub fn from_json(trust_domain: TrustDomain, json: impl AsRef<[u8]>) -> Result<Self> {
        let json = json.as_ref();
        if json.len() > MAX_BUNDLE_LEN {
            return Err(refused("it is over 1 MiB"));
        }
        let document: Document<'_> = serde_json::from_slice(json).map_err(|_| {
            refused(
                "it is no JSON object with an array `keys`, or `spiffe_sequence` or \
                 `spiffe_refresh_hint` is no whole number from 0",
            )
        })?;
        if document.keys.len() > MAX_BUNDLE_KEYS {
            return Err(refused(&format!("it has over {MAX_BUNDLE_KEYS} keys")));
        }
        let mut bundle = Self::new(trust_domain);
        bundle.sequence = document.spiffe_sequence;
        bundle.refresh_hint = document.spiffe_refresh_hint.map(std::time::Duration::from_secs);
        let (mut jwt, mut x509) = (Vec::new(), Vec::new());
        for (at, key) in document.keys.into_iter().enumerate() {
            let key = read(key.get()).map_err(|error| {
                refused(&format!("its key number {}: {error}", at + 1)).with_source(error)
            })?;
            match key {
                Read::Jwt(key) => jwt.push(key),
                Read::X509(certificate) if x509.contains(&certificate) => {}
                Read::X509(certificate) => x509.push(certificate),
                Read::Skipped => bundle.skipped += 1,
            }
        }
        let set = JwkSet::new(jwt).map_err(|error| refused(&error.to_string()))?;
        let skipped = bundle.skipped;
        let mut bundle = bundle.with_jwt_authorities(&set)?;
        (bundle.x509, bundle.skipped) = (x509.into(), skipped);
        Ok(bundle)
    }
}

fn read(json: &str) -> Result<Read> {
    let peeked: Peeked = serde_json::from_str(json).map_err(|_| {
        Error::new(ErrorKind::InvalidInput, "it is no object, or `use` or `x5c` is of another type")
    })?;
    match peeked.usage.as_deref() {
        Some(JWT_SVID) => {
            let Some(key) = known(Jwk::from_json(json))? else { return Ok(Read::Skipped) };
            if key.kid().is_none_or(str::is_empty) {
                return Err(Error::new(ErrorKind::InvalidInput, "it has no `kid`"));
            }
            // What it is for, it is used for here and nowhere else.
            let key = key.with_usage(None);
            Ok(if signs_svids(&key) { Read::Jwt(key) } else { Read::Skipped })
        }
        Some(X509_SVID) => {
            let Some(first) = peeked.x5c.unwrap_or_default().into_iter().next() else {
                return Ok(Read::Skipped);
            };
            let der = STANDARD.decode(first).map_err(|_| {
                Error::new(ErrorKind::InvalidInput, "its certificate is not in base64")
            })?;
            let certificate = CertificateDer::from(der);
            let (Some(own), Some(stated)) =
                (known(x509::key_of(&certificate))?, known(Jwk::from_json(json))?)
            else {
                return Ok(Read::Skipped);
            };
            // RFC 7517, section 4.7.
            if own.to_spki()? != stated.to_spki()? {
                let message = "its certificate has another key than its other members";
                return Err(Error::new(ErrorKind::InvalidInput, message));
            }
            Ok(Read::X509(certificate))
        }
        _ => Ok(Read::Skipped),
    }
}

/// None for a kind that is not known here, which is ignored.
fn known<T>(read: Result<T>) -> Result<Option<T>> {
    match read {
        Ok(read) => Ok(Some(read)),
        Err(error) if error.kind() == ErrorKind::Unsupported => Ok(None),
        Err(error) => Err(error),
    }
}

fn refused(what: &str) -> Error {
    Error::new(ErrorKind::InvalidInput, format!("no SPIFFE bundle: {what}"))
}
