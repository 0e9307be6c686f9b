//! Identities of workloads.

use std::{
    os::unix::fs::PermissionsExt as _,
    process::{Child, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::sandbox::{Sandbox, end, ended, first_line};

const ID: &str = "spiffe://example.org/billing";

/// A sandbox with the key `local:id`, and the bundle of example.org with it.
fn published() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.ok("keys create id --type p-256");
    let bundle = sandbox.ok("spiffe bundle example.org --key local:id --sequence 7");
    sandbox.write("bundle.json", bundle);
    sandbox
}

fn json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap()
}

#[test]
fn a_token_is_issued_and_verified() {
    let sandbox = published();
    let bundle = json(&sandbox.read("bundle.json"));
    assert_eq!(bundle["spiffe_sequence"], 7);
    assert_eq!(bundle["spiffe_refresh_hint"], 300);
    assert_eq!(bundle["keys"][0]["use"], "jwt-svid");

    let issue = format!("spiffe issue {ID} --key local:id --aud reports");
    let token =
        sandbox.ok(&format!("{issue} --ttl 1m --claim tenant=acme --iss https://a.example"));
    let verify = "spiffe verify --bundle example.org=bundle.json --aud";
    let verified = sandbox.pipe(&format!("{verify} reports"), &token);
    verified.expect(0, "");
    let claims = json(&verified.stdout);
    assert_eq!(claims["sub"], ID);
    assert_eq!(claims["tenant"], "acme");
    assert_eq!(claims["iss"], "https://a.example");
    assert_eq!(claims["aud"], serde_json::json!(["reports"]));
    let lasts = claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap();
    assert_eq!(lasts, 60);

    sandbox.pipe(&format!("{verify} others"), &token).expect(3, "for another audience: reports");
    let elsewhere = sandbox.ok("spiffe issue spiffe://other.org/a --key local:id --aud reports");
    sandbox.pipe(&format!("{verify} reports"), &elsewhere).expect(3, "");
    // A token of the same key that is no SVID.
    let plain = sandbox.ok("token sign --key local:id --sub ada --aud reports");
    sandbox.pipe(&format!("{verify} reports"), &plain).expect(3, "claim sub");
    // Another key's.
    sandbox.ok("keys create other --type p-256");
    let forged = sandbox.ok(&format!("spiffe issue {ID} --key local:other --aud reports"));
    sandbox.pipe(&format!("{verify} reports"), &forged).expect(3, "kid");
    sandbox.pipe(&format!("{verify} reports"), b"a.b").expect(3, "compact form");
}

#[test]
fn a_ring_numbers_its_bundle() {
    let sandbox = Sandbox::new();
    sandbox.ok("keyring init svids.json --name svids --max-age 25m --token-life 5m");
    let token = sandbox.ok(&format!("spiffe issue {ID} --ring svids.json --aud reports"));
    let first = sandbox.ok("spiffe bundle example.org --ring svids.json");
    sandbox.write("bundle.json", &first);
    let verify = "spiffe verify --bundle example.org=bundle.json --aud reports";
    sandbox.pipe(verify, &token).expect(0, "");
    assert_eq!(json(&first)["spiffe_refresh_hint"], 300);
    sandbox.ok("keyring rotate svids.json --now");
    let second = json(&sandbox.ok("spiffe bundle example.org --ring svids.json"));
    assert_eq!(second["keys"].as_array().unwrap().len(), 2);
    assert!(second["spiffe_sequence"].as_u64() > json(&first)["spiffe_sequence"].as_u64());
    // Longer than the ring's keys stay.
    let long = format!("spiffe issue {ID} --ring svids.json --aud reports --ttl 10m");
    sandbox.run(&long).expect(2, "token_life");
    sandbox.run("spiffe bundle example.org --ring none.json").expect(1, "none.json");
}

#[test]
fn what_is_not_of_the_standard_is_refused() {
    let sandbox = published();
    sandbox.ok("keys create ed --type ed25519");
    sandbox
        .run(&format!("spiffe issue {ID} --key local:ed --aud a"))
        .expect(2, "Ed25519, which these tokens can't have");
    sandbox.run("spiffe bundle example.org --key local:ed").expect(0, "one key is left out");
    for (id, what) in [
        ("example.org/billing", "scheme"),
        ("spiffe://Example.org/billing", "small letters"),
        ("spiffe://example.org", "none of its workloads"),
        ("spiffe://example.org/a/../b", "dot segments"),
    ] {
        sandbox.run(&format!("spiffe issue {id} --key local:id --aud a")).expect(2, what);
    }
    let issue = format!("spiffe issue {ID} --key local:id --aud a");
    sandbox.run(&format!("{issue} --claim sub=else")).expect(2, "claim sub");
    sandbox.run(&format!("{issue} --claim a=1 --claim a=2")).expect(2, "twice");
    sandbox.run(&format!("{issue} --ttl 25h")).expect(2, "24 hours");
    sandbox.run(&format!("spiffe issue {ID} --key local:id")).expect(2, "--aud");
    sandbox.run("spiffe bundle example.org").expect(2, "required");
    sandbox.run("spiffe bundle spiffe://example.org/a --key local:id").expect(2, "trust domain");
}

#[test]
fn bundles_are_files_or_https() {
    let sandbox = published();
    let token = sandbox.ok(&format!("spiffe issue {ID} --key local:id --aud reports"));
    let verify =
        |bundles: &str| sandbox.pipe(&format!("spiffe verify {bundles} --aud reports"), &token);
    verify("--bundle example.org=none.json").expect(1, "none.json");
    sandbox.write("broken.json", "{\"keys\":7}");
    verify("--bundle example.org=broken.json").expect(2, "broken.json");
    verify("--bundle bundle.json").expect(2, "DOMAIN=FILE");
    verify("--bundle example.org=bundle.json --bundle example.org=bundle.json").expect(2, "twice");
    verify("--bundle example.org=http://localhost:1/bundle").expect(2, "https");
    // Nothing listens there, so nothing is known of the token.
    verify("--bundle example.org=https://localhost:1/bundle").expect(4, "reached");
    sandbox.run("spiffe bundle example.org --url https://localhost:1/bundle").expect(4, "reached");
    // That of another domain besides does no harm, and no good.
    verify("--bundle other.org=bundle.json").expect(3, "");
    verify("--bundle other.org=bundle.json --bundle example.org=bundle.json").expect(0, "");
}

#[test]
fn certificates_are_published_beside_keys() {
    let sandbox = published();
    let params = rcgen::CertificateParams::new(Vec::new()).unwrap();
    let root = params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap();
    sandbox.write("roots.pem", root.pem());
    let both = sandbox.ok("spiffe bundle example.org --key local:id --x509 roots.pem");
    let both = json(&both);
    let uses: Vec<_> = both["keys"].as_array().unwrap().iter().map(|key| &key["use"]).collect();
    assert_eq!(uses, ["x509-svid", "jwt-svid"]);
    assert_eq!(
        json(&sandbox.ok("spiffe bundle example.org --x509 roots.pem"))["keys"][0]["use"],
        "x509-svid"
    );
    sandbox.run("spiffe bundle example.org --x509 bundle.json").expect(2, "no PEM");
}

/// A server of the Workload API for this user.
fn serving(sandbox: &Sandbox, more: &str) -> std::process::Command {
    let me = rustix::process::getuid().as_raw();
    let line = format!(
        "spiffe serve example.org --key local:id --root root.pem --socket api.sock \
         --entry {ID},uid={me} {more}"
    );
    let mut command = sandbox.bulla();
    command.args(line.split_whitespace()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn wait_for(sandbox: &Sandbox, name: &str) {
    let begun = Instant::now();
    while !sandbox.path(name).exists() {
        assert!(begun.elapsed() < Duration::from_secs(20), "it did not come");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn terminate(child: Child) {
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    let ended = ended(child);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
}

#[test]
fn a_workload_api_is_served_until_it_is_told_to_end() {
    let sandbox = published();
    let mut first = serving(&sandbox, "--mode 660").spawn().unwrap();
    assert!(first_line(&mut first).contains("root of example.org was made"));
    wait_for(&sandbox, "api.sock");
    let mode = std::fs::metadata(sandbox.path("api.sock")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o660);
    let root = sandbox.read("root.pem");
    // One socket has one server.
    end(&mut serving(&sandbox, "")).expect(1, "api.sock");
    terminate(first);
    assert!(!sandbox.path("api.sock").exists());
    // The next one has the same root, and says so to nobody.
    let mut next = serving(&sandbox, "--bundle other.org=bundle.json").spawn().unwrap();
    assert!(first_line(&mut next).contains("serving the Workload API at unix:///"));
    assert_eq!(sandbox.read("root.pem"), root);
    assert!(!sandbox.names().iter().any(|name| name.starts_with(".bulla-")));
    terminate(next);
}

#[test]
fn what_a_server_is_told_is_checked_before_it_serves() {
    let sandbox = published();
    sandbox.ok("keys create other --type p-256");
    end(&mut serving(&sandbox, "--bundle example.org=bundle.json")).expect(2, "already");
    end(&mut serving(&sandbox, "--entry spiffe://other.org/a,uid=1")).expect(2, "");
    end(&mut serving(&sandbox, "--bundle other.org=http://localhost/")).expect(2, "https");
    end(&mut serving(&sandbox, "--token-life 25h")).expect(2, "24 hours");
    sandbox
        .run("spiffe serve example.org --key local:id --root r --socket s --entry a")
        .expect(2, "uid=1001");
    // A root that is another key's is none of this one's.
    let server = serving(&sandbox, "--bundle other.org=bundle.json").spawn().unwrap();
    wait_for(&sandbox, "api.sock");
    terminate(server);
    let mut other = sandbox.bulla();
    let line = format!(
        "spiffe serve example.org --key local:other --root root.pem --socket api.sock --entry {ID},uid=1"
    );
    end(other.args(line.split_whitespace())).expect(1, "root.pem");
}

#[test]
fn the_doctor_asks_the_workload_api_that_the_environment_names() {
    let sandbox = published();
    let doctor = |socket: &str| {
        let mut doctor = sandbox.bulla();
        doctor.arg("doctor").env("SPIFFE_ENDPOINT_SOCKET", socket);
        let found = end(&mut doctor);
        (found.code, String::from_utf8(found.stdout).unwrap())
    };
    let (code, found) = doctor("");
    assert!(code == Some(2) && found.contains("FAIL  Workload API"), "{code:?} {found}");
    let socket = format!("unix://{}", sandbox.path("api.sock").display());
    let (code, found) = doctor(&socket);
    assert!(code == Some(4) && found.contains("FAIL  Workload API"), "{code:?} {found}");
    let server = serving(&sandbox, "").spawn().unwrap();
    wait_for(&sandbox, "api.sock");
    let (code, found) = doctor(&socket);
    // Its bundles verify tokens, where none is given.
    let token = sandbox.ok(&format!("spiffe issue {ID} --key local:id --aud reports"));
    sandbox.write("svid.jwt", &token);
    let verify = |socket: Option<&str>| {
        let mut verify = sandbox.bulla();
        verify.args(["spiffe", "verify", "svid.jwt", "--aud", "reports"]);
        verify.env_remove("SPIFFE_ENDPOINT_SOCKET");
        socket.map(|socket| verify.env("SPIFFE_ENDPOINT_SOCKET", socket));
        end(&mut verify)
    };
    verify(Some(&socket)).expect(0, "");
    verify(None).expect(2, "--bundle");
    terminate(server);
    let line = format!("ok    Workload API: {socket}: {ID}, trusts example.org");
    assert!(code == Some(0) && found.contains(&line), "{code:?} {found}");
}

#[test]
fn a_workload_asks_for_tokens_and_verifies_others_by_its_workload_api() {
    let sandbox = published();
    let api = format!("unix://{}", sandbox.path("api.sock").display());
    let asked = |line: &str, socket: Option<&str>| {
        let mut bulla = sandbox.bulla();
        bulla.args(line.split_whitespace()).env_remove("SPIFFE_ENDPOINT_SOCKET");
        socket.map(|socket| bulla.env("SPIFFE_ENDPOINT_SOCKET", socket));
        end(&mut bulla)
    };
    let fetch = "spiffe fetch --aud reports";
    asked(fetch, None).expect(2, "SPIFFE_ENDPOINT_SOCKET");
    asked(fetch, Some("example.org")).expect(2, "");
    // Nobody is there, so there may be one later.
    asked(fetch, Some(&api)).expect(4, "Workload API");

    let second =
        format!("--entry spiffe://example.org/second,uid={}", rustix::process::getuid().as_raw());
    let server = serving(&sandbox, &second).spawn().unwrap();
    wait_for(&sandbox, "api.sock");
    let asked = |line: &str| asked(line, Some(&api));
    for (line, id) in [
        (fetch.to_owned(), ID),
        (format!("spiffe fetch {ID} --aud reports"), ID),
        (
            "spiffe fetch spiffe://example.org/second --aud reports --aud more".to_owned(),
            "spiffe://example.org/second",
        ),
    ] {
        let fetched = asked(&line);
        fetched.expect(0, "");
        sandbox.write("svid.jwt", &fetched.stdout);
        let verified = asked("token verify svid.jwt --issuer spiffe://example.org --aud reports");
        verified.expect(0, "");
        assert_eq!(json(&verified.stdout)["sub"], id);
        assert_eq!(asked("spiffe verify svid.jwt --aud reports").stdout, verified.stdout);
    }
    asked("spiffe fetch spiffe://example.org/third --aud reports").expect(1, "no identity");
    asked("spiffe fetch example.org/third --aud reports").expect(2, "SPIFFE ID");

    let verify = "token verify svid.jwt --issuer spiffe://example.org";
    asked(&format!("{verify} --aud others")).expect(3, "for another audience");
    asked(&format!("{verify} --any-audience")).expect(2, "--aud");
    for more in ["--iss spiffe://example.org", "--any-typ", "--typ at+jwt", "--alg ES256"] {
        asked(&format!("{verify} --aud reports {more}")).expect(2, "SPIFFE says");
    }
    asked("token verify svid.jwt --issuer spiffe://example.org/a --aud reports")
        .expect(2, "trust domain");
    asked("token verify svid.jwt --issuer spiffe://other.org --aud reports").expect(1, "other.org");
    // A token of the same key that is no SVID.
    sandbox.write("plain.jwt", sandbox.ok("token sign --key local:id --sub ada --aud reports"));
    asked("token verify plain.jwt --issuer spiffe://example.org --aud reports")
        .expect(3, "claim sub");
    terminate(server);
}
