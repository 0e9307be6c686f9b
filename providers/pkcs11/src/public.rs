//! Public keys, from attributes to SubjectPublicKeyInfo (RFC 5280, section 4.1.2.7): few tokens have
//! that ready in CKA_PUBLIC_KEY_INFO.

use bulla::{Error, ErrorKind, Result, SigningAlgorithm};
use cryptoki::{
    mechanism::MechanismType,
    object::{Attribute, AttributeType, KeyType, ObjectHandle},
    session::Session,
};
use pkcs1::{RsaPublicKeyRef, UintRef};
use spki::{
    AlgorithmIdentifier, ObjectIdentifier, SubjectPublicKeyInfoRef,
    der::{
        AnyRef, Decode, Encode,
        asn1::{BitStringRef, OctetStringRef, PrintableStringRef},
    },
};

use crate::error::{Fault, fault};

const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
pub(crate) const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
pub(crate) const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
pub(crate) const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
pub(crate) const P521: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.35");

/// How PKCS #11 3.0, section 6.3.6, lets Ed25519 be named instead.
const ED25519_NAME: &str = "edwards25519";

/// The kinds of pairs that sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pair {
    /// With the bytes of the modulus.
    Rsa(usize),
    P256,
    P384,
    P521,
    Ed25519,
}

impl Pair {
    /// One of each kind.
    pub(crate) const ALL: [Self; 5] =
        [Self::Rsa(256), Self::P256, Self::P384, Self::P521, Self::Ed25519];

    /// The algorithms that there are mechanisms for.
    pub(crate) fn algorithms(
        self,
        can: impl Fn(MechanismType) -> bool,
    ) -> impl Iterator<Item = SigningAlgorithm> {
        use SigningAlgorithm::*;
        let all: &[(SigningAlgorithm, MechanismType)] = match self {
            Self::Rsa(_) => &[
                (Rs256, MechanismType::RSA_PKCS),
                (Rs384, MechanismType::RSA_PKCS),
                (Rs512, MechanismType::RSA_PKCS),
                (Ps256, MechanismType::RSA_PKCS_PSS),
                (Ps384, MechanismType::RSA_PKCS_PSS),
                (Ps512, MechanismType::RSA_PKCS_PSS),
            ],
            Self::P256 => &[(Es256, MechanismType::ECDSA)],
            Self::P384 => &[(Es384, MechanismType::ECDSA)],
            Self::P521 => &[(Es512, MechanismType::ECDSA)],
            Self::Ed25519 => &[(Ed25519, MechanismType::EDDSA)],
        };
        all.iter().filter(move |(_, mechanism)| can(*mechanism)).map(|(algorithm, _)| *algorithm)
    }

    /// Bytes in every signature.
    pub(crate) const fn signature_len(self) -> usize {
        match self {
            Self::Rsa(modulus) => modulus,
            Self::P256 | Self::Ed25519 => 64,
            Self::P384 => 96,
            Self::P521 => 132,
        }
    }

    /// For people.
    pub(crate) fn describe(self) -> String {
        match self {
            Self::Rsa(modulus) => format!("rsa-{}", 8 * modulus),
            Self::P256 => "p-256".to_owned(),
            Self::P384 => "p-384".to_owned(),
            Self::P521 => "p-521".to_owned(),
            Self::Ed25519 => "ed25519".to_owned(),
        }
    }
}

/// Reads the public key of an object, which is the public half, or the private half of an RSA key.
pub(crate) fn read(
    session: &Session,
    object: ObjectHandle,
    what: &str,
) -> Result<(Pair, Vec<u8>), Fault> {
    const WANTED: &[AttributeType] = &[
        AttributeType::KeyType,
        AttributeType::Modulus,
        AttributeType::PublicExponent,
        AttributeType::EcParams,
        AttributeType::EcPoint,
    ];
    let told = session.get_attributes(object, WANTED).map_err(|e| fault(&e, what))?;
    let (mut kind, mut n, mut e, mut curve, mut point) = (None, None, None, None, None);
    for attribute in told {
        match attribute {
            Attribute::KeyType(key_type) => kind = Some(key_type),
            Attribute::Modulus(bytes) => n = Some(bytes),
            Attribute::PublicExponent(bytes) => e = Some(bytes),
            Attribute::EcParams(bytes) => curve = Some(bytes),
            Attribute::EcPoint(bytes) => point = Some(bytes),
            _ => {}
        }
    }
    let made = match kind {
        Some(KeyType::RSA) => n.zip(e).map(|(n, e)| rsa(&n, &e)),
        Some(KeyType::EC | KeyType::EC_EDWARDS) => curve.zip(point).map(|(c, p)| on_curve(&c, &p)),
        _ => {
            let message = format!("{what} is of no kind that signs here: RSA, EC or Ed25519");
            return Err(Error::new(ErrorKind::Unsupported, message).into());
        }
    };
    let made = made.ok_or_else(|| {
        let message = format!("{what} has no public half on the token; put it there, under its id");
        Error::new(ErrorKind::Unsupported, message)
    })?;
    made.ok_or_else(|| {
        let message = format!(
            "the public half of {what} is none of RSA (2,048 to 8,192 bits), P-256, P-384, P-521 or \
             Ed25519"
        );
        Error::new(ErrorKind::Unsupported, message).into()
    })
}

fn rsa(n: &[u8], e: &[u8]) -> Option<(Pair, Vec<u8>)> {
    let key =
        RsaPublicKeyRef { modulus: UintRef::new(n).ok()?, public_exponent: UintRef::new(e).ok()? };
    let modulus = key.modulus.as_bytes();
    let long = (256..=1024).contains(&modulus.len()) && modulus.first().is_some_and(|b| *b >= 128);
    let spki = encode(RSA, Some(AnyRef::NULL), &key.to_der().ok()?)?;
    long.then_some((Pair::Rsa(modulus.len()), spki))
}

fn on_curve(params: &[u8], point: &[u8]) -> Option<(Pair, Vec<u8>)> {
    let (pair, oid) = curve(params)?;
    // By the standard the point is within an OCTET STRING; some tokens have it bare.
    let expected = match pair {
        Pair::Ed25519 => 32,
        _ => pair.signature_len() + 1,
    };
    let bare = match point.len() == expected {
        true => point,
        false => <&OctetStringRef>::from_der(point).ok()?.as_bytes(),
    };
    if bare.len() != expected {
        return None;
    }
    let spki = match pair {
        Pair::Ed25519 => encode(ED25519, None, bare)?,
        _ => encode(EC, Some(AnyRef::from(&oid)), bare)?,
    };
    Some((pair, spki))
}

fn curve(params: &[u8]) -> Option<(Pair, ObjectIdentifier)> {
    if let Ok(name) = PrintableStringRef::from_der(params) {
        return (name.as_str() == ED25519_NAME).then_some((Pair::Ed25519, ED25519));
    }
    let oid = ObjectIdentifier::from_der(params).ok()?;
    let pair = match oid {
        P256 => Pair::P256,
        P384 => Pair::P384,
        P521 => Pair::P521,
        ED25519 => Pair::Ed25519,
        _ => return None,
    };
    Some((pair, oid))
}

fn encode(oid: ObjectIdentifier, parameters: Option<AnyRef<'_>>, key: &[u8]) -> Option<Vec<u8>> {
    let subject_public_key = BitStringRef::from_bytes(key).ok()?;
    let algorithm = AlgorithmIdentifier { oid, parameters };
    SubjectPublicKeyInfoRef { algorithm, subject_public_key }.to_der().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve_params(pair: Pair) -> Option<Vec<u8>> {
        match pair {
            Pair::P256 => P256.to_der().ok(),
            Pair::Ed25519 => ED25519.to_der().ok(),
            _ => None,
        }
    }

    /// SoftHSM wraps points, and names Ed25519 by its OID in one half and in words in the other.
    #[test]
    fn points_may_be_bare_and_ed25519_has_two_names() {
        let oid = curve_params(Pair::Ed25519).unwrap();
        let name = [&[0x13, 12][..], b"edwards25519"].concat();
        let wrapped = [&[4, 32][..], &[7; 32]].concat();
        let spki = on_curve(&oid, &wrapped).unwrap();
        assert_eq!(spki.0, Pair::Ed25519);
        assert_eq!(on_curve(&name, &wrapped).unwrap(), spki);
        assert_eq!(on_curve(&oid, &[7; 32]).unwrap(), spki);
        assert_eq!(
            on_curve(
                &[0x13, 10, b'c', b'u', b'r', b'v', b'e', b'2', b'5', b'5', b'1', b'9'],
                &wrapped
            ),
            None
        );

        let p256 = curve_params(Pair::P256).unwrap();
        let bare = [&[4][..], &[9; 64]].concat();
        let wrapped = [&[4, 65][..], &bare].concat();
        assert_eq!(on_curve(&p256, &bare).unwrap(), on_curve(&p256, &wrapped).unwrap());
        assert_eq!(on_curve(&p256, &bare[1..]), None);
    }

    #[test]
    fn short_rsa_keys_are_not_taken() {
        assert!(rsa(&[0xff; 128], &[1, 0, 1]).is_none());
        assert!(rsa(&[0xff; 256], &[1, 0, 1]).is_some());
        assert_eq!(rsa(&[&[0][..], &[0xff; 256]].concat(), &[1, 0, 1]).unwrap().0, Pair::Rsa(256));
    }
}
