//! Signature algorithms and signatures as certificates have them.

use bulla::{
    Error, ErrorKind, Result, Signature, SigningAlgorithm,
    signing::{ecdsa_from_der, ecdsa_to_der},
};
use der::{
    Any,
    asn1::{AnyRef, BitString, ObjectIdentifier},
};
use pkcs1::RsaPssParams;
use spki::{AlgorithmIdentifier, AlgorithmIdentifierOwned};

const RSASSA_PSS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.10");
const MGF1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.8");
const SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.1");
const SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.2");
const SHA512: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.3");

/// How a certificate names an algorithm: RFC 5758, section 3.2 (ECDSA), RFC 4055, sections 3.1 and 5 (RSA),
/// RFC 8410, section 3 (Ed25519).
///
/// # Errors
/// [`Unsupported`](ErrorKind::Unsupported) for an algorithm that was not known when this was written.
pub(super) fn identifier(algorithm: SigningAlgorithm) -> Result<AlgorithmIdentifierOwned> {
    let (oid, parameters) = match algorithm {
        SigningAlgorithm::Es256 => ("1.2.840.10045.4.3.2", None),
        SigningAlgorithm::Es384 => ("1.2.840.10045.4.3.3", None),
        SigningAlgorithm::Es512 => ("1.2.840.10045.4.3.4", None),
        SigningAlgorithm::Rs256 => ("1.2.840.113549.1.1.11", Some(Any::null())),
        SigningAlgorithm::Rs384 => ("1.2.840.113549.1.1.12", Some(Any::null())),
        SigningAlgorithm::Rs512 => ("1.2.840.113549.1.1.13", Some(Any::null())),
        SigningAlgorithm::Ed25519 => ("1.3.101.112", None),
        SigningAlgorithm::Ps256 => return pss(SHA256, 32),
        SigningAlgorithm::Ps384 => return pss(SHA384, 48),
        SigningAlgorithm::Ps512 => return pss(SHA512, 64),
        other => {
            let message = format!("{other} has no name in certificates here");
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
    };
    Ok(AlgorithmIdentifier { oid: ObjectIdentifier::new_unwrap(oid), parameters })
}

/// The algorithm that is named so. RSA's PKCS#1 v1.5 is also read without parameters (RFC 4055, section 5).
pub(super) fn from_identifier(named: &AlgorithmIdentifierOwned) -> Option<SigningAlgorithm> {
    SigningAlgorithm::ALL.into_iter().find(|algorithm| {
        identifier(*algorithm).is_ok_and(|known| {
            let bare = known.parameters == Some(Any::null()) && named.parameters.is_none();
            known.oid == named.oid && (bare || known.parameters == named.parameters)
        })
    })
}

/// A signature as it stands in a certificate: ECDSA's as DER (RFC 5758, section 3.2), all others as they are.
///
/// # Errors
/// [`Internal`](ErrorKind::Internal) if it is none of this algorithm.
pub(super) fn to_bits(algorithm: SigningAlgorithm, signature: &Signature) -> Result<BitString> {
    let bytes = match half_len(algorithm) {
        None => Some(signature.as_bytes().to_vec()),
        Some(half) => ecdsa_to_der(signature.as_bytes(), half),
    };
    bytes.and_then(|bytes| BitString::from_bytes(&bytes).ok()).ok_or_else(|| {
        Error::new(ErrorKind::Internal, "the provider returned a signature of a wrong length")
    })
}

/// The same back.
pub(super) fn from_bits(algorithm: SigningAlgorithm, bits: &BitString) -> Option<Signature> {
    let bytes = bits.as_bytes()?;
    let bytes = match half_len(algorithm) {
        None => bytes.to_vec(),
        Some(half) => ecdsa_from_der(bytes, half)?,
    };
    Some(Signature::new(bytes))
}

fn half_len(algorithm: SigningAlgorithm) -> Option<usize> {
    match algorithm {
        SigningAlgorithm::Es256 => Some(32),
        SigningAlgorithm::Es384 => Some(48),
        SigningAlgorithm::Es512 => Some(66),
        _ => None,
    }
}

fn pss(hash: ObjectIdentifier, salt_len: u8) -> Result<AlgorithmIdentifierOwned> {
    let hash = AlgorithmIdentifier { oid: hash, parameters: Some(AnyRef::NULL) };
    let parameters = RsaPssParams {
        hash,
        mask_gen: AlgorithmIdentifier { oid: MGF1, parameters: Some(hash) },
        salt_len,
        trailer_field: Default::default(),
    };
    let parameters = Any::encode_from(&parameters).map_err(|_| {
        Error::new(ErrorKind::Internal, "can't encode the parameters of RSASSA-PSS")
    })?;
    Ok(AlgorithmIdentifier { oid: RSASSA_PSS, parameters: Some(parameters) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_algorithm_has_one_name() {
        for algorithm in SigningAlgorithm::ALL {
            let named = identifier(algorithm).unwrap();
            assert_eq!(from_identifier(&named), Some(algorithm));
        }
    }

    #[test]
    fn rsa_is_read_without_parameters_and_nothing_else_is() {
        for algorithm in SigningAlgorithm::ALL {
            let mut named = identifier(algorithm).unwrap();
            let had = named.parameters.take().is_some();
            let plain = algorithm.as_str().starts_with("RS") || !had;
            assert_eq!(from_identifier(&named).is_some(), plain, "{algorithm}");
        }
    }

    #[test]
    fn weak_hashes_and_other_salts_are_unknown() {
        for oid in ["1.2.840.113549.1.1.5", "1.2.840.10045.4.1", "1.2.840.113549.1.1.4"] {
            let named = AlgorithmIdentifier {
                oid: ObjectIdentifier::new_unwrap(oid),
                parameters: Some(Any::null()),
            };
            assert_eq!(from_identifier(&named), None);
        }
        assert_eq!(from_identifier(&pss(SHA256, 20).unwrap()), None);
    }

    /// From `openssl req -new -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:32 -sha256` (OpenSSL 3.0).
    #[test]
    fn pss_is_spelt_as_openssl_does() {
        use der::Encode as _;
        let known = "3041 0609 2a864886f70d01010a 3034 a00f 300d 0609 608648016503040201 0500 \
                     a11c 301a 0609 2a864886f70d010108 300d 0609 608648016503040201 0500 a203 020120";
        let digits: Vec<u8> = known.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
        let known: Vec<u8> = digits
            .chunks(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect();
        assert_eq!(identifier(SigningAlgorithm::Ps256).unwrap().to_der().unwrap(), known);
    }
}
