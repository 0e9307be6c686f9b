//! Public keys as DER: SubjectPublicKeyInfo (RFC 5280, section 4.1.2.7) and RSAPublicKey (RFC 8017,
//! appendix A.1.1).

use pkcs1::{RsaPublicKeyRef, UintRef};
use spki::{
    AlgorithmIdentifier, ObjectIdentifier, SubjectPublicKeyInfoRef,
    der::{AnyRef, Encode, asn1::BitStringRef},
};

use super::{Curve, Public};
use crate::error::{Error, ErrorKind, Result};

const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const P521: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.35");

/// Parses a SubjectPublicKeyInfo.
pub(crate) fn from_spki(der: &[u8]) -> Result<Public> {
    let bad = || Error::invalid("the public key is no SubjectPublicKeyInfo");
    let info = SubjectPublicKeyInfoRef::try_from(der).map_err(|_| bad())?;
    let key = info.subject_public_key.as_bytes().ok_or_else(bad)?;
    match info.algorithm.oid {
        RSA => from_pkcs1(key),
        EC => {
            let curve = match info.algorithm.parameters_oid().map_err(|_| bad())? {
                P256 => Curve::P256,
                P384 => Curve::P384,
                P521 => Curve::P521,
                other => return Err(unsupported(format!("a key on curve {other}"))),
            };
            Public::ec_point(curve, key)
        }
        ED25519 if info.algorithm.parameters.is_none() => Public::ed25519(key),
        ED25519 => Err(bad()),
        other => Err(unsupported(format!("a public key of algorithm {other}"))),
    }
}

/// Parses an RSAPublicKey.
pub(crate) fn from_pkcs1(der: &[u8]) -> Result<Public> {
    let key = RsaPublicKeyRef::try_from(der)
        .map_err(|_| Error::invalid("the public key is no RSAPublicKey"))?;
    Public::rsa(key.modulus.as_bytes().to_vec(), key.public_exponent.as_bytes().to_vec())
}

/// An RSAPublicKey.
pub(crate) fn pkcs1(n: &[u8], e: &[u8]) -> Result<Vec<u8>> {
    let number = |bytes| UintRef::new(bytes).map_err(|_| encoding());
    RsaPublicKeyRef { modulus: number(n)?, public_exponent: number(e)? }
        .to_der()
        .map_err(|_| encoding())
}

/// A SubjectPublicKeyInfo.
pub(crate) fn spki(public: &Public) -> Result<Vec<u8>> {
    let (oid, parameters, key) = match public {
        Public::Rsa { n, e } => (RSA, Some(AnyRef::NULL), pkcs1(n, e)?),
        Public::Ec { curve, point } => {
            let curve = match curve {
                Curve::P256 => &P256,
                Curve::P384 => &P384,
                Curve::P521 => &P521,
            };
            (EC, Some(AnyRef::from(curve)), point.clone())
        }
        Public::Ed25519(point) => (ED25519, None, point.to_vec()),
    };
    let subject_public_key = BitStringRef::from_bytes(&key).map_err(|_| encoding())?;
    let algorithm = AlgorithmIdentifier { oid, parameters };
    SubjectPublicKeyInfoRef { algorithm, subject_public_key }.to_der().map_err(|_| encoding())
}

fn encoding() -> Error {
    Error::new(ErrorKind::Internal, "can't encode a public key")
}

fn unsupported(what: String) -> Error {
    Error::new(ErrorKind::Unsupported, what)
}
