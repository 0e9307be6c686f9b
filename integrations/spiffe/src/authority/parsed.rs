//! Certificates of authorities, as they are read.

use std::time::SystemTime;

use bulla::{Error, ErrorKind, PublicKey, Result, SigningInput, jwt::Jwk, signing::verify};
use der::{Decode as _, Encode as _};
use spiffe::TrustDomain;
use spki::SubjectPublicKeyInfoOwned;
use x509_cert::{
    Certificate,
    ext::pkix::{
        BasicConstraints, KeyUsage, SubjectAltName, SubjectKeyIdentifier, name::GeneralName,
    },
    name::Name,
};

use super::{algorithm, certificate, invalid, request};

/// Bytes in the longest certificate that is read.
const MAX_LEN: usize = 16 * 1024;

/// An authority's certificate, and what is needed of it.
#[derive(Clone, Debug)]
pub(super) struct Parsed {
    pub(super) der: Vec<u8>,
    pub(super) issuer: Name,
    pub(super) subject: Name,
    pub(super) spki: SubjectPublicKeyInfoOwned,
    pub(super) key_id: Vec<u8>,
    pub(super) not_before: SystemTime,
    pub(super) not_after: SystemTime,
    pub(super) path_len: Option<u8>,
}

impl Parsed {
    /// Reads the certificate of an authority of this trust domain (X.509-SVID, section 5, on signing
    /// certificates; RFC 5280, section 6.1.4).
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) if it is none, over 16 KiB, no authority's, not allowed to
    /// sign certificates, or another trust domain's.
    pub(super) fn authority(der: &[u8], domain: &TrustDomain) -> Result<Self> {
        if der.len() > MAX_LEN {
            return Err(invalid("the certificate is over 16 KiB"));
        }
        let malformed = |_| invalid("that is no certificate in DER (RFC 5280)");
        let parsed = Certificate::from_der(der).map_err(malformed)?;
        let body = parsed.tbs_certificate();
        let Some((_, basic)) = body.get_extension::<BasicConstraints>().map_err(malformed)? else {
            return Err(invalid("the certificate is no authority's: it has no basic constraints"));
        };
        if !basic.ca {
            return Err(invalid("the certificate is no authority's"));
        }
        let usage = body.get_extension::<KeyUsage>().map_err(malformed)?;
        if !usage.is_some_and(|(_, usage)| usage.key_cert_sign()) {
            return Err(invalid("the certificate's key may not sign certificates"));
        }
        if let Some((_, names)) = body.get_extension::<SubjectAltName>().map_err(malformed)? {
            is_of(domain, &names)?;
        }
        let spki = body.subject_public_key_info().clone();
        let key_id = match body.get_extension::<SubjectKeyIdentifier>().map_err(malformed)? {
            Some((_, id)) => id.0.as_bytes().to_vec(),
            None => certificate::key_id(&spki),
        };
        let validity = body.validity();
        Ok(Self {
            der: der.to_vec(),
            issuer: body.issuer().clone(),
            subject: body.subject().clone(),
            spki,
            key_id,
            not_before: validity.not_before.to_system_time(),
            not_after: validity.not_after.to_system_time(),
            path_len: basic.path_len_constraint,
        })
    }

    /// Whether `issuer` has signed it.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) if it is another's by name;
    /// [`NotAuthentic`](ErrorKind::NotAuthentic) if the signature is not the issuer's;
    /// [`Unsupported`](ErrorKind::Unsupported) for an algorithm that is not known here.
    pub(super) fn is_signed_by(&self, issuer: &Self) -> Result<()> {
        if self.issuer != issuer.subject {
            return Err(invalid(
                "the certificates are not in order: each is followed by the one that signed it, to the root",
            ));
        }
        let malformed = |_| invalid("that is no certificate in DER (RFC 5280)");
        let parsed = Certificate::from_der(&self.der).map_err(malformed)?;
        let algorithm =
            algorithm::from_identifier(parsed.signature_algorithm()).ok_or_else(|| {
                let message = "the certificate is signed with an algorithm that is not known here";
                Error::new(ErrorKind::Unsupported, message)
            })?;
        let signature =
            algorithm::from_bits(algorithm, parsed.signature()).ok_or_else(Error::not_authentic)?;
        let signed = parsed.tbs_certificate().to_der().map_err(malformed)?;
        let key = request::of_spki(&issuer.spki, algorithm)?;
        verify(&key, &SigningInput::new(algorithm, &signed), &signature)
    }

    /// Whether its key is this one.
    pub(super) fn is_for(&self, key: &PublicKey) -> bool {
        self.spki.to_der().is_ok_and(|spki| spki == key.spki)
    }
}

/// Whether a public key is one that a certificate may be made for: what tokens could be verified with.
///
/// # Errors
/// [`InvalidInput`](ErrorKind::InvalidInput) or [`Unsupported`](ErrorKind::Unsupported) for a key that is
/// damaged, too weak, or of a kind that is not known here.
pub(super) fn check_key(spki: &SubjectPublicKeyInfoOwned) -> Result<()> {
    let der = spki.to_der().map_err(|_| invalid("the public key can't be encoded"))?;
    Jwk::from_spki(&der).map(|_| ())
}

fn is_of(domain: &TrustDomain, names: &SubjectAltName) -> Result<()> {
    let mut uris = names.0.iter().filter_map(|name| match name {
        GeneralName::UniformResourceIdentifier(uri) => Some(uri.as_str()),
        _ => None,
    });
    match (uris.next(), uris.next()) {
        (None, _) => Ok(()),
        (Some(uri), None) if uri == domain.id_string() => Ok(()),
        _ => Err(invalid("the certificate is another trust domain's, or has a path in its id")),
    }
}
