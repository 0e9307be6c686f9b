//! `bulla token` and `bulla jwks`.

use serde_json::{Value, json};

use crate::sandbox::{Ended, Sandbox, end};

const KINDS: [(&str, &[&str]); 7] = [
    ("rsa-2048", &["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"]),
    ("rsa-3072", &["RS256", "PS512"]),
    ("rsa-4096", &["RS256", "PS256"]),
    ("p-256", &["ES256"]),
    ("p-384", &["ES384"]),
    ("p-521", &["ES512"]),
    ("ed25519", &["EdDSA", "Ed25519"]),
];

/// What `sign` is given, and what `verify` expects then.
const CLAIMS: &str = "--iss https://id.example --sub ada --aud orders";
const EXPECTED: &str = "--iss https://id.example --aud orders";

/// A sandbox with the key `local:id`, its set, and a token of it.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.ok("keys create id --type p-256");
    sandbox.write("jwks.json", sandbox.ok("jwks"));
    sandbox.write("token", sandbox.ok(&format!("token sign --key local:id {CLAIMS}")));
    sandbox
}

fn json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap()
}

/// Verifies what `sign` makes of these arguments, which may hold spaces.
fn signed(sandbox: &Sandbox, args: &[&str], verify: &str) -> Ended {
    let token = end(sandbox.bulla().args(["token", "sign", "--key", "local:id"]).args(args));
    assert_eq!(token.code, Some(0), "{args:?}: {}", token.stderr);
    sandbox.pipe(&format!("token verify --key local:id {verify}"), &token.stdout)
}

#[test]
fn every_kind_of_key_signs_with_each_of_its_algorithms() {
    let sandbox = Sandbox::new();
    for (kind, algorithms) in KINDS {
        sandbox.ok(&format!("keys create {kind} --type {kind}"));
        let key = format!("--key local:{kind}");
        for alg in algorithms {
            let token = sandbox.ok(&format!("token sign {key} --alg {alg} {CLAIMS}"));
            let header = &json(&sandbox.pipe("token inspect", &token).stdout)["header"];
            assert_eq!(header["alg"], *alg);
            let verified =
                sandbox.pipe(&format!("token verify {key} --alg {alg} {EXPECTED}"), &token);
            verified.expect(0, "");
            assert_eq!(json(&verified.stdout)["sub"], "ada");
            let set = match kind.starts_with("rsa") || *kind == *"ed25519" {
                true => sandbox.ok(&format!("jwks {key} --alg {alg}")),
                false => sandbox.ok(&format!("jwks {key}")),
            };
            assert_eq!(json(&set)["keys"][0]["kid"], header["kid"]);
            assert_eq!(json(&set)["keys"][0]["alg"], *alg, "token and key agree");
            sandbox.write("jwks.json", set);
            sandbox
                .pipe(&format!("token verify --jwks jwks.json {EXPECTED}"), &token)
                .expect(0, "");
        }
        // Without a word on the algorithm, signing, publishing and verifying agree.
        let token = sandbox.ok(&format!("token sign {key} {CLAIMS}"));
        assert_eq!(
            json(&sandbox.pipe("token inspect", &token).stdout)["header"]["alg"],
            algorithms[0]
        );
        sandbox.pipe(&format!("token verify {key} {EXPECTED}"), &token).expect(0, "");
        assert_eq!(json(&sandbox.ok(&format!("jwks {key}")))["keys"][0]["alg"], algorithms[0]);
    }
    // Either name of Ed25519 verifies the other, and the set says each kind's.
    let token = sandbox.ok(&format!("token sign --key local:ed25519 --alg Ed25519 {CLAIMS}"));
    sandbox
        .pipe(&format!("token verify --key local:ed25519 --alg EdDSA {EXPECTED}"), &token)
        .expect(0, "");
    let keys = "--key local:rsa-2048 --key local:ed25519";
    let set = json(&sandbox.ok(&format!("jwks {keys} --alg Ed25519 --alg PS256")));
    assert_eq!(
        (&set["keys"][0]["alg"], &set["keys"][1]["alg"]),
        (&json!("PS256"), &json!("Ed25519"))
    );
    sandbox
        .run(&format!("jwks {keys} --alg PS256 --alg RS256"))
        .expect(2, "twice for the same keys");
    sandbox
        .run(&format!("jwks {keys} --alg EdDSA --alg EdDSA"))
        .expect(2, "twice for the same keys");
    // One set of all of them.
    sandbox.ok("keys create sealing");
    let all = json(&sandbox.ok("jwks"));
    assert_eq!(all["keys"].as_array().unwrap().len(), KINDS.len());
    let wrong = sandbox.run("token sign --key local:p-256 --alg RS256");
    wrong.expect(2, "the signing key does not sign RS256");
    sandbox.run("token sign --key local:p-256 --alg HS256").expect(2, "possible values: RS256");
    sandbox.run("token sign --key local:p-256 --alg none").expect(2, "possible values: RS256");
    sandbox.run("jwks --key local:p-256 --alg ES256").expect(2, "possible values: RS256");
}

#[test]
fn claims_are_what_was_given_and_each_is_given_once() {
    let sandbox = sandbox();
    sandbox.write("more.json", r#"{ "big": 18446744073709551617.25, "deep": {"a": [1, null]} }"#);
    let args = [
        "--iss",
        "us",
        "--aud",
        "a",
        "--aud",
        "b",
        "--ttl",
        "90s",
        "--claim",
        "scope=read write",
        "--claim",
        "level:=3",
        "--claim",
        "https://x.example/y=z=1",
        "--claims",
        "more.json",
    ];
    let ended = signed(&sandbox, &args, "--iss us --aud b");
    ended.expect(0, "");
    let claims = json(&ended.stdout);
    assert_eq!(claims["aud"], json!(["a", "b"]));
    assert_eq!(claims["scope"], "read write");
    assert_eq!(claims["level"], 3);
    assert_eq!(claims["https://x.example/y"], "z=1");
    assert_eq!(claims["deep"], json!({"a": [1, null]}));
    assert_eq!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(), 90);
    assert_eq!(claims["jti"].as_str().unwrap().len(), 22);
    let default = json(&sandbox.ok("token inspect token"))["claims"].clone();
    assert_eq!(default["exp"].as_u64().unwrap() - default["iat"].as_u64().unwrap(), 3600);

    let piped = sandbox.pipe("token sign --key local:id --claims - --sub ada", br#"{"aud":"x"}"#);
    piped.expect(0, "");
    sandbox.pipe("token verify --key local:id --any-issuer --aud x", &piped.stdout).expect(0, "");

    sandbox.write("iss.json", r#"{"iss": "us"}"#);
    sandbox.write("twice.json", r#"{"a": 1, "a": 1}"#);
    for (args, name) in [
        ("--iss us --claim iss=us", "iss"),
        ("--iss us --claims iss.json", "iss"),
        ("--aud a --claim aud=b", "aud"),
        ("--claim a=1 --claim a:=1", "a"),
        ("--claims twice.json", "a"),
        ("--ttl 1h --claim exp:=2000000000", "exp"),
    ] {
        let ended = sandbox.run(&format!("token sign --key local:id {args}"));
        ended.expect(2, &format!("the claim {name} is given twice"));
        assert!(ended.stdout.is_empty());
    }
}

#[test]
fn claims_that_no_verifier_reads_are_not_signed() {
    let sandbox = sandbox();
    sandbox.write("inner.json", r#"{"a": {"b": 1, "b": 2}}"#);
    sandbox.write("deep.json", format!("{{\"a\":{}1{}}}", "[".repeat(16), "]".repeat(16)));
    sandbox.write("array.json", "[1]");
    sandbox.write("half.json", "{\"a\":\n 1");
    sandbox.write("bytes.json", b"{\"a\":\"\xff\"}");
    sandbox.write("long.json", format!("{{\"a\":\"{}\"}}", "x".repeat(20_000)));
    sandbox.write("longer.json", format!("{{\"a\":\"{}\"}}", "x".repeat(70_000)));
    for (args, said) in [
        ("--claims inner.json", "have a name twice"),
        ("--claims deep.json", "nested deeply"),
        ("--claims array.json", "array.json: is no JSON object: line 1, column 0"),
        ("--claims half.json", "half.json: is no JSON object: line 2, column 2"),
        ("--claims bytes.json", "bytes.json: is no JSON object"),
        ("--claims long.json", "over 16 KiB"),
        ("--claims longer.json", "longer.json: is longer than the claims of a token"),
        ("--claim exp:=1e13", "the claim exp has a value that it can't have"),
        ("--claim exp:=null", "the claim exp has a value that it can't have"),
        ("--claim sub:=7", "the claim sub has a value that it can't have"),
        ("--claim a:=b", "is no JSON"),
        ("--claim a", "a claim is NAME=TEXT"),
        ("--ttl 0s", "a token lasts a second or more"),
        ("--ttl -5s", "is no duration"),
        ("--ttl 10", "is no duration"),
        ("--ttl 9999999h", "100 years or less"),
    ] {
        let ended = sandbox.run(&format!("token sign --key local:id {args}"));
        ended.expect(2, said);
        assert!(ended.stdout.is_empty(), "{args}");
    }
    sandbox.run("token sign --key local:id --claims no.json").expect(1, "no.json: No such file");
}

#[test]
fn a_token_is_held_to_what_is_expected() {
    let sandbox = sandbox();
    let verify = |args: &str| sandbox.run(&format!("token verify token --key local:id {args}"));
    verify(EXPECTED).expect(0, "");
    verify("--iss https://id.example --any-audience").expect(0, "");
    verify("--any-issuer --aud orders --any-typ").expect(0, "");
    for (args, said) in [
        (
            "--iss https://other.example --aud orders",
            "issuer is not the one expected: it is https://id.example",
        ),
        ("--iss https://id.example/ --aud orders", "issuer is not the one expected"),
        ("--iss https://id.example --aud books", "for another audience: orders"),
        (&format!("{EXPECTED} --typ at+jwt"), "typ is not the one expected: it is JWT"),
        (&format!("{EXPECTED} --alg Ed25519"), "algorithm is not the key's"),
    ] {
        let ended = verify(args);
        ended.expect(3, said);
        ended.expect(3, "bulla: token: ");
        assert!(ended.stdout.is_empty(), "{args}");
    }
    // What is not said must be waived by name.
    for (args, option) in [
        ("--aud orders", "--iss <ISSUER>"),
        ("--iss https://id.example", "--aud <AUDIENCE>"),
        (&format!("{EXPECTED} --any-issuer"), "cannot be used with"),
        (&format!("{EXPECTED} --any-audience"), "cannot be used with"),
        (&format!("{EXPECTED} --typ JWT --any-typ"), "cannot be used with"),
        (&format!("{EXPECTED} --leeway 61s"), "the leeway is over 60 seconds"),
        (&format!("{EXPECTED} --jwks jwks.json"), "cannot be used with"),
    ] {
        verify(args).expect(2, option);
    }
    sandbox.run(&format!("token verify token {EXPECTED}")).expect(2, "--jwks <FILE|URL>");
    let other = sandbox.ok("token sign --key local:id --typ at+jwt");
    let any = "token verify --key local:id --any-issuer --any-audience";
    sandbox.pipe(any, &other).expect(3, "typ is not the one expected: it is at+jwt");
    sandbox.pipe(&format!("{any} --typ application/AT+jwt"), &other).expect(0, "");
    sandbox.pipe(&format!("{any} --any-typ"), &other).expect(0, "");
    sandbox.pipe(&format!("{any} --any-typ --aud x"), &other).expect(2, "cannot be used with");
    let missing = "token verify --key local:id --typ at+jwt --iss us --any-audience";
    sandbox.pipe(missing, &other).expect(3, "the token has no claim iss");
}

#[test]
fn dates_are_checked_and_told() {
    let sandbox = sandbox();
    let any = "--any-issuer --any-audience";
    let ended = signed(&sandbox, &["--claim", "exp:=1700000000"], any);
    ended.expect(3, "the token has expired: at 2023-11-14T22:13:20Z");
    assert!(ended.stdout.is_empty());
    let ended = signed(&sandbox, &["--claim", "nbf:=4000000000"], any);
    ended.expect(3, "the token is not valid yet: not before 2096-10-02T07:06:40Z");
    let ended = signed(&sandbox, &["--claim", "iat:=4000000000"], any);
    ended.expect(3, "the token was issued in the future: at 2096-10-02T07:06:40Z");
    // The leeway is for clocks that differ.
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let past = format!("exp:={}", now - 20);
    signed(&sandbox, &["--claim", &past], any).expect(3, "the token has expired: at ");
    signed(&sandbox, &["--claim", &past], &format!("{any} --leeway 60s")).expect(0, "");
}

#[test]
fn whatever_was_not_signed_so_is_refused() {
    let sandbox = sandbox();
    let token = String::from_utf8(sandbox.read("token")).unwrap();
    let token = token.trim();
    let verify = format!("token verify --jwks jwks.json {EXPECTED}");
    let [header, payload, signature] = token.split('.').collect::<Vec<_>>()[..] else { panic!() };
    let flip = |text: &str, at: usize| {
        let other = if text.as_bytes()[at] == b'A' { "B" } else { "A" };
        format!("{}{other}{}", &text[..at], &text[at + 1..])
    };
    // {"alg":"none"}, {"alg":"HS256"}, and {"alg":"ES256","jwk":{}}
    let (none, symmetric) = ("eyJhbGciOiJub25lIn0", "eyJhbGciOiJIUzI1NiJ9");
    let offering = "eyJhbGciOiJFUzI1NiIsImp3ayI6e319";
    for (text, said) in [
        (format!("{header}.{payload}.{}", flip(signature, 5)), "signature is not the key's"),
        (format!("{header}.{}.{signature}", flip(payload, 20)), "signature is not the key's"),
        (format!("{header}.{payload}."), "signature is not the key's"),
        (format!("{none}.{payload}."), "it is none"),
        (format!("{symmetric}.{payload}.{signature}"), "it is HS256"),
        (format!("{offering}.{payload}.{signature}"), "offers a key"),
        (format!("{header}.{payload}"), "invalid token"),
        (format!("{token}=="), "invalid token"),
        (format!(" {token}"), "invalid token"),
        (format!("{token}\n\n"), "invalid token"),
        (format!("{token}\r"), ""),
        (format!("{token}.{signature}"), "invalid token"),
        (String::new(), "invalid token"),
        ("\u{1b}[2J\u{1b}[2J.\u{1b}.\u{7}".to_owned(), "invalid token"),
        ("x".repeat(16 * 1024 + 3), "the token is longer than 16 KiB"),
        ("x".repeat(16 * 1024 + 1), "invalid token"),
    ] {
        let ended = sandbox.pipe(&verify, text.as_bytes());
        let code = if said.is_empty() { 0 } else { 3 };
        ended.expect(code, said);
        assert!(ended.stderr.chars().all(|c| c == '\n' || !c.is_control()), "{:?}", ended.stderr);
        assert_eq!(ended.stdout.is_empty(), code != 0, "{text}");
    }
    sandbox.pipe(&verify, b"\xff\xfe.\xff.\xff").expect(3, "invalid token");
    for end in ["", "\n", "\r\n"] {
        sandbox.pipe(&verify, format!("{token}{end}").as_bytes()).expect(0, "");
    }
    sandbox.pipe(&format!("{verify} -"), token.as_bytes()).expect(0, "");
    // Nowhere is a token taken from the arguments, nor repeated.
    for command in [&verify, "token inspect"] {
        let ended = sandbox.run(&format!("{command} {token}"));
        ended.expect(2, "not from an argument");
        assert!(!ended.stderr.contains(payload));
    }
}

#[test]
fn hostile_words_are_told_without_their_controls() {
    let sandbox = sandbox();
    let hostile = "a\u{1b}[2J\u{202e}\u{9b}b";
    let long = "x".repeat(5_000);
    let clean = |ended: &Ended| {
        let steers = |c: char| c != '\n' && (c.is_control() || c == '\u{202e}');
        assert!(!ended.stderr.contains(steers), "{:?}", ended.stderr);
        let printable = |b: &u8| *b == b'\n' || (b' '..0x7f).contains(b);
        assert!(ended.stdout.iter().all(printable));
    };
    let ended = signed(&sandbox, &["--iss", hostile], "--iss us --any-audience");
    ended.expect(3, "it is \"a\\u{1b}[2J\\u{202e}\\u{9b}b\"");
    clean(&ended);
    let ended = signed(&sandbox, &["--aud", hostile, "--aud", &long], "--any-issuer --aud us");
    ended.expect(3, "for another audience: \"a\\u{1b}");
    assert!(ended.stderr.len() < 500, "{}", ended.stderr);
    clean(&ended);
    let ended = signed(&sandbox, &["--typ", hostile], "--any-issuer --any-audience");
    ended.expect(3, "typ is not the one expected");
    clean(&ended);
    let ended = signed(&sandbox, &["--kid", hostile], "--any-issuer --any-audience");
    ended.expect(3, "no key has the token's kid");
    ended.expect(3, "hint: keys here go by their thumbprints");
    clean(&ended);
    let ended = signed(&sandbox, &["--sub", hostile], "--any-issuer --any-audience");
    ended.expect(0, "");
    clean(&ended);
    assert_eq!(json(&ended.stdout)["sub"], hostile);
    let token = end(sandbox.bulla().args(["token", "sign", "-k", "local:id", "--sub", hostile]));
    let ended = sandbox.pipe("token inspect", &token.stdout);
    clean(&ended);
    assert_eq!(json(&ended.stdout)["claims"]["sub"], hostile);
}

#[test]
fn a_set_has_every_version_that_may_verify_and_nothing_private() {
    let sandbox = sandbox();
    sandbox.ok("keys create sealing");
    let old = sandbox.read("token");
    sandbox.ok("keys rotate id");
    let new = sandbox.ok(&format!("token sign --key local:id {CLAIMS}"));
    let verify =
        |args: &str, token: &[u8]| sandbox.pipe(&format!("token verify {args} {EXPECTED}"), token);
    verify("--jwks jwks.json", &new).expect(3, "no key has the token's kid");
    for (change, old_code) in [("deprecate", 0), ("enable", 0), ("disable", 3)] {
        sandbox.ok(&format!("keys {change} id --version 1"));
        let set = sandbox.ok("jwks --key local:id");
        sandbox.write("jwks.json", &set);
        let set = json(&set);
        let keys = set["keys"].as_array().unwrap();
        assert_eq!(keys.len(), if old_code == 0 { 2 } else { 1 }, "{change}");
        for key in keys {
            for private in ["d", "p", "q", "dp", "dq", "qi", "k"] {
                assert!(key.get(private).is_none());
            }
            assert_eq!((&key["alg"], &key["use"]), (&json!("ES256"), &json!("sig")));
        }
        for keys in ["--jwks jwks.json", "--key local:id"] {
            verify(keys, &new).expect(0, "");
            verify(keys, &old).expect(old_code, "");
        }
    }
    // Published while nothing new is signed; and nothing once all is disabled.
    sandbox.ok("keys deprecate id --version 2");
    sandbox.run("token sign --key local:id").expect(1, "deprecated");
    verify("--key local:id", &new).expect(0, "");
    sandbox.ok("keys disable id");
    verify("--key local:id", &new).expect(1, "has no version that may verify");
    sandbox.run("jwks --key local:id").expect(1, "has no version that may verify");
    let none = sandbox.run("jwks");
    none.expect(0, "the set is empty");
    assert_eq!(json(&none.stdout), json!({"keys": []}));
}

#[test]
fn sets_of_others_are_read() {
    let sandbox = sandbox();
    sandbox.ok("keys create rsa --type rsa-2048");
    let token = sandbox.ok(&format!("token sign --key local:rsa --alg PS384 {CLAIMS}"));
    let set = json(&sandbox.ok("jwks --key local:rsa"));
    assert_eq!(set["keys"][0]["alg"], "RS256");
    sandbox.write("rs256.json", set.to_string());
    let mut without = set.clone();
    without["keys"][0].as_object_mut().unwrap().remove("alg");
    sandbox.write("without.json", without.to_string());
    let verify = |set: &str, args: &str| {
        sandbox.pipe(&format!("token verify --jwks {set} {EXPECTED} {args}"), &token)
    };
    verify("without.json", "").expect(3, "hint: the key states no `alg`: say with --alg");
    verify("without.json", "--alg PS384").expect(0, "");
    verify("without.json", "--alg PS256").expect(3, "it is PS384");
    let pinned = verify("rs256.json", "--alg PS384");
    pinned.expect(3, "it is PS384");
    assert!(!pinned.stderr.contains("hint"), "{}", pinned.stderr);

    let own = sandbox.pipe(&format!("token verify --key local:rsa {EXPECTED}"), &token);
    own.expect(3, "hint: an RSA key is taken to sign RS256 unless --alg says otherwise");

    let named = sandbox.ok(&format!("token sign --key local:rsa --kid 2026-11 {CLAIMS}"));
    let mut renamed = set.clone();
    renamed["keys"][0]["kid"] = json!("2026-11");
    sandbox.write("renamed.json", renamed.to_string());
    let jwks = format!("token verify --jwks renamed.json {EXPECTED}");
    sandbox.pipe(&jwks, &named).expect(0, "");
    sandbox.ok("keys rotate rsa");
    sandbox.ok(&format!("token sign --key local:rsa --kid 2026-12 {CLAIMS}"));

    sandbox.write("small.json", r#"{"keys":[{"kty":"oct","k":"AAAA"},{"kty":"RSA"}]}"#);
    verify("small.json", "").expect(3, "hint: 2 of the set's keys can't be used here");
    sandbox.write("no.json", "{}");
    verify("no.json", "").expect(2, "no.json: invalid input: no JWK set");
    sandbox.write("long.json", " ".repeat((1 << 20) + 1));
    verify("long.json", "").expect(2, "long.json: is longer than 1 MiB");
    verify("gone.json", "").expect(1, "gone.json: No such file");
    verify("-", "").expect(2, "--jwks names a file or a URL");
}

#[test]
fn an_issuer_is_the_one_that_its_keys_are_from() {
    let sandbox = sandbox();
    let url = "https://id.example";
    let issuer = format!("token verify token --issuer {url} --aud orders");
    sandbox.run(&format!("{issuer} --iss {url}/")).expect(2, "--iss is not the URL");
    sandbox.run(&format!("{issuer} --any-issuer")).expect(2, "cannot be used with");
    sandbox.run(&issuer.replace(" --aud orders", "")).expect(2, "--aud <AUDIENCE>");
}

#[cfg(not(feature = "oidc"))]
#[test]
fn a_build_that_fetches_no_keys_names_the_feature_that_does() {
    let sandbox = sandbox();
    for keys in ["--issuer https://id.example", "--jwks https://id.example/k --any-issuer"] {
        let verify = format!("token verify token {keys} --aud orders");
        sandbox.run(&verify).expect(2, "`--features oidc`");
    }
}

#[test]
fn keys_go_by_their_names_in_the_configuration() {
    let sandbox = sandbox();
    sandbox.ok("keys create other --type ed25519");
    sandbox.ok("keys create sealing");
    sandbox.configure(
        "[keys.app]\nuri = \"local:id\"\npolicy = \"quick\"\n[keys.same]\nuri = \"local:id\"\n\
         [keys.seal]\nuri = \"local:sealing\"\n[policies.quick]\ndeadline = \"5s\"\n\
         [groups.both]\nrecipients = [\"app\", \"seal\"]\n[groups.one]\nrecipients = [\"app\"]\n",
    );
    let token = sandbox.ok(&format!("token sign -k app {CLAIMS}"));
    for key in ["app", "one", "local:id"] {
        sandbox.pipe(&format!("token verify -k {key} {EXPECTED}"), &token).expect(0, "");
    }
    // The keys of the configuration, each once, and no other key of the store.
    let set = json(&sandbox.ok("jwks"));
    assert_eq!(set["keys"].as_array().unwrap().len(), 1, "{set}");
    assert_eq!(set, json(&sandbox.read("jwks.json")));
    assert_eq!(json(&sandbox.ok("jwks -k local:id -k local:other"))["keys"][1]["alg"], "EdDSA");
    sandbox.run("token sign -k both").expect(2, "this is a group");
    sandbox.run("token sign -k seal").expect(2, "seal seals and does not sign");
    sandbox.run("jwks -k seal").expect(2, "seal seals and does not sign");
    sandbox.run("jwks -k gone").expect(2, "no key or group `gone`");
    sandbox.run("token sign -k local:gone").expect(1, "`bulla keys create gone` makes it");
    sandbox.run("jwks -k local:gone").expect(1, "`bulla keys create gone` makes it");
    // A set is whole or is not printed.
    sandbox.configure("[keys.app]\nuri = \"local:id\"\n[keys.gone]\nuri = \"local:gone\"\n");
    let ended = sandbox.run("jwks");
    ended.expect(1, "`bulla keys create gone` makes it");
    assert!(ended.stdout.is_empty());
}

#[test]
fn a_passphrase_is_for_signing_alone() {
    let sandbox = Sandbox::new();
    sandbox.write("right", "correct horse\n");
    sandbox.write("wrong", "incorrect horse\n");
    sandbox.ok("keys create id --type ed25519 --passphrase-file right");
    let sign = "token sign --key local:id --passphrase-file";
    sandbox.run(&format!("{sign} wrong")).expect(3, "passphrase");
    let token = sandbox.ok(&format!("{sign} right {CLAIMS}"));
    sandbox.write("jwks.json", sandbox.ok("jwks"));
    for keys in ["--key local:id", "--jwks jwks.json"] {
        sandbox.pipe(&format!("token verify {keys} {EXPECTED}"), &token).expect(0, "");
    }
    let question = "Passphrase for local:id: ";
    let asked = format!("token sign --key local:id {CLAIMS}");
    let (code, seen) = crate::terminal::talk(&sandbox, &asked, &[(question, "correct horse\n")]);
    assert_eq!(code, 0, "{seen}");
    assert!(seen.contains("eyJ") && !seen.contains("horse"), "{seen:?}");
}

#[test]
fn what_is_inspected_says_so() {
    let sandbox = sandbox();
    let text = String::from_utf8(sandbox.ok("token inspect token")).unwrap();
    assert!(text.starts_with("{\n  \"unverified\": true,\n"), "{text}");
    let report = json(text.as_bytes());
    assert_eq!(report["header"]["typ"], "JWT");
    assert_eq!(report["claims"]["iss"], "https://id.example");
    // {"alg":"none"} and {"a":1}
    let none = sandbox.pipe("token inspect", b"eyJhbGciOiJub25lIn0.eyJhIjoxfQ.\n");
    assert_eq!(
        json(&none.stdout),
        json!({"unverified": true, "header": {"alg": "none"}, "claims": {"a": 1}})
    );
    let inputs: [&[u8]; 7] =
        [b"", b"..", b"a.b.c", b"\xff.\xff.\xff", b"e30.e30", b"e30.W10.", b"\x1b[2J.\x07."];
    for input in inputs {
        let ended = sandbox.pipe("token inspect", input);
        ended.expect(3, "standard input: invalid token: ");
        assert!(ended.stdout.is_empty() && !ended.stderr.contains(['\x1b', '\x07']));
    }
    sandbox.run("token inspect gone").expect(1, "gone: No such file");
}
