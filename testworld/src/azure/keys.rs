//! Keys, and what is done with them.

use std::sync::Arc;

use aws_lc_rs::{
    digest::{self, Digest},
    encoding::AsDer as _,
    key_wrap::{AES_256, AesKek, KeyWrap as _},
    rand::SystemRandom,
    rsa::{
        self, KeySize, OAEP_SHA256_MGF1SHA256, OaepPrivateDecryptingKey, OaepPublicEncryptingKey,
        PrivateDecryptingKey,
    },
    signature::{self, EcdsaKeyPair, EcdsaSigningAlgorithm, KeyPair as _, RsaEncoding},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use pkcs1::{RsaPublicKeyRef, der::Decode as _};
use serde_json::{Value, json};

use super::Attributes;

/// The kinds of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// RSA with so many bits.
    Rsa(usize),
    /// RSA in an HSM.
    RsaHsm(usize),
    /// On the curve P-256.
    P256,
    /// On the curve P-384.
    P384,
    /// On the curve P-521.
    P521,
    /// AES with 256 bits, which only Managed HSMs have.
    Oct,
}

/// One version of a key. Clones have the same material.
#[derive(Clone)]
pub(super) struct Version {
    pub(super) id: String,
    pub(super) kind: Kind,
    pub(super) attributes: Attributes,
    material: Arc<Material>,
}

enum Material {
    Rsa {
        signing: rsa::KeyPair,
        opening: OaepPrivateDecryptingKey,
        sealing: OaepPublicEncryptingKey,
    },
    Ec(EcdsaKeyPair),
    Oct([u8; 32]),
}

impl Version {
    pub(super) fn new(id: String, kind: Kind, operations: &[&str]) -> Self {
        let operations = operations.iter().map(|one| (*one).to_owned()).collect();
        let attributes = Attributes { enabled: true, not_before: None, expires: None, operations };
        let material = Arc::new(match kind {
            Kind::Rsa(bits) | Kind::RsaHsm(bits) => Material::rsa(bits),
            Kind::P256 => Material::ec(&signature::ECDSA_P256_SHA256_FIXED_SIGNING),
            Kind::P384 => Material::ec(&signature::ECDSA_P384_SHA384_FIXED_SIGNING),
            Kind::P521 => Material::ec(&signature::ECDSA_P521_SHA512_FIXED_SIGNING),
            Kind::Oct => Material::oct(),
        });
        Self { id, kind, attributes, material }
    }

    /// The public half, as a JSON Web Key.
    pub(super) fn jwk(&self) -> Value {
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let point = |curve: &str, key: &EcdsaKeyPair| {
            let point = key.public_key().as_ref();
            let (x, y) = point[1..].split_at((point.len() - 1) / 2);
            json!({"kty": "EC", "crv": curve, "x": text(x), "y": text(y)})
        };
        match (&*self.material, self.kind) {
            (Material::Rsa { signing, .. }, kind) => {
                let key = RsaPublicKeyRef::from_der(signing.public_key().as_ref()).unwrap();
                let kty = if matches!(kind, Kind::RsaHsm(_)) { "RSA-HSM" } else { "RSA" };
                let (n, e) = (key.modulus.as_bytes(), key.public_exponent.as_bytes());
                json!({"kty": kty, "n": text(n), "e": text(e)})
            }
            (Material::Ec(key), Kind::P256) => point("P-256", key),
            (Material::Ec(key), Kind::P384) => point("P-384", key),
            (Material::Ec(key), _) => point("P-521", key),
            (Material::Oct(_), _) => json!({"kty": "oct-HSM"}),
        }
    }

    /// Wraps, as `wrapkey` does: `None` if the algorithm is not the key's.
    pub(super) fn wrap(&self, alg: &str, plain: &[u8]) -> Option<Vec<u8>> {
        let mut out = vec![0; 512];
        let len = match (&*self.material, alg) {
            (Material::Rsa { sealing, .. }, "RSA-OAEP-256") => {
                sealing.encrypt(&OAEP_SHA256_MGF1SHA256, plain, &mut out, None).ok()?.len()
            }
            (Material::Oct(key), "A256KW") => {
                AesKek::new(&AES_256, key).unwrap().wrap(plain, &mut out).ok()?.len()
            }
            _ => return None,
        };
        out.truncate(len);
        Some(out)
    }

    /// Unwraps, as `unwrapkey` does: `None` for anything that does not unwrap.
    pub(super) fn unwrap(&self, alg: &str, wrapped: &[u8]) -> Option<Vec<u8>> {
        let mut out = vec![0; 512];
        let len = match (&*self.material, alg) {
            (Material::Rsa { opening, .. }, "RSA-OAEP-256") => {
                opening.decrypt(&OAEP_SHA256_MGF1SHA256, wrapped, &mut out, None).ok()?.len()
            }
            (Material::Oct(key), "A256KW") => {
                AesKek::new(&AES_256, key).unwrap().unwrap(wrapped, &mut out).ok()?.len()
            }
            _ => return None,
        };
        out.truncate(len);
        Some(out)
    }

    /// Signs a digest, as `sign` does: `None` if algorithm and digest are not the key's.
    pub(super) fn sign(&self, alg: &str, hashed: &[u8]) -> Option<Vec<u8>> {
        let of = |algorithm| Digest::import_less_safe(hashed, algorithm).ok();
        let digest = match &alg[2..] {
            "256" => of(&digest::SHA256)?,
            "384" => of(&digest::SHA384)?,
            "512" => of(&digest::SHA512)?,
            _ => return None,
        };
        match (&*self.material, self.kind, alg) {
            (Material::Rsa { signing, .. }, ..) => {
                let padding: &dyn RsaEncoding = match alg {
                    "RS256" => &signature::RSA_PKCS1_SHA256,
                    "RS384" => &signature::RSA_PKCS1_SHA384,
                    "RS512" => &signature::RSA_PKCS1_SHA512,
                    "PS256" => &signature::RSA_PSS_SHA256,
                    "PS384" => &signature::RSA_PSS_SHA384,
                    "PS512" => &signature::RSA_PSS_SHA512,
                    _ => return None,
                };
                let mut made = vec![0; signing.public_modulus_len()];
                signing.sign_digest(padding, &digest, &mut made).ok()?;
                Some(made)
            }
            (Material::Ec(key), Kind::P256, "ES256")
            | (Material::Ec(key), Kind::P384, "ES384")
            | (Material::Ec(key), Kind::P521, "ES512") => {
                key.sign_digest(&digest).ok().map(|made| made.as_ref().to_vec())
            }
            _ => None,
        }
    }
}

impl Material {
    fn rsa(bits: usize) -> Self {
        let size = match bits {
            3072 => KeySize::Rsa3072,
            4096 => KeySize::Rsa4096,
            _ => KeySize::Rsa2048,
        };
        let signing = rsa::KeyPair::generate(size).unwrap();
        let der = signing.as_der().unwrap();
        let private = PrivateDecryptingKey::from_pkcs8(der.as_ref()).unwrap();
        let sealing = OaepPublicEncryptingKey::new(private.public_key()).unwrap();
        let opening = OaepPrivateDecryptingKey::new(private).unwrap();
        Self::Rsa { signing, opening, sealing }
    }

    fn ec(algorithm: &'static EcdsaSigningAlgorithm) -> Self {
        let random = SystemRandom::new();
        let der = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        Self::Ec(EcdsaKeyPair::from_pkcs8(algorithm, der.as_ref()).unwrap())
    }

    fn oct() -> Self {
        let mut key = [0; 32];
        aws_lc_rs::rand::fill(&mut key).unwrap();
        Self::Oct(key)
    }
}
