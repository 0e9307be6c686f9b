#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::{BTreeMap, HashMap};

use proptest::prelude::*;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use super::*;
use crate::jwt::{Claims, InvalidToken};

#[derive(Debug, Deserialize, PartialEq)]
struct Access {
    sub: Option<String>,
    scope: String,
    #[serde(default)]
    roles: Vec<Role>,
    exp: Option<u64>,
    limits: Option<HashMap<String, f32>>,
    by: Option<Box<Access>>,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
enum Role {
    Reader,
    Of(String),
    Within { team: String, since: u32 },
    Both(i8, bool),
}

#[derive(Debug, Deserialize, PartialEq)]
struct Flat {
    iss: String,
    aud: Audience,
    #[serde(flatten)]
    rest: BTreeMap<String, Value>,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

/// Read once where nothing is in doubt, and otherwise as it always was: the same either way.
fn judge<C: DeserializeOwned + PartialEq + fmt::Debug>(json: &str) -> bool {
    let twice = Registered::parse(json.as_bytes()).and_then(|registered| {
        let claims = serde_json::from_str::<C>(json).map_err(|_| InvalidToken::Claims)?;
        Ok((claims, registered))
    });
    let Some((claims, seen)) = read::<C>(json.as_bytes()) else { return false };
    let (again, registered) = twice.unwrap_or_else(|e| panic!("{json} was read, but is {e:?}"));
    assert_eq!(claims, again, "{json}");
    let all = |r: &Registered<'_>| format!("{:?}", (&r.iss, &r.aud, r.exp, r.nbf, r.iat));
    assert_eq!(all(&seen), all(&registered), "{json}");
    true
}

const USUAL: &str = r#"{"iss":"https://id.example","sub":"ada","aud":"orders","exp":1790000000,
    "nbf":1.5,"iat":17e8,"jti":"AAAA","scope":"read write","roles":["reader",{"of":"x"},
    {"within":{"team":"a\u0041","since":7}},{"both":[-1,true]}],"limits":{"a":1,"b":-2.5e3},
    "by":{"scope":"","sub":null,"extra":[[],{}]},"more":[null,true,[{"a":{"b":"c"}}]]}"#;

#[test]
fn usual_claims_are_read_once() {
    assert!(judge::<Claims>(USUAL));
    assert!(judge::<Value>(USUAL));
    assert!(judge::<Access>(USUAL));
    assert!(judge::<Flat>(USUAL));
    assert!(judge::<HashMap<String, Value>>(USUAL));
    assert!(judge::<de::IgnoredAny>(USUAL));
    for aud in [r#"["a","b"]"#, "[]", r#""\u0061""#] {
        assert!(judge::<Claims>(&format!(r#"{{"iss":"\n","aud":{aud}}}"#)), "{aud}");
        assert!(judge::<Flat>(&format!(r#"{{"iss":"a","aud":{aud}}}"#)), "{aud}");
    }
    assert!(judge::<Claims>("{}") && judge::<Access>(r#"{"scope":"x"}"#));
}

#[test]
fn what_is_wrong_or_unusual_is_read_twice() {
    for json in [
        "",
        "[]",
        "null",
        "{}{}",
        r#"{"exp":1,"exp":2}"#,
        r#"{"exp":1,"\u0065xp":2}"#,
        r#"{"a":{"b":1,"b":1}}"#,
        r#"{"a":[{"b":1,"b":1}]}"#,
        r#"{"exp":null}"#,
        r#"{"exp":"1"}"#,
        r#"{"exp":-1}"#,
        r#"{"exp":1e15}"#,
        r#"{"iss":null}"#,
        r#"{"iss":["a"]}"#,
        r#"{"sub":1}"#,
        r#"{"jti":{}}"#,
        r#"{"aud":null}"#,
        r#"{"aud":[1]}"#,
        r#"{"aud":[["a"]]}"#,
        r#"{"aud":{"a":"b"}}"#,
    ] {
        assert!(!judge::<Value>(json) && !judge::<Claims>(json), "{json}");
        assert!(!judge::<de::IgnoredAny>(json), "{json}");
    }
    // Deeper than a level that both allow.
    for levels in MAX_DEPTH - 2..MAX_DEPTH + 2 {
        for (open, close) in [("[", "]"), (r#"{"a":"#, "}")] {
            let value = format!("{}1{}", open.repeat(levels), close.repeat(levels));
            let fits = levels < MAX_DEPTH;
            assert_eq!(judge::<Value>(&format!(r#"{{"a":{value}}}"#)), fits, "{levels}");
        }
    }
}

/// A type that leaves something out does not leave it out of what is checked.
#[test]
fn nothing_is_hidden_by_the_callers_type() {
    #[derive(Debug, Deserialize, PartialEq)]
    struct Nothing {}

    assert!(judge::<Nothing>(USUAL));
    assert!(!judge::<Nothing>(r#"{"x":{"a":1,"a":2}}"#));
    assert!(!judge::<Nothing>(r#"{"exp":null}"#));
    let (_, seen) = read::<Nothing>(USUAL.as_bytes()).unwrap();
    assert_eq!(seen.iss.unwrap(), "https://id.example");
}

fn value() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        (-5_i64..5).prop_map(|n| n.to_string()),
        Just("1.5e3".to_owned()),
        Just("1e400".to_owned()),
        Just(r#""reader""#.to_owned()),
        Just(r#""\u0061\ud83d\ude00""#.to_owned()),
        Just(r#""\ud800""#.to_owned()),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4)
                .prop_map(|all| format!("[{}]", all.join(","))),
            prop::collection::vec((name(), inner), 0..4).prop_map(|all| object(&all)),
        ]
    })
}

fn name() -> impl Strategy<Value = String> {
    let names = [
        "iss",
        "sub",
        "aud",
        "exp",
        "nbf",
        "iat",
        "jti",
        "scope",
        "roles",
        "limits",
        "by",
        "of",
        "within",
        "team",
        "since",
        "both",
        "a",
        "\\u0061",
        "\\u0065xp",
        "$serde_json::private::Number",
        "$serde_json::private::RawValue",
    ];
    prop::sample::select(names.map(str::to_owned).to_vec())
}

fn object(members: &[(String, String)]) -> String {
    let all: Vec<_> = members.iter().map(|(name, value)| format!(r#""{name}":{value}"#)).collect();
    format!("{{{}}}", all.join(","))
}

proptest! {
    #[test]
    fn both_ways_agree(members in prop::collection::vec((name(), value()), 0..8)) {
        let json = object(&members);
        judge::<Claims>(&json);
        judge::<Value>(&json);
        judge::<Access>(&json);
        judge::<Flat>(&json);
        judge::<HashMap<String, Role>>(&json);
        judge::<HashMap<String, Option<Audience>>>(&json);
        judge::<de::IgnoredAny>(&json);
    }
}
