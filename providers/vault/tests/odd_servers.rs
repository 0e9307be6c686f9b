//! Servers that are not what they should be: a standby that redirects, a proxy with a page, one that never
//! ends, one that lies. No OpenBao is needed.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    reason = "helpers of tests are tests too"
)]

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bulla::{
    CryptoProvider, DataKey, DataKeys, Encrypt, EncryptionContext, Error, ErrorKind, Sign,
    SigningAlgorithm, SigningInput,
    resilience::{Policy, Resilient},
};
use bulla_vault::{Auth, Vault, VaultBuilder};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

const TOKEN: &str = "s.canary-token";
const CLUSTER: &str = "df79710b-d505-dceb-5fea-d686f5445efe";

/// A request: its line, its head, its body.
#[derive(Clone, Debug)]
struct Request {
    path: String,
    head: String,
    body: Value,
}

/// What a server does.
enum Answer {
    /// Status and body.
    Whole(u16, String),
    /// The same a while later.
    Late(Duration, String),
    /// These bytes, and whatever comes of it.
    Raw(Vec<u8>),
    /// These bytes again and again.
    Endless(Vec<u8>, &'static [u8]),
    /// Nothing, for good.
    Silence,
}

fn ok(data: Value) -> Answer {
    Answer::Whole(200, json!({"request_id": "r", "data": data, "auth": null}).to_string())
}

fn refuses(status: u16) -> Answer {
    Answer::Whole(status, json!({"errors": ["words"]}).to_string())
}

type Behaviour = dyn Fn(&Request) -> Option<Answer> + Send + Sync;

/// A server that is well but for what is said.
struct Server {
    url: String,
    port: u16,
    seen: Arc<Mutex<Vec<Request>>>,
    behaviour: Arc<Mutex<Box<Behaviour>>>,
}

impl Server {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen: Arc<Mutex<Vec<Request>>> = Arc::default();
        let behaviour: Arc<Mutex<Box<Behaviour>>> = Arc::new(Mutex::new(Box::new(|_| None)));
        let (noted, doing) = (Arc::clone(&seen), Arc::clone(&behaviour));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&noted), Arc::clone(&doing)));
            }
        });
        Self { url: format!("http://127.0.0.1:{port}"), port, seen, behaviour }
    }

    fn does(&self, behaviour: impl Fn(&Request) -> Option<Answer> + Send + Sync + 'static) {
        *self.behaviour.lock().unwrap() = Box::new(behaviour);
    }

    fn builder(&self) -> VaultBuilder {
        Vault::builder().address(&self.url).auth(Auth::token(TOKEN))
    }

    async fn vault(&self) -> Vault {
        self.builder().sealing_key("k").signing_key("s").build().await.unwrap()
    }

    fn count(&self, path: &str) -> usize {
        self.seen.lock().unwrap().iter().filter(|seen| seen.path == path).count()
    }
}

async fn serve(
    mut stream: TcpStream,
    seen: Arc<Mutex<Vec<Request>>>,
    behaviour: Arc<Mutex<Box<Behaviour>>>,
) {
    let mut bytes = Vec::new();
    loop {
        let end = loop {
            if let Some(at) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
                break at + 4;
            }
            if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
                return;
            }
        };
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let len = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length")
                .then(|| value.trim().parse::<usize>().ok())?
        });
        let len = len.unwrap_or(0);
        while bytes.len() < end + len {
            if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
                return;
            }
        }
        let path = head.split(' ').nth(1).unwrap().trim_start_matches("/v1/").to_owned();
        let body = serde_json::from_slice(&bytes[end..end + len]).unwrap_or_default();
        bytes.drain(..end + len);
        let request = Request { path, head, body };
        seen.lock().unwrap().push(request.clone());
        let answer = behaviour.lock().unwrap()(&request).unwrap_or_else(|| well(&request));
        let answer = match answer {
            Answer::Late(wait, body) => {
                tokio::time::sleep(wait).await;
                Answer::Whole(200, body)
            }
            other => other,
        };
        match answer {
            Answer::Late(..) => return,
            Answer::Whole(status, body) => {
                let len = body.len();
                let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {len}\r\n\r\n");
                if stream.write_all(&[head, body].concat().into_bytes()).await.is_err() {
                    return;
                }
            }
            Answer::Raw(bytes) => {
                let _ = stream.write_all(&bytes).await;
                return;
            }
            Answer::Endless(head, again) => {
                let mut part = head;
                while stream.write_all(&part).await.is_ok() {
                    part = again.repeat(1000);
                }
                return;
            }
            Answer::Silence => std::future::pending().await,
        }
    }
}

/// Encrypts by putting the plaintext in the clear between a nonce and a tag of zeros.
fn well(request: &Request) -> Answer {
    match request.path.as_str() {
        "sys/health" => Answer::Whole(
            200,
            json!({"initialized": true, "sealed": false, "cluster_id": CLUSTER}).to_string(),
        ),
        "auth/token/lookup-self" => ok(json!({"ttl": 0, "renewable": false})),
        "transit/keys/k" => ok(json!({
            "name": "k", "type": "aes256-gcm96", "latest_version": 1, "keys": {"1": 1}
        })),
        "transit/keys/s" => ok(json!({
            "name": "s", "type": "ed25519", "latest_version": 1,
            "keys": {"1": {"public_key": STANDARD.encode([7; 32])}}
        })),
        "transit/encrypt/k" => {
            let plaintext = STANDARD.decode(request.body["plaintext"].as_str().unwrap()).unwrap();
            let sealed = [&[0; 12][..], &plaintext, &[0; 16]].concat();
            ok(json!({"ciphertext": format!("vault:v1:{}", STANDARD.encode(sealed))}))
        }
        "transit/decrypt/k" => {
            let text = request.body["ciphertext"].as_str().unwrap();
            let sealed = STANDARD.decode(text.rsplit(':').next().unwrap()).unwrap();
            ok(json!({"plaintext": STANDARD.encode(&sealed[12..sealed.len() - 16])}))
        }
        "transit/sign/s" => ok(json!({"signature": format!("vault:v1:{}", "A".repeat(86))})),
        _ => refuses(404),
    }
}

fn context() -> EncryptionContext {
    EncryptionContext::new()
}

/// The errors of all calls.
async fn all(vault: &Vault) -> Vec<Error> {
    let key = DataKey::from_bytes(&[7; 32]);
    let sealed = STANDARD.encode([&[0; 12][..], &[7; 32], &[0; 16]].concat());
    let wrapped = bulla::Wrapped {
        key: vault.sealing_key().unwrap().clone(),
        version: None,
        algorithm: bulla::key::WrapAlgorithm::Native,
        blob: format!("vault:v1:{sealed}").into_bytes(),
    };
    let public = public_key(vault);
    let input = SigningInput::new(SigningAlgorithm::Ed25519, b"m");
    vec![
        vault.generate_data_key(&context()).await.unwrap_err(),
        vault.wrap_data_key(&key, &context()).await.unwrap_err(),
        vault.unwrap_data_key(&wrapped, &context()).await.unwrap_err(),
        vault.encrypt(b"x", &context()).await.unwrap_err(),
        vault.decrypt(&wrapped, &context()).await.unwrap_err(),
        vault.public_keys().await.unwrap_err(),
        vault.sign(&public, &input).await.unwrap_err(),
        vault.health().await.unwrap_err(),
    ]
}

fn public_key(vault: &Vault) -> bulla::PublicKey {
    let name = vault.sealing_key().unwrap().id().replace(":k", ":s");
    let name = bulla::KeyName::new("transit", name).unwrap();
    let mut key = bulla::PublicKey::new(name, bulla::KeyVersion::parse("1").unwrap(), vec![]);
    key.algorithms = vec![SigningAlgorithm::Ed25519];
    key
}

fn assert_all(errors: &[Error], kind: ErrorKind, what: &str) {
    for error in errors {
        assert_eq!(error.kind(), kind, "{what}: {error}");
        assert!(!format!("{error:?}").contains("canary"), "{error:?}");
    }
}

#[tokio::test]
async fn a_server_that_is_well_serves_and_gets_the_headers_that_agents_want() {
    let server = Server::start().await;
    let vault = server.vault().await;
    let (key, wrapped) = vault.generate_data_key(&context()).await.unwrap();
    assert!(vault.unwrap_data_key(&wrapped, &context()).await.unwrap().ct_eq(&key));
    for seen in server.seen.lock().unwrap().iter() {
        let head = seen.head.to_lowercase();
        assert!(head.contains("x-vault-request: true"), "{head}");
        assert_eq!(head.contains("x-vault-token"), seen.path != "sys/health", "{head}");
        assert!(!head.contains("x-vault-namespace"));
    }
    let by_name = format!("http://localhost:{}", server.port);
    server.builder().address(by_name).sealing_key("k").build().await.unwrap();
    let there = server.builder().namespace("/team/a/").sealing_key("k").build().await.unwrap();
    assert_eq!(there.sealing_key().unwrap().id(), format!("{CLUSTER}:team/a:transit:k"));
    let seen = server.seen.lock().unwrap();
    assert!(seen.last().unwrap().head.to_lowercase().contains("x-vault-namespace: team/a\r\n"));
}

/// The token goes to no other host, however it is asked.
#[tokio::test]
async fn a_standby_that_redirects_is_not_followed() {
    let (server, elsewhere) = (Server::start().await, Server::start().await);
    let vault = server.vault().await;
    for status in [301, 302, 303, 307, 308] {
        let location = elsewhere.url.clone();
        server.does(move |request| {
            let head = format!(
                "HTTP/1.1 {status} X\r\nlocation: {location}/v1/{}\r\ncontent-length: 0\r\n\r\n",
                request.path
            );
            Some(Answer::Raw(head.into_bytes()))
        });
        let errors = all(&vault).await;
        assert_all(&errors, ErrorKind::Unavailable, "redirected");
        assert!(errors[0].message().contains("not followed"), "{}", errors[0]);
    }
    assert_eq!(elsewhere.seen.lock().unwrap().len(), 0);
}

/// What a proxy says of a path is nothing about a key or a ciphertext: not that it is forged, not that it is
/// not there, not that a right is missing.
#[tokio::test]
async fn the_page_of_a_proxy_is_an_outage() {
    let server = Server::start().await;
    let vault = server.vault().await;
    for status in [200, 201, 204, 400, 401, 403, 404, 405, 410, 500, 502, 503] {
        for page in ["<html><body>sorry</body></html>", "", "null", "{\"error\":\"x\"}"] {
            server.does(move |_| Some(Answer::Whole(status, page.to_owned())));
            assert_all(&all(&vault).await, ErrorKind::Unavailable, &format!("{status} {page}"));
        }
    }
    server.does(|_| Some(Answer::Whole(200, "<html>".to_owned())));
    let error = vault.health().await.unwrap_err();
    assert!(error.message().contains("proxy"), "{error}");
    let logins = server.count("auth/token/lookup-self");
    assert_eq!(logins, 1, "a proxy's 403 is about no token");
}

#[tokio::test]
async fn the_servers_own_words_have_their_kinds() {
    let server = Server::start().await;
    let vault = server.vault().await;
    for (status, kind) in [
        (429, ErrorKind::Throttled),
        (412, ErrorKind::Unavailable),
        (502, ErrorKind::Unavailable),
        (503, ErrorKind::Unavailable),
        (504, ErrorKind::Timeout),
    ] {
        server.does(move |_| Some(refuses(status)));
        assert_all(&all(&vault).await, kind, &status.to_string());
    }
    server.does(|_| {
        let head = "HTTP/1.1 429 X\r\nretry-after: 7\r\ncontent-length: 0\r\n\r\n";
        Some(Answer::Raw(head.into()))
    });
    let error = vault.health().await.unwrap_err();
    assert_eq!(
        (error.kind(), error.retry_after()),
        (ErrorKind::Throttled, Some(Duration::from_secs(7)))
    );
}

/// Bodies are cut off where answers end. What is before them ends with the wrapper's patience.
#[tokio::test]
async fn a_server_that_never_stops_is_stopped() {
    const OK: &str = "HTTP/1.1 200 OK\r\n";
    let server = Server::start().await;
    let vault = server.vault().await;
    let whole = format!("{OK}\r\n{{\"data\":");
    let chunked = format!("{OK}transfer-encoding: chunked\r\n\r\n");
    let announced = format!("{OK}content-length: 99999999999\r\n\r\n");
    for (head, again) in [
        (whole, &b" "[..]),
        (chunked, b"4\r\n    \r\n"),
        (announced, b" "),
        (format!("{OK}x: "), b"a"),
    ] {
        let (head, shown) = (head.into_bytes(), String::from_utf8_lossy(again));
        server.does(move |_| Some(Answer::Endless(head.clone(), again)));
        let start = Instant::now();
        let error = vault.health().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{shown}: {error}");
        assert!(start.elapsed() < Duration::from_secs(20), "{shown}");
    }
    let policy = Policy::builder().attempt_timeout(Duration::from_millis(300)).max_attempts(2);
    let vault = Resilient::new(Arc::new(vault), policy.build().unwrap());
    server.does(|_| Some(Answer::Endless(Vec::new(), b"HTTP/1.1 100 Continue\r\n\r\n")));
    let start = Instant::now();
    assert_eq!(vault.health().await.unwrap_err().kind(), ErrorKind::Timeout);
    server.does(|_| Some(Answer::Silence));
    assert_eq!(vault.health().await.unwrap_err().kind(), ErrorKind::Timeout);
    assert!(start.elapsed() < Duration::from_secs(20));
    server.does(|_| None);
    let start = Instant::now();
    while vault.health().await.is_err() {
        assert!(start.elapsed() < Duration::from_secs(60));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_an_outage() {
    let server = Server::start().await;
    let vault = server.vault().await;
    for raw in [
        &b""[..],
        b"HTTP/1.1",
        b"SSH-2.0-OpenSSH\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"data\":{\"cipher",
        b"\x15\x03\x01\x00\x02\x02\x46",
    ] {
        server.does(move |_| Some(Answer::Raw(raw.to_vec())));
        assert_all(&all(&vault).await, ErrorKind::Unavailable, "broken off");
    }
}

/// A server that lies is found out where it can be.
#[tokio::test]
async fn answers_that_cant_be_right_are_refused() {
    let server = Server::start().await;
    let vault = server.vault().await;
    let good = STANDARD.encode([7; 60]);
    for ciphertext in [
        "",
        "vault:v1:",
        "vault:v1:AAAA",
        &format!("vault:v0:{good}"),
        &format!("vault:v01:{good}"),
        &format!("vault:v1:{good}\\n"),
        &format!("vault:v1:{}", STANDARD.encode([7; 61])),
        &format!("vault:v1:{}", STANDARD.encode([7; 59])),
    ] {
        let answer = format!("{{\"data\":{{\"ciphertext\":\"{ciphertext}\"}}}}");
        server.does(move |_| Some(Answer::Whole(200, answer.clone())));
        let error = vault.generate_data_key(&context()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{ciphertext}: {error}");
    }
    server.does(|_| None);
    let (_, wrapped) = vault.generate_data_key(&context()).await.unwrap();
    for plaintext in [&[7; 31][..], &[7; 33], &[]] {
        let answer = json!({"data": {"plaintext": STANDARD.encode(plaintext)}}).to_string();
        server.does(move |_| Some(Answer::Whole(200, answer.clone())));
        let error = vault.unwrap_data_key(&wrapped, &context()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    }
    let input = SigningInput::new(SigningAlgorithm::Ed25519, b"m");
    for signature in [
        String::new(),
        "A".repeat(86),
        format!("vault:v2:{}", "A".repeat(86)),
        format!("vault:v1:{}", "A".repeat(80)),
        format!("vault:v1:{}==", "A".repeat(86)),
    ] {
        let answer = json!({"data": {"signature": signature}}).to_string();
        server.does(move |_| Some(Answer::Whole(200, answer.clone())));
        let error = vault.sign(&public_key(&vault), &input).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{signature}: {error}");
    }
    // About another key.
    server.does(|request| {
        (request.path == "transit/keys/k").then(|| {
            ok(json!({"name": "x", "type": "aes256-gcm96", "latest_version": 1, "keys": {}}))
        })
    });
    assert_eq!(vault.health().await.unwrap_err().kind(), ErrorKind::Unavailable);
}

/// While the server can't say why it refuses, nothing is called forged.
#[tokio::test]
async fn a_refusal_that_cant_be_explained_is_an_outage() {
    let server = Server::start().await;
    let vault = server.vault().await;
    let (_, wrapped) = vault.generate_data_key(&context()).await.unwrap();
    let refuse = |status: u16| {
        move |request: &Request| match request.path.as_str() {
            "transit/decrypt/k" => Some(refuses(400)),
            "transit/keys/k" => Some(refuses(status)),
            _ => None,
        }
    };
    let kind = async || vault.unwrap_data_key(&wrapped, &context()).await.unwrap_err().kind();
    for (status, kind_then) in [
        (503, ErrorKind::Unavailable),
        (429, ErrorKind::Throttled),
        (404, ErrorKind::NotFound),
        // The right to look at the key is missing.
        (403, ErrorKind::NotAuthentic),
    ] {
        server.does(refuse(status));
        assert_eq!(kind().await, kind_then, "{status}");
    }
}

/// An address that leads to another cluster from some day on: nothing is logged in to there.
#[tokio::test]
async fn another_cluster_at_the_same_address_gets_no_credentials() {
    let server = Server::start().await;
    let granted = |request: &Request| {
        (request.path == "auth/approle/login").then(|| {
            let auth = json!({"client_token": "s.one", "lease_duration": 3600, "renewable": true});
            Answer::Whole(200, json!({"auth": auth}).to_string())
        })
    };
    server.does(granted);
    let vault = Vault::builder().address(&server.url).auth(Auth::app_role("r", "canary-secret"));
    let vault = vault.sealing_key("k").build().await.unwrap();
    vault.generate_data_key(&context()).await.unwrap();
    assert_eq!(server.count("auth/approle/login"), 1);
    server.does(move |request| match request.path.as_str() {
        "sys/health" => Some(Answer::Whole(
            200,
            json!({"initialized": true, "sealed": false, "cluster_id": "other"}).to_string(),
        )),
        "auth/approle/login" => granted(request),
        _ => Some(refuses(403)),
    });
    let error = vault.generate_data_key(&context()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(error.message().contains("another cluster"), "{error}");
    assert_eq!(server.count("auth/approle/login"), 1);
}

/// A login that takes its time, for callers that have none: it is made once, and serves who comes next.
#[tokio::test]
async fn a_slow_login_outlives_those_who_wait_for_it() {
    let server = Server::start().await;
    let login = |wait: u64, token: &'static str| {
        move |request: &Request| {
            let granted = json!({"client_token": token, "lease_duration": 3600, "renewable": true});
            let granted = json!({"auth": granted}).to_string();
            let old = request.head.to_lowercase().contains("x-vault-token: s.one\r\n");
            match request.path.as_str() {
                "auth/approle/login" => Some(Answer::Late(Duration::from_millis(wait), granted)),
                // The first one is dead by then.
                _ if old && token == "s.two" => Some(refuses(403)),
                _ => None,
            }
        }
    };
    server.does(login(0, "s.one"));
    let vault = Vault::builder().address(&server.url).auth(Auth::app_role("r", "canary"));
    let vault = vault.sealing_key("k").build().await.unwrap();
    server.does(login(4000, "s.two"));
    let context = context();
    for _ in 0..5 {
        let call = vault.generate_data_key(&context);
        tokio::time::timeout(Duration::from_millis(200), call).await.unwrap_err();
    }
    let calls = (0..64).map(|_| vault.generate_data_key(&context));
    let made = futures_util::future::join_all(calls).await;
    assert!(made.iter().all(Result::is_ok), "{:?}", made.iter().find(|made| made.is_err()));
    assert_eq!(server.count("auth/approle/login"), 2);
    assert_eq!(server.count("auth/token/lookup-self"), 1);
}

/// A lease that a renewal hardly lengthens is near its longest life: it is not renewed again and again.
#[tokio::test]
async fn a_lease_that_grows_no_more_is_replaced_at_once() {
    let server = Server::start().await;
    server.does(|request| {
        let granted = |seconds: u64| {
            let auth = json!({"client_token": "s.x", "lease_duration": seconds, "renewable": true});
            Some(Answer::Whole(200, json!({"auth": auth}).to_string()))
        };
        match request.path.as_str() {
            "auth/approle/login" => granted(4),
            "auth/token/renew-self" => granted(1),
            _ => None,
        }
    });
    let vault = Vault::builder().address(&server.url).auth(Auth::app_role("r", "canary"));
    let _vault = vault.sealing_key("k").build().await.unwrap();
    let start = Instant::now();
    while server.count("auth/approle/login") < 2 {
        assert!(start.elapsed() < Duration::from_secs(60));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(server.count("auth/token/renew-self"), 1);
}

#[tokio::test]
async fn a_login_that_wants_a_second_factor_is_told() {
    let server = Server::start().await;
    server.does(|request| {
        (request.path == "auth/userpass/login/ada").then(|| {
            let auth = json!({"client_token": "", "mfa_requirement": {"mfa_request_id": "x"}});
            Answer::Whole(200, json!({"auth": auth}).to_string())
        })
    });
    let vault = Vault::builder().address(&server.url).auth(Auth::userpass("ada", "canary"));
    let error = vault.sealing_key("k").build().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
}

/// Nothing listens, or nothing answers the connection.
#[tokio::test]
async fn a_server_that_is_not_there_is_told() {
    let server = Server::start().await;
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let gone = Vault::builder().address(format!("http://127.0.0.1:{port}")).auth(Auth::token("x"));
    let error = gone.sealing_key("k").build().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.message().contains("can't be reached: connection refused"), "{error}");
    // It takes connections and does not say a word of TLS: setting up is bounded, without a wrapper too.
    let https = Vault::builder().address(format!("https://127.0.0.1:{}", server.port));
    let start = Instant::now();
    let https = https.auth(Auth::token("x")).sealing_key("k").build().await.unwrap_err();
    assert_eq!(https.kind(), ErrorKind::Timeout, "{https}");
    assert!(start.elapsed() < Duration::from_secs(25));
}
