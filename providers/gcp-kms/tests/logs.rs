//! At the level at which the SDK logs most, nothing secret is logged. One test alone in its process: the
//! subscriber is everybody's, and so is the variable that turns the SDK's own log on.

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
    process::Command,
    sync::{Arc, Mutex},
};

use bulla::{
    CryptoProvider as _, DataKeys as _, Encrypt as _, EncryptionContext, Sign as _,
    SigningAlgorithm, SigningInput,
};
use bulla_gcp_kms::GcpKms;
use bulla_testworld::CloudKms;
use serde_json::json;

/// Has the SDK log.
const VARIABLE: &str = "GOOGLE_CLOUD_RUST_LOGGING";

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

/// Standard base64, of whole groups of three bytes.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let groups = bytes.chunks_exact(3).flat_map(|group| {
        let bits = group.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte));
        [18, 12, 6, 0].map(|shift| char::from(ALPHABET[(bits >> shift & 63) as usize]))
    });
    groups.collect()
}

#[test]
fn nothing_secret_is_in_logs_and_debug_forms() {
    if std::env::var_os(VARIABLE).is_none() {
        let mut child = Command::new(std::env::current_exe().unwrap());
        let name = "nothing_secret_is_in_logs_and_debug_forms";
        let child = child.args([name, "--exact", "--nocapture"]).env(VARIABLE, "true");
        let ended = child.output().unwrap();
        let said = String::from_utf8_lossy(&ended.stdout).into_owned();
        let errors = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert!(ended.status.success() && said.contains("1 passed"), "{said}\n{errors}");
        return;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(look());
}

async fn look() {
    let Some(server) = CloudKms::start() else { return };
    let seals = server.sealing_key("orders");
    let signs = server.signing_key("tokens", "EC_SIGN_ED25519");
    let captured = Captured::default();
    let writer = captured.clone();
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .init();
    server.principal(&json!({"subject": "canary-refresh"}));
    let file = tempfile::NamedTempFile::new().unwrap();
    let user = json!({"type": "authorized_user", "client_id": "c", "client_secret": "canary-client",
        "refresh_token": "canary-refresh", "token_uri": format!("{}/oauth/token", server.url())});
    std::fs::write(file.path(), user.to_string()).unwrap();
    let builder = GcpKms::builder().endpoint(server.url()).credentials_file(file.path());
    let builder = builder.sealing_key(&seals).signing_key(&signs);
    let shown = format!("{builder:?}");
    let kms = builder.build().await.unwrap();
    let context = EncryptionContext::from_pairs([("tenant", "canary-context")]).unwrap();
    let (key, wrapped) = kms.generate_data_key(&context).await.unwrap();
    kms.unwrap_data_key(&wrapped, &context).await.unwrap();
    let direct = kms.encrypt(b"canary-payload", &context).await.unwrap();
    kms.decrypt(&direct, &context).await.unwrap();
    let public = kms.public_keys().await.unwrap().remove(0);
    let input = SigningInput::new(SigningAlgorithm::Ed25519, b"canary-message");
    kms.sign(&public, &input).await.unwrap();
    let mut errors = Vec::new();
    errors.push(kms.unwrap_data_key(&wrapped, &EncryptionContext::new()).await.unwrap_err());
    // What KMS says may quote what was sent.
    let quoting = json!({"error": {"code": 400, "status": "FAILED_PRECONDITION",
        "message": "canary-quoted", "details": []}});
    for body in [quoting.to_string(), "canary-page".to_owned()] {
        server.faults(&json!([{"times": 1, "status": 400, "body": body}]));
        errors.push(kms.generate_data_key(&context).await.unwrap_err());
    }
    let shown = format!("{shown} {kms:?} {errors:?} {}", errors[1]);
    kms.close().await.unwrap();

    let log = String::from_utf8(captured.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("hyper"), "the client logs, or this would show nothing");
    let all = log + &shown;
    for secret in [
        "canary".to_owned(),
        base64(b"canary-paylo"),
        base64(b"canary-messa"),
        base64(&key.expose()[..30]),
        // How tokens begin, at this server.
        "ya29.".to_owned(),
        format!("{:?}", &key.expose()[..8]),
    ] {
        let found = all.find(&secret);
        assert_eq!(found, None, "{secret}: {:?}", found.map(|at| &all[at.saturating_sub(200)..at]));
    }
}
