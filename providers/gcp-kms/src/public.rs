//! Public keys, from PEM to SubjectPublicKeyInfo (RFC 5280, section 4.1.2.7).

use spki::{ObjectIdentifier, SubjectPublicKeyInfoRef, der::Decode as _};

use crate::metadata::Pair;

const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");

/// The most bytes of a public key in PEM: one of RSA-4096 has 800.
const MAX_PEM_LEN: usize = 4096;

/// A public key of that kind, or nothing.
pub(crate) fn spki(pair: Pair, pem: &str) -> Option<Vec<u8>> {
    if pem.len() > MAX_PEM_LEN {
        return None;
    }
    let (label, der) = pem_rfc7468::decode_vec(pem.as_bytes()).ok()?;
    let key = SubjectPublicKeyInfoRef::from_der(&der).ok()?;
    let curve = || key.algorithm.parameters_oid().ok();
    let is = match pair {
        Pair::Rsa(_) => key.algorithm.oid == RSA,
        Pair::P256 => key.algorithm.oid == EC && curve() == Some(P256),
        Pair::P384 => key.algorithm.oid == EC && curve() == Some(P384),
        Pair::Ed25519 => key.algorithm.oid == ED25519,
    };
    (label == "PUBLIC KEY" && is).then_some(der)
}

#[cfg(test)]
mod tests {
    use super::*;

    const P256: &str = "-----BEGIN PUBLIC KEY-----\n\
        MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEy3Y3O62NnJSIBxu9nzJVqdl3Bcgf\n\
        96wvwXM3FyPfN3SJw5pWw0+OLAq5kkWO/nq0AUHLAI8iPBUsgPLNzzB+NA==\n\
        -----END PUBLIC KEY-----\n";

    #[test]
    fn a_public_key_is_of_the_kind_that_it_should_be() {
        assert_eq!(spki(Pair::P256, P256).map(|der| der.len()), Some(91));
        for other in [Pair::P384, Pair::Rsa(256), Pair::Ed25519] {
            assert_eq!(spki(other, P256), None);
        }
        assert_eq!(spki(Pair::P256, &P256.replace("PUBLIC", "PRIVATE")), None);
        assert_eq!(spki(Pair::P256, &format!("{P256}{}", " ".repeat(MAX_PEM_LEN))), None);
        assert_eq!(spki(Pair::P256, ""), None);
    }
}
