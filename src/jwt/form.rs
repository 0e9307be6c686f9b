//! What a token looks like, and the making of one.

use std::any::type_name;

use serde::Serialize;
use serde_json::{Map, Value};

use super::{
    DEFAULT_MAX_LEN, InvalidToken, claims::Claims, compact, provider::Current,
    registered::Registered,
};
use crate::{
    crypto::SigningAlgorithm,
    error::{Error, ErrorKind, Result},
    provider::Sign,
    signing::SigningInput,
};

/// Header parameters that say how a token is verified, or that this library never accepts. They are
/// set here or not at all.
const RESERVED: [&str; 14] = [
    "alg", "kid", "typ", "cty", "crit", "b64", "jku", "jwk", "x5u", "x5c", "x5t", "x5t#S256",
    "enc", "zip",
];

/// Room for the claims of most tokens, in bytes.
const USUAL_LEN: usize = 512;

/// What a token says beside its claims, and whether its signature is checked.
#[derive(Clone)]
pub(super) struct Form {
    pub(super) typ: Option<String>,
    pub(super) cty: Option<String>,
    members: Map<String, Value>,
    pub(super) verify: bool,
    /// The only algorithms that it signs with, if that was said.
    pub(super) algorithms: Option<Vec<SigningAlgorithm>>,
}

impl Default for Form {
    fn default() -> Self {
        let typ = Some("JWT".to_owned());
        Self { typ, cty: None, members: Map::new(), verify: false, algorithms: None }
    }
}

impl Form {
    pub(super) fn add(&mut self, name: String, value: impl Serialize) -> Result<()> {
        if RESERVED.contains(&name.as_str()) {
            return Err(Error::invalid(format!("the header parameter {name} is not the caller's")));
        }
        let value = serde_json::to_value(value)
            .map_err(|_| Error::invalid(format!("the parameter {name} has no JSON form")))?;
        self.members.insert(name, value);
        Ok(())
    }

    /// The header of a token by this version, encoded.
    pub(super) fn header(&self, current: &Current) -> Result<String> {
        if self.algorithms.as_ref().is_some_and(|all| !all.contains(&current.algorithm)) {
            let message =
                format!("the key signs {}, which these tokens can't have", current.algorithm);
            return Err(Error::invalid(message));
        }
        Ok(compact::encode(self.header_json(current)?))
    }

    fn header_json(&self, current: &Current) -> Result<Vec<u8>> {
        #[derive(Serialize)]
        struct JoseHeader<'a> {
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

        let header = JoseHeader {
            alg: current.jwk.name_of(current.algorithm),
            kid: current.jwk.kid(),
            typ: self.typ.as_deref(),
            cty: self.cty.as_deref(),
            members: &self.members,
        };
        serde_json::to_vec(&header)
            .map_err(|_| Error::new(ErrorKind::Internal, "can't write a token's header"))
    }

    /// A token: `header` is [that](Self::header) of the version.
    pub(super) async fn sign(
        &self,
        provider: &(impl Sign + ?Sized),
        current: &Current,
        header: &str,
        payload: &[u8],
    ) -> Result<String> {
        let len = header.len() + 2 + (payload.len() + current.jwk.signature_len()) * 4 / 3 + 4;
        let mut token = Vec::with_capacity(len);
        token.extend_from_slice(header.as_bytes());
        token.push(b'.');
        compact::encode_to(payload, &mut token);
        let len = token.len() + 1 + current.jwk.signature_len().div_ceil(3) * 4;
        if len > DEFAULT_MAX_LEN {
            return Err(Error::invalid("the token would be over 16 KiB"));
        }
        let input = SigningInput::new(current.algorithm, &token);
        let signature = provider.sign(&current.key, &input).await?;
        let signature = signature.as_bytes();
        let wrong = || Error::new(ErrorKind::Internal, "the provider returned a wrong signature");
        if signature.len() != current.jwk.signature_len() {
            return Err(wrong());
        }
        if self.verify {
            match current.jwk.verify(current.algorithm, &token, signature) {
                Err(error) if error.kind() == ErrorKind::NotAuthentic => return Err(wrong()),
                result => result?,
            }
        }
        token.push(b'.');
        compact::encode_to(signature, &mut token);
        String::from_utf8(token)
            .map_err(|_| Error::new(ErrorKind::Internal, "a token is not what it is made of"))
    }
}

/// Whether these are [`Claims`], which have no name twice, no deep nesting and no date that isn't one by how
/// they are made. Another type of that path would go unchecked too, which its tokens' verifiers would notice.
fn is_claims<C: ?Sized>() -> bool {
    type_name::<C>() == type_name::<Claims>()
}

/// Claims as they are signed.
pub(super) fn payload<C: Serialize + ?Sized>(claims: &C) -> Result<Vec<u8>> {
    let mut json = Vec::with_capacity(USUAL_LEN);
    serde_json::to_writer(&mut json, claims)
        .map_err(|_| Error::invalid("the claims can't be written as JSON"))?;
    if is_claims::<C>() {
        return Ok(json);
    }
    match Registered::parse(&json).map(drop) {
        Ok(()) => Ok(json),
        Err(InvalidToken::ClaimValue(claim)) => {
            Err(Error::invalid(format!("the claim {claim} has a value that it can't have")))
        }
        Err(reason) => {
            let message = "the claims are no JSON object, have a name twice or are nested deeply";
            Err(Error::invalid(message).with_source(reason))
        }
    }
}
