//! At the level at which the HTTP client logs most, nothing secret is logged. One test alone in its process:
//! the subscriber is everybody's.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    reason = "helpers of tests are tests too"
)]

mod world;

use std::{
    io,
    sync::{Arc, Mutex},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bulla::{CryptoProvider as _, DataKeys as _, Encrypt as _, EncryptionContext};
use bulla_testworld::OpenBao;
use bulla_vault::{Auth, LEAST_PRIVILEGE_POLICY, Vault};
use serde_json::json;

#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl io::Write for Captured {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(buf);
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn nothing_secret_is_in_logs_and_debug_forms() {
    let Some(bao) = OpenBao::start() else { return };
    bao.key("orders", "");
    bao.policy("app", LEAST_PRIVILEGE_POLICY);
    let (role, secret) = bao.app_role("app", &json!({"token_policies": "app"}));
    let captured = Captured::default();
    let writer = captured.clone();
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .init();
    let builder = Vault::builder().address(bao.url()).auth(Auth::app_role(role, secret.as_str()));
    let builder = builder.sealing_key("orders");
    let shown = format!("{builder:?}");
    let vault = builder.build().await.unwrap();
    let context = EncryptionContext::from_pairs([("tenant", "canary-context")]).unwrap();
    let (key, wrapped) = vault.generate_data_key(&context).await.unwrap();
    vault.unwrap_data_key(&wrapped, &context).await.unwrap();
    let direct = vault.encrypt(b"canary-payload", &context).await.unwrap();
    vault.decrypt(&direct, &context).await.unwrap();
    bao.ok("PUT", "sys/leases/revoke-prefix/auth/approle", &json!({}));
    vault.unwrap_data_key(&wrapped, &context).await.unwrap();
    let error = vault.unwrap_data_key(&wrapped, &EncryptionContext::new()).await.unwrap_err();
    let shown = format!("{shown} {vault:?} {error:?} {error}");
    vault.close().await.unwrap();

    let log = String::from_utf8(captured.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("hyper"), "the client logs, or this would show nothing");
    let all = log + &shown;
    for secret in [
        secret,
        "canary".to_owned(),
        STANDARD.encode(&b"canary-payload"[..12]),
        STANDARD.encode(&key.expose()[..30]),
        // How tokens begin, at this server.
        "\"s.".to_owned(),
        "x-vault-token: s.".to_owned(),
        format!("{:?}", &key.expose()[..8]),
    ] {
        let found = all.find(&secret);
        assert_eq!(found, None, "{secret}: {:?}", found.map(|at| &all[at.saturating_sub(200)..at]));
    }
}
