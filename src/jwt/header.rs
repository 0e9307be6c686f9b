//! The header of a token that is being verified.

use std::{borrow::Cow, fmt, sync::Arc};

use serde::de::MapAccess;

use super::{InvalidToken, strict};
use crate::crypto::SigningAlgorithm;

/// The header of a verified token (RFC 7515, section 4.1). Cheap to clone: an issuer's tokens have the
/// same one.
#[derive(Clone)]
pub struct JoseHeader(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    algorithm: SigningAlgorithm,
    kid: Option<String>,
    typ: Option<String>,
    cty: Option<String>,
    json: String,
}

impl JoseHeader {
    /// Parses a header and refuses what is never accepted, whatever the key.
    pub(super) fn parse(json: Vec<u8>) -> Result<Self, InvalidToken> {
        let mut fields = Fields::default();
        strict::object(&json, &mut fields)?;
        let Fields { alg, kid, typ, cty, critical, offers_key } = fields;
        if critical {
            return Err(InvalidToken::Critical);
        }
        if offers_key {
            return Err(InvalidToken::OfferedKey);
        }
        let algorithm =
            alg.as_deref().and_then(SigningAlgorithm::from_name).ok_or(InvalidToken::Algorithm)?;
        let own = |text: Option<Cow<'_, str>>| text.map(Cow::into_owned);
        let (kid, typ, cty) = (own(kid), own(typ), own(cty));
        let json = String::from_utf8(json).map_err(|_| InvalidToken::Json)?;
        Ok(Self(Arc::new(Parts { algorithm, kid, typ, cty, json })))
    }

    /// The algorithm; it is the key's.
    #[must_use]
    pub fn algorithm(&self) -> SigningAlgorithm {
        self.0.algorithm
    }

    /// The id of the key, if the token named one.
    #[must_use]
    pub fn kid(&self) -> Option<&str> {
        self.0.kid.as_deref()
    }

    /// What the token says it is.
    #[must_use]
    pub fn typ(&self) -> Option<&str> {
        self.0.typ.as_deref()
    }

    /// What the token says its payload is.
    #[must_use]
    pub fn cty(&self) -> Option<&str> {
        self.0.cty.as_deref()
    }

    /// The whole header, as it was in the token: a JSON object.
    #[must_use]
    pub fn as_json(&self) -> &str {
        &self.0.json
    }

    /// Compares media types as RFC 7515, section 4.1.9 and RFC 2045, section 5.1 have it: case
    /// doesn't matter, and `application/` may be left out.
    pub(super) fn has_typ(&self, expected: &str) -> bool {
        self.typ().is_some_and(|typ| short_type(typ).eq_ignore_ascii_case(short_type(expected)))
    }
}

impl fmt::Debug for JoseHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

fn short_type(typ: &str) -> &str {
    const PREFIX: &str = "application/";
    match typ.split_at_checked(PREFIX.len()) {
        Some((prefix, rest)) if prefix.eq_ignore_ascii_case(PREFIX) && !rest.contains('/') => rest,
        _ => typ,
    }
}

#[derive(Default)]
struct Fields<'de> {
    alg: Option<Cow<'de, str>>,
    kid: Option<Cow<'de, str>>,
    typ: Option<Cow<'de, str>>,
    cty: Option<Cow<'de, str>>,
    critical: bool,
    offers_key: bool,
}

impl<'de> strict::Members<'de> for Fields<'de> {
    fn member<A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<bool, A::Error> {
        let place = match name {
            "alg" => &mut self.alg,
            "kid" => &mut self.kid,
            "typ" => &mut self.typ,
            "cty" => &mut self.cty,
            "crit" | "b64" => {
                self.critical = true;
                return Ok(false);
            }
            "jku" | "jwk" | "x5u" | "x5c" => {
                self.offers_key = true;
                return Ok(false);
            }
            // RFC 7515, section 4: what is not understood is ignored.
            _ => return Ok(false),
        };
        *place = Some(map.next_value_seed(strict::Text)?);
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_compare_as_media_types() {
        let header =
            |typ: &str| JoseHeader::parse(format!(r#"{{"alg":"ES256","typ":"{typ}"}}"#).into());
        for (typ, expected, same) in [
            ("JWT", "jwt", true),
            ("application/at+jwt", "at+jwt", true),
            ("at+JWT", "application/at+jwt", true),
            ("APPLICATION/jwt", "JWT", true),
            ("application/a/b", "a/b", false),
            ("jwt ", "jwt", false),
            ("", "jwt", false),
            ("secevent+jwt", "jwt", false),
        ] {
            assert_eq!(header(typ).unwrap().has_typ(expected), same, "{typ} {expected}");
        }
    }
}
