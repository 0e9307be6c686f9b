//! The claims to sign, each given once.

use std::{
    fmt,
    path::{Path, PathBuf},
    time::Duration,
};

use bulla::jwt::Claims;
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::{RawValue, to_raw_value};

use crate::{
    args::SignToken,
    failure::{Failure, Outcome},
    input::Source,
    shown,
};

/// More than a token holds.
const MAX_LEN: u64 = 64 << 10;

const DEFAULT_TTL: Duration = Duration::from_secs(3600);

/// Claims in the order in which they were given, their values as they were written: a number keeps
/// its digits, and a member that occurs twice further in is seen by the library, which refuses it.
pub(super) struct ClaimSet(Vec<(String, Box<RawValue>)>);

impl ClaimSet {
    /// Those of the arguments, and what every token has besides.
    pub(super) fn collect(args: &SignToken) -> Outcome<Self> {
        let mut claims = Self(Vec::new());
        for (name, value) in [("iss", &args.iss), ("sub", &args.sub)] {
            if let Some(value) = value {
                claims.add(name.to_owned(), raw(value)?)?;
            }
        }
        match args.aud.as_slice() {
            [] => {}
            [one] => claims.add("aud".to_owned(), raw(one)?)?,
            several => claims.add("aud".to_owned(), raw(several)?)?,
        }
        for claim in &args.claim {
            claims.add(claim.name.clone(), claim.value.clone())?;
        }
        if let Some(path) = &args.claims {
            for (name, value) in read(path)?.0 {
                claims.add(name, value)?;
            }
        }
        if args.ttl.is_some() && claims.has("exp") {
            return Err(twice("exp").hint("--ttl says when the token expires, and so does `exp`"));
        }
        claims.complete(args.ttl.unwrap_or(DEFAULT_TTL))?;
        Ok(claims)
    }

    fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(known, _)| known == name)
    }

    fn add(&mut self, name: String, value: Box<RawValue>) -> Outcome<()> {
        if self.has(&name) {
            return Err(twice(&name));
        }
        self.0.push((name, value));
        Ok(())
    }

    /// Adds `iat`, `exp` and `jti` where they were not given.
    fn complete(&mut self, ttl: Duration) -> Outcome<()> {
        let own = Members::deserialize(&*raw(&Claims::new()?.with_ttl(ttl))?);
        for (name, value) in own.map_err(|e| unwritable(&e))?.0 {
            if !self.has(&name) {
                self.0.push((name, value));
            }
        }
        Ok(())
    }
}

impl Serialize for ClaimSet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

/// The members of a JSON object, also those that occur twice.
struct Members(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Object)
    }
}

/// Reads what `--claims` names.
fn read(path: &Path) -> Outcome<Members> {
    let input = Source::choose(Some(PathBuf::from(path)))?.open()?;
    let name = input.name.clone();
    let json = input.read_all(MAX_LEN)?;
    let json =
        json.ok_or_else(|| Failure::usage("is longer than the claims of a token").at(&name))?;
    serde_json::from_slice(&json).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        Failure::usage(format!("is no JSON object: line {line}, column {column}")).at(&name)
    })
}

fn raw(value: &(impl Serialize + ?Sized)) -> Outcome<Box<RawValue>> {
    to_raw_value(value).map_err(|error| unwritable(&error))
}

fn unwritable(error: &serde_json::Error) -> Failure {
    Failure::other(format!("writing JSON: {error}"))
}

fn twice(name: &str) -> Failure {
    Failure::usage(format!("the claim {} is given twice", shown::token(name)))
}
