//! What a call through `bulla-vault` takes beside the same request by a bare `reqwest` client: wrapping and
//! unwrapping a data key, and signing, by 1, 8 and 64 callers at once.
//!
//! Both ask the same server: OpenBao, if `BULLA_VAULT_PYTHON` names an interpreter that has it (the lane
//! `vault` sets one up at `target/testworld/vault/bin/python`), and otherwise one in this process that answers
//! at once. Rounds of the two take turns, so that whatever else the machine does meets both.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a benchmark stops where it can't go on, and prints"
)]

#[path = "turns.rs"]
mod turns;

use std::{sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bulla::{EncryptionContext, SigningAlgorithm, SigningInput, provider::KeyUse};
use bulla_testworld::OpenBao;
use bulla_vault::{Auth, Vault};
use reqwest::Client;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};
use turns::{Bare, Call, MESSAGE, Ours};

fn main() {
    // `cargo test --benches` only wants to know that it starts.
    if !std::env::args().any(|arg| arg == "--bench") {
        return;
    }
    let bao = std::env::var_os("BULLA_VAULT_PYTHON").and_then(|_| OpenBao::start());
    if let Some(bao) = &bao {
        bao.key("seal", "");
        bao.key("sign", "ecdsa-p256");
    }
    let threads = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    threads.block_on(async {
        let (url, token) = match &bao {
            Some(bao) => (bao.url(), bao.root().to_owned()),
            None => (canned().await, "s.bench".to_owned()),
        };
        println!(
            "against {}",
            if bao.is_some() { "OpenBao" } else { "a server that answers at once" }
        );
        measure(&url, &token).await;
    });
}

struct Http {
    client: Client,
    url: String,
    token: String,
}

impl Http {
    fn new(url: &str, token: &str) -> Self {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider);
        let tls = tls.with_safe_default_protocol_versions().unwrap();
        let tls = tls.with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth();
        let client = Client::builder().tls_backend_preconfigured(tls).no_proxy();
        // As those who use it would: a request that never ends is no good.
        let client = client.timeout(Duration::from_secs(5)).build().unwrap();
        Self { client, url: url.to_owned(), token: token.to_owned() }
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        let request = self.client.post(format!("{}/v1/transit/{path}", self.url));
        let request = request.header("X-Vault-Token", &self.token).body(body.to_string());
        let answer = request.send().await.unwrap();
        assert!(answer.status().is_success());
        let bytes = answer.bytes().await.unwrap();
        serde_json::from_slice(&bytes).unwrap()
    }
}

struct World {
    bare: Http,
    ours: Arc<Ours>,
    aad: String,
    digest: String,
}

async fn measure(url: &str, token: &str) {
    let vault = Vault::builder().address(url).auth(Auth::token(token));
    let vault = vault.sealing_key("seal").signing_key("sign").build().await.unwrap();
    let ours = Ours::new(vault).await;
    let input = SigningInput::new(SigningAlgorithm::Es256, MESSAGE);
    let digest = STANDARD.encode(input.digest().unwrap());
    let aad = STANDARD.encode(KeyUse::DataKey.aad(&EncryptionContext::new()));
    let world = World { bare: Http::new(url, token), ours: Arc::clone(&ours), aad, digest };
    turns::compare(&ours, world).await;
}

impl Bare for World {
    async fn call(&self, call: Call) {
        match call {
            Call::Wrap => {
                let plaintext = STANDARD.encode(self.ours.key.expose());
                let body =
                    json!({"plaintext": plaintext, "associated_data": self.aad, "type": "none"});
                let answer = self.bare.post("encrypt/seal", body).await;
                assert!(answer["data"]["ciphertext"].is_string());
            }
            Call::Unwrap => {
                let text = std::str::from_utf8(&self.ours.wrapped.blob).unwrap();
                let body = json!({"ciphertext": text, "associated_data": self.aad});
                let answer = self.bare.post("decrypt/seal", body).await;
                let key = STANDARD.decode(answer["data"]["plaintext"].as_str().unwrap()).unwrap();
                assert_eq!(key.len(), 32);
            }
            Call::Sign => {
                let body = json!({"input": self.digest, "prehashed": true, "key_version": 1,
                    "hash_algorithm": "sha2-256", "marshaling_algorithm": "jws"});
                let answer = self.bare.post("sign/sign", body).await;
                assert!(answer["data"]["signature"].is_string());
            }
        }
    }
}

/// A server that gives each path one answer, and its URL.
async fn canned() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream));
        }
    });
    url
}

async fn serve(mut stream: TcpStream) {
    stream.set_nodelay(true).unwrap();
    let mut bytes = Vec::new();
    loop {
        let end = loop {
            if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
                break at + 4;
            }
            if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
                return;
            }
        };
        let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
        let len = head.lines().find_map(|line| line.strip_prefix("content-length:"));
        let len: usize = len.map_or(0, |len| len.trim().parse().unwrap());
        let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
        while bytes.len() < end + len {
            if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
                return;
            }
        }
        bytes.drain(..end + len);
        let body = answer(&path);
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
        if stream.write_all([head, body].concat().as_bytes()).await.is_err() {
            return;
        }
    }
}

fn answer(path: &str) -> String {
    // The generator of P-256 as its public key.
    const PUBLIC: &str = "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEaxfR8uEsQkf4vOblY6RA8ncDfYEt\n6zOg9KE5RdiYwpZP40Li/hp/m47n60p8D54WK84zV2sxXs7LtkBoN79R9Q==\n-----END PUBLIC KEY-----\n";
    let data = match path.trim_start_matches("/v1/") {
        "sys/health" => {
            let health = json!({"initialized": true, "sealed": false, "cluster_id": "bench"});
            return health.to_string();
        }
        "auth/token/lookup-self" => json!({"ttl": 0, "renewable": false}),
        "transit/keys/seal" => {
            json!({"name": "seal", "type": "aes256-gcm96", "latest_version": 1, "keys": {"1": 1}})
        }
        "transit/keys/sign" => json!({"name": "sign", "type": "ecdsa-p256", "latest_version": 1,
            "keys": {"1": {"public_key": PUBLIC}}}),
        "transit/encrypt/seal" => {
            json!({"ciphertext": format!("vault:v1:{}", STANDARD.encode([7; 60]))})
        }
        "transit/decrypt/seal" => json!({"plaintext": STANDARD.encode([7; 32])}),
        _ => json!({"signature": format!("vault:v1:{}", "A".repeat(86))}),
    };
    json!({"request_id": "r", "data": data}).to_string()
}
