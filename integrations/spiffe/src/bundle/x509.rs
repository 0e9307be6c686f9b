//! Certificates of X.509 authorities.

use bulla::{Error, ErrorKind, Result, jwt::Jwk};
use rustls_pki_types::CertificateDer;
use webpki::EndEntityCert;

/// The public key of a certificate, by the parser that chains are verified with: what it can't read can be
/// nobody's authority.
pub(super) fn key_of(certificate: &CertificateDer<'_>) -> Result<Jwk> {
    let parsed = EndEntityCert::try_from(certificate).map_err(|error| {
        let (kind, message) = match error {
            webpki::Error::UnsupportedCertVersion | webpki::Error::UnsupportedCriticalExtension => {
                (ErrorKind::Unsupported, "a certificate of a kind that is not known here")
            }
            _ => (ErrorKind::InvalidInput, "what is given as certificate is none"),
        };
        Error::new(kind, message).with_source(error)
    })?;
    Jwk::from_spki(&parsed.subject_public_key_info())
}
