//! In place of asymmetric keys, in a build without AWS-LC: every way to one answers
//! `Unsupported`.

use std::convert::Infallible;

use bulla::{Error, ErrorKind, Result, Signature, SigningInput};
use zeroize::Zeroizing;

use crate::{
    jwk::{Members, RsaMembers},
    key_type::KeyType,
};

/// A value that there is none of.
#[derive(Debug)]
pub(crate) struct Pair(Infallible);

impl Pair {
    pub(crate) fn generate(key_type: KeyType) -> Result<Self> {
        Err(unsupported(key_type.as_str()))
    }

    pub(crate) fn from_pkcs8(_: &[u8]) -> Result<Self> {
        Err(unsupported("PKCS#8"))
    }

    pub(crate) fn from_pkcs1(_: &[u8]) -> Result<Self> {
        Err(unsupported("RSA"))
    }

    pub(crate) fn from_sec1(_: &[u8]) -> Result<Self> {
        Err(unsupported("EC"))
    }

    pub(crate) fn from_rsa_members(_: &RsaMembers) -> Result<Self> {
        Err(unsupported("RSA"))
    }

    pub(crate) fn from_ec_members(curve: KeyType, _: &[u8], _: &[u8], _: &[u8]) -> Result<Self> {
        Err(unsupported(curve.as_str()))
    }

    pub(crate) fn from_ed25519_members(_: &[u8], _: &[u8]) -> Result<Self> {
        Err(unsupported("Ed25519"))
    }

    pub(crate) fn key_type(&self) -> KeyType {
        match self.0 {}
    }

    pub(crate) fn to_pkcs8(&self) -> Result<Zeroizing<Vec<u8>>> {
        match self.0 {}
    }

    pub(crate) fn to_pkcs1(&self, _: &[u8]) -> Result<Option<Zeroizing<Vec<u8>>>> {
        match self.0 {}
    }

    pub(crate) fn to_sec1(&self, _: &[u8]) -> Result<Option<Zeroizing<Vec<u8>>>> {
        match self.0 {}
    }

    pub(crate) fn spki(&self) -> Result<Vec<u8>> {
        match self.0 {}
    }

    pub(crate) fn sign(&self, _: &SigningInput<'_>) -> Result<Signature> {
        match self.0 {}
    }
}

pub(crate) fn public_members(key_type: KeyType, _: &[u8]) -> Result<Members> {
    Err(unsupported(key_type.as_str()))
}

pub(crate) fn private_members(key_type: KeyType, _: &[u8], _: &[u8]) -> Result<Members> {
    Err(unsupported(key_type.as_str()))
}

fn unsupported(what: &str) -> Error {
    Error::new(
        ErrorKind::Unsupported,
        format!("{what} keys need the feature `aws-lc-rs`, which this build lacks"),
    )
}
