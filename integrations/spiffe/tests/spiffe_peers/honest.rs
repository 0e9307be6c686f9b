//! The peers among themselves: what is asked of them is what they do.

use std::{fs, thread, time::Duration};

use bulla_testworld::{GoSpiffe, Python, write};
use serde_json::json;

use crate::served::{SOCKET, Served};

const ID: &str = "spiffe://domain.test/workload";
const SERVER: &str = "spiffe://domain.test/server";

#[test]
fn a_trust_domain_in_go_serves_the_clients_in_go_and_in_python() {
    let (Some(go), Some(python)) = (GoSpiffe::find(), Python::for_spiffe()) else { return };
    let domain = go.trust_domain(ID);
    let served = Served { endpoint: &domain.endpoint(), id: ID };
    let by_go = served.by_go(&go);
    assert_eq!(by_go["x509"][0]["serial"], domain.serial());
    assert_eq!(served.by_python(&python)["x509"][0]["serial"], domain.serial());

    let (mut go_sees, mut python_sees) =
        (served.watched_by_go(&go, 2), served.watched_by_python(&python, 2));
    let first = domain.serial();
    assert_eq!((go_sees.serial(), python_sees.serial()), (first.clone(), first));
    let next = domain.rotate();
    assert_eq!((go_sees.serial(), python_sees.serial()), (next.clone(), next));
    go_sees.end();
    python_sees.end();
}

#[test]
fn go_spiffe_judges_tokens() {
    let Some(go) = GoSpiffe::find() else { return };
    let domain = go.trust_domain(ID);
    let exp = unix_now() + 300;
    let claims = json!({"sub": ID, "aud": ["orders"], "exp": exp});
    let header = json!({"typ": "JWT"});
    let good = domain.token(&header, &claims);
    let tokens = [
        good.clone(),
        domain.token(&json!({"typ": "at+jwt"}), &claims),
        domain.token(&header, &json!({"sub": ID, "aud": ["orders"]})),
        domain.token(&header, &json!({"sub": "ada", "aud": ["orders"], "exp": exp})),
        domain.token(&header, &json!({"sub": ID, "aud": ["billing"], "exp": exp})),
        domain.token(&header, &json!({"sub": ID, "aud": ["orders"], "exp": exp - 420})),
        domain.token_by("EdDSA", "ed", true, &header, &claims),
        domain.token_by("ES256", "other", false, &header, &claims),
    ];
    let dir = tempfile::tempdir().unwrap();
    let bundle = write(dir.path(), "bundle.json", domain.bundle().to_string());
    let said = go.validate("domain.test", &bundle, "orders", &tokens);
    assert_eq!((&said[0]["id"], &said[0]["token"]), (&ID.into(), &good.into()));
    let why: Vec<_> = said[1..].iter().map(|said| said["error"].as_str().unwrap()).collect();
    let expected = [
        "header type not equal",
        "missing exp claim",
        "invalid subject claim",
        "expected audience in",
        "token has expired",
        "unable to parse JWT token",
        "no JWT authority \"other\"",
    ];
    for (why, expected) in why.iter().zip(expected) {
        assert!(why.contains(expected), "{why}, and not {expected}");
    }
}

#[test]
fn go_spiffe_speaks_mutual_tls_with_itself() {
    let Some(go) = GoSpiffe::find() else { return };
    let domain = go.trust_domain(ID);
    let dir = tempfile::tempdir().unwrap();
    let (chain, key) = domain.svid(SERVER);
    let files = [
        ("-chain", write(dir.path(), "chain.pem", chain)),
        ("-key", write(dir.path(), "key.pem", key)),
        ("-bundle", write(dir.path(), "bundle.json", domain.bundle().to_string())),
    ];
    let server = go.serve("mtls", |command| {
        command.args(["-allow", ID]);
        for (name, path) in &files {
            command.arg(name).arg(path);
        }
    });
    let url = server.url().replace("http://", "https://");
    let call = |expected: &str| {
        let mut command = go.command("mtls");
        command.args(["call", "-url", &url, "-allow", expected, "-count", "2"]);
        command.env(SOCKET, domain.endpoint());
        command
    };
    let said = go.run(&mut call(SERVER));
    assert_eq!(said[0]["peer"]["id"], SERVER);
    assert!(said[0]["body"].as_str().unwrap().contains(ID), "{said:?}");
    assert_eq!((&said[0]["reused"], &said[1]["reused"]), (&false.into(), &true.into()));
    assert!(go.refusal(&mut call("spiffe://domain.test/other")).contains("unexpected ID"));
}

#[test]
fn go_spiffe_federates_with_itself_by_both_profiles() {
    let Some(go) = GoSpiffe::find() else { return };
    let domain = go.trust_domain(ID);
    let dir = tempfile::tempdir().unwrap();
    let (chain, key) = domain.svid(SERVER);
    let bundle = write(dir.path(), "bundle.json", domain.bundle().to_string());
    let known = write(dir.path(), "known.json", domain.bundle().to_string());
    let chain = write(dir.path(), "chain.pem", chain);
    let key = write(dir.path(), "key.pem", key);
    let roots = write(dir.path(), "roots.pem", roots(&domain.bundle()));
    let server = go.serve("bundles", |command| {
        command.args(["-trust-domain", "domain.test"]).arg("-bundle").arg(&bundle);
        command.arg("-chain").arg(&chain).arg("-key").arg(&key);
    });
    let url = server.url().replace("http://", "https://");
    let ask = |what: &str| {
        let mut command = go.command("bundles");
        command.args([what, "-url", &url, "-trust-domain", "domain.test"]);
        command
    };
    let by_web = go.run(ask("fetch").arg("-roots").arg(&roots));
    let by_id = go.run(ask("fetch").args(["-id", SERVER]).arg("-bundle").arg(&known));
    assert_eq!(by_web, by_id);
    assert_eq!((&by_web[0]["sequence"], &by_web[0]["refresh_hint"]), (&2.into(), &300.into()));
    let other = ask("fetch").args(["-id", ID]).arg("-bundle").arg(&known).output().unwrap();
    assert!(!other.status.success());

    let mut watch = ask("watch");
    watch.args(["-id", SERVER, "-updates", "2", "-every", "100ms"]).arg("-bundle").arg(&known);
    let next = thread::scope(|scope| {
        let said = scope.spawn(|| go.run(&mut watch));
        thread::sleep(Duration::from_millis(500));
        let kid = domain.rotate_key();
        // Not in place: half a document would be an error of the watch.
        fs::rename(write(dir.path(), "next.json", domain.bundle().to_string()), &bundle).unwrap();
        (said.join().unwrap(), kid)
    });
    let (said, kid) = next;
    assert_eq!(said.len(), 2, "{said:?}");
    assert_eq!((&said[0]["sequence"], &said[1]["sequence"]), (&2.into(), &3.into()));
    assert!(said[1]["jwt"].as_array().unwrap().contains(&kid.into()));
}

/// The X.509 authorities of a bundle document, as PEM.
pub(crate) fn roots(bundle: &serde_json::Value) -> String {
    let keys = bundle["keys"].as_array().unwrap().iter();
    let certificates = keys.filter(|key| key["use"] == "x509-svid");
    certificates
        .map(|key| {
            let der = key["x5c"][0].as_str().unwrap();
            format!("-----BEGIN CERTIFICATE-----\n{der}\n-----END CERTIFICATE-----\n")
        })
        .collect()
}

pub(crate) fn unix_now() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.unwrap().as_secs()
}
