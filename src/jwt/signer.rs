//! Signing tokens.

use std::{fmt, future::Future, ops::Deref, sync::Arc};

use arc_swap::ArcSwapOption;
use serde::Serialize;
use serde_json::{Map, Value};

use super::{
    DEFAULT_MAX_LEN, InvalidToken, ProviderKeys, compact, header::EDDSA, provider::Current,
    registered::Registered,
};
use crate::{
    crypto::SigningAlgorithm,
    error::{Error, ErrorKind, Result},
    provider::Sign,
    signing::{PublicKey, SigningInput},
};

/// Header parameters that say how a token is verified, or that this library never accepts. They are
/// set here or not at all.
const RESERVED: [&str; 14] = [
    "alg", "kid", "typ", "cty", "crit", "b64", "jku", "jwk", "x5u", "x5c", "x5t", "x5t#S256",
    "enc", "zip",
];

/// Signs tokens with the current version of a provider's signing key.
///
/// The digest is computed here (but for Ed25519, which signs the whole), and the provider makes one
/// signature for each token. Which version that is, the [`ProviderKeys`] know; if it can no longer
/// sign, they are fetched anew and the new version signs.
pub struct Signer<P> {
    keys: Arc<ProviderKeys<P>>,
    typ: Option<String>,
    cty: Option<String>,
    members: Map<String, Value>,
    eddsa: bool,
    verify: bool,
    /// The header of the version that signed last, encoded.
    header: ArcSwapOption<EncodedHeader>,
}

struct EncodedHeader {
    of: Arc<PublicKey>,
    text: String,
}

impl<P> Signer<P>
where
    P: Deref + Send + Sync,
    P::Target: Sign,
{
    /// A signer of tokens with `"typ":"JWT"`, which shares the keys with others.
    #[must_use]
    pub fn new(keys: Arc<ProviderKeys<P>>) -> Self {
        let typ = Some("JWT".to_owned());
        Self {
            keys,
            typ,
            cty: None,
            members: Map::new(),
            eddsa: false,
            verify: false,
            header: ArcSwapOption::empty(),
        }
    }

    /// The keys that it signs with, for publishing, or for verifying its tokens.
    #[must_use]
    pub fn keys(&self) -> &Arc<ProviderKeys<P>> {
        &self.keys
    }

    /// Writes this `typ`, such as `at+jwt` (RFC 9068).
    #[must_use]
    pub fn with_typ(self, typ: impl Into<String>) -> Self {
        self.change(|signer| signer.typ = Some(typ.into()))
    }

    /// Writes no `typ`.
    #[must_use]
    pub fn without_typ(self) -> Self {
        self.change(|signer| signer.typ = None)
    }

    /// Writes this `cty`.
    #[must_use]
    pub fn with_cty(self, cty: impl Into<String>) -> Self {
        self.change(|signer| signer.cty = Some(cty.into()))
    }

    /// Writes a header parameter that RFC 7515 does not know.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) for a parameter that says how the token is
    /// verified, and for a value that has no JSON form.
    pub fn with_member(self, name: impl Into<String>, value: impl Serialize) -> Result<Self> {
        let name = name.into();
        if RESERVED.contains(&name.as_str()) {
            return Err(Error::invalid(format!("the header parameter {name} is not the caller's")));
        }
        let value = serde_json::to_value(value)
            .map_err(|_| Error::invalid(format!("the parameter {name} has no JSON form")))?;
        Ok(self.change(|signer| drop(signer.members.insert(name, value))))
    }

    /// Writes `"alg":"EdDSA"` instead of `"alg":"Ed25519"`, for verifiers that do not know RFC 9864
    /// yet. The signature is the same.
    #[must_use]
    pub fn with_eddsa_name(self) -> Self {
        self.change(|signer| signer.eddsa = true)
    }

    /// Verifies each signature before a token is given out, against a provider that returns a wrong
    /// one: a fault during an RSA-CRT or Ed25519 signature can give the key away.
    #[must_use]
    pub fn with_verification(mut self) -> Self {
        self.verify = true;
        self
    }

    /// Signs claims: anything that serialises to a JSON object, such as
    /// [`Claims`](super::Claims). The claims are not checked beyond their form.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) if the claims do not serialise to a JSON object
    /// that a [`Verifier`](super::Verifier) would read, if the token would be over 16 KiB, or if
    /// the key has several algorithms and none was named; [`Internal`](ErrorKind::Internal) if the
    /// provider returned a signature that can't be right; otherwise what the provider said.
    pub fn sign<C: Serialize + ?Sized>(
        &self,
        claims: &C,
    ) -> impl Future<Output = Result<String>> + Send + use<'_, C, P> {
        let payload = payload(claims);
        async move {
            let payload = payload?;
            let current = self.keys.current().await?;
            match self.sign_as(&current, &payload).await {
                Err(error) if can_no_longer_sign(error.kind()) => {
                    self.keys.forget(&current);
                    let newer = self.keys.current().await?;
                    if newer.key.version == current.key.version {
                        return Err(error);
                    }
                    self.sign_as(&newer, &payload).await
                }
                result => result,
            }
        }
    }

    fn change(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self.header.store(None);
        self
    }

    async fn sign_as(&self, current: &Current, payload: &[u8]) -> Result<String> {
        let header = self.header(current)?;
        let len = header.text.len() + 2 + (payload.len() + current.jwk.signature_len()) * 4 / 3 + 4;
        let mut token = String::with_capacity(len);
        token.push_str(&header.text);
        token.push('.');
        compact::encode_to(payload, &mut token);
        let len = token.len() + 1 + current.jwk.signature_len().div_ceil(3) * 4;
        if len > DEFAULT_MAX_LEN {
            return Err(Error::invalid("the token would be over 16 KiB"));
        }
        let input = SigningInput::new(current.algorithm, token.as_bytes());
        let signature = self.keys.provider().sign(&current.key, &input).await?;
        let signature = signature.as_bytes();
        let wrong = || Error::new(ErrorKind::Internal, "the provider returned a wrong signature");
        if signature.len() != current.jwk.signature_len() {
            return Err(wrong());
        }
        if self.verify {
            match current.jwk.verify(current.algorithm, token.as_bytes(), signature) {
                Err(error) if error.kind() == ErrorKind::NotAuthentic => return Err(wrong()),
                result => result?,
            }
        }
        token.push('.');
        compact::encode_to(signature, &mut token);
        Ok(token)
    }

    fn header(&self, current: &Current) -> Result<Arc<EncodedHeader>> {
        let known = self.header.load_full();
        if let Some(known) = known.filter(|known| Arc::ptr_eq(&known.of, &current.key)) {
            return Ok(known);
        }
        let text = compact::encode(self.header_json(current)?);
        let header = Arc::new(EncodedHeader { of: Arc::clone(&current.key), text });
        self.header.store(Some(Arc::clone(&header)));
        Ok(header)
    }

    fn header_json(&self, current: &Current) -> Result<Vec<u8>> {
        #[derive(Serialize)]
        struct Header<'a> {
            alg: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            kid: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            typ: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            cty: Option<&'a str>,
            #[serde(flatten)]
            members: &'a Map<String, Value>,
        }

        let eddsa = self.eddsa && current.algorithm == SigningAlgorithm::Ed25519;
        let header = Header {
            alg: if eddsa { EDDSA } else { current.algorithm.as_str() },
            kid: current.jwk.kid(),
            typ: self.typ.as_deref(),
            cty: self.cty.as_deref(),
            members: &self.members,
        };
        serde_json::to_vec(&header)
            .map_err(|_| Error::new(ErrorKind::Internal, "can't write a token's header"))
    }
}

/// The version that was current when the keys were fetched is no more.
fn can_no_longer_sign(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::Disabled
            | ErrorKind::PendingDeletion
            | ErrorKind::Destroyed
            | ErrorKind::NotFound
    )
}

fn payload<C: Serialize + ?Sized>(claims: &C) -> Result<Vec<u8>> {
    let json = serde_json::to_vec(claims)
        .map_err(|_| Error::invalid("the claims can't be written as JSON"))?;
    match Registered::parse(&json) {
        Ok(_) => Ok(json),
        Err(InvalidToken::ClaimValue(claim)) => {
            Err(Error::invalid(format!("the claim {claim} has a value that it can't have")))
        }
        Err(reason) => {
            let message = "the claims are no JSON object, have a name twice or are nested deeply";
            Err(Error::invalid(message).with_source(reason))
        }
    }
}

impl<P> fmt::Debug for Signer<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer")
            .field("keys", &self.keys)
            .field("typ", &self.typ)
            .field("verify", &self.verify)
            .finish_non_exhaustive()
    }
}
