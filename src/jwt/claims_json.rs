//! Claims as JSON. Written out, since serde's `flatten` and `untagged` buffer what they read.

use std::fmt;

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error as _, MapAccess, SeqAccess, Visitor, value::SeqAccessDeserializer},
    ser::SerializeMap,
};

use super::{
    RegisteredClaim,
    claims::{Audience, Claims},
    strict,
};

impl Serialize for Claims {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        fn entry<M: SerializeMap>(
            map: &mut M,
            claim: RegisteredClaim,
            value: Option<&impl Serialize>,
        ) -> Result<(), M::Error> {
            value.map_or(Ok(()), |value| map.serialize_entry(claim.as_str(), value))
        }

        let mut map = serializer.serialize_map(None)?;
        entry(&mut map, RegisteredClaim::Iss, self.iss.as_ref())?;
        entry(&mut map, RegisteredClaim::Sub, self.sub.as_ref())?;
        let aud = Some(&self.aud).filter(|aud| !aud.is_none());
        entry(&mut map, RegisteredClaim::Aud, aud)?;
        entry(&mut map, RegisteredClaim::Exp, self.exp.as_ref())?;
        entry(&mut map, RegisteredClaim::Nbf, self.nbf.as_ref())?;
        entry(&mut map, RegisteredClaim::Iat, self.iat.as_ref())?;
        entry(&mut map, RegisteredClaim::Jti, self.jti.as_ref())?;
        self.others.iter().try_for_each(|(name, value)| map.serialize_entry(name, value))?;
        map.end()
    }
}

impl<'de> Deserialize<'de> for Claims {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = Claims;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the claims of a token")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Claims, A::Error> {
                let mut claims = Claims::empty();
                while let Some(name) = map.next_key_seed(strict::Text)? {
                    let twice = match RegisteredClaim::parse(&name) {
                        Some(RegisteredClaim::Iss) => read(&mut claims.iss, &mut map)?,
                        Some(RegisteredClaim::Sub) => read(&mut claims.sub, &mut map)?,
                        Some(RegisteredClaim::Aud) => {
                            let before = std::mem::replace(&mut claims.aud, map.next_value()?);
                            !before.is_none()
                        }
                        Some(RegisteredClaim::Exp) => read(&mut claims.exp, &mut map)?,
                        Some(RegisteredClaim::Nbf) => read(&mut claims.nbf, &mut map)?,
                        Some(RegisteredClaim::Iat) => read(&mut claims.iat, &mut map)?,
                        Some(RegisteredClaim::Jti) => read(&mut claims.jti, &mut map)?,
                        None => {
                            let value = map.next_value()?;
                            if !strict::is_shallow(&value) {
                                return Err(A::Error::custom("a claim is nested deeply"));
                            }
                            claims.others.insert(name.into_owned(), value).is_some()
                        }
                    };
                    if twice {
                        return Err(A::Error::custom("a claim occurs twice"));
                    }
                }
                Ok(claims)
            }
        }

        deserializer.deserialize_map(Members)
    }
}

impl Serialize for Audience {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::One(one) => one.serialize(serializer),
            Self::Several(all) => all.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Audience {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrSeveral;

        impl<'de> Visitor<'de> for OneOrSeveral {
            type Value = Audience;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or an array of strings")
            }

            fn visit_str<E>(self, text: &str) -> Result<Audience, E> {
                Ok(Audience::One(text.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Audience, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(seq)).map(Audience::Several)
            }
        }

        deserializer.deserialize_any(OneOrSeveral)
    }
}

/// Reads a claim into its place, and says whether it was taken.
fn read<'de, T: Deserialize<'de>, A: MapAccess<'de>>(
    place: &mut Option<T>,
    map: &mut A,
) -> Result<bool, A::Error> {
    Ok(place.replace(map.next_value()?).is_some())
}
