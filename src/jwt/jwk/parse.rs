//! Reading a JWK.

use serde::Deserialize;

use super::{Ed25519Name, Jwk};
use crate::{
    crypto::SigningAlgorithm,
    crypto::{Curve, Public},
    error::{Error, ErrorKind, Result},
    jwt::{compact, strict},
};

/// Bytes of one JWK. RSA with 8,192 bits takes 1.5 KB; certificates may be with it.
pub(super) const MAX_LEN: usize = 64 * 1024;

/// Other members are ignored (RFC 7517, section 4).
#[derive(Deserialize)]
struct Members {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    key_ops: Option<Vec<String>>,
    crv: Option<String>,
    x: Option<String>,
    y: Option<String>,
    n: Option<String>,
    e: Option<String>,
    #[serde(flatten)]
    private: Private,
}

/// What only a private or a symmetric key has (RFC 7518, sections 6.2.2, 6.3.2 and 6.4).
#[derive(Deserialize)]
struct Private {
    d: Option<Present>,
    p: Option<Present>,
    q: Option<Present>,
    dp: Option<Present>,
    dq: Option<Present>,
    qi: Option<Present>,
    oth: Option<Present>,
    k: Option<Present>,
}

type Present = serde::de::IgnoredAny;

impl Jwk {
    /// Parses a public key of at most 64 KiB of JSON. Members that are not known are ignored.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) if it is malformed, has a member twice, is a
    /// private or a symmetric key, contradicts itself, or its point is not on its curve;
    /// [`Unsupported`](ErrorKind::Unsupported) for kinds, curves, sizes and algorithms that are not
    /// known here.
    pub fn from_json(json: impl AsRef<[u8]>) -> Result<Self> {
        let json = json.as_ref();
        if json.len() > MAX_LEN {
            return Err(Error::invalid("a JWK of over 64 KiB"));
        }
        strict::check(json).map_err(|_| {
            Error::invalid("no JWK: not one JSON object, or a member occurs twice in it")
        })?;
        let members = serde_json::from_slice(json).map_err(|_| {
            Error::invalid("no JWK: `kty` is missing, or a member has the wrong type")
        })?;
        from_members(members)
    }
}

fn from_members(members: Members) -> Result<Jwk> {
    let Private { d, p, q, dp, dq, qi, oth, k } = &members.private;
    if k.is_some() || members.kty == "oct" {
        return Err(Error::invalid("a symmetric key where a public one belongs"));
    }
    if [d, p, q, dp, dq, qi, oth].iter().any(|member| member.is_some()) {
        return Err(Error::invalid("a private key where a public one belongs"));
    }
    let jwk = Jwk::from_public(public(&members)?)?;
    let jwk = match members.alg.as_deref() {
        None => jwk,
        Some(name) => jwk.with_algorithm(algorithm(name)?)?,
    };
    if let Some(ops) = &members.key_ops {
        let twice = |(at, op)| ops.get(..at).is_some_and(|before: &[String]| before.contains(op));
        if ops.iter().enumerate().any(twice) {
            return Err(Error::invalid("the JWK's key_ops name an operation twice"));
        }
    }
    let named = |name: &Ed25519Name| members.alg.as_deref() == Some(name.as_str());
    let name = Some(Ed25519Name::Ed25519).filter(named).unwrap_or_default();
    Ok(jwk.with_ed25519_name(name).change(|inner| {
        inner.kid = members.kid;
        inner.usage = members.usage;
        inner.key_ops = members.key_ops;
    }))
}

fn public(members: &Members) -> Result<Public> {
    match members.kty.as_str() {
        "RSA" => Public::rsa(bytes("n", &members.n)?, bytes("e", &members.e)?),
        "EC" => {
            let curve = match members.crv.as_deref() {
                Some("P-256") => Curve::P256,
                Some("P-384") => Curve::P384,
                Some("P-521") => Curve::P521,
                _ => return Err(unsupported("a JWK on another curve than P-256, P-384 and P-521")),
            };
            Public::ec(curve, &bytes("x", &members.x)?, &bytes("y", &members.y)?)
        }
        "OKP" if members.crv.as_deref() == Some("Ed25519") => {
            Public::ed25519(&bytes("x", &members.x)?)
        }
        "OKP" => Err(unsupported("a JWK of kty OKP on another curve than Ed25519")),
        _ => Err(unsupported("a JWK whose kty is not RSA, EC or OKP")),
    }
}

fn algorithm(name: &str) -> Result<SigningAlgorithm> {
    SigningAlgorithm::from_name(name)
        .ok_or_else(|| unsupported("a JWK whose alg is no asymmetric signature known here"))
}

fn bytes(name: &str, value: &Option<String>) -> Result<Vec<u8>> {
    let value =
        value.as_ref().ok_or_else(|| Error::invalid(format!("the JWK has no member {name}")))?;
    compact::decode(value).map_err(|_| {
        Error::invalid(format!("the JWK's member {name} is not base64url without padding"))
    })
}

fn unsupported(what: &'static str) -> Error {
    Error::new(ErrorKind::Unsupported, what)
}
