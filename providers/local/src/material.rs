//! The secret part of one version of a key.

use std::fmt;

use bulla::{Error, ErrorKind, Result};
use zeroize::Zeroizing;

use crate::{
    jwk::{self, Members},
    key_type::KeyType,
    name::fill_random,
    pair::{Pair, private_members},
    pem,
    record::ExportFormat,
};

const AES_LEN: usize = 32;

/// What `v<N>.json` holds, checked: 32 raw bytes for AES-256, PKCS#8 DER for the others.
pub(crate) struct Material {
    secret: Zeroizing<Vec<u8>>,
    asymmetric: Option<Asymmetric>,
}

struct Asymmetric {
    pair: Pair,
    /// SubjectPublicKeyInfo.
    public: Vec<u8>,
}

impl Material {
    pub(crate) fn generate(key_type: KeyType) -> Result<Self> {
        if !key_type.seals() {
            return Self::from_pair(Pair::generate(key_type)?);
        }
        let mut secret = Zeroizing::new(vec![0; AES_LEN]);
        fill_random(&mut secret)?;
        Self::from_aes(secret)
    }

    /// Parses what a user brings along: PEM or a JWK.
    pub(crate) fn import(text: &[u8]) -> Result<Self> {
        if text.trim_ascii_start().starts_with(b"{") {
            return jwk::parse(text);
        }
        match std::str::from_utf8(text) {
            Ok(text) if text.contains(pem::BEGIN) => pem::parse(text),
            _ => Err(invalid("the key is neither PEM nor a JWK; for DER, run: openssl pkey")),
        }
    }

    /// Takes over and checks what a file held.
    pub(crate) fn from_stored(
        key_type: KeyType,
        secret: Zeroizing<Vec<u8>>,
        public: Option<Vec<u8>>,
    ) -> Result<Self> {
        let Some(public) = public else {
            if !key_type.seals() {
                return Err(invalid("`public` is missing"));
            }
            return Self::from_aes(secret);
        };
        if key_type.seals() {
            return Err(invalid("an AES key has no `public`"));
        }
        let pair = Pair::from_pkcs8(&secret)?;
        if pair.key_type() != key_type {
            return Err(invalid("the material is of another type than the key"));
        }
        if pair.spki()? != public {
            return Err(invalid("`public` is not the public key of the material"));
        }
        Ok(Self { secret, asymmetric: Some(Asymmetric { pair, public }) })
    }

    pub(crate) fn from_aes(secret: Zeroizing<Vec<u8>>) -> Result<Self> {
        if secret.len() != AES_LEN {
            return Err(invalid("an AES-256 key is 32 bytes"));
        }
        Ok(Self { secret, asymmetric: None })
    }

    pub(crate) fn from_pair(pair: Pair) -> Result<Self> {
        let (secret, public) = (pair.to_pkcs8()?, pair.spki()?);
        Ok(Self { secret, asymmetric: Some(Asymmetric { pair, public }) })
    }

    pub(crate) fn key_type(&self) -> KeyType {
        self.asymmetric.as_ref().map_or(KeyType::Aes256, |a| a.pair.key_type())
    }

    pub(crate) fn secret(&self) -> &[u8] {
        &self.secret
    }

    /// The SubjectPublicKeyInfo, for asymmetric keys.
    pub(crate) fn public(&self) -> Option<&[u8]> {
        self.asymmetric.as_ref().map(|a| a.public.as_slice())
    }

    /// The key pair, for asymmetric keys.
    pub(crate) fn into_pair(self) -> Option<Pair> {
        self.asymmetric.map(|a| a.pair)
    }

    /// The key as a JWK, secret members and all.
    pub(crate) fn to_jwk(&self) -> Result<Zeroizing<String>> {
        if let Some(public) = self.public() {
            return private_members(self.key_type(), public, &self.secret)?.render();
        }
        let mut members = Members::default();
        members.text("kty", "oct");
        members.bytes("k", &self.secret);
        members.render()
    }

    /// The key as PEM.
    pub(crate) fn to_pem(&self) -> Result<Zeroizing<String>> {
        if self.asymmetric.is_none() {
            let message = "an AES key has no PEM form; export it as a JWK";
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
        pem::render_private(&self.secret)
    }

    /// The key in the form that its family had before PKCS#8.
    pub(crate) fn to_older_pem(&self, format: ExportFormat) -> Result<Zeroizing<String>> {
        let pair = self.asymmetric.as_ref().map(|a| &a.pair);
        let der = match (format, pair) {
            (ExportFormat::Pkcs1, Some(pair)) => pair.to_pkcs1(&self.secret)?,
            (ExportFormat::Sec1, Some(pair)) => pair.to_sec1(&self.secret)?,
            _ => None,
        };
        let der = der.ok_or_else(|| {
            let key_type = self.key_type();
            let message = format!("a key of type {key_type} has no such form; PKCS#1 is for RSA keys, SEC 1 for EC keys");
            Error::new(ErrorKind::Unsupported, message)
        })?;
        pem::render_older(format, &der)
    }
}

fn invalid(message: &'static str) -> Error {
    Error::new(ErrorKind::InvalidInput, message)
}

impl fmt::Debug for Material {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Material({})", self.key_type())
    }
}
