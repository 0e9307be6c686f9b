//! What the SDK and the HTTP client log holds no secret, at any level.

#![allow(dead_code, clippy::unwrap_used, reason = "helpers of tests are tests too")]

mod world;

use std::{
    io::{self, Write},
    sync::{Arc, Mutex},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bulla::{DataKeys as _, ErrorKind};
use bulla_testworld::azure::Azure;
use tracing_subscriber::fmt::MakeWriter;
use world::{VAULT, acme, context};

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn logs_errors_and_debug_forms_hold_no_secret() {
    let log = Log::default();
    tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(log.clone()).init();
    let (azure, acme) = acme().await;
    let (key, wrapped) = acme.generate_data_key(&context()).await.unwrap();
    acme.unwrap_data_key(&wrapped, &context()).await.unwrap();
    let mut altered = wrapped.clone();
    altered.blob[3] ^= 1;
    let error = acme.unwrap_data_key(&altered, &context()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotAuthentic);
    azure.deny(&["wrapKey"]);
    let denied = acme.wrap_data_key(&key, &context()).await.unwrap_err();
    azure.set_secret("rotated");
    let builder = world::builder(&azure, VAULT).sealing_key("orders");
    let refused = builder.build().await.unwrap_err();

    let mut text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(text.contains("acme.vault.azure.net"), "nothing was logged");
    text.push_str(&format!("{error:?} {denied:?} {refused:?} {acme:?}"));
    for secret in [
        &*URL_SAFE_NO_PAD.encode(key.expose()),
        &URL_SAFE_NO_PAD.encode(key.expose()).chars().take(20).collect::<String>(),
        Azure::SECRET,
        "canary-token",
        "tenant=acme",
    ] {
        assert!(!text.contains(secret), "{secret} was told");
    }
}
