//! Writing a bundle document, and a set for the workloads of the trust domain.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bulla::{Error, ErrorKind, Result, jwt::Jwk};
use rustls_pki_types::CertificateDer;
use serde_json::{Map, Value};

use super::{Bundle, JWT_SVID, X509_SVID, x509};

impl Bundle {
    /// The document, as one line of JSON.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] if a key can't be written.
    pub fn to_json(&self) -> Result<String> {
        let mut keys = Vec::new();
        for certificate in self.x509_authorities() {
            keys.push(Value::Object(x509_entry(certificate)?));
        }
        for key in self.jwt_authorities().iter() {
            keys.push(Value::Object(entry(key.clone().with_usage(Some(JWT_SVID.to_owned())))?));
        }
        let mut document = Map::new();
        if let Some(sequence) = self.sequence() {
            document.insert("spiffe_sequence".to_owned(), sequence.into());
        }
        if let Some(hint) = self.refresh_hint() {
            document.insert("spiffe_refresh_hint".to_owned(), hint.as_secs().into());
        }
        document.insert("keys".to_owned(), keys.into());
        Ok(Value::Object(document).to_string())
    }

    /// The keys of JWT-SVIDs alone, as the Workload API hands them to workloads (SPIFFE Workload API,
    /// section 6.2.2): a JWK set in one line of JSON.
    ///
    /// # Errors
    /// As for [`to_json`](Self::to_json).
    pub fn to_jwks(&self) -> Result<String> {
        let jwt_alone = Self { x509: std::sync::Arc::from([]), ..self.clone() };
        Self { sequence: None, refresh_hint: None, ..jwt_alone }.to_json()
    }
}

/// Only key, `use` and certificate: an entry for X.509 has no `kid` (X509-SVID, section 6.1).
fn x509_entry(certificate: &CertificateDer<'_>) -> Result<Map<String, Value>> {
    let key = x509::key_of(certificate)?.with_usage(Some(X509_SVID.to_owned()));
    let mut members = entry(key)?;
    members.remove("alg");
    members.insert("x5c".to_owned(), vec![STANDARD.encode(certificate)].into());
    Ok(members)
}

fn entry(key: Jwk) -> Result<Map<String, Value>> {
    match serde_json::to_value(key) {
        Ok(Value::Object(members)) => Ok(members),
        _ => Err(Error::new(ErrorKind::Internal, "can't write a key of the bundle")),
    }
}
