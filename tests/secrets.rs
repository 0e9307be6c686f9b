//! Nothing secret gets out: logs, metrics, errors and `Debug` output of everything that the library
//! does are searched for key material, plaintext, contexts' values and passphrases.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests are tests too"
)]

use std::{
    fmt::{Debug, Write as _},
    io,
    sync::{Arc, Mutex},
};

use bulla::{
    Context, CryptoProvider, CryptoProviderExt, EncryptionContext, Error, Opener, Registry, Result,
    Sealer,
    envelope::{BatchItem, Rewrap},
    format::Preamble,
    resilience::{Policy, Resilient},
    stream::{DecryptReader, Encryptor},
};
use bulla_conformance::Env;
use bulla_local::{KeyType, Local, Passphrase, Protection, Store};
use bytes::Bytes;
use metrics_util::debugging::DebuggingRecorder;
use tokio::io::AsyncReadExt;

const PLAIN: &str = "canary-plaintext-4111";
const KEY_VALUE: &str = "canary-key-context";
const ITEM_VALUE: &str = "canary-item-context";
const PASSPHRASE: &str = "canary-passphrase";

/// Everything that was written, by whatever way.
#[derive(Clone, Default)]
struct Captured(Arc<Mutex<String>>);

impl Captured {
    fn show(&self, what: &impl Debug) {
        let mut all = self.0.lock().unwrap();
        writeln!(all, "{what:?}").unwrap();
        writeln!(all, "{what:#?}").unwrap();
    }

    /// An error in all its forms, sources included. Tells whether it was one.
    fn error<T>(&self, result: Result<T>) {
        let Err(error) = result else { panic!("this was to fail") };
        self.show(&error);
        writeln!(self.0.lock().unwrap(), "{error}").unwrap();
        let mut source: Option<&dyn std::error::Error> = std::error::Error::source(&error);
        while let Some(inner) = source {
            writeln!(self.0.lock().unwrap(), "{inner} {inner:?}").unwrap();
            source = inner.source();
        }
    }
}

impl io::Write for Captured {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().push_str(&String::from_utf8_lossy(buf));
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The forms in which bytes could show.
fn forms(secret: &[u8]) -> Vec<String> {
    const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let hex: String = secret.iter().map(|b| format!("{b:02x}")).collect();
    let list: Vec<_> = secret.iter().take(8).map(u8::to_string).collect();
    // The first 12 bytes are 16 letters of base64 whatever follows.
    let letters = secret[..12].chunks(3).flat_map(|c| {
        let n = u32::from_be_bytes([0, c[0], c[1], c[2]]);
        [18, 12, 6, 0].map(|shift| char::from(BASE64[(n >> shift) as usize & 63]))
    });
    let mut forms = vec![hex[..24].to_owned(), hex[..24].to_uppercase(), list.join(", ")];
    forms.push(list.join(",\n"));
    let base64: String = letters.collect();
    forms.push(base64.replace('+', "-").replace('/', "_"));
    forms.push(base64);
    forms.extend(std::str::from_utf8(secret).map(str::to_owned));
    forms
}

fn context() -> Context {
    Context::new().with_key("tenant", KEY_VALUE).unwrap().with_item("row", ITEM_VALUE).unwrap()
}

fn resilient(local: Local) -> Arc<dyn CryptoProvider> {
    Arc::new(Resilient::new(Arc::new(local), Policy::default()))
}

/// Does what the library can do, well and badly, and shows whatever can be shown.
async fn everything(captured: &Captured, store: &Store) -> Vec<Vec<u8>> {
    let pass = || Passphrase::new(PASSPHRASE.to_owned());
    store.create_key("one", KeyType::Aes256, &Protection::None).unwrap();
    store.create_key("two", KeyType::Aes256, &Protection::Passphrase(pass())).unwrap();
    // Signing needs the backend that has it.
    let signs = store.create_key("sign", KeyType::Ed25519, &Protection::None).is_ok();
    captured.show(&pass());
    captured.error(store.create_key("one", KeyType::P256, &Protection::None));
    let wrong = Passphrase::new(format!("{PASSPHRASE}-wrong"));
    captured.error(Local::builder(store.clone()).sealing_key("two").passphrase(wrong).build());
    let local = |name: &str| {
        let builder = Local::builder(store.clone()).sealing_key(name).passphrase(pass());
        if signs { builder.signing_key("sign") } else { builder }.build().unwrap()
    };
    let registry = Registry::builder().build();
    registry.register("one", resilient(local("one"))).unwrap();
    registry.register("two", resilient(local("two"))).unwrap();
    captured.show(&registry);
    let (one, two) = (registry.get("one").unwrap(), registry.get("two").unwrap());
    captured.show(&(&one, &two, store, &context()));

    let sealer =
        Sealer::builder().recipient(Arc::clone(&one)).recipient(Arc::clone(&two)).build().unwrap();
    let opener = Opener::new(registry.providers());
    captured.show(&(&sealer, &opener));
    let sealed = sealer.seal(PLAIN.as_bytes(), &context()).await.unwrap();
    let opened = opener.open(&sealed, &context()).await.unwrap();
    captured.show(&opened);
    let (head, _) = Preamble::split(&sealed).unwrap();
    captured.show(&head);
    let stored = head.header().stored_context().clone();
    let data_key = one.unwrap_data_key(&head.header().recipients()[0], &stored).await.unwrap();
    captured.show(&data_key);
    captured.show(&opener.begin(head.clone(), &context()).await.unwrap());

    // What fails.
    captured.error(opener.open(&sealed, &Context::new()).await);
    let half = Context::new().with_key("tenant", KEY_VALUE).unwrap();
    captured.error(opener.open(&sealed, &half).await);
    for at in (0..sealed.len()).step_by(7) {
        let mut bad = sealed.clone();
        bad[at] ^= 1;
        captured.error(opener.open(&bad, &context()).await);
        captured.error(opener.open(&sealed[..at], &context()).await);
    }
    captured.error(EncryptionContext::from_pairs([("a", KEY_VALUE), ("a", ITEM_VALUE)]));
    captured.error(context().with_key("tenant", KEY_VALUE));
    captured.error(one.encrypt(&PLAIN.repeat(1000).into_bytes(), context().all()).await);

    // Batches, direct mode, rewrap, streams, ranges.
    let row = context().item().clone();
    let item = BatchItem { plaintext: PLAIN.as_bytes(), item_context: &row };
    captured.show(&item);
    captured.show(&sealer.seal_batch(&[item, item], context().key()).await.map(|b| b.missing));
    let direct = one.encrypt_direct(PLAIN.as_bytes(), &context()).await.unwrap();
    captured.show(&one.decrypt_direct(&direct, &context()).await.unwrap());
    captured.error(two.decrypt_direct(&direct, &context()).await);
    let plan = Rewrap::new().remove_recipient(two.sealing_key().unwrap().clone());
    captured.show(&plan);
    captured.show(&opener.rewrap(&head, &plan).await.unwrap());
    let begun = sealer.begin(&context()).await.unwrap();
    captured.show(&begun);
    let mut engine = Encryptor::new(begun);
    engine.consume(usize::MAX);
    engine.push(PLAIN.as_bytes()).unwrap();
    captured.show(&engine);
    let mut stream = Vec::new();
    let text = PLAIN.repeat(9000);
    let mut reader = sealer.encrypt_reader(text.as_bytes(), &context()).await.unwrap();
    reader.read_to_end(&mut stream).await.unwrap();
    captured.show(&reader);
    let mut cut = opener.decrypt_reader(&stream[..80_000], &context()).await.unwrap();
    let mut out = Vec::new();
    captured.error(cut.read_to_end(&mut out).await.map_err(Error::from_io));
    let _: &DecryptReader<_> = &cut;
    captured.show(&cut);
    let range = opener.range_reader(Bytes::from(stream), &context()).await.unwrap();
    captured.show(&range);
    captured.show(&range.read(5..50).await.unwrap());

    // Signatures, health, closing.
    captured.show(&one.public_keys().await);
    captured.show(&one.describe_keys().await);
    captured.show(&registry.health().await.len());
    registry.close_all().await;
    captured.error(one.generate_data_key(&EncryptionContext::new()).await);

    let mut secrets = vec![data_key.expose().to_vec()];
    for (name, passphrase) in [("one", None), ("two", Some(pass()))] {
        let jwk = store.export(name, None, bulla_local::ExportFormat::Jwk, passphrase.as_ref());
        let jwk = jwk.unwrap();
        secrets.push(jwk.split("\"k\":\"").nth(1).unwrap().as_bytes()[..32].to_vec());
    }
    secrets
}

#[test]
fn nothing_secret_gets_out() {
    let captured = Captured::default();
    let writer = captured.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
        .with_span_events(tracing_subscriber::fmt::format::FmtSpan::FULL)
        .with_writer(move || writer.clone())
        .with_ansi(false)
        .finish();
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    recorder.install().unwrap();
    tracing::subscriber::set_global_default(subscriber).unwrap();

    let dir = tempfile::tempdir().unwrap();
    let store = Store::at(dir.path().join("store"));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut secrets = runtime.block_on(everything(&captured, &store));

    // The whole conformance suite as well, its report included.
    store.create_key("three", KeyType::Aes256, &Protection::None).unwrap();
    let provider =
        |name: &str| resilient(Local::builder(store.clone()).sealing_key(name).build().unwrap());
    let env = Env::new(provider("one"), provider("three"));
    let report = runtime.block_on(bulla_conformance::run(&env));
    report.assert_passed();
    captured.show(&report);
    for (key, _, _, value) in snapshotter.snapshot().into_vec() {
        captured.show(&(key, value));
    }

    let all = captured.0.lock().unwrap().clone();
    // It did capture: spans, events and metrics are there.
    for expected in ["bulla.call", "generate_data_key", "bulla_calls_total", "attempts=1"] {
        assert!(all.contains(expected), "{expected} is missing");
    }
    assert!(all.len() > 100_000, "{}", all.len());
    let texts = [PLAIN, KEY_VALUE, ITEM_VALUE, PASSPHRASE];
    secrets.extend(texts.iter().map(|text| text.as_bytes().to_vec()));
    for secret in &secrets {
        for form in forms(secret) {
            if let Some(at) = all.find(&form) {
                let around = &all[at.saturating_sub(300)..(at + 100).min(all.len())];
                panic!("{form:?} got out:\n…{around}…");
            }
        }
    }
}
