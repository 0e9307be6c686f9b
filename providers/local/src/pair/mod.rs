//! Asymmetric keys, by AWS-LC.

mod der;
mod members;

use std::fmt;

use aws_lc_rs::{
    digest::{self, Digest},
    encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der},
    rsa::{KeyPairComponents, KeySize, PublicKeyComponents},
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING,
        ECDSA_P521_SHA512_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair,
        KeyPair, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256,
        RSA_PSS_SHA384, RSA_PSS_SHA512, RsaEncoding, RsaKeyPair,
    },
};
use bulla::{Error, ErrorKind, Result, Signature, SigningAlgorithm, SigningInput};
use zeroize::Zeroizing;

pub(crate) use members::{private_members, public_members};

use crate::{jwk::RsaMembers, key_type::KeyType};

/// Bytes in the seed and in the public key of Ed25519.
const ED25519_LEN: usize = 32;

/// A key pair, parsed and checked. AWS-LC wipes what it frees.
pub(crate) enum Pair {
    Rsa(RsaKeyPair),
    Ec(KeyType, EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl Pair {
    pub(crate) fn generate(key_type: KeyType) -> Result<Self> {
        let failed = |_| Error::new(ErrorKind::Internal, format!("can't make a key {key_type}"));
        let rsa = |size| RsaKeyPair::generate(size).map(Self::Rsa).map_err(failed);
        match key_type {
            KeyType::Aes256 => Err(not_a_pair()),
            KeyType::Rsa2048 => rsa(KeySize::Rsa2048),
            KeyType::Rsa3072 => rsa(KeySize::Rsa3072),
            KeyType::Rsa4096 => rsa(KeySize::Rsa4096),
            KeyType::P256 | KeyType::P384 | KeyType::P521 => {
                let pair = EcdsaKeyPair::generate(ecdsa(key_type)?).map_err(failed)?;
                Ok(Self::Ec(key_type, pair))
            }
            KeyType::Ed25519 => Ed25519KeyPair::generate().map(Self::Ed25519).map_err(failed),
        }
    }

    /// Parses PKCS#8, finding out the type. AWS-LC checks that the private key is consistent and
    /// matches the public key, where one is with it.
    pub(crate) fn from_pkcs8(der: &[u8]) -> Result<Self> {
        match der::pkcs8_family(der)? {
            der::Family::Rsa => {
                RsaKeyPair::from_pkcs8(der).map_err(|_| rejected()).and_then(checked_rsa)
            }
            der::Family::Ec(key_type) => EcdsaKeyPair::from_pkcs8(ecdsa(key_type)?, der)
                .map(|pair| Self::Ec(key_type, pair))
                .map_err(|_| rejected()),
            der::Family::Ed25519 => {
                Ed25519KeyPair::from_pkcs8(der).map(Self::Ed25519).map_err(|_| rejected())
            }
        }
    }

    /// Parses an RSAPrivateKey (RFC 8017, appendix A.1.2).
    pub(crate) fn from_pkcs1(der: &[u8]) -> Result<Self> {
        RsaKeyPair::from_der(der).map_err(|_| rejected()).and_then(checked_rsa)
    }

    /// Parses an ECPrivateKey (RFC 5915) that names its curve.
    pub(crate) fn from_sec1(der: &[u8]) -> Result<Self> {
        let key_type = der::sec1_curve(der)?;
        let pair = EcdsaKeyPair::from_private_key_der(ecdsa(key_type)?, der);
        pair.map(|pair| Self::Ec(key_type, pair)).map_err(|_| rejected())
    }

    /// The RSAPrivateKey (RFC 8017, A.1.2) in this key's PKCS#8; none if it is no RSA key.
    pub(crate) fn to_pkcs1(&self, pkcs8: &[u8]) -> Result<Option<Zeroizing<Vec<u8>>>> {
        matches!(self, Self::Rsa(..)).then(|| der::inner_pkcs1(pkcs8)).transpose()
    }

    /// The ECPrivateKey (RFC 5915) in this key's PKCS#8; none if it is no EC key.
    pub(crate) fn to_sec1(&self, pkcs8: &[u8]) -> Result<Option<Zeroizing<Vec<u8>>>> {
        match self {
            Self::Ec(curve, _) => der::inner_sec1(pkcs8, *curve).map(Some),
            _ => Ok(None),
        }
    }

    pub(crate) fn from_rsa_members(members: &RsaMembers) -> Result<Self> {
        let components = KeyPairComponents {
            public_key: PublicKeyComponents { n: members.n.as_slice(), e: members.e.as_slice() },
            d: members.d.as_slice(),
            p: members.p.as_slice(),
            q: members.q.as_slice(),
            dP: members.dp.as_slice(),
            dQ: members.dq.as_slice(),
            qInv: members.qi.as_slice(),
        };
        RsaKeyPair::from_components(&components).map_err(|_| rejected()).and_then(checked_rsa)
    }

    pub(crate) fn from_ec_members(curve: KeyType, d: &[u8], x: &[u8], y: &[u8]) -> Result<Self> {
        let len = coordinate_len(curve)?;
        if [d, x, y].iter().any(|member| member.len() != len) {
            return Err(invalid(format!("d, x and y of a key {curve} are {len} bytes each")));
        }
        let point = [&[UNCOMPRESSED], x, y].concat();
        EcdsaKeyPair::from_private_key_and_public_key(ecdsa(curve)?, d, &point)
            .map(|pair| Self::Ec(curve, pair))
            .map_err(|_| rejected())
    }

    pub(crate) fn from_ed25519_members(d: &[u8], x: &[u8]) -> Result<Self> {
        if d.len() != ED25519_LEN || x.len() != ED25519_LEN {
            return Err(invalid(format!("d and x of an Ed25519 key are {ED25519_LEN} bytes each")));
        }
        let pair = Ed25519KeyPair::from_seed_and_public_key(d, x);
        pair.map(Self::Ed25519).map_err(|_| rejected())
    }

    pub(crate) fn key_type(&self) -> KeyType {
        match self {
            // Other sizes were refused when the pair was made.
            Self::Rsa(pair) => match pair.public_modulus_len() {
                256 => KeyType::Rsa2048,
                384 => KeyType::Rsa3072,
                _ => KeyType::Rsa4096,
            },
            Self::Ec(key_type, _) => *key_type,
            Self::Ed25519(_) => KeyType::Ed25519,
        }
    }

    /// PKCS#8 in version 1 (RFC 5208): what everything can read, OpenSSL's tools included.
    pub(crate) fn to_pkcs8(&self) -> Result<Zeroizing<Vec<u8>>> {
        let copy = |der: &[u8]| Zeroizing::new(der.to_vec());
        match self {
            Self::Rsa(pair) => AsDer::<Pkcs8V1Der<'_>>::as_der(pair).map(|der| copy(der.as_ref())),
            Self::Ec(_, pair) => pair.to_pkcs8v1().map(|der| copy(der.as_ref())),
            Self::Ed25519(pair) => pair.to_pkcs8v1().map(|der| copy(der.as_ref())),
        }
        .map_err(|_| internal("can't encode a key"))
    }

    /// The public key as SubjectPublicKeyInfo.
    pub(crate) fn spki(&self) -> Result<Vec<u8>> {
        let der: Result<PublicKeyX509Der<'_>, _> = match self {
            Self::Rsa(pair) => pair.public_key().as_der(),
            Self::Ec(_, pair) => pair.public_key().as_der(),
            Self::Ed25519(pair) => pair.public_key().as_der(),
        };
        der.map(|der| der.as_ref().to_vec()).map_err(|_| internal("can't encode a public key"))
    }

    /// Signs a digest, or the message for Ed25519.
    pub(crate) fn sign(&self, input: &SigningInput<'_>) -> Result<Signature> {
        let algorithm = input.algorithm();
        if !self.key_type().signing_algorithms().contains(&algorithm) {
            return Err(invalid(format!("a key {} does not sign {algorithm}", self.key_type())));
        }
        let failed = |_| internal("signing failed");
        match self {
            Self::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                let digest = imported_digest(input)?;
                pair.sign_digest(padding(algorithm)?, &digest, &mut signature).map_err(failed)?;
                Ok(Signature::new(signature))
            }
            Self::Ec(_, pair) => {
                let signature = pair.sign_digest(&imported_digest(input)?).map_err(failed)?;
                Ok(Signature::new(signature.as_ref().to_vec()))
            }
            Self::Ed25519(pair) => {
                let message = input.message().ok_or_else(|| internal("no message to sign"))?;
                let signature = pair.try_sign(message).map_err(failed)?;
                Ok(Signature::new(signature.as_ref().to_vec()))
            }
        }
    }
}

/// What an uncompressed point starts with (SEC 1, section 2.3.3).
const UNCOMPRESSED: u8 = 4;

fn coordinate_len(curve: KeyType) -> Result<usize> {
    match curve {
        KeyType::P256 => Ok(32),
        KeyType::P384 => Ok(48),
        KeyType::P521 => Ok(66),
        _ => Err(not_a_pair()),
    }
}

fn ecdsa(curve: KeyType) -> Result<&'static EcdsaSigningAlgorithm> {
    match curve {
        KeyType::P256 => Ok(&ECDSA_P256_SHA256_FIXED_SIGNING),
        KeyType::P384 => Ok(&ECDSA_P384_SHA384_FIXED_SIGNING),
        KeyType::P521 => Ok(&ECDSA_P521_SHA512_FIXED_SIGNING),
        _ => Err(not_a_pair()),
    }
}

/// The PSS encodings take a salt as long as the digest.
fn padding(algorithm: SigningAlgorithm) -> Result<&'static dyn RsaEncoding> {
    match algorithm {
        SigningAlgorithm::Rs256 => Ok(&RSA_PKCS1_SHA256),
        SigningAlgorithm::Rs384 => Ok(&RSA_PKCS1_SHA384),
        SigningAlgorithm::Rs512 => Ok(&RSA_PKCS1_SHA512),
        SigningAlgorithm::Ps256 => Ok(&RSA_PSS_SHA256),
        SigningAlgorithm::Ps384 => Ok(&RSA_PSS_SHA384),
        SigningAlgorithm::Ps512 => Ok(&RSA_PSS_SHA512),
        other => Err(invalid(format!("{other} is no RSA signature"))),
    }
}

fn imported_digest(input: &SigningInput<'_>) -> Result<Digest> {
    let bytes = input.digest().unwrap_or_default();
    let algorithm = match bytes.len() {
        32 => &digest::SHA256,
        48 => &digest::SHA384,
        64 => &digest::SHA512,
        _ => return Err(internal("no digest to sign")),
    };
    Digest::import_less_safe(bytes, algorithm).map_err(|_| internal("no digest to sign"))
}

/// Refuses sizes that the store has no type for, and exponents that are too small (FIPS 186-5,
/// section 5.1: over 2^16).
fn checked_rsa(pair: RsaKeyPair) -> Result<Pair> {
    let (bits, exponent_len) = der::rsa_size(pair.public_key().as_ref())?;
    if ![2048, 3072, 4096].contains(&bits) {
        return Err(unsupported(format!(
            "an RSA key of {bits} bits; 2048, 3072 and 4096 are supported"
        )));
    }
    // An odd number of three bytes without leading zeros is 65,537 at least.
    if exponent_len < 3 {
        return Err(unsupported("an RSA key whose public exponent is below 65,537".to_owned()));
    }
    Ok(Pair::Rsa(pair))
}

fn rejected() -> Error {
    invalid(
        "the key is damaged, its private part does not match the public one, or its size or curve \
         is not supported"
            .to_owned(),
    )
}

fn not_a_pair() -> Error {
    internal("not a type of asymmetric keys")
}

fn invalid(message: String) -> Error {
    Error::new(ErrorKind::InvalidInput, message)
}

fn unsupported(message: String) -> Error {
    Error::new(ErrorKind::Unsupported, message)
}

fn internal(message: &'static str) -> Error {
    Error::new(ErrorKind::Internal, message)
}

impl fmt::Debug for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pair({})", self.key_type())
    }
}
