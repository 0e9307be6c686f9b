//! How a token is asked for a new key: the mechanism and the attributes, which allow what the key is for
//! and nothing else.

use cryptoki::{
    mechanism::{Mechanism, MechanismType},
    object::Attribute,
};
use spki::der::Encode as _;

use crate::{
    key_type::KeyType,
    public::{ED25519, P256, P384, P521},
};

/// The exponent 65537, which FIPS 186-5, section A.1.1, allows and every token can.
const EXPONENT: [u8; 3] = [1, 0, 1];

/// What a key is made of.
pub(crate) enum Template {
    Secret(Vec<Attribute>),
    Pair { mechanism: Mechanism<'static>, public: Vec<Attribute>, private: Vec<Attribute> },
}

/// The mechanism that makes a key, and those that use it: the token must have the former and one of the
/// latter.
pub(crate) fn mechanisms(key_type: KeyType) -> (MechanismType, &'static [MechanismType]) {
    use KeyType::*;
    match key_type {
        Aes256 => {
            (MechanismType::AES_KEY_GEN, &[MechanismType::AES_GCM, MechanismType::AES_KEY_WRAP])
        }
        Rsa2048 | Rsa3072 | Rsa4096 => (
            MechanismType::RSA_PKCS_KEY_PAIR_GEN,
            &[MechanismType::RSA_PKCS, MechanismType::RSA_PKCS_PSS],
        ),
        P256 | P384 | P521 => (MechanismType::ECC_KEY_PAIR_GEN, &[MechanismType::ECDSA]),
        Ed25519 => (MechanismType::ECC_EDWARDS_KEY_PAIR_GEN, &[MechanismType::EDDSA]),
    }
}

/// A key that never leaves the token. An AES key is for AES-GCM where the token has that, and for AES Key
/// Wrap otherwise.
pub(crate) fn template(key_type: KeyType, label: &str, id: &[u8], gcm: bool) -> Template {
    let named = [
        Attribute::Token(true),
        Attribute::Label(label.as_bytes().to_vec()),
        Attribute::Id(id.to_vec()),
    ];
    let kept =
        [Attribute::Private(true), Attribute::Sensitive(true), Attribute::Extractable(false)];
    let size = match key_type {
        KeyType::Aes256 => {
            let uses = [
                Attribute::ValueLen(32_u64.into()),
                Attribute::Encrypt(gcm),
                Attribute::Decrypt(gcm),
                Attribute::Wrap(!gcm),
                Attribute::Unwrap(!gcm),
                Attribute::Sign(false),
                Attribute::Verify(false),
                Attribute::Derive(false),
            ];
            return Template::Secret([&named[..], &kept, &uses].concat());
        }
        KeyType::Rsa2048 => modulus(2048),
        KeyType::Rsa3072 => modulus(3072),
        KeyType::Rsa4096 => modulus(4096),
        KeyType::P256 => curve(&P256),
        KeyType::P384 => curve(&P384),
        KeyType::P521 => curve(&P521),
        KeyType::Ed25519 => curve(&ED25519),
    };
    let mechanism = match key_type {
        KeyType::Rsa2048 | KeyType::Rsa3072 | KeyType::Rsa4096 => Mechanism::RsaPkcsKeyPairGen,
        KeyType::Ed25519 => Mechanism::EccEdwardsKeyPairGen,
        _ => Mechanism::EccKeyPairGen,
    };
    // What is not said may be anything.
    let verifies = [
        Attribute::Verify(true),
        Attribute::VerifyRecover(false),
        Attribute::Encrypt(false),
        Attribute::Wrap(false),
    ];
    let signs = [
        Attribute::Sign(true),
        Attribute::SignRecover(false),
        Attribute::Decrypt(false),
        Attribute::Unwrap(false),
        Attribute::Derive(false),
    ];
    Template::Pair {
        mechanism,
        public: [&named[..], &verifies, &size].concat(),
        private: [&named[..], &kept, &signs].concat(),
    }
}

fn modulus(bits: u64) -> Vec<Attribute> {
    vec![Attribute::ModulusBits(bits.into()), Attribute::PublicExponent(EXPONENT.to_vec())]
}

/// The encoding of five bytes or so can't fail, and a token refuses an empty one.
fn curve(oid: &spki::ObjectIdentifier) -> Vec<Attribute> {
    vec![Attribute::EcParams(oid.to_der().unwrap_or_default())]
}
