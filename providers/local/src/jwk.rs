//! Keys as JSON Web Keys (RFC 7517): one key, not a set.

use base64ct::{Base64UrlUnpadded, Encoding};
use bulla::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize, Serializer, ser::SerializeMap};
use zeroize::Zeroizing;

use crate::{key_type::KeyType, material::Material, pair::Pair};

/// More than the longest key written as a JWK: RSA with 4,096 bits is 3.2 KB.
const MAX_JWK: usize = 16 * 1024;

type Secret = Zeroizing<Vec<u8>>;

/// The members of an RSA key (RFC 7518, section 6.3), decoded.
#[cfg_attr(
    not(feature = "aws-lc-rs"),
    allow(dead_code, reason = "read by the feature that has RSA")
)]
pub(crate) struct RsaMembers {
    pub(crate) n: Secret,
    pub(crate) e: Secret,
    pub(crate) d: Secret,
    pub(crate) p: Secret,
    pub(crate) q: Secret,
    pub(crate) dp: Secret,
    pub(crate) dq: Secret,
    pub(crate) qi: Secret,
}

/// Borrowed from the text, so that parsing makes no copy that isn't wiped. Other members are
/// ignored, as RFC 7517 (section 4) asks.
#[derive(Deserialize)]
struct Jwk<'a> {
    kty: &'a str,
    alg: Option<&'a str>,
    #[serde(rename = "use")]
    usage: Option<&'a str>,
    key_ops: Option<Vec<&'a str>>,
    crv: Option<&'a str>,
    k: Option<&'a str>,
    n: Option<&'a str>,
    e: Option<&'a str>,
    d: Option<&'a str>,
    p: Option<&'a str>,
    q: Option<&'a str>,
    dp: Option<&'a str>,
    dq: Option<&'a str>,
    qi: Option<&'a str>,
    oth: Option<serde::de::IgnoredAny>,
    x: Option<&'a str>,
    y: Option<&'a str>,
}

/// Parses a private or secret key.
pub(crate) fn parse(text: &[u8]) -> Result<Material> {
    let jwk: Jwk<'_> = serde_json::from_slice(text).map_err(|error| {
        // Without the parser's words: they may quote the key.
        invalid(format!("no JWK: unexpected content in line {}", error.line()))
    })?;
    let material = material(&jwk)?;
    check_use(&jwk, material.key_type())?;
    Ok(material)
}

fn material(jwk: &Jwk<'_>) -> Result<Material> {
    match jwk.kty {
        "oct" => Material::from_aes(member("k", jwk.k)?),
        "RSA" => Material::from_pair(Pair::from_rsa_members(&rsa_members(jwk)?)?),
        "EC" => {
            let curve = KeyType::from_jwk_curve(jwk.crv.unwrap_or_default());
            let curve = curve.filter(|curve| *curve != KeyType::Ed25519).ok_or_else(other_curve)?;
            let (d, x, y) = (private("d", jwk.d)?, member("x", jwk.x)?, member("y", jwk.y)?);
            Material::from_pair(Pair::from_ec_members(curve, &d, &x, &y)?)
        }
        "OKP" if jwk.crv == Some("Ed25519") => {
            let (d, x) = (private("d", jwk.d)?, member("x", jwk.x)?);
            Material::from_pair(Pair::from_ed25519_members(&d, &x)?)
        }
        "OKP" => Err(other_curve()),
        _ => Err(Error::new(ErrorKind::Unsupported, "a JWK whose kty is not oct, RSA, EC or OKP")),
    }
}

/// Refuses a key that was made for something else: a key has one use (NIST SP 800-57 part 1,
/// section 5.2).
fn check_use(jwk: &Jwk<'_>, key_type: KeyType) -> Result<()> {
    let (usage, pairs, algorithms): (_, &[[&str; 2]], _) = if key_type.seals() {
        let algorithms = vec!["A256GCM", "A256GCMKW", "A256KW", "dir"];
        ("enc", &[["encrypt", "decrypt"], ["wrapKey", "unwrapKey"]], algorithms)
    } else {
        let own = key_type.signing_algorithms().iter().map(|algorithm| algorithm.as_str());
        // What RFC 9864 calls Ed25519 was EdDSA before.
        let older = (key_type == KeyType::Ed25519).then_some("EdDSA");
        ("sig", &[["sign", "verify"]], own.chain(older).collect())
    };
    if jwk.alg.is_some_and(|alg| !algorithms.contains(&alg)) {
        let good = algorithms.join(", ");
        return Err(other_use("alg", key_type, &format!("it may be {good}")));
    }
    if jwk.usage.is_some_and(|u| u != usage) {
        return Err(other_use("use", key_type, &format!("it may be {usage}")));
    }
    let Some(ops) = &jwk.key_ops else { return Ok(()) };
    // Whoever verifies needs the public key only: "verify" may be missing.
    let whole = |pair: &[&str; 2]| pair.iter().all(|op| *op == "verify" || ops.contains(op));
    let known = |op: &&str| pairs.iter().any(|pair| pair.contains(op));
    if !pairs.iter().any(whole) || !ops.iter().all(known) {
        let good: Vec<_> = pairs.iter().map(|pair| pair.join(" and ")).collect();
        return Err(other_use("key_ops", key_type, &format!("it may be {}", good.join(", "))));
    }
    Ok(())
}

fn other_use(member: &str, key_type: KeyType, good: &str) -> Error {
    invalid(format!(
        "the JWK is for another use: its {member:?} does not fit a key {key_type} of this store; \
         {good}, or missing"
    ))
}

fn rsa_members(jwk: &Jwk<'_>) -> Result<RsaMembers> {
    if jwk.oth.is_some() {
        let message = "an RSA key of more than two primes is not supported";
        return Err(Error::new(ErrorKind::Unsupported, message));
    }
    Ok(RsaMembers {
        d: private("d", jwk.d)?,
        n: member("n", jwk.n)?,
        e: member("e", jwk.e)?,
        p: member("p", jwk.p)?,
        q: member("q", jwk.q)?,
        dp: member("dp", jwk.dp)?,
        dq: member("dq", jwk.dq)?,
        qi: member("qi", jwk.qi)?,
    })
}

fn private(name: &str, value: Option<&str>) -> Result<Secret> {
    if value.is_none() {
        return Err(invalid("this JWK is a public key; import the private one".to_owned()));
    }
    member(name, value)
}

fn member(name: &str, value: Option<&str>) -> Result<Secret> {
    let value = value.ok_or_else(|| invalid(format!("the JWK has no member {name:?}")))?;
    Base64UrlUnpadded::decode_vec(value)
        .map(Zeroizing::new)
        .map_err(|_| invalid(format!("the JWK's member {name:?} is not base64url without padding")))
}

fn other_curve() -> Error {
    let message = "a JWK on another curve than P-256, P-384, P-521 and Ed25519";
    Error::new(ErrorKind::Unsupported, message)
}

fn invalid(message: String) -> Error {
    Error::new(ErrorKind::InvalidInput, message)
}

/// The members of a JWK to be written, in order.
#[derive(Default)]
pub(crate) struct Members(Vec<(&'static str, Zeroizing<String>)>);

impl Members {
    pub(crate) fn text(&mut self, name: &'static str, value: &str) {
        self.0.push((name, Zeroizing::new(value.to_owned())));
    }

    pub(crate) fn bytes(&mut self, name: &'static str, value: &[u8]) {
        self.0.push((name, Zeroizing::new(Base64UrlUnpadded::encode_string(value))));
    }

    /// The JWK as one line of JSON.
    pub(crate) fn render(&self) -> Result<Zeroizing<String>> {
        // Sized for the longest: growing would leave copies behind.
        let mut out = Vec::with_capacity(MAX_JWK);
        let written = serde_json::to_writer(&mut out, self);
        let mut out = Zeroizing::new(out);
        written.map_err(|_| Error::new(ErrorKind::Internal, "can't write JSON"))?;
        String::from_utf8(std::mem::take(&mut *out))
            .map(Zeroizing::new)
            .map_err(|_| Error::new(ErrorKind::Internal, "JSON is not UTF-8"))
    }
}

impl Serialize for Members {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        self.0.iter().try_for_each(|(name, value)| map.serialize_entry(name, value.as_str()))?;
        map.end()
    }
}
