//! Another implementation, written in Python from FORMAT.md alone, opens what this one seals.
//!
//! Runs where `BULLA_INTEROP_PYTHON` names an interpreter that has what `interop/requirements.txt`
//! asks for, as the lane `interop` of `cargo xtask test` sees to.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    reason = "helpers of tests are tests too"
)]

use std::{
    io::Write,
    path::Path,
    process::{Command, Output, Stdio},
};

use bulla::{
    Context, CryptoProvider, CryptoProviderExt, DataKeys, EncryptionContext, Sealer,
    envelope::BatchItem,
    format::{Preamble, Suite, to_text},
};
use bulla_local::{KeyType, Local, Passphrase, Protection, Store};
use tokio::io::AsyncReadExt;

#[cfg(all(feature = "jwt", feature = "aws-lc-rs"))]
#[path = "interop/tokens.rs"]
mod tokens;

struct Python(String);

impl Python {
    /// `None`, loudly, where there is no interpreter; a failure where there must be one.
    fn find() -> Option<Self> {
        if let Ok(path) = std::env::var("BULLA_INTEROP_PYTHON") {
            return Some(Self(path));
        }
        let required = std::env::var_os("BULLA_REQUIRE_INTEROP").is_some();
        assert!(!required, "BULLA_INTEROP_PYTHON is not set");
        eprintln!("SKIPPED: run `cargo xtask test --lane interop`, which sets up Python");
        None
    }

    fn run(&self, script: &str, args: &[&str], stdin: &[u8]) -> Output {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("interop").join(script);
        let mut child = Command::new(&self.0)
            .arg(path)
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = child.stdin.take().unwrap();
        let bytes = stdin.to_vec();
        let feed = std::thread::spawn(move || drop(input.write_all(&bytes)));
        let output = child.wait_with_output().unwrap();
        feed.join().unwrap();
        output
    }

    /// The keys of a store, as `open.py` takes them.
    #[track_caller]
    fn keys(&self, args: &[&str]) -> String {
        let output = self.run("store.py", args, b"");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    #[track_caller]
    fn opens(&self, args: &[&str], sealed: &[u8], plaintext: &[u8]) {
        let output = self.run("open.py", args, sealed);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{errors}");
        assert!(output.stdout == plaintext, "{} bytes came out", output.stdout.len());
    }

    #[track_caller]
    fn refuses(&self, args: &[&str], sealed: &[u8]) {
        let output = self.run("open.py", args, sealed);
        assert_eq!(output.status.code(), Some(3));
        assert!(output.stdout.is_empty());
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn context() -> Context {
    Context::new().with_key("tenant", "acme").unwrap().with_item("row", "7 \u{e9}").unwrap()
}

const PAIRS: [&str; 4] = ["--context", "tenant=acme", "--context", "row=7 \u{e9}"];

struct World {
    python: Python,
    vault: Local,
    dir: tempfile::TempDir,
}

impl World {
    fn new() -> Option<Self> {
        let python = Python::find()?;
        let dir = tempfile::tempdir().unwrap();
        let store = Store::at(dir.path().join("store"));
        store.create_key("app", KeyType::Aes256, &Protection::None).unwrap();
        let vault = Local::builder(store).sealing_key("app").build().unwrap();
        Some(Self { python, vault, dir })
    }

    async fn data_key(&self, sealed: &[u8]) -> String {
        let (head, _) = Preamble::split(sealed).unwrap();
        let header = head.header();
        let wrapped = &header.recipients()[0];
        let key = self.vault.unwrap_data_key(wrapped, header.stored_context()).await.unwrap();
        hex(key.expose())
    }
}

#[tokio::test]
async fn both_suites_open_in_python() {
    let Some(world) = World::new() else { return };
    for suite in [Suite::Aes256Gcm64KiB, Suite::Cobblestone256] {
        let sealer = Sealer::builder().recipient(&world.vault).suite(suite).build().unwrap();
        for len in [0, 1, 16_383, 16_384, 65_535, 65_536, 65_537, 200_000] {
            let plain: Vec<u8> = (0..=250).cycle().take(len).collect();
            let value = sealer.seal(&plain, &context()).await.unwrap();
            let mut stream = Vec::new();
            let mut reader = sealer.encrypt_reader(&plain[..], &context()).await.unwrap();
            AsyncReadExt::read_to_end(&mut reader, &mut stream).await.unwrap();
            for sealed in [&value, &stream] {
                let key = world.data_key(sealed).await;
                let args = [&["--data-key", key.as_str(), "--cobblestone"], &PAIRS[..]].concat();
                world.python.opens(&args, sealed, &plain);
            }
        }
        let sealed = sealer.seal(b"in a database", &context()).await.unwrap();
        let key = world.data_key(&sealed).await;
        let args = [&["--data-key", key.as_str()], &PAIRS[..]].concat();
        world.python.opens(&args, to_text(&sealed).as_bytes(), b"in a database");
        world.python.refuses(&["--data-key", &key, "--context", "tenant=acme"], &sealed);
        let mut bad = sealed.clone();
        *bad.last_mut().unwrap() ^= 1;
        world.python.refuses(&args, &bad);
    }
}

#[tokio::test]
async fn a_batch_opens_in_python() {
    let Some(world) = World::new() else { return };
    let sealer = Sealer::new(&world.vault).unwrap();
    let (one, two) = ("1", "2");
    let row = |n: &str| EncryptionContext::from_pairs([("row", n)]).unwrap();
    let contexts = [row(one), row(two)];
    let items =
        contexts.each_ref().map(|item_context| BatchItem { plaintext: b"same", item_context });
    let sealed = sealer.seal_batch(&items, &EncryptionContext::new()).await.unwrap().items;
    for (sealed, n) in sealed.into_iter().zip([one, two]) {
        let sealed = sealed.unwrap();
        let key = world.data_key(&sealed).await;
        let row = format!("row={n}");
        world.python.opens(&["--data-key", &key, "--context", &row], &sealed, b"same");
    }
}

/// The key itself is read out of the store as FORMAT.md describes its files.
#[tokio::test]
async fn local_keys_open_in_python() {
    let Some(world) = World::new() else { return };
    let name = world.vault.sealing_key().unwrap();
    let root = world.dir.path().join("store");
    let kek = world.python.keys(&[root.to_str().unwrap(), "app"]);
    assert!(kek.starts_with(&format!("local:{}@1=", name.id())), "{kek}");
    let sealed = world.vault.seal(b"hello", &context()).await.unwrap();
    let args = [&["--kek", &kek], &PAIRS[..]].concat();
    world.python.opens(&args, &sealed, b"hello");
    let direct = world.vault.encrypt_direct(b"pin", &context()).await.unwrap();
    let args = [&["--direct", "--kek", &kek], &PAIRS[..]].concat();
    world.python.opens(&args, &direct, b"pin");
    world.python.refuses(&args[..5], &direct);
}

#[tokio::test]
async fn protected_keys_open_in_python() {
    let Some(world) = World::new() else { return };
    let root = world.dir.path().join("store");
    let store = Store::at(&root);
    let passphrase = || Passphrase::new("correct horse".to_owned());
    store.create_key("locked", KeyType::Aes256, &Protection::Passphrase(passphrase())).unwrap();
    let vault =
        Local::builder(store).sealing_key("locked").passphrase(passphrase()).build().unwrap();
    let sealed = vault.seal(b"hello", &context()).await.unwrap();
    let file = world.dir.path().join("passphrase");
    std::fs::write(&file, "correct horse\n").unwrap();
    let kek = world.python.keys(&[root.to_str().unwrap(), "locked", file.to_str().unwrap()]);
    world.python.opens(&[&["--kek", &kek], &PAIRS[..]].concat(), &sealed, b"hello");
}

#[test]
fn the_script_passes_its_own_tests() {
    let Some(python) = Python::find() else { return };
    let output = python.run("selftest.py", &[], b"");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
}
