//! Audits and rotations of a directory.

use std::fs;

use serde_json::Value;

use crate::sandbox::{Ended, Sandbox, noise};

/// A sandbox with two keys and a directory of objects, and its URL.
pub(crate) struct Objects {
    pub(crate) sandbox: Sandbox,
    pub(crate) url: String,
}

impl Objects {
    pub(crate) fn new() -> Self {
        let sandbox = Sandbox::new();
        for key in ["old", "new"] {
            sandbox.ok(&format!("keys create {key}"));
        }
        fs::create_dir(sandbox.path("objects")).unwrap();
        let url = format!("file://{}", sandbox.path("objects").canonicalize().unwrap().display());
        Self { sandbox, url }
    }

    pub(crate) fn seal(&self, name: &str, key: &str, plaintext: &[u8]) {
        self.sandbox.write("plain", plaintext);
        let path = format!("objects/{name}");
        if let Some((dir, _)) = path.rsplit_once('/') {
            fs::create_dir_all(self.sandbox.path(dir)).unwrap();
        }
        self.sandbox
            .ok(&format!("encrypt plain -o {path} --key local:{key} --context tenant=acme"));
    }

    pub(crate) fn store(&self, args: &str) -> Ended {
        self.sandbox.run(&format!("store {args} {}", self.url))
    }

    fn json(&self, args: &str) -> Value {
        let ended = self.store(args);
        serde_json::from_slice(&ended.stdout).unwrap_or_else(|e| panic!("{e}: {ended:?}"))
    }

    fn id(&self, key: &str) -> String {
        let shown = self.sandbox.ok(&format!("keys show {key} --json"));
        let shown: Value = serde_json::from_slice(&shown).unwrap();
        shown["id"].as_str().unwrap().to_owned()
    }
}

fn text(ended: &Ended) -> String {
    String::from_utf8(ended.stdout.clone()).unwrap()
}

#[test]
fn an_audit_tells_which_objects_name_which_keys() {
    let objects = Objects::new();
    objects.seal("dir/a", "old", b"text");
    objects.seal("b,\"c\"", "new", &noise(100_000));
    objects.sandbox.write("objects/plain", "hello");
    let (old, new) = (objects.id("old"), objects.id("new"));

    let ended = objects.store("audit");
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let table = text(&ended);
    assert!(table.starts_with("UNVERIFIED"), "{table}");
    for line in [
        "objects/dir/a\n".to_owned(),
        format!("local:{old}@1\n"),
        "3 objects, ".to_owned(),
        ", 2 sealed, 1 plain\n".to_owned(),
        format!("local:{new} version 1\n"),
    ] {
        assert!(table.contains(&line), "{line:?} is not in {table}");
    }
    let summary = text(&objects.store("audit --summary"));
    assert!(!summary.contains("dir/a") && summary.contains(&old), "{summary}");

    let json = objects.json("audit --format json");
    let found = json["objects"].as_array().unwrap();
    assert_eq!(found.len(), 3);
    let a = found.iter().find(|o| o["location"].as_str().unwrap().ends_with("dir/a")).unwrap();
    assert_eq!(a["state"], "sealed");
    assert_eq!(a["plaintext_len"], 4);
    assert_eq!(a["recipients"][0]["key"], old.as_str());
    assert_eq!(a["recipients"][0]["version"], "1");
    assert_eq!(a["context"], serde_json::json!(["tenant"]));
    assert_eq!(a["verified"], Value::Null);
    assert_eq!(json["summary"]["states"], serde_json::json!({"plain": 1, "sealed": 2}));
    assert_eq!(json["summary"]["keys"][0]["alone"], 1);
    let json = objects.json("audit --format json --summary");
    assert_eq!(json["objects"], Value::Null);
    assert_eq!(json["summary"]["objects"], 3);

    let csv = text(&objects.store("audit --format csv"));
    let mut lines: Vec<_> = csv.lines().collect();
    assert_eq!(
        lines.remove(0),
        "location,state,size,plaintext_len,suite,shared_data_key,recipients,context,transform,\
         verified,detail"
    );
    assert_eq!(lines.len(), 3);
    let a = lines.iter().find(|line| line.contains("dir/a,")).unwrap();
    assert!(a.ends_with(&format!("/dir/a,sealed,1100,4,1,false,local:{old}@1,tenant,,,")), "{a}");
    assert!(csv.contains("b,\"\"c\"\"\",sealed,"), "{csv}");
    objects.store("audit --format csv --summary").expect(2, "has no summary");

    // Below a path, which is a directory.
    let below = objects.sandbox.run(&format!("store audit {}/dir --format csv", objects.url));
    assert_eq!(text(&below).lines().count(), 2);
    let nothing = objects.sandbox.run(&format!("store audit {}/none", objects.url));
    nothing.expect(1, "No such file or directory");
}

#[test]
fn an_audit_can_ask_the_keys() {
    let objects = Objects::new();
    objects.seal("a", "old", b"text");
    objects.seal("forged", "old", b"text");
    let mut forged = objects.sandbox.read("objects/forged");
    forged[1020] ^= 1; // the header's tag
    objects.sandbox.write("objects/forged", forged);
    assert_eq!(objects.store("audit").code, Some(0));
    let ended = objects.store("audit --verify --format json");
    assert_eq!(ended.code, Some(3), "{ended:?}");
    let json: Value = serde_json::from_slice(&ended.stdout).unwrap();
    assert_eq!(json["summary"]["verified"], 1);
    assert_eq!(json["summary"]["not_verified"], 1);
    let table = text(&objects.store("audit --verify"));
    assert!(!table.contains("UNVERIFIED") && table.contains("1 verified, 1 not"), "{table}");

    objects.sandbox.write("objects/forged", &objects.sandbox.read("objects/a")[..500]);
    let ended = objects.store("audit");
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert!(text(&ended).contains("it ends after 500 bytes, inside its head"), "{ended:?}");
}

#[test]
fn ls_shows_the_lengths_of_plaintexts() {
    let objects = Objects::new();
    objects.seal("dir/a", "old", &noise(70_000));
    objects.sandbox.write("objects/plain", "hello");
    let listed = text(&objects.store("ls"));
    let lines: Vec<Vec<&str>> = listed.lines().map(|l| l.split_whitespace().collect()).collect();
    assert_eq!(lines[0][0], "70000");
    assert!(lines[0][1].ends_with("/objects/dir/a"));
    assert_eq!(lines[1][..2], ["5", "plain"]);
    let json = objects.json("ls --json");
    assert_eq!(json["objects"][0]["plaintext_len"], 70_000);
    assert_eq!(json["objects"][1]["plaintext_len"], Value::Null);
    assert_eq!(json["verified"], false);
}

#[test]
fn rewrap_changes_who_opens() {
    let objects = Objects::new();
    for n in 0..5 {
        objects.seal(&format!("dir/{n}"), "old", format!("text {n}").as_bytes());
    }
    objects.seal("new", "new", b"text");
    objects.sandbox.write("objects/plain", "hello");
    let before = objects.sandbox.read("objects/dir/3");

    let dry = objects.store("rewrap --from local:old --to local:new --dry-run");
    assert_eq!(dry.code, Some(0), "{dry:?}");
    let listed = text(&dry);
    assert_eq!(listed.matches("/objects/dir/").count(), 5, "{listed}");
    assert!(listed.ends_with("7 objects: 5 due, 1 as they shall be already, 1 not sealed\n"));
    assert_eq!(objects.sandbox.read("objects/dir/3"), before);

    let done = objects.store("rewrap --from local:old --to local:new");
    done.expect(0, "a removal is no revocation");
    assert_eq!(text(&done), "7 objects: 5 rewrapped, 1 as they shall be already, 1 not sealed\n");
    let after = objects.sandbox.read("objects/dir/3");
    assert_eq!(after.len(), before.len());
    assert_eq!(after[1024..], before[1024..]);
    objects.sandbox.ok("keys disable old");
    let opened = objects.sandbox.ok("decrypt objects/dir/3 -o - --context tenant=acme");
    assert_eq!(opened, b"text 3");

    let json = objects.json("rewrap --from local:old --to local:new --json");
    assert_eq!(json["complete"], true);
    assert_eq!(json["rewrapped"], 0);
    assert_eq!(json["current"], 6);
    assert_eq!(fs::read_dir(objects.sandbox.path("objects/dir")).unwrap().count(), 5);
}

#[test]
fn a_rotated_key_is_renewed_and_a_gone_one_named_as_an_audit_shows_it() {
    let objects = Objects::new();
    objects.seal("a", "old", b"text");
    objects.seal("b", "new", b"text");
    objects.sandbox.ok("keys rotate old");
    let done = text(&objects.store("rewrap --from local:old --to local:old"));
    assert_eq!(done, "2 objects: 1 rewrapped, 1 sealed to other keys\n");
    let id = objects.id("old");
    assert!(text(&objects.store("audit")).contains(&format!("local:{id}@2")));

    let done = text(&objects.store(&format!("rewrap --from local:{id} --to local:new")));
    assert!(done.starts_with("2 objects: 1 rewrapped"), "{done}");
    let shown = format!("local:{}", "0123456789abcdef".repeat(2));
    let done = text(&objects.store(&format!("rewrap --from {shown}")));
    assert_eq!(done, "2 objects: 0 rewrapped, 2 sealed to other keys\n");
}

#[test]
fn what_fails_is_told_and_the_rest_is_done() {
    let objects = Objects::new();
    objects.seal("a", "old", b"text");
    objects.seal("b", "old", b"text");
    objects.seal("short", "old", b"text");
    let short = objects.sandbox.read("objects/short")[..600].to_vec();
    objects.sandbox.write("objects/short", short);
    let mut forged = objects.sandbox.read("objects/b");
    forged[1020] ^= 1;
    objects.sandbox.write("objects/b", &forged);
    let ended = objects.store("rewrap --from local:old --to local:new");
    ended.expect(3, "objects/short: it is short: it ends after 600 bytes");
    ended.expect(3, "objects/b: rewrap: not authentic");
    assert!(text(&ended).contains("1 rewrapped, 2 failed"), "{ended:?}");
    assert_eq!(objects.sandbox.read("objects/b"), forged);
}

#[test]
fn mistakes_are_told_before_anything_is_done() {
    let objects = Objects::new();
    objects.seal("a", "old", b"text");
    let url = &objects.url;
    let run = |args: &str| objects.sandbox.run(&format!("store {args}"));
    run(&format!("rewrap {url}")).expect(2, "--from");
    run(&format!("rewrap --to local:none {url}")).expect(1, "key not found");
    run(&format!("rewrap --from local:none {url}")).expect(1, "key not found");
    run(&format!("rewrap --from nonsense {url}")).expect(2, "key URI");
    run(&format!("rewrap --to local:new --rate 0 {url}")).expect(2, "a rate is not above zero");
    run(&format!("rewrap --to local:new --concurrency 0 {url}")).expect(2, "1 to 1024 objects");
    run("audit s4://bucket").expect(2, "`s4` is no kind of store; they are file, s3 and az");
    run("audit bucket").expect(2, "this is no URL of a store");
    run("audit gs://bucket").expect(2, "`gs` is no kind of store");
    run("audit file://host/dir").expect(2, "a directory is file:///directory");
    run(&format!("audit {url} --store-option a=b")).expect(2, "has no setting a");
    run("audit s3://bucket --store-option aws_frob=1").expect(2, "has no setting aws_frob");
    let plain = "audit s3://bucket --store-option aws_endpoint=http://127.0.0.1:1";
    run(plain).expect(2, "this endpoint is without TLS");
    run(&format!("ls {url}/a")).expect(2, "is no directory");
    // The file of a run with other keys.
    let state = objects.sandbox.path("state");
    let resume = format!("--resume {}", state.display());
    let first = run(&format!("rewrap --to local:new {resume} {url}"));
    assert_eq!(first.code, Some(0), "{first:?}");
    run(&format!("rewrap --to local:old {resume} {url}")).expect(2, "no state of a run with these");
}
