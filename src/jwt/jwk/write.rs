//! Writing a JWK, and its thumbprint.

use serde::{Serialize, Serializer, ser::SerializeMap};

use super::Jwk;
use crate::{
    crypto::{Backend as _, Preferred, Public},
    jwt::compact,
};

impl Jwk {
    /// The key as one line of JSON: key members, `kid`, `alg`, and `use` or `key_ops` as they were
    /// given, else `"use":"sig"`.
    #[must_use]
    pub fn to_json(&self) -> String {
        let Ok(json) = serde_json::to_string(self) else { unreachable!("strings become JSON") };
        json
    }

    /// The SHA-256 thumbprint of RFC 7638, in base64url: 43 characters.
    #[must_use]
    pub fn thumbprint(&self) -> String {
        compact::encode(Preferred::sha256(&[self.required_members().as_bytes()]))
    }

    /// The members that RFC 7638, section 3.2 (and RFC 8037, section 2) requires, in order. None
    /// needs an escape.
    fn required_members(&self) -> String {
        let pairs: Vec<_> = self
            .key_members()
            .iter()
            .map(|(name, value)| format!("\"{name}\":\"{value}\""))
            .collect();
        format!("{{{}}}", pairs.join(","))
    }

    /// The members that make up the key, in the order of their names.
    fn key_members(&self) -> Vec<(&'static str, String)> {
        let encode = |bytes: &[u8]| compact::encode(bytes);
        match self.public() {
            Public::Rsa { n, e } => {
                vec![("e", encode(e)), ("kty", "RSA".to_owned()), ("n", encode(n))]
            }
            public @ Public::Ec { curve, .. } => {
                let (x, y) = public.coordinates().unwrap_or_default();
                let crv = curve.as_str().to_owned();
                vec![("crv", crv), ("kty", "EC".to_owned()), ("x", encode(x)), ("y", encode(y))]
            }
            Public::Ed25519(x) => {
                vec![("crv", "Ed25519".to_owned()), ("kty", "OKP".to_owned()), ("x", encode(x))]
            }
        }
    }
}

impl Serialize for Jwk {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (name, value) in self.key_members() {
            map.serialize_entry(name, &value)?;
        }
        if let Some(kid) = self.kid() {
            map.serialize_entry("kid", kid)?;
        }
        if let Some(algorithm) = self.algorithm() {
            map.serialize_entry("alg", self.name_of(algorithm))?;
        }
        if let Some(ops) = &self.0.key_ops {
            map.serialize_entry("key_ops", ops)?;
        }
        match &self.0.usage {
            Some(usage) => map.serialize_entry("use", usage)?,
            None if self.0.key_ops.is_none() => map.serialize_entry("use", "sig")?,
            None => {}
        }
        map.end()
    }
}
