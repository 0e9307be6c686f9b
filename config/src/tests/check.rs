use std::time::Duration;

use bulla::{Error, ErrorKind, envelope::WritePolicy, resilience::Policy};

use crate::{Config, ConfigError};

fn parse(text: &str) -> Result<Config, ConfigError> {
    Config::from_text("bulla.toml", text)
}

#[track_caller]
fn refused(text: &str, at: &str, said: &str) {
    let told = parse(text).unwrap_err().to_string();
    let line = told.lines().find(|line| line.starts_with(&format!("bulla.toml:{at}: ")));
    assert!(line.is_some_and(|line| line.contains(said)), "{at}, {said:?} is not in {told}");
}

/// What a text is refused for, when that is one mistake.
#[track_caller]
fn refused_once(text: &str, at: &str, said: &str) {
    refused(text, at, said);
    let error = parse(text).unwrap_err();
    assert_eq!(error.mistakes().len(), 1, "{error}");
}

/// The example of docs/configuration.md, which names every field.
fn example() -> &'static str {
    let doc = include_str!("../../../docs/configuration.md");
    doc.split("```toml\n").nth(1).unwrap().split("```").next().unwrap()
}

#[test]
fn the_documented_example_is_one() {
    let config = parse(example()).unwrap();
    assert_eq!(config.default_name(), Some("both"));
    assert_eq!(config.key("app").unwrap().uri.to_string(), "local:app");
    assert_eq!(config.key("backup").unwrap().policy, Policy::default());
    let patient = Policy::builder()
        .attempt_timeout(Duration::from_secs(2))
        .deadline(Duration::from_secs(10))
        .max_attempts(3)
        .backoff(Duration::from_millis(100), Duration::from_secs(2))
        .retry_budget(25, 5)
        .breaker_threshold(6)
        .cool_down(Duration::from_mins(1));
    assert_eq!(config.key("app").unwrap().policy, patient.build().unwrap());
    let both = config.group("both").unwrap();
    assert_eq!(both.recipients, ["app", "backup"]);
    assert_eq!((both.write, both.header_len), (WritePolicy::AtLeast(1), Some(2048)));

    let doc = include_str!("../../../docs/configuration.md");
    let cloud = doc.split("```toml\n").nth(2).unwrap().split("```").next().unwrap();
    let config = parse(cloud).unwrap();
    assert_eq!(config.key("cloud").unwrap().uri.scheme(), "awskms");
    assert_eq!(config.group("both").unwrap().write, WritePolicy::AtLeast(1));
}

#[test]
fn public_key_wraps_are_accepted_of_keys_that_have_them() {
    let key = |uri: &str, accept: &str| {
        format!("[keys.k]\nuri = \"{uri}\"\naccept-public-key-wraps = {accept}\n")
    };
    for (uri, accept) in [
        ("azurekeyvault://acme/orders", true),
        ("azurekeyvault://acme/orders", false),
        ("pkcs11:object=orders", true),
    ] {
        let config = parse(&key(uri, &accept.to_string())).unwrap();
        assert_eq!(config.key("k").unwrap().accept_public_key_wraps, accept);
    }
    let config = parse("[keys.k]\nuri = \"azurekeyvault://acme/orders\"").unwrap();
    assert!(!config.key("k").unwrap().accept_public_key_wraps);
    for uri in ["local:k", "awskms:///alias/k", "hashivault://k"] {
        refused_once(
            &key(uri, "true"),
            "3:27",
            "is for keys that are sealed to by their public half",
        );
        refused_once(&key(uri, "false"), "3:27", "azurekeyvault, pkcs11");
    }
    refused_once(&key("pkcs11:object=orders", "\"yes\""), "3:27", "boolean");
}

#[test]
fn every_field_of_the_schema_is_documented() {
    let doc = include_str!("../../../docs/configuration.md");
    for field in [
        "default",
        "uri",
        "policy",
        "accept-public-key-wraps",
        "recipients",
        "write",
        "header-len",
        "attempt-timeout",
        "deadline",
        "max-attempts",
        "backoff.base",
        "backoff.cap",
        "retry-budget.percent",
        "retry-budget.reserve",
        "breaker.failures",
        "breaker.cool-down",
    ] {
        assert!(doc.contains(&format!("| `{field}` |")), "{field}");
    }
    // And one that nobody knows is refused, wherever it is put.
    for (line, bad) in [
        ("[keys.app]", "colour = 1"),
        ("[groups.both]", "colour = 1"),
        ("[policies.patient]", "colour = 1"),
    ] {
        let text = example().replace(line, &format!("{line}\n{bad}"));
        assert!(text != example());
        let told = parse(&text).unwrap_err().to_string();
        assert!(told.contains("unknown field `colour`"), "{told}");
    }
}

#[test]
fn nothing_is_no_mistake() {
    let config = parse("").unwrap();
    assert!(config.keys().len() == 0 && config.default_name().is_none());
    let error = config.recipients("a").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert_eq!(error.message(), "bulla.toml has no key or group `a`; it names no key");
    // It may be a secret that was pasted into the wrong place.
    let error = config.recipients("s3cr3t!").unwrap_err();
    assert!(!error.to_string().contains("s3cr3t"), "{error}");
}

#[test]
fn every_mistake_is_told_with_its_place() {
    let text = r#"default = "nobody"
colour = 1

[keys.app]
uri = "loca:app"
policy = "patient"

[keys.backup]
url = "local:two"

[keys.".hidden"]
uri = "local:three"
policy = "none"

[groups.both]
recipients = ["app", "backup", "cloud", "app"]
write = { at-least = 9 }

[policies.patient]
deadline = "5"
attempt-timeout = "1d"
"#;
    let error = parse(text).unwrap_err();
    let expected = [
        "bulla.toml:1:11: there is no key or group `nobody`",
        "bulla.toml:2:1: unknown field `colour`, expected one of `default`, `keys`, `groups`, `policies`",
        "bulla.toml:5:7: `uri` is no key URI: unknown scheme \"loca\"",
        "bulla.toml:9:1: unknown field `url`, expected one of `uri`, `policy`, `accept-public-key-wraps`, in: url = \"local:two\"",
        "bulla.toml:11:7: `keys..hidden`: a name is 1 to 64 of",
        "bulla.toml:13:10: there is no policy `none`",
        "bulla.toml:16:32: `cloud` is no key; recipients are names from [keys]",
        "bulla.toml:16:41: `app` is a recipient twice",
        "bulla.toml:17:9: `at-least` is 9; this group has 4 recipient(s)",
        "bulla.toml:20:12: `deadline`: 5 is no duration",
        "bulla.toml:21:19: `attempt-timeout`: 1d is no duration",
    ];
    let told = error.to_string();
    assert_eq!(told.lines().count(), expected.len(), "{told}");
    for (line, expected) in told.lines().zip(expected) {
        assert!(line.starts_with(expected), "{expected:?} is not {line:?}");
    }
    let places: Vec<_> = error.mistakes().iter().map(|mistake| mistake.line).collect();
    assert_eq!(places, [1, 2, 5, 9, 11, 13, 16, 16, 17, 20, 21]);

    // For those who log errors of the library, it is one of them, in one line.
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    let error = Error::from(error);
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert_eq!(error.message(), told.replace('\n', "; "));
}

#[test]
fn mistakes_without_end_are_counted() {
    let text: String = (0..100).map(|n| format!("[keys.k{n}]\n")).collect();
    let error = parse(&text).unwrap_err();
    assert_eq!(error.mistakes().len(), 100);
    let told = error.to_string();
    assert_eq!(told.lines().count(), 21);
    assert!(told.ends_with("\nbulla.toml: and 80 more"), "{told}");
}

/// What is wrong in one place is no mistake of another one that names it.
#[test]
fn mistakes_have_no_echo() {
    refused_once("[keys.a]\nuri = 3\n[groups.g]\nrecipients = [\"a\"]", "2:7", "invalid type");
    refused_once("default = \"a\"\n[keys.a]\nuri = \"b\"", "3:7", "no key URI");
    refused_once("[keys.a]\nuri = \"local:a\"\npolicy = \"p\"\n[policies.p]\nx = 1", "5:1", "`x`");
    refused_once("default = \"g\"\n[groups.g]\nrecipients = []", "3:14", "not 0");
    refused_once("default = \"a\"\n[keys.a]\nuri = ", "3:7", "");
}

#[test]
fn unknown_fields_and_tables() {
    refused("defualt = \"a\"", "1:1", "unknown field `defualt`");
    refused("[key.app]\nuri = \"local:app\"", "1:2", "unknown field `key`");
    refused("[keys.app]\nuri = \"local:a\"\ncolour = 1", "3:1", "unknown field `colour`");
    refused("[policies.p]\nbackoff = { base = \"1s\", top = \"2s\" }", "2:26", "field `top`");
    refused("[policies.p]\nretry-budget = { per = 1 }", "2:18", "field `per`");
    refused("[policies.p]\nbreaker = { for = 1 }", "2:13", "field `for`");
}

#[test]
fn wrong_types() {
    refused("default = 3", "1:11", "in: default = 3");
    refused("[keys.app]\nuri = 3", "2:7", "integer `3`, expected a string, in: uri = 3");
    refused("[keys]\napp = \"local:app\"", "2:7", "in: app = ");
    refused("[keys.app]\npolicy = \"p\"", "1:1", "missing field `uri`, in: [keys.app]");
    refused("[policies.p]\nmax-attempts = -1", "2:16", "in: max-attempts = -1");
    refused("[policies.p]\nbreaker = 5", "2:11", "integer `5`, expected a table");
    refused("[policies.p]\ndeadline = 5", "2:12", "in: deadline = 5");
    let group = "[keys.a]\nuri = \"local:a\"\n[groups.g]\nrecipients = [\"a\"]\n";
    refused(&format!("{group}write = \"any\""), "5:9", "unknown variant `any`");
    refused(&format!("{group}write = {{ at-last = 1 }}"), "5:11", "unknown variant `at-last`");
    refused(&format!("{group}header-len = 70000"), "5:14", "in: header-len = 70000");
}

#[test]
fn text_that_is_no_toml() {
    refused("[keys.app\nuri = 1", "1:10", "in: [keys.app");
    refused("default = \"a", "1:13", "in: default = ");
    refused("a = \u{1b}[2J", "1:6", "in: a = \\u{1b}[2J");
}

#[test]
fn the_same_name_twice() {
    refused("default = \"a\"\ndefault = \"b\"", "2:1", "duplicate key, in: default = ");
    let key = "[keys.a]\nuri = \"local:a\"\n";
    refused(&format!("{key}{key}"), "3:7", "duplicate key, in: [keys.a]");
    let group = "[groups.a]\nrecipients = [\"a\"]";
    refused(&format!("{key}{group}"), "3:9", "`a` is the name of a key already");
}

#[test]
fn names() {
    for bad in ["", ".a", "-a", "a b", "a:b", "ä", &"a".repeat(65)] {
        refused(&format!("[keys.\"{bad}\"]\nuri = \"local:a\""), "1:7", "a name is 1 to 64");
        refused(&format!("[policies.\"{bad}\"]"), "1:11", "a name is 1 to 64");
        refused(&format!("[groups.\"{bad}\"]\nrecipients = []"), "1:9", "a name is 1 to 64");
    }
    let longest = "a".repeat(64);
    for good in ["a", "0", "_", "a.b-c_D9", longest.as_str()] {
        let text = format!("default = \"{good}\"\n[keys.\"{good}\"]\nuri = \"local:a\"");
        assert_eq!(parse(&text).unwrap().default_name(), Some(good));
    }
}

#[test]
fn names_that_lead_nowhere() {
    refused("default = \"app\"", "1:11", "there is no key or group `app`");
    let key = "[keys.a]\nuri = \"local:a\"\n";
    refused(&format!("{key}policy = \"p\""), "3:10", "there is no policy `p`");
    let group = |recipients: &str| format!("{key}[groups.g]\nrecipients = {recipients}");
    refused(&group("[\"a\", \"b\"]"), "4:20", "`b` is no key");
    refused(&group("[\"g\"]"), "4:15", "`g` is no key"); // groups don't nest
    refused(&group("[\"a\", \"a\"]"), "4:20", "`a` is a recipient twice");
    refused(&group("[]"), "4:14", "1 to 8 recipients, not 0");
    let nine = ["\"a\""; 9].join(", ");
    refused(&group(&format!("[{nine}]")), "4:14", "1 to 8 recipients, not 9");
    for least in [0, 2] {
        let text = format!("{}\nwrite = {{ at-least = {least} }}", group("[\"a\"]"));
        refused(&text, "5:9", &format!("`at-least` is {least}"));
    }
}

#[test]
fn values() {
    refused("[keys.a]\nuri = \"loca:a\"", "2:7", "`uri` is no key URI: ");
    refused("[keys.a]\nuri = \"app\"", "2:7", "did you mean \"local:app\"");
    refused("[policies.p]\ndeadline = \"5\"", "2:12", "`deadline`: 5 is no duration");
    refused(
        "[policies.p]\nbackoff = { base = \"1s\", cap = \"x\" }",
        "2:32",
        "`backoff.cap`: x is",
    );
    refused("[policies.p]\nbreaker = { cool-down = \"1d\" }", "2:25", "`breaker.cool-down`: 1d is");
    // What the values are to each other is the library's to say.
    refused("\n[policies.p]\nmax-attempts = 11", "2:11", "`p`: resilience policy: 11 attempts");
    refused("[policies.p]\ndeadline = \"2s\"", "1:11", "is over the deadline of 2s");
}
