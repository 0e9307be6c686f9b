//! Public keys, from the server's form to SubjectPublicKeyInfo (RFC 5280, section 4.1.2.7).

use base64::{Engine as _, engine::general_purpose::STANDARD};
use spki::{
    AlgorithmIdentifier, ObjectIdentifier, SubjectPublicKeyInfoRef,
    der::{Decode as _, Encode as _, asn1::BitStringRef},
};

use crate::metadata::Pair;

const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const P521: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.35");

/// A public key of that kind, or nothing: bare base64 for Ed25519, PEM for all others.
pub(crate) fn spki(pair: Pair, text: &str) -> Option<Vec<u8>> {
    if pair == Pair::Ed25519 {
        let key = STANDARD.decode(text).ok().filter(|key| key.len() == 32)?;
        let subject_public_key = BitStringRef::from_bytes(&key).ok()?;
        let algorithm = AlgorithmIdentifier { oid: ED25519, parameters: None };
        return SubjectPublicKeyInfoRef { algorithm, subject_public_key }.to_der().ok();
    }
    let (label, der) = pem_rfc7468::decode_vec(text.as_bytes()).ok()?;
    let key = SubjectPublicKeyInfoRef::from_der(&der).ok()?;
    let curve = || key.algorithm.parameters_oid().ok();
    let is = match pair {
        Pair::Rsa(_) => key.algorithm.oid == RSA,
        Pair::P256 => key.algorithm.oid == EC && curve() == Some(P256),
        Pair::P384 => key.algorithm.oid == EC && curve() == Some(P384),
        Pair::P521 => key.algorithm.oid == EC && curve() == Some(P521),
        Pair::Ed25519 => false,
    };
    (label == "PUBLIC KEY" && is).then_some(der)
}

#[cfg(test)]
mod tests {
    use super::*;

    // As OpenBao 2.7.2 printed them.
    const P256: &str = "-----BEGIN PUBLIC KEY-----\n\
        MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEy3Y3O62NnJSIBxu9nzJVqdl3Bcgf\n\
        96wvwXM3FyPfN3SJw5pWw0+OLAq5kkWO/nq0AUHLAI8iPBUsgPLNzzB+NA==\n\
        -----END PUBLIC KEY-----\n";
    const ED25519: &str = "nbhfEqenX9sb4ZnzofrtdREJWb9qiivs9/hKB3zl4oA=";

    #[test]
    fn a_public_key_is_of_the_kind_that_it_should_be() {
        let key = spki(Pair::P256, P256).unwrap();
        assert_eq!(key.len(), 91);
        assert_eq!(spki(Pair::P384, P256), None);
        assert_eq!(spki(Pair::Rsa(256), P256), None);
        assert_eq!(spki(Pair::Ed25519, P256), None);
        // RFC 8410, section 4: twelve bytes before the key.
        let key = spki(Pair::Ed25519, ED25519).unwrap();
        assert_eq!((key.len(), &key[..4]), (44, &[0x30, 0x2a, 0x30, 0x05][..]));
        assert_eq!(spki(Pair::Ed25519, &ED25519[4..]), None);
        assert_eq!(spki(Pair::P256, &P256.replace("PUBLIC", "PRIVATE")), None);
    }
}
