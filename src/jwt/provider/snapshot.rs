//! What a provider answered, ready for use.

use super::Options;
use crate::{
    crypto::SigningAlgorithm,
    error::{Error, ErrorKind, Result},
    jwt::{Jwk, JwkSet},
    key::KeyState,
    signing::PublicKey,
};

pub(super) struct Snapshot {
    pub(super) set: std::sync::Arc<JwkSet>,
    /// The version to sign with, or why there is none.
    pub(super) current: Result<Current>,
}

/// The version that signs, pinned, and what its tokens say of it.
#[derive(Clone)]
pub(in crate::jwt) struct Current {
    pub(in crate::jwt) key: std::sync::Arc<PublicKey>,
    pub(in crate::jwt) jwk: Jwk,
    pub(in crate::jwt) algorithm: SigningAlgorithm,
}

impl Snapshot {
    pub(super) fn new(keys: &[PublicKey], options: &Options) -> Result<Self> {
        let mut usable = Vec::new();
        let mut current = Err(Error::new(
            ErrorKind::NotFound,
            "the provider has no active version that new signatures are made with",
        ));
        for key in keys.iter().filter(|key| verifies(key.state)) {
            let jwk = match named(key, options) {
                // Of a kind that tokens can't be signed with, such as another curve.
                Err(error) if error.kind() == ErrorKind::Unsupported => continue,
                jwk => jwk?,
            };
            if key.current && key.state == KeyState::Active {
                if current.is_ok() {
                    let message = "the provider says of two versions that they are current";
                    return Err(Error::new(ErrorKind::Internal, message));
                }
                current = signing(key, jwk.clone(), options);
            }
            usable.push(jwk);
        }
        Ok(Self { set: JwkSet::new(usable)?.into(), current })
    }
}

fn verifies(state: KeyState) -> bool {
    matches!(state, KeyState::Active | KeyState::Deprecated)
}

fn named(key: &PublicKey, options: &Options) -> Result<Jwk> {
    let mut jwk = Jwk::from_public_key(key)?.with_ed25519_name(options.ed25519);
    if let Some(algorithm) = options.algorithm.filter(|a| key.algorithms.contains(a)) {
        jwk = jwk.with_algorithm(algorithm)?;
    }
    Ok(match &options.naming {
        Some(name) => jwk.with_kid(name(key)),
        None => jwk,
    })
}

fn signing(key: &PublicKey, jwk: Jwk, options: &Options) -> Result<Current> {
    let algorithm = options.algorithm.or(jwk.algorithm()).ok_or_else(|| {
        let all: Vec<_> = key.algorithms.iter().map(|algorithm| algorithm.as_str()).collect();
        let all = all.join(", ");
        Error::invalid(format!("the signing key has several algorithms; name one of {all}"))
    })?;
    if !key.algorithms.contains(&algorithm) {
        return Err(Error::invalid(format!("the signing key does not sign {algorithm}")));
    }
    Ok(Current { key: key.clone().into(), jwk, algorithm })
}
