//! `bulla inspect`, and the JSON of every command against its documentation.

use bulla::CryptoProviderExt as _;
use serde_json::Value;

use crate::sandbox::{Sandbox, noise};

fn json(sandbox: &Sandbox, args: &str) -> Value {
    serde_json::from_slice(&sandbox.ok(args)).unwrap()
}

#[test]
fn needs_no_key_and_says_that_nothing_is_verified() {
    let sandbox = Sandbox::new();
    sandbox.write("a", noise(100_000));
    sandbox.ok("encrypt a -c tenant=acme --required-context row=7");
    std::fs::remove_dir_all(sandbox.home()).unwrap();
    let text = String::from_utf8(sandbox.ok("inspect a.bulla")).unwrap();
    assert!(text.starts_with("UNVERIFIED: "), "{text}");
    for line in [
        "form:         binary",
        "data key:     for this message alone",
        "header:       1024 bytes",
        "body:         100032 bytes",
        "plaintext:    100000 bytes",
        "  tenant = acme",
        "recipients:   1, any one of which opens",
    ] {
        assert!(text.lines().any(|l| l == line), "{line:?} is not in:\n{text}");
    }
    assert!(!text.contains("row"), "{text}");
    assert!(!sandbox.home().exists(), "it leaves the key store alone");
}

#[test]
fn file_pipe_and_text_form_tell_the_same() {
    let sandbox = Sandbox::new();
    sandbox.write("a", noise(100_000));
    sandbox.ok("encrypt a -c tenant=acme");
    let from_file = json(&sandbox, "inspect a.bulla --json");
    assert_eq!(from_file["verified"], false);
    assert_eq!(from_file["file"], "a.bulla");
    assert_eq!(from_file["plaintext_len"], 100_000);
    assert_eq!(from_file["context"]["tenant"], "acme");
    assert_eq!(from_file["sealed_len"], sandbox.read("a.bulla").len());
    let ended = sandbox.pipe("inspect --json", &sandbox.read("a.bulla"));
    let mut from_pipe: Value = serde_json::from_slice(&ended.stdout).unwrap();
    assert_eq!(from_pipe["file"], "standard input");
    from_pipe["file"] = "a.bulla".into();
    assert_eq!(from_pipe, from_file);

    sandbox.ok("encrypt a --text -o t");
    let text = json(&sandbox, "inspect t --json");
    assert_eq!(text["form"], "text");
    assert_eq!(text["plaintext_len"], 100_000);
}

#[test]
fn what_is_cut_is_told() {
    let sandbox = Sandbox::new();
    sandbox.write("a", noise(100_000));
    sandbox.ok("encrypt a");
    let sealed = sandbox.read("a.bulla");
    sandbox.write("cut", &sealed[..1080 + 65_552]);
    let text = String::from_utf8(sandbox.ok("inspect cut")).unwrap();
    assert!(text.contains("no message has such a body"), "{text}");
    assert_eq!(json(&sandbox, "inspect cut --json")["plaintext_len"], Value::Null);
    sandbox.write("cut", &sealed[..1030]);
    let text = String::from_utf8(sandbox.ok("inspect cut")).unwrap();
    assert!(text.contains("the data is cut short"), "{text}");
    sandbox.write("cut", &sealed[..1000]);
    sandbox.run("inspect cut").expect(3, "cut: not sealed data: the header is cut short");
    sandbox.write("cut", "no such thing");
    sandbox.run("inspect cut").expect(3, "cut: not sealed data");
}

/// Every name of a field, at any depth; the keys of a context are data.
fn fields(value: &Value, out: &mut Vec<String>) {
    match value {
        Value::Array(values) => values.iter().for_each(|value| fields(value, out)),
        Value::Object(object) => {
            for (name, value) in object {
                out.push(name.clone());
                if name != "context" {
                    fields(value, out);
                }
            }
        }
        _ => {}
    }
}

#[test]
fn every_field_is_documented() {
    let documentation = include_str!("../../JSON.md");
    let sandbox = Sandbox::new();
    sandbox.write("a", "text");
    sandbox.ok("encrypt a -c tenant=acme");
    for args in [
        "inspect a.bulla --json",
        "keys list --json",
        "keys show default --json",
        "keys rotate default --json",
    ] {
        let heading = match args.split(' ').collect::<Vec<_>>()[..] {
            ["inspect", ..] => "## `bulla inspect",
            ["keys", "list", ..] => "## `bulla keys list",
            _ => "## `bulla keys show",
        };
        let (_, section) = documentation.split_once(heading).unwrap();
        let section = section.split("\n## ").next().unwrap();
        let mut names = Vec::new();
        fields(&json(&sandbox, args), &mut names);
        assert!(!names.is_empty());
        for name in names {
            assert!(section.contains(&format!("`{name}`")), "{name} of {args}");
        }
    }
}

#[test]
fn a_direct_message_is_told_from_a_sealed_one() {
    let sandbox = Sandbox::new();
    sandbox.ok("keys create app");
    let store = bulla_local::Store::at(sandbox.home());
    let local = bulla_local::Local::builder(store).sealing_key("app").build().unwrap();
    let context = bulla::Context::new().with_key("tenant", "acme").unwrap();
    let context = context.with_item("row", "7").unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let message = runtime.block_on(local.encrypt_direct(b"4711", &context)).unwrap();
    sandbox.write("pin", &message);
    let text = String::from_utf8(sandbox.ok("inspect pin")).unwrap();
    assert!(text.starts_with("UNVERIFIED: "), "{text}");
    assert!(text.contains("\nkind:         direct message") && text.contains("  tenant = acme\n"));
    assert!(!text.contains("row") && !text.contains("suite"), "{text}");
    let told = json(&sandbox, "inspect pin --json");
    assert_eq!((&told["kind"], &told["verified"]), (&"direct".into(), &false.into()));
    assert_eq!(told["recipients"][0]["scheme"], "local");
    assert_eq!(told["sealed_len"], message.len());
    sandbox.write("line", format!("{}\n", bulla::format::to_text(&message)));
    assert_eq!(json(&sandbox, "inspect line --json")["form"], "text");
    // The command opens none, and says what does.
    sandbox.run("decrypt pin -o out").expect(3, "`decrypt_direct`");
    for bad in [&message[..message.len() - 1], &[&message[..], b"x"].concat()] {
        sandbox.write("bad", bad);
        sandbox.run("inspect bad").expect(3, "bad: not sealed data");
    }
}

#[test]
fn a_compressed_message_is_shown_and_not_opened() {
    let sandbox = Sandbox::new();
    sandbox.ok("keys create app");
    let store = bulla_local::Store::at(sandbox.home());
    let local = bulla_local::Local::builder(store).sealing_key("app").build().unwrap();
    let context = bulla::Context::new().with_key("tenant", "acme").unwrap();
    let context = context.with_transform(bulla::format::Transform::Zstd).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let message = runtime.block_on(local.seal(b"packed", &context)).unwrap();
    sandbox.write("log.zst.bulla", &message);
    let text = String::from_utf8(sandbox.ok("inspect log.zst.bulla")).unwrap();
    for line in ["plaintext:    6 bytes as it was transformed: zstd", "  bulla.transform = zstd"] {
        assert!(text.lines().any(|l| l == line), "{line:?} is not in:\n{text}");
    }
    assert_eq!(json(&sandbox, "inspect log.zst.bulla --json")["transform"], "zstd");
    for args in [
        "decrypt log.zst.bulla -c tenant=acme -o out",
        "decrypt log.zst.bulla --stored-context -o out",
        "decrypt log.zst.bulla -c tenant=acme --range 0..3 -o out",
    ] {
        let ended = sandbox.run(args);
        ended.expect(1, "compressed (zstd) before it was sealed");
        assert!(ended.stderr.contains("bulla-pipeline"), "{}", ended.stderr);
        assert!(ended.stdout.is_empty());
    }
    assert_eq!(sandbox.names(), ["log.zst.bulla"]);
    // It can be verified, since nothing is handed out.
    for args in ["-c tenant=acme", "--stored-context"] {
        let said = sandbox.ok(&format!("verify log.zst.bulla {args}"));
        let said = String::from_utf8(said).unwrap();
        assert!(
            said.ends_with("verified, 6 bytes of plaintext as it was compressed (zstd)\n"),
            "{said}"
        );
    }
    sandbox.run("verify log.zst.bulla -c tenant=other").expect(3, "context mismatch");
    sandbox.run("verify log.zst.bulla").expect(3, "context mismatch");
    let mut altered = message.clone();
    *altered.last_mut().unwrap() ^= 1;
    sandbox.write("log.zst.bulla", &altered);
    sandbox.run("verify log.zst.bulla -c tenant=acme").expect(3, "not authentic");
    sandbox.write("log.zst.bulla", &message);
    // Naming the pair is no way round.
    let ended = sandbox.run("decrypt log.zst.bulla -c tenant=acme -c bulla.transform=zstd -o out");
    ended.expect(2, "kept for the library");
    // Its recipients can be changed as any other's, and it stays what it is.
    sandbox.ok("keys create spare");
    sandbox.ok("rewrap log.zst.bulla --add local:spare");
    assert_eq!(json(&sandbox, "inspect log.zst.bulla --json")["transform"], "zstd");
}
