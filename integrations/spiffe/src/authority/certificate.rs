//! Certificates (RFC 5280) as they are written here, signed by a key that stays with its provider.

use std::time::SystemTime;

use bulla::{
    Error, ErrorKind, PublicKey, Result, Sign, SigningAlgorithm, SigningInput, signing::verify,
};
use der::{
    Encode, Sequence,
    asn1::{BitString, Ia5String, OctetString},
    oid::{
        AssociatedOid, ObjectIdentifier,
        db::rfc5280::{ID_KP_CLIENT_AUTH, ID_KP_SERVER_AUTH},
    },
};
use sha2::{Digest as _, Sha256};
use spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned};
use x509_cert::{
    Version,
    ext::{
        Extension,
        pkix::{
            AuthorityKeyIdentifier, BasicConstraints, ExtendedKeyUsage, KeyUsage, KeyUsages,
            NameConstraints, SubjectAltName, SubjectKeyIdentifier,
            constraints::name::GeneralSubtree, name::GeneralName,
        },
    },
    name::Name,
    serial_number::SerialNumber,
    time::{Time, Validity},
};

use super::algorithm;

/// Bytes in a key identifier (RFC 7093, section 2, method 1).
const KEY_ID_LEN: usize = 20;

/// Bytes in a serial number: 158 random bits, in the most bytes that RFC 5280 (section 4.1.2.2) has room for.
const SERIAL_LEN: usize = 20;

/// What is to be certified, by whom, and for how long.
pub(super) struct Draft {
    pub(super) issuer: Name,
    pub(super) subject: Name,
    pub(super) key: SubjectPublicKeyInfoOwned,
    pub(super) not_before: SystemTime,
    pub(super) not_after: SystemTime,
    pub(super) extensions: Vec<Extension>,
}

/// A signed certificate in DER.
pub(super) struct Signed {
    pub(super) der: Vec<u8>,
    pub(super) serial: Vec<u8>,
}

/// Signs a certificate: one call to the provider. The signature is verified before it is given out, so a
/// provider that signs with another key than it says is found out here and not by every peer.
///
/// # Errors
/// What the provider says; [`Internal`](ErrorKind::Internal) for a signature that is not the key's.
pub(super) async fn sign(
    signer: &dyn Sign,
    key: &PublicKey,
    algorithm: SigningAlgorithm,
    draft: Draft,
) -> Result<Signed> {
    let identifier = algorithm::identifier(algorithm)?;
    let serial = serial()?;
    let to_be_signed = ToBeSigned {
        version: Version::V3,
        serial_number: SerialNumber::new(&serial).map_err(encoding)?,
        signature: identifier.clone(),
        issuer: draft.issuer,
        validity: Validity::new(time(draft.not_before)?, time(draft.not_after)?),
        subject: draft.subject,
        subject_public_key_info: draft.key,
        extensions: draft.extensions,
    };
    let bytes = to_be_signed.to_der().map_err(encoding)?;
    let input = SigningInput::new(algorithm, &bytes);
    let signature = signer.sign(key, &input).await?;
    verify(key, &input, &signature).map_err(|error| {
        error.told_as(ErrorKind::Internal, "the provider's signature is not the key's")
    })?;
    let signature = algorithm::to_bits(algorithm, &signature)?;
    let certificate = Certificate { to_be_signed, algorithm: identifier, signature };
    Ok(Signed { der: certificate.to_der().map_err(encoding)?, serial: serial.to_vec() })
}

/// What a leaf says of itself (X.509-SVID, sections 2, 3 and 4): one URI and no other name, no authority, no
/// use but signatures, for both sides of TLS.
pub(super) fn of_leaf(id: &str, own: &[u8], issuer: &[u8]) -> Result<Vec<Extension>> {
    Ok(vec![
        extension(true, &BasicConstraints { ca: false, path_len_constraint: None })?,
        extension(true, &KeyUsage(KeyUsages::DigitalSignature.into()))?,
        extension(false, &ExtendedKeyUsage(vec![ID_KP_SERVER_AUTH, ID_KP_CLIENT_AUTH]))?,
        extension(false, &SubjectKeyIdentifier(octets(own)?))?,
        extension(false, &issued_by(issuer)?)?,
        // Critical, since the subject is empty (RFC 5280, section 4.2.1.6).
        extension(true, &uri(id)?)?,
    ])
}

/// What an authority says of itself (X.509-SVID, sections 3 and 4).
pub(super) fn of_authority(
    id: &str,
    own: &[u8],
    issuer: &[u8],
    path_len: u8,
    names: Option<NameConstraints>,
) -> Result<Vec<Extension>> {
    let usage = KeyUsages::KeyCertSign | KeyUsages::CRLSign;
    let mut extensions = vec![
        extension(true, &BasicConstraints { ca: true, path_len_constraint: Some(path_len) })?,
        extension(true, &KeyUsage(usage))?,
        extension(false, &SubjectKeyIdentifier(octets(own)?))?,
        extension(false, &issued_by(issuer)?)?,
        extension(false, &uri(id)?)?,
    ];
    if let Some(names) = names {
        extensions.push(extension(true, &names)?);
    }
    Ok(extensions)
}

/// No host name, no address and no mailbox, and of URIs those alone whose host is `host`, if one is given.
pub(super) fn constraints(host: Option<&str>) -> Result<NameConstraints> {
    let subtree = |base| GeneralSubtree { base, minimum: 0, maximum: None };
    let permitted = host
        .map(|host| Ia5String::new(host).map(GeneralName::UniformResourceIdentifier))
        .transpose()
        .map_err(encoding)?;
    let empty = || Ia5String::new("").map_err(encoding);
    // An address and its mask, of which no bit counts: all of IPv4, all of IPv6 (section 4.2.1.10).
    let all = |len: usize| OctetString::new(vec![0; len]).map_err(encoding);
    let excluded = [
        GeneralName::DnsName(empty()?),
        GeneralName::IpAddress(all(8)?),
        GeneralName::IpAddress(all(32)?),
        GeneralName::Rfc822Name(empty()?),
    ];
    Ok(NameConstraints {
        permitted_subtrees: permitted.map(|base| vec![subtree(base)]),
        excluded_subtrees: Some(excluded.into_iter().map(subtree).collect()),
    })
}

/// The id of a key: the first 160 bits of the SHA-256 of its bits (RFC 7093, section 2, method 1).
pub(super) fn key_id(key: &SubjectPublicKeyInfoOwned) -> Vec<u8> {
    let digest = Sha256::digest(key.subject_public_key.raw_bytes());
    digest.iter().take(KEY_ID_LEN).copied().collect()
}

/// A `SystemTime` as a certificate has it: without fractions of seconds.
pub(super) fn time(at: SystemTime) -> Result<Time> {
    Time::try_from(at).map_err(|_| {
        Error::new(ErrorKind::InvalidInput, "a certificate can't be valid at that time")
    })
}

pub(super) fn encoding(_: der::Error) -> Error {
    Error::new(ErrorKind::Internal, "can't encode a certificate")
}

/// RFC 5280, section 4.1.2.
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
struct ToBeSigned {
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT")]
    version: Version,
    serial_number: SerialNumber,
    signature: AlgorithmIdentifierOwned,
    issuer: Name,
    validity: Validity,
    subject: Name,
    subject_public_key_info: SubjectPublicKeyInfoOwned,
    #[asn1(context_specific = "3", tag_mode = "EXPLICIT")]
    extensions: Vec<Extension>,
}

/// RFC 5280, section 4.1.
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
struct Certificate {
    to_be_signed: ToBeSigned,
    algorithm: AlgorithmIdentifierOwned,
    signature: BitString,
}

fn serial() -> Result<[u8; SERIAL_LEN]> {
    let mut bytes = [0; SERIAL_LEN];
    getrandom::fill(&mut bytes).map_err(|error| {
        Error::new(ErrorKind::Internal, "the system has no random numbers").with_source(error)
    })?;
    // Positive in two's complement, and never shorter than the others.
    if let Some(first) = bytes.first_mut() {
        *first = *first & 0x7f | 0x40;
    }
    Ok(bytes)
}

fn extension<T: AssociatedOid + Encode>(critical: bool, value: &T) -> Result<Extension> {
    let extn_value = octets(&value.to_der().map_err(encoding)?)?;
    let extn_id: ObjectIdentifier = T::OID;
    Ok(Extension { extn_id, critical, extn_value })
}

fn issued_by(key_id: &[u8]) -> Result<AuthorityKeyIdentifier> {
    Ok(AuthorityKeyIdentifier { key_identifier: Some(octets(key_id)?), ..Default::default() })
}

fn uri(id: &str) -> Result<SubjectAltName> {
    let uri = Ia5String::new(id).map_err(encoding)?;
    Ok(SubjectAltName(vec![GeneralName::UniformResourceIdentifier(uri)]))
}

fn octets(bytes: &[u8]) -> Result<OctetString> {
    OctetString::new(bytes).map_err(encoding)
}
