//! Damaged files: refused with an error that names the file, never a panic, never a secret told.
#![cfg(any(feature = "aws-lc-rs", feature = "rustcrypto"))]
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]

use std::{fs, path::PathBuf};

use bulla::{Error, ErrorKind};
use bulla_local::{KeyType, Local, Passphrase, Protection, Store};
use proptest::prelude::*;
use serde_json::{Value, json};
use tempfile::TempDir;

struct Case {
    _dir: TempDir,
    store: Store,
    key_dir: PathBuf,
}

fn case(protection: &Protection) -> Case {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::at(dir.path().join("bulla"));
    let id = store.create_key("orders", KeyType::Aes256, protection).unwrap().id;
    let key_dir = store.path().join("keys").join(id);
    Case { _dir: dir, store, key_dir }
}

impl Case {
    fn build(&self) -> Result<Local, Error> {
        let passphrase = Passphrase::new("p".to_owned());
        Local::builder(self.store.clone()).sealing_key("orders").passphrase(passphrase).build()
    }

    /// Builds with one file changed, and puts it back.
    fn with(&self, file: &str, content: &[u8]) -> Result<Local, Error> {
        let path = self.key_dir.join(file);
        let before = fs::read(&path).unwrap();
        fs::write(&path, content).unwrap();
        let result = self.build();
        fs::write(&path, before).unwrap();
        result
    }

    fn json(&self, file: &str) -> Value {
        serde_json::from_slice(&fs::read(self.key_dir.join(file)).unwrap()).unwrap()
    }
}

fn refused(result: Result<Local, Error>, what: &str) -> Error {
    let error = result.map(drop).expect_err(what);
    let kinds =
        [ErrorKind::Damaged, ErrorKind::NotAuthentic, ErrorKind::NotFound, ErrorKind::Unsupported];
    assert!(kinds.contains(&error.kind()), "{what}: {error}");
    error
}

#[test]
fn every_field_is_needed_and_checked() {
    let case = case(&Protection::None);
    for file in ["key.json", "v1.json", "state.json"] {
        let whole = case.json(file);
        for field in whole.as_object().unwrap().keys() {
            let mut without = whole.clone();
            without.as_object_mut().unwrap().remove(field);
            refused(
                case.with(file, without.to_string().as_bytes()),
                &format!("{file}: no {field}"),
            );
            for value in [
                json!(null),
                json!(0),
                json!(-1),
                json!(4294967296u64),
                json!(""),
                json!("x"),
                json!([]),
                json!({}),
                json!(true),
                json!("\u{e9}"),
            ] {
                let mut wrong = whole.clone();
                wrong[field] = value.clone();
                let error = refused(
                    case.with(file, wrong.to_string().as_bytes()),
                    &format!("{file}: {field} = {value}"),
                );
                assert!(error.message().contains(file), "{error}");
            }
        }
        let mut unknown = whole.clone();
        unknown["more"] = json!(1);
        refused(case.with(file, unknown.to_string().as_bytes()), "unknown field");
        let text = whole.to_string();
        refused(case.with(file, format!("{text}{text}").as_bytes()), "two values");
        let twice = text.replacen('{', "{\"created\":\"2026-01-01T00:00:00Z\",", 1);
        refused(case.with(file, twice.as_bytes()), "a field twice");
        refused(case.with(file, b""), "empty");
        refused(case.with(file, &vec![b' '; 2 << 20]), "too long");
        let later = text.replace("/1\"", "/2\"");
        let error = refused(case.with(file, later.as_bytes()), "later format");
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    }
    case.build().unwrap();
}

#[test]
fn states_that_contradict_themselves_are_refused() {
    let case = case(&Protection::None);
    let whole = case.json("state.json");
    let entry = whole["versions"][0].clone();
    let with = |change: &dyn Fn(&mut Value)| {
        let mut state = whole.clone();
        change(&mut state);
        refused(case.with("state.json", state.to_string().as_bytes()), &state.to_string())
    };
    with(&|s| s["versions"] = json!([]));
    with(&|s| s["versions"] = json!([entry, entry]));
    with(&|s| s["current"] = json!(2));
    with(&|s| s["versions"][0]["version"] = json!(0));
    with(&|s| s["versions"][0]["state"] = json!("pending-deletion"));
    with(&|s| s["versions"][0]["protection"] = json!("argon2id"));
    with(&|s| s["versions"][0]["created"] = json!("2020-01-01T00:00:00Z"));
    with(&|s| s["versions"][0]["more"] = json!(1));
    with(&|s| s["id"] = json!("0123456789abcdef0123456789abcdef"));
}

#[test]
fn material_of_another_length_or_spelling_is_refused() {
    let case = case(&Protection::None);
    let whole = case.json("v1.json");
    let good = whole["material"].as_str().unwrap();
    let escaped = whole.to_string().replacen(
        good,
        &format!("\\u00{:02x}{}", good.as_bytes()[0], &good[1..]),
        1,
    );
    refused(case.with("v1.json", escaped.as_bytes()), "escaped");
    for bad in ["AAAA", &good.replace('=', ""), &format!("{good}AAAA"), &format!(" {good}")] {
        let mut file = whole.clone();
        file["material"] = json!(bad);
        refused(case.with("v1.json", file.to_string().as_bytes()), bad);
    }
    let mut public = whole;
    public["public"] = json!("AAAA");
    refused(case.with("v1.json", public.to_string().as_bytes()), "public of an AES key");
}

#[test]
fn errors_do_not_tell_the_material() {
    let case = case(&Protection::None);
    let mut file = case.json("v1.json");
    let material = file["material"].as_str().unwrap().to_owned();
    file["version"] = json!(material);
    let error = refused(case.with("v1.json", file.to_string().as_bytes()), "moved");
    assert!(!format!("{error} {error:?}").contains(&material[..8]));
}

#[test]
fn kdf_parameters_are_bounded_and_bound() {
    let case = case(&Protection::Passphrase(Passphrase::new("p".to_owned())));
    let whole = case.json("v1.json");
    let with = |field: &str, value: Value| {
        let mut file = whole.clone();
        file["protection"]["argon2id"][field] = value;
        refused(case.with("v1.json", file.to_string().as_bytes()), field).kind()
    };
    for (field, value) in
        [("m", json!(4294967295u32)), ("t", json!(4294967295u32)), ("p", json!(9)), ("m", json!(0))]
    {
        assert_eq!(with(field, value), ErrorKind::Damaged);
    }
    assert_eq!(with("m", json!(32 * 1024)), ErrorKind::NotAuthentic);
    assert_eq!(with("salt", json!("AAAAAAAAAAAAAAAAAAAAAA==")), ErrorKind::NotAuthentic);
    assert_eq!(with("salt", json!("AAAA")), ErrorKind::Damaged);
    case.build().unwrap();
}

proptest! {
    #[test]
    fn random_changes_never_panic(
        file in prop::sample::select(vec!["key.json", "v1.json", "state.json"]),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3u8), 1..6),
    ) {
        let case = case(&Protection::None);
        let path = case.key_dir.join(file);
        let mut content = fs::read(&path).unwrap();
        for (at, byte, how) in changes {
            let at = at.index(content.len().max(1));
            match how {
                0 if at < content.len() => content[at] = byte,
                1 => content.insert(at.min(content.len()), byte),
                _ => content.truncate(at),
            }
        }
        fs::write(&path, content).unwrap();
        let _ = case.build();
        let _ = case.store.keys();
        let _ = case.store.rotate("orders", &Protection::None);
        let _ = case.store.destroy("orders", None);
    }
}
