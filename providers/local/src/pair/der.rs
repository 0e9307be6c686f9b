//! What kind of key a DER structure holds.

use bulla::Result;
use pkcs1::RsaPublicKeyRef;
use pkcs8::{ObjectIdentifier, PrivateKeyInfoRef};
use sec1::{EcParameters, EcPrivateKey, der::Encode};
use zeroize::Zeroizing;

use super::{invalid, unsupported};
use crate::key_type::KeyType;

const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const P521: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.35");

/// More than an ECPrivateKey of P-521 has: 223 bytes.
const MAX_SEC1: usize = 256;

pub(super) enum Family {
    Rsa,
    Ec(KeyType),
    Ed25519,
}

/// What a PKCS#8 structure says that it holds.
pub(super) fn pkcs8_family(der: &[u8]) -> Result<Family> {
    let info = PrivateKeyInfoRef::try_from(der)
        .map_err(|_| invalid("the key is no PKCS#8 structure".to_owned()))?;
    match info.algorithm.oid {
        RSA => Ok(Family::Rsa),
        EC => {
            let curve = info.algorithm.parameters_oid();
            curve_type(curve.map_err(|_| invalid("the key names no curve".to_owned()))?)
                .map(Family::Ec)
        }
        ED25519 => Ok(Family::Ed25519),
        other => Err(unsupported(format!("a key of algorithm {other}"))),
    }
}

/// The curve that an ECPrivateKey names.
pub(super) fn sec1_curve(der: &[u8]) -> Result<KeyType> {
    let key = EcPrivateKey::try_from(der)
        .map_err(|_| invalid("the key is no ECPrivateKey structure".to_owned()))?;
    let curve = key.parameters.and_then(|p| p.named_curve());
    curve_type(curve.ok_or_else(|| {
        invalid("the key names no curve; convert it with: openssl pkcs8 -topk8 -nocrypt".to_owned())
    })?)
}

/// The RSAPrivateKey inside of a PKCS#8 structure.
pub(super) fn inner_pkcs1(pkcs8: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
    inner(pkcs8).map(|der| Zeroizing::new(der.to_vec()))
}

/// The ECPrivateKey inside of a PKCS#8 structure, with the curve's name, which inside is left out.
pub(super) fn inner_sec1(pkcs8: &[u8], curve: KeyType) -> Result<Zeroizing<Vec<u8>>> {
    let bad = || invalid("the key is no ECPrivateKey structure".to_owned());
    let mut key = EcPrivateKey::try_from(inner(pkcs8)?).map_err(|_| bad())?;
    key.parameters = Some(EcParameters::NamedCurve(match curve {
        KeyType::P256 => P256,
        KeyType::P384 => P384,
        _ => P521,
    }));
    let mut room = Zeroizing::new([0; MAX_SEC1]);
    let der = key.encode_to_slice(room.as_mut()).map_err(|_| bad())?;
    Ok(Zeroizing::new(der.to_vec()))
}

fn inner(pkcs8: &[u8]) -> Result<&[u8]> {
    let info = PrivateKeyInfoRef::try_from(pkcs8)
        .map_err(|_| invalid("the key is no PKCS#8 structure".to_owned()))?;
    Ok(info.private_key.as_bytes())
}

fn curve_type(curve: ObjectIdentifier) -> Result<KeyType> {
    match curve {
        P256 => Ok(KeyType::P256),
        P384 => Ok(KeyType::P384),
        P521 => Ok(KeyType::P521),
        other => Err(unsupported(format!("a key on curve {other}; P-256, P-384 and P-521 are"))),
    }
}

/// The bits in the modulus and the bytes in the exponent of an RSAPublicKey.
pub(super) fn rsa_size(der: &[u8]) -> Result<(usize, usize)> {
    let key = RsaPublicKeyRef::try_from(der)
        .map_err(|_| invalid("the key is no RSAPublicKey structure".to_owned()))?;
    let modulus = key.modulus.as_bytes();
    let unused = modulus.first().map_or(0, |first| first.leading_zeros());
    let bits = (8 * modulus.len()).saturating_sub(usize::try_from(unused).unwrap_or(0));
    Ok((bits, key.public_exponent.as_bytes().len()))
}
