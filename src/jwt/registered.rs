//! The registered claims of a token that is being verified (RFC 7519, section 4.1).

use std::{borrow::Cow, fmt};

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use smallvec::{SmallVec, smallvec};

use super::{InvalidToken, RegisteredClaim, date::NumericDate, strict};

/// What a verifier looks at; `None` is a claim that is not there.
#[derive(Default)]
pub(super) struct Registered<'de> {
    pub(super) iss: Option<Cow<'de, str>>,
    pub(super) aud: Option<Audiences<'de>>,
    pub(super) exp: Option<NumericDate>,
    pub(super) nbf: Option<NumericDate>,
    pub(super) iat: Option<NumericDate>,
    /// The claim that is being read: at fault, if reading fails.
    reading: Option<RegisteredClaim>,
}

impl<'de> Registered<'de> {
    /// Reads them out of a JSON object, all of which is checked.
    pub(super) fn parse(json: &'de [u8]) -> Result<Self, InvalidToken> {
        let mut claims = Self::default();
        match strict::object(json, &mut claims) {
            Ok(()) => Ok(claims),
            Err(InvalidToken::Json) => {
                Err(claims.reading.map_or(InvalidToken::Json, InvalidToken::ClaimValue))
            }
            Err(fault) => Err(fault),
        }
    }
}

impl<'de> strict::Members<'de> for Registered<'de> {
    fn member<A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<bool, A::Error> {
        let Some(claim) = RegisteredClaim::parse(name) else { return Ok(false) };
        self.reading = Some(claim);
        match claim {
            RegisteredClaim::Iss => self.iss = Some(map.next_value_seed(strict::Text)?),
            RegisteredClaim::Aud => self.aud = Some(map.next_value_seed(OneOrSeveral)?),
            RegisteredClaim::Exp => self.exp = Some(map.next_value()?),
            RegisteredClaim::Nbf => self.nbf = Some(map.next_value()?),
            RegisteredClaim::Iat => self.iat = Some(map.next_value()?),
            RegisteredClaim::Sub | RegisteredClaim::Jti => {
                map.next_value_seed(strict::Text)?;
            }
        }
        self.reading = None;
        Ok(true)
    }
}

/// Most tokens have one.
type Audiences<'de> = SmallVec<[Cow<'de, str>; 1]>;

/// One string, or an array of them.
struct OneOrSeveral;

impl<'de> DeserializeSeed<'de> for OneOrSeveral {
    type Value = Audiences<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for OneOrSeveral {
    type Value = Audiences<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string or an array of strings")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(smallvec![Cow::Borrowed(text)])
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(smallvec![Cow::Owned(text.to_owned())])
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut all = Audiences::new();
        while let Some(one) = seq.next_element_seed(strict::Text)? {
            all.push(one);
        }
        Ok(all)
    }
}
