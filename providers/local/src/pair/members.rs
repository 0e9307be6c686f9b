//! Keys as the members of a JWK (RFC 7518, section 6; RFC 8037, section 2).

use bulla::Result;
use pkcs1::{RsaPrivateKeyRef, RsaPublicKeyRef};
use pkcs8::{
    PrivateKeyInfoRef, SubjectPublicKeyInfoRef,
    der::{Decode, asn1::OctetStringRef},
};
use sec1::EcPrivateKey;

use super::{ED25519_LEN, UNCOMPRESSED, coordinate_len, der, invalid};
use crate::{jwk::Members, key_type::KeyType};

/// The public members of a SubjectPublicKeyInfo of that type.
pub(crate) fn public_members(key_type: KeyType, spki: &[u8]) -> Result<Members> {
    let bad = || invalid(format!("`public` is no key {key_type}"));
    let info = SubjectPublicKeyInfoRef::try_from(spki).map_err(|_| bad())?;
    let key = info.subject_public_key.as_bytes().ok_or_else(bad)?;
    let mut members = Members::default();
    match key_type {
        KeyType::Aes256 => return Err(bad()),
        KeyType::Rsa2048 | KeyType::Rsa3072 | KeyType::Rsa4096 => {
            let (bits, _) = der::rsa_size(key)?;
            if key_type.as_str() != format!("rsa-{bits}") {
                return Err(bad());
            }
            let key = RsaPublicKeyRef::try_from(key).map_err(|_| bad())?;
            members.text("kty", "RSA");
            members.bytes("n", key.modulus.as_bytes());
            members.bytes("e", key.public_exponent.as_bytes());
        }
        KeyType::P256 | KeyType::P384 | KeyType::P521 => {
            let len = coordinate_len(key_type)?;
            let (first, point) = key.split_first().ok_or_else(bad)?;
            if *first != UNCOMPRESSED || point.len() != 2 * len {
                return Err(bad());
            }
            let (x, y) = point.split_at_checked(len).ok_or_else(bad)?;
            members.text("kty", "EC");
            members.text("crv", key_type.jwk_curve());
            members.bytes("x", x);
            members.bytes("y", y);
        }
        KeyType::Ed25519 => {
            if key.len() != ED25519_LEN {
                return Err(bad());
            }
            members.text("kty", "OKP");
            members.text("crv", key_type.jwk_curve());
            members.bytes("x", key);
        }
    }
    Ok(members)
}

/// The public members and the private ones behind them.
pub(crate) fn private_members(key_type: KeyType, spki: &[u8], pkcs8: &[u8]) -> Result<Members> {
    let bad = || invalid(format!("the material is no key {key_type}"));
    let mut members = public_members(key_type, spki)?;
    let info = PrivateKeyInfoRef::try_from(pkcs8).map_err(|_| bad())?;
    let key = info.private_key.as_bytes();
    match key_type {
        KeyType::Aes256 => return Err(bad()),
        KeyType::Rsa2048 | KeyType::Rsa3072 | KeyType::Rsa4096 => {
            let key = RsaPrivateKeyRef::try_from(key).map_err(|_| bad())?;
            members.bytes("d", key.private_exponent.as_bytes());
            members.bytes("p", key.prime1.as_bytes());
            members.bytes("q", key.prime2.as_bytes());
            members.bytes("dp", key.exponent1.as_bytes());
            members.bytes("dq", key.exponent2.as_bytes());
            members.bytes("qi", key.coefficient.as_bytes());
        }
        KeyType::P256 | KeyType::P384 | KeyType::P521 => {
            let key = EcPrivateKey::try_from(key).map_err(|_| bad())?;
            if key.private_key.len() != coordinate_len(key_type)? {
                return Err(bad());
            }
            members.bytes("d", key.private_key);
        }
        KeyType::Ed25519 => {
            let seed = <&OctetStringRef>::from_der(key).map_err(|_| bad())?;
            members.bytes("d", seed.as_bytes());
        }
    }
    Ok(members)
}
