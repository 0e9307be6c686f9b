//! At the level at which SDK and HTTP client log most, they log nothing secret. Over real
//! connections: what is in memory as a whole is logged differently. One test alone in its process:
//! the subscriber is everybody's.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests are tests too"
)]

mod world;

use std::{
    io,
    sync::{Arc, Mutex},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bulla::{Context, CryptoProviderExt as _, DataKeys as _};
use bulla_testworld::{Moto, Python};

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
async fn requests_and_answers_are_not_in_the_logs() {
    let Some(python) = Python::for_aws() else { return };
    let server = Moto::start(&python);
    let key = world::symmetric(&server.url()).await;
    let captured = Captured::default();
    let writer = captured.clone();
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .init();
    let kms = world::provider(&server.url(), &key).await;
    let context = Context::from(world::context(&[("tenant", "canary-context")]));
    let direct = kms.encrypt_direct(b"canary-payload", &context).await.unwrap();
    let direct = kms.reencrypt_direct(&direct, &context, &context).await.unwrap();
    assert_eq!(&*kms.decrypt_direct(&direct, &context).await.unwrap(), b"canary-payload");
    let (key, wrapped) = kms.generate_data_key(context.key()).await.unwrap();
    kms.wrap_data_key(&key, context.key()).await.unwrap();
    kms.unwrap_data_key(&wrapped, context.key()).await.unwrap();

    let log = String::from_utf8(captured.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("transmitting request") && log.contains("TrentService.Encrypt"));
    let list =
        |bytes: &[u8]| bytes.iter().take(8).map(u8::to_string).collect::<Vec<_>>().join(", ");
    for secret in [
        "canary".to_owned(),
        // The first bytes of it, whatever follows.
        STANDARD.encode(&b"canary-payload"[..12]),
        list(b"canary-payload"),
        STANDARD.encode(&key.expose()[..30]),
        list(key.expose()),
    ] {
        let found = log.find(&secret);
        assert_eq!(found, None, "{secret}: {:?}", found.map(|at| &log[at.saturating_sub(200)..at]));
    }
}
