//! Why a token is not valid, as its user is told.

use std::{
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};

use bulla::{
    Error,
    jwt::{InvalidToken, JwkSet, Unverified, decode_unverified},
};
use serde_json::Value;

use super::Token;
use crate::{failure::Failure, shown};

/// Characters of the token's own words that are repeated.
const MAX_SHOWN: usize = 100;

/// Audiences that are repeated.
const MAX_AUDIENCES: usize = 4;

/// The last second of the year 9999, where RFC 3339 ends.
const MAX_SECONDS: f64 = 253_402_300_799.0;

/// Where the keys came from.
pub(in crate::command) enum Place {
    /// A key that was named, and its versions.
    Key {
        /// Whether it is one of several algorithms.
        rsa: bool,
        /// Whether one was named.
        alg_given: bool,
    },
    /// A JWK set at hand.
    Set {
        keys: Arc<JwkSet>,
        /// Whether an algorithm was named.
        alg_given: bool,
    },
    /// Somewhere else.
    Remote,
}

/// Says what was wrong with the token, or why its keys can't be had.
pub(in crate::command) fn explain(error: &Error, token: &Token, place: &Place) -> Failure {
    let failure = Failure::from(error.clone());
    let Some(reason) = InvalidToken::of(error) else { return failure };
    let failure = failure.at(&token.name);
    let Ok(read) = decode_unverified(&token.text) else { return failure };
    let failure = match detail(reason, &read) {
        Some(detail) => failure.with(&detail),
        None => failure,
    };
    match hint(reason, &read, place) {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

/// What the token says where it should say something else. Of the claims, this is authentic: they
/// are looked at when the signature was found good.
fn detail(reason: InvalidToken, token: &Unverified) -> Option<String> {
    let (header, claims) = (token.header(), token.claims());
    match reason {
        InvalidToken::Expired => Some(format!("at {}", date(claims.get("exp")?)?)),
        InvalidToken::NotYetValid => Some(format!("not before {}", date(claims.get("nbf")?)?)),
        InvalidToken::IssuedInFuture => Some(format!("at {}", date(claims.get("iat")?)?)),
        InvalidToken::Issuer => Some(format!("it is {}", text(claims.get("iss")?)?)),
        InvalidToken::Audience => audiences(claims.get("aud")?),
        InvalidToken::Type => Some(match header.get("typ").and_then(text) {
            Some(typ) => format!("it is {typ}"),
            None => "it has none".to_owned(),
        }),
        InvalidToken::Algorithm => Some(format!("it is {}", text(header.get("alg")?)?)),
        InvalidToken::UnknownKey => Some(format!("it is {}", text(header.get("kid")?)?)),
        _ => None,
    }
}

fn hint(reason: InvalidToken, token: &Unverified, place: &Place) -> Option<String> {
    let kid = token.header().get("kid").and_then(Value::as_str);
    match (reason, place) {
        (InvalidToken::UnknownKey, Place::Key { .. }) => Some(
            "keys here go by their thumbprints; for a token signed with --kid, give a JWK set with \
             that name in it"
                .to_owned(),
        ),
        (InvalidToken::UnknownKey, Place::Set { keys, .. }) if keys.skipped() > 0 => {
            let skipped = keys.skipped();
            Some(format!("{skipped} of the set's keys can't be used here, by their kind or size"))
        }
        (InvalidToken::Algorithm, Place::Key { rsa: true, alg_given: false }) => {
            Some("an RSA key is taken to sign RS256 unless --alg says otherwise".to_owned())
        }
        (InvalidToken::Algorithm, Place::Set { keys, alg_given: false }) => {
            let key = kid.and_then(|kid| keys.find(kid)).or_else(|| keys.iter().next())?;
            let states_none = key.algorithm().is_none();
            states_none.then(|| "the key states no `alg`: say with --alg what it signs".to_owned())
        }
        _ => None,
    }
}

fn audiences(claim: &Value) -> Option<String> {
    let Value::Array(all) = claim else { return text(claim) };
    let mut shown: Vec<_> = all.iter().filter_map(text).take(MAX_AUDIENCES).collect();
    if all.len() > shown.len() {
        shown.push("others".to_owned());
    }
    (!shown.is_empty()).then(|| shown.join(", "))
}

/// A string of the token, cut short and fit for a terminal.
fn text(value: &Value) -> Option<String> {
    let text = value.as_str()?;
    match text.char_indices().nth(MAX_SHOWN) {
        None => Some(shown::token(text).into_owned()),
        Some((end, _)) => Some(format!("{}...", shown::token(text.get(..end)?))),
    }
}

/// A date, to the second.
fn date(value: &Value) -> Option<String> {
    let seconds = value.as_f64().filter(|seconds| (0.0..=MAX_SECONDS).contains(seconds))?;
    let since = Duration::try_from_secs_f64(seconds).ok()?;
    Some(humantime::format_rfc3339_seconds(UNIX_EPOCH + since).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_tokens_words_are_short_and_can_not_steer_a_terminal() {
        assert_eq!(text(&json!("https://id.example")).unwrap(), "https://id.example");
        assert_eq!(text(&json!("\u{1b}[2J\u{202e}")).unwrap(), "\"\\u{1b}[2J\\u{202e}\"");
        assert_eq!(text(&json!("\u{e9}".repeat(101))).unwrap(), "\u{e9}".repeat(100) + "...");
        assert_eq!(text(&json!(7)), None);
        let many: Vec<_> = (0..9).map(|n| format!("a{n}")).collect();
        assert_eq!(audiences(&json!(many)).unwrap(), "a0, a1, a2, a3, others");
        assert_eq!(audiences(&json!([])), None);
    }

    #[test]
    fn an_outage_says_nothing_of_the_token() {
        let outage = Error::new(bulla::ErrorKind::Unavailable, "the issuer can't be reached");
        let token = Token { text: "e30.e30.AA".to_owned(), name: "token.jwt".to_owned() };
        let failure = explain(&outage, &token, &Place::Remote);
        assert_eq!(failure.code(), 4);
        assert!(failure.message().ends_with("the issuer can't be reached"));
        assert!(!failure.message().contains("token.jwt") && failure.hints().is_empty());
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        assert_eq!(date(&json!(0)).unwrap(), "1970-01-01T00:00:00Z");
        assert_eq!(date(&json!(1.5)).unwrap(), "1970-01-01T00:00:01Z");
        assert_eq!(date(&json!(253_402_300_799_u64)).unwrap(), "9999-12-31T23:59:59Z");
        for bad in [json!(-1), json!(1e300), json!(253_402_300_800_u64), json!("1"), json!(null)] {
            assert_eq!(date(&bad), None, "{bad}");
        }
    }
}
