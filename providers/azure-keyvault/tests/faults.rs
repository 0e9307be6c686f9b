//! Answers that are not what they should be: another host's, another key's, somebody else's, without an
//! end, and challenges that ask for what is not theirs.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests are tests too"
)]

mod world;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bulla::{
    CryptoProvider, DataKeys, Error, ErrorKind, Sign, SigningAlgorithm, SigningInput,
    resilience::Resilient,
};
use bulla_testworld::azure::{Answer, Azure, Kind, Request};
use serde_json::{Value, json};
use world::{SIGNS, VAULT, acme, builder, context, quick};

const VERSION: &str = "00000000000000000000000000000000";

fn kid(host: &str, key: &str, version: &str) -> String {
    format!("https://{host}/keys/{key}/{version}")
}

fn made(kid: &str, value: &[u8]) -> Answer {
    Answer::ok(&json!({"kid": kid, "value": URL_SAFE_NO_PAD.encode(value)}))
}

/// What becomes of each call if the vault answers so to those that have a token.
async fn all_calls(answer: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Vec<Error> {
    let (azure, acme) = acme().await;
    let (key, wrapped) = acme.generate_data_key(&context()).await.unwrap();
    let public = acme.public_keys().await.unwrap().remove(0);
    azure.does(move |request| request.token.is_some().then(|| answer(request)));
    let input = SigningInput::new(SigningAlgorithm::Es256, b"message");
    vec![
        acme.wrap_data_key(&key, &context()).await.unwrap_err(),
        acme.unwrap_data_key(&wrapped, &context()).await.unwrap_err(),
        acme.sign(&public, &input).await.unwrap_err(),
        acme.public_keys().await.unwrap_err(),
        acme.health().await.unwrap_err(),
        builder(&azure, VAULT).sealing_key("orders").build().await.unwrap_err(),
    ]
}

async fn are_all(kind: ErrorKind, answer: impl Fn(&Request) -> Answer + Send + Sync + 'static) {
    for error in all_calls(answer).await {
        assert_eq!(error.kind(), kind, "{error:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_somebody_else_is_an_outage() {
    for status in [200, 302, 400, 401, 403, 404, 500, 503] {
        are_all(ErrorKind::Unavailable, move |_| {
            Answer::Whole(status, vec![], "<html>not here</html>".to_owned())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_without_an_end_ends() {
    let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    let chunk: &[u8] = b"1000\r\n";
    let chunk: &'static [u8] =
        Box::leak([chunk, &[b' '; 0x1000], b"\r\n"].concat().into_boxed_slice());
    are_all(ErrorKind::Unavailable, move |_| Answer::Endless(head.clone(), chunk)).await;
    // What is announced is not waited for.
    are_all(ErrorKind::Unavailable, |_| {
        Answer::Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 999999999999\r\n\r\n{".to_vec())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_breaks_off_is_an_outage() {
    are_all(ErrorKind::Unavailable, |_| Answer::Raw(vec![])).await;
    are_all(ErrorKind::Unavailable, |_| Answer::Raw(b"HTTP/1.1 200 OK\r\n".to_vec())).await;
    are_all(ErrorKind::Unavailable, |_| {
        Answer::Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"kid\":".to_vec())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redirects_and_links_elsewhere_are_not_followed() {
    let (azure, acme) = acme().await;
    azure.does(|request| {
        let to = "Location: https://evil.vault.azure.net/keys/orders?api-version=7.4";
        request.token.as_ref()?;
        let status = if request.method == "GET" { 307 } else { 308 };
        Some(Answer::refusal(status, "Moved", None).with(to))
    });
    let error = acme.health().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(
        acme.generate_data_key(&context()).await.unwrap_err().kind(),
        ErrorKind::Unavailable
    );

    for link in [
        "https://evil.vault.azure.net/keys/tokens/versions?page=2",
        "http://acme.vault.azure.net/keys/tokens/versions?page=2",
        "https://acme.vault.azure.net:8443/keys/tokens/versions?page=2",
        "//evil.vault.azure.net/keys/tokens/versions",
        "file:///etc/passwd",
    ] {
        azure.does(move |request| {
            let is = request.operation() == "versions";
            is.then(|| Answer::ok(&json!({
                "value": [{"kid": kid(VAULT, "tokens", VERSION), "attributes": {"enabled": true}}],
                "nextLink": link,
            })))
        });
        let error = acme.public_keys().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{link}: {error}");
    }
    let seen = azure.seen();
    assert!(!seen.iter().any(|request| request.host.starts_with("evil")));
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_that_lie_or_have_no_end_are_an_outage() {
    let (azure, acme) = acme().await;
    let link = "https://acme.vault.azure.net/keys/tokens/versions?page=2";
    // The same page for ever, and new versions for ever.
    let serial = AtomicUsize::new(0);
    azure.does(move |request| {
        let version = VERSION;
        (request.operation() == "versions").then(|| {
            Answer::ok(
                &json!({"value": [{"kid": kid(VAULT, "tokens", version)}], "nextLink": link}),
            )
        })
    });
    assert_eq!(acme.public_keys().await.unwrap_err().kind(), ErrorKind::Unavailable);
    azure.does(move |request| {
        (request.operation() == "versions").then(|| {
            let value: Vec<_> = (0..100)
                .map(|_| {
                    let version = format!("{:032x}", serial.fetch_add(1, SeqCst));
                    json!({"kid": kid(VAULT, "tokens", &version), "attributes": {"enabled": false}})
                })
                .collect();
            Answer::ok(&json!({"value": value, "nextLink": link}))
        })
    });
    assert_eq!(acme.public_keys().await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert!(azure.count("versions") < 20);
    azure.does(move |request| {
        let foreign = kid(VAULT, "other", VERSION);
        (request.operation() == "versions")
            .then(|| Answer::ok(&json!({"value": [{"kid": foreign}]})))
    });
    assert_eq!(acme.public_keys().await.unwrap_err().kind(), ErrorKind::Unavailable);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_about_another_key_is_an_outage() {
    let other = "11111111111111111111111111111111";
    for kid in [
        kid("evil.vault.azure.net", "orders", VERSION),
        kid(VAULT, "other", VERSION),
        kid(VAULT, "orders", "1"),
        kid(VAULT, "orders", "../../evil"),
        "orders".to_owned(),
    ] {
        are_all(ErrorKind::Unavailable, move |_| {
            let mut said: Value = json!({"kid": kid, "value": URL_SAFE_NO_PAD.encode([7; 256])});
            said["key"] = json!({"kid": kid, "kty": "RSA", "n": "AQAB", "e": "AQAB"});
            Answer::ok(&said)
        })
        .await;
    }
    // Another version than was asked for is as bad, where one was.
    let (azure, acme) = acme().await;
    let (_, wrapped) = acme.generate_data_key(&context()).await.unwrap();
    azure.does(move |request| {
        (request.operation() == "unwrapkey").then(|| made(&kid(VAULT, "orders", other), &[7; 32]))
    });
    let error = acme.unwrap_data_key(&wrapped, &context()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}

#[tokio::test(flavor = "multi_thread")]
async fn values_of_the_wrong_length_are_found_out() {
    let (azure, acme) = acme().await;
    let (_, wrapped) = acme.generate_data_key(&context()).await.unwrap();
    let public = acme.public_keys().await.unwrap().remove(0);
    let tokens = kid(VAULT, "tokens", public.version.as_str());
    for len in [0, 63, 65, 70, 72] {
        let tokens = tokens.clone();
        azure.does(move |request| {
            (request.operation() == "sign").then(|| made(&tokens, &vec![7; len]))
        });
        let input = SigningInput::new(SigningAlgorithm::Es256, b"message");
        let error = acme.sign(&public, &input).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{len}");
    }
    for len in [0, 31, 33, 64] {
        azure.does(move |request| {
            let orders = kid(VAULT, "orders", VERSION);
            (request.operation() == "unwrapkey").then(|| made(&orders, &vec![7; len]))
        });
        let error = acme.unwrap_data_key(&wrapped, &context()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotAuthentic, "{len}");
    }
    for len in [0, 40, 255, 1024] {
        azure.does(move |request| {
            let orders = kid(VAULT, "orders", VERSION);
            (request.operation() == "wrapkey").then(|| made(&orders, &vec![7; len]))
        });
        let error = acme.generate_data_key(&context()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{len}");
    }
    // A refused value is not authentic only if the service can be asked about the version.
    azure.does(|request| match request.operation() {
        "unwrapkey" => Some(Answer::refusal(400, "BadParameter", None)),
        "get" => Some(Answer::refusal(503, "ServiceUnavailable", None)),
        _ => None,
    });
    let error = acme.unwrap_data_key(&wrapped, &context()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}

/// A host that asks for a token for something else is given none, now and later, and does not spoil what
/// comes after.
#[tokio::test(flavor = "multi_thread")]
async fn no_token_for_what_a_challenge_asks_for() {
    let entra = format!("https://login.microsoftonline.com/{}", Azure::TENANT);
    for resource in [
        "https://management.azure.com",
        "https://storage.azure.com",
        // The SDK's own check takes these for the vault's domain.
        "https://azure.net",
        "https://net",
        "https://vault.azure.net/other",
        "https://vault.azure.net:8443",
        "http://vault.azure.net",
        "vault.azure.net",
        "",
    ] {
        let azure = Azure::start();
        azure.key(VAULT, "orders", Kind::P256, &SIGNS);
        let challenge =
            format!("WWW-Authenticate: Bearer authorization=\"{entra}\", resource=\"{resource}\"");
        let evil = {
            let challenge = challenge.clone();
            move |request: &Request| {
                (!request.host.starts_with("login"))
                    .then(|| Answer::refusal(401, "Unauthorized", None).with(&challenge))
            }
        };
        azure.does(evil.clone());
        for _ in 0..2 {
            let error = builder(&azure, VAULT).signing_key("orders").build().await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unavailable, "{resource}: {error}");
        }
        assert_eq!(azure.count("token"), 0, "{resource}");

        // One that was the vault, and asks for another token once.
        azure.does(|_| None);
        let provider = builder(&azure, VAULT).signing_key("orders").build().await.unwrap();
        azure.does(evil);
        for _ in 0..3 {
            let error = provider.health().await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unavailable, "{resource}: {error}");
        }
        azure.does(|_| None);
        provider.health().await.unwrap();
        let asked: Vec<_> = azure.seen().into_iter().filter(|r| r.operation() == "token").collect();
        assert!(!asked.is_empty());
        for request in asked {
            assert!(request.body.contains("scope=https%3A%2F%2Fvault.azure.net%2F.default"));
        }
    }
}

/// Nothing is sent that a host which is not the vault could use, before it has shown a challenge.
#[tokio::test(flavor = "multi_thread")]
async fn a_first_request_has_neither_token_nor_body() {
    let (azure, _) = acme().await;
    let first = azure.seen().remove(0);
    assert_eq!((first.operation(), &*first.body), ("challenge", ""));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_is_not_trusted_is_an_outage() {
    let (azure, other) = (Azure::start(), Azure::start());
    azure.key(VAULT, "orders", Kind::P256, &SIGNS);
    let builder = builder(&azure, VAULT).signing_key("orders").ca_file(other.ca_file());
    let error = builder.build().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("certificate"), "{error}");
    assert_eq!(azure.total(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn throttling_waits_as_long_as_it_is_told() {
    let (azure, acme) = acme().await;
    azure.does(|request| {
        let refusal = Answer::refusal(429, "Throttled", None).with("Retry-After: 7");
        (request.operation() == "wrapkey").then_some(refusal)
    });
    let error = acme.generate_data_key(&context()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Throttled);
    assert_eq!(error.retry_after(), Some(Duration::from_secs(7)));
    assert_eq!(azure.count("wrapkey"), 1);

    // Behind a policy it is tried again, after that wait and not before.
    let left = AtomicUsize::new(2);
    azure.does(move |request| {
        let refuses = request.operation() == "wrapkey"
            && left.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1)).is_ok();
        refuses.then(|| Answer::refusal(429, "Throttled", None).with("Retry-After: 1"))
    });
    let resilient = Resilient::new(acme, quick().build().unwrap());
    let start = std::time::Instant::now();
    resilient.generate_data_key(&context()).await.unwrap();
    assert!(start.elapsed() >= Duration::from_secs(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_is_a_timeout_and_the_breaker_keeps_it_from_costing_more() {
    let (azure, acme) = acme().await;
    azure.does(|request| (request.operation() == "wrapkey").then_some(Answer::Silence));
    let policy = quick()
        .attempt_timeout(Duration::from_millis(200))
        .max_attempts(1)
        .breaker_threshold(3)
        .build()
        .unwrap();
    let resilient = Resilient::new(Arc::clone(&acme) as _, policy);
    for _ in 0..3 {
        let error = resilient.generate_data_key(&context()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout);
    }
    let before = azure.total();
    for _ in 0..100 {
        let error = resilient.generate_data_key(&context()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::CircuitOpen);
    }
    assert_eq!(azure.total(), before);
    // A caller who hung up leaves nothing behind that hinders others.
    azure.does(|_| None);
    acme.generate_data_key(&context()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_under_load_fails_no_call() {
    let (azure, acme) = acme().await;
    let policy = quick().max_attempts(10).retry_budget(100, 1000).breaker_threshold(10_000);
    let policy =
        policy.backoff(Duration::from_millis(50), Duration::from_millis(500)).build().unwrap();
    let resilient = Arc::new(Resilient::new(acme, policy));
    let callers: Vec<_> = (0..8)
        .map(|_| {
            let resilient = Arc::clone(&resilient);
            tokio::spawn(async move {
                for _ in 0..20 {
                    let (key, wrapped) = resilient.generate_data_key(&context()).await.unwrap();
                    let opened = resilient.unwrap_data_key(&wrapped, &context()).await.unwrap();
                    assert!(opened.ct_eq(&key));
                }
            })
        })
        .collect();
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        azure.set_down(true);
        tokio::time::sleep(Duration::from_millis(100)).await;
        azure.set_down(false);
    }
    for caller in callers {
        caller.await.unwrap();
    }
}
