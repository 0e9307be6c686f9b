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
use serde_json::{Value, value::RawValue};

use crate::{
    args::SignToken,
    failure::{Failure, Outcome},
    input::Source,
    shown,
};

/// More than a token holds.
const MAX_LEN: u64 = 64 << 10;

const DEFAULT_TTL: Duration = Duration::from_secs(3600);

/// Claims in the order in which they were given.
pub(super) struct ClaimSet(Vec<(String, ClaimValue)>);

#[derive(Serialize)]
#[serde(untagged)]
enum ClaimValue {
    /// What an option says, or what every token has.
    Said(Value),
    /// JSON as it was written: a number keeps its digits, and a member that occurs twice further in is
    /// seen by the library, which refuses it.
    Written(Box<RawValue>),
}

impl ClaimSet {
    /// Those of the arguments, and what every token has besides.
    pub(super) fn collect(args: &SignToken) -> Outcome<Self> {
        let mut claims = Self(Vec::new());
        for (name, value) in [("iss", &args.iss), ("sub", &args.sub)] {
            if let Some(value) = value {
                claims.add(name.to_owned(), said(value.as_str()))?;
            }
        }
        match args.aud.as_slice() {
            [] => {}
            [one] => claims.add("aud".to_owned(), said(one.as_str()))?,
            several => claims.add("aud".to_owned(), said(several))?,
        }
        for claim in &args.claim {
            claims.add(claim.name.clone(), ClaimValue::Written(claim.value.clone()))?;
        }
        if let Some(path) = &args.claims {
            for (name, value) in read(path)?.0 {
                claims.add(name, ClaimValue::Written(value))?;
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

    fn add(&mut self, name: String, value: ClaimValue) -> Outcome<()> {
        if self.has(&name) {
            return Err(twice(&name));
        }
        self.0.push((name, value));
        Ok(())
    }

    /// Adds `iat`, `exp` and `jti` where they were not given.
    fn complete(&mut self, ttl: Duration) -> Outcome<()> {
        // Claims are an object, and nothing else has members.
        let own = serde_json::to_value(Claims::new()?.with_ttl(ttl)).map_err(|e| unwritable(&e))?;
        let Value::Object(own) = own else { return Ok(()) };
        for (name, value) in own {
            if !self.has(&name) {
                self.0.push((name, ClaimValue::Said(value)));
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

fn said(value: impl Into<Value>) -> ClaimValue {
    ClaimValue::Said(value.into())
}

fn unwritable(error: &serde_json::Error) -> Failure {
    Failure::other(format!("writing JSON: {error}"))
}

fn twice(name: &str) -> Failure {
    Failure::usage(format!("the claim {} is given twice", shown::token(name)))
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::args::{Cli, Command, TokenCommand};

    fn signed(args: &[&str]) -> String {
        let line = ["bulla", "token", "sign", "--key", "local:k"].iter().chain(args);
        let Command::Token(TokenCommand::Sign(args)) = Cli::try_parse_from(line).unwrap().command
        else {
            panic!("another command")
        };
        serde_json::to_string(&ClaimSet::collect(&args).unwrap()).unwrap()
    }

    #[test]
    fn claims_are_merged_in_their_order_and_as_they_were_written() {
        let text = signed(&[
            "--sub",
            "ada",
            "--aud",
            "a",
            "--aud",
            "b",
            "--claim",
            "scope=read",
            "--claim",
            "big:=18446744073709551617.250",
            "--claim",
            "inner:={\"a\":1,\"a\":2}",
            "--claim",
            "jti=mine",
            "--claim",
            "iat:=7",
        ]);
        let given = r#"{"sub":"ada","aud":["a","b"],"scope":"read","big":18446744073709551617.250,"inner":{"a":1,"a":2},"jti":"mine","iat":7,"exp":"#;
        let exp = text.strip_prefix(given).and_then(|rest| rest.strip_suffix('}'));
        assert!(exp.is_some_and(|exp| exp.parse::<u64>().is_ok()), "{text}");
        assert!(signed(&["--aud", "a"]).starts_with(r#"{"aud":"a","exp":"#));
    }
}
