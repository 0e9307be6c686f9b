//! Public keys, from the members of a JSON Web Key to SubjectPublicKeyInfo (RFC 5280, section 4.1.2.7).

use azure_security_keyvault_keys::models::{CurveName, JsonWebKey, KeyType};
use bulla::SigningAlgorithm;
use pkcs1::{RsaPublicKeyRef, UintRef};
use spki::{
    AlgorithmIdentifier, ObjectIdentifier, SubjectPublicKeyInfoRef,
    der::{AnyRef, Encode as _, asn1::BitStringRef},
};

const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const P521: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.35");

/// The kinds of pairs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pair {
    /// With the bytes of the modulus.
    Rsa(usize),
    P256,
    P384,
    P521,
}

impl Pair {
    /// One of each kind.
    pub(crate) const ALL: [Self; 4] = [Self::Rsa(256), Self::P256, Self::P384, Self::P521];

    pub(crate) const fn algorithms(self) -> &'static [SigningAlgorithm] {
        use SigningAlgorithm::*;
        match self {
            Self::Rsa(_) => &[Rs256, Rs384, Rs512, Ps256, Ps384, Ps512],
            Self::P256 => &[Es256],
            Self::P384 => &[Es384],
            Self::P521 => &[Es512],
        }
    }

    /// Bytes in every signature.
    pub(crate) const fn signature_len(self) -> usize {
        match self {
            Self::Rsa(modulus) => modulus,
            Self::P256 => 64,
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
        }
    }
}

/// The pair of a key, and its public half; `None` for a kind that there is no use for here.
pub(crate) fn read(key: &JsonWebKey) -> Option<(Pair, Vec<u8>)> {
    match key.kty.as_ref()? {
        KeyType::Rsa | KeyType::RsaHsm => rsa(key.n.as_deref()?, key.e.as_deref()?),
        KeyType::Ec | KeyType::EcHsm => {
            on_curve(key.crv.as_ref()?, key.x.as_deref()?, key.y.as_deref()?)
        }
        _ => None,
    }
}

fn rsa(n: &[u8], e: &[u8]) -> Option<(Pair, Vec<u8>)> {
    let key =
        RsaPublicKeyRef { modulus: UintRef::new(n).ok()?, public_exponent: UintRef::new(e).ok()? };
    let modulus = key.modulus.as_bytes();
    // The sizes that the service makes.
    let is_size = matches!(modulus.len(), 256 | 384 | 512);
    let is_full = modulus.first().is_some_and(|byte| *byte >= 128);
    let spki = encode(RSA, AnyRef::NULL, &key.to_der().ok()?)?;
    (is_size && is_full).then_some((Pair::Rsa(modulus.len()), spki))
}

/// Coordinates are as long as the field, but for leading zeros that are missing.
fn on_curve(curve: &CurveName, x: &[u8], y: &[u8]) -> Option<(Pair, Vec<u8>)> {
    let (pair, oid, len): (_, _, usize) = match curve {
        CurveName::P256 => (Pair::P256, P256, 32),
        CurveName::P384 => (Pair::P384, P384, 48),
        CurveName::P521 => (Pair::P521, P521, 66),
        _ => return None,
    };
    let mut point = vec![4];
    for coordinate in [x, y] {
        let zeros = len.checked_sub(coordinate.len())?;
        point.extend(std::iter::repeat_n(0, zeros));
        point.extend_from_slice(coordinate);
    }
    Some((pair, encode(EC, AnyRef::from(&oid), &point)?))
}

fn encode(oid: ObjectIdentifier, parameters: AnyRef<'_>, key: &[u8]) -> Option<Vec<u8>> {
    let subject_public_key = BitStringRef::from_bytes(key).ok()?;
    let algorithm = AlgorithmIdentifier { oid, parameters: Some(parameters) };
    SubjectPublicKeyInfoRef { algorithm, subject_public_key }.to_der().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ec(crv: CurveName, x: usize, y: usize) -> JsonWebKey {
        let mut key = JsonWebKey::default();
        (key.kty, key.crv) = (Some(KeyType::EcHsm), Some(crv));
        (key.x, key.y) = (Some(vec![1; x]), Some(vec![2; y]));
        key
    }

    fn rsa(n: Vec<u8>) -> JsonWebKey {
        let mut key = JsonWebKey::default();
        (key.kty, key.n, key.e) = (Some(KeyType::Rsa), Some(n), Some(vec![1, 0, 1]));
        key
    }

    #[test]
    fn pairs_are_told_by_curve_and_size() {
        let (pair, spki) = read(&ec(CurveName::P256, 32, 32)).unwrap();
        assert_eq!((pair, spki.len()), (Pair::P256, 91));
        // RFC 5480, section 2.2: uncompressed, coordinates of the field's length.
        let (_, short) = read(&ec(CurveName::P256, 31, 32)).unwrap();
        assert_eq!(short.len(), 91);
        assert_eq!(&short[26..29], [4, 0, 1]);
        assert_eq!(read(&ec(CurveName::P521, 66, 66)).unwrap().0, Pair::P521);
        assert_eq!(read(&ec(CurveName::P384, 49, 48)), None);
        assert_eq!(read(&ec(CurveName::P256K, 32, 32)), None);

        let (pair, spki) = read(&rsa(vec![0xff; 256])).unwrap();
        assert_eq!((pair, spki.len()), (Pair::Rsa(256), 294));
        for n in [vec![0xff; 128], vec![0x7f; 256], vec![0xff; 255], vec![0xff; 1024], vec![]] {
            assert_eq!(read(&rsa(n)), None);
        }
        assert_eq!(read(&JsonWebKey::default()), None);
    }
}
