//! Certification requests (PKCS#10, RFC 2986): a public key, and proof that its owner has the private one.

use bulla::{
    Error, ErrorKind, KeyName, KeyVersion, PublicKey, Result, SigningAlgorithm, SigningInput,
    signing::verify,
};
use der::{Decode as _, Encode as _};
use spki::SubjectPublicKeyInfoOwned;
use x509_cert::request::CertReq;

use super::algorithm;

/// Bytes in the longest request that is read: one for RSA of 8,192 bits has about 2.5 KiB.
pub(super) const MAX_REQUEST_LEN: usize = 16 * 1024;

/// The public key of a request, if whoever made it has the private half. Whatever else the request asks for
/// is not looked at: names, usages and life are the authority's to decide.
///
/// # Errors
/// [`InvalidInput`](ErrorKind::InvalidInput) if it is no request in DER, or over 16 KiB;
/// [`NotAuthentic`](ErrorKind::NotAuthentic) if its signature is not its key's;
/// [`Unsupported`](ErrorKind::Unsupported) for a signature algorithm or a kind of key that is not known here.
pub(super) fn public_key(request: &[u8]) -> Result<SubjectPublicKeyInfoOwned> {
    if request.len() > MAX_REQUEST_LEN {
        return Err(invalid("the certification request is over 16 KiB"));
    }
    let malformed = || invalid("that is no certification request in DER (RFC 2986)");
    let request = CertReq::from_der(request).map_err(|_| malformed())?;
    let algorithm = algorithm::from_identifier(&request.algorithm).ok_or_else(|| {
        let oid = request.algorithm.oid;
        let message = format!(
            "the request is signed with an algorithm that is not known here ({oid}): sign with SHA-256 or \
             stronger, and on P-384 and P-521 with the curve's own hash"
        );
        Error::new(ErrorKind::Unsupported, message)
    })?;
    let signed = request.info.to_der().map_err(|_| malformed())?;
    let signature =
        algorithm::from_bits(algorithm, &request.signature).ok_or_else(Error::not_authentic)?;
    let key = of_spki(&request.info.public_key, algorithm)?;
    verify(&key, &SigningInput::new(algorithm, &signed), &signature)?;
    Ok(request.info.public_key)
}

/// A key that no provider has, to verify with.
pub(super) fn of_spki(
    spki: &SubjectPublicKeyInfoOwned,
    algorithm: SigningAlgorithm,
) -> Result<PublicKey> {
    let spki = spki.to_der().map_err(|_| invalid("the public key can't be encoded"))?;
    let name = KeyName::new("certificate", "subject")?;
    let mut key = PublicKey::new(name, KeyVersion::parse("1")?, spki);
    key.algorithms = vec![algorithm];
    Ok(key)
}

fn invalid(message: &'static str) -> Error {
    Error::new(ErrorKind::InvalidInput, message)
}
