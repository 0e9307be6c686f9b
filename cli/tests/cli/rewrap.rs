//! `bulla rewrap`.

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink},
};

use serde_json::Value;

use crate::sandbox::{Sandbox, noise};

fn sealed() -> (Sandbox, Vec<u8>) {
    let sandbox = Sandbox::new();
    let plaintext = noise(700_000);
    sandbox.write("a", &plaintext);
    sandbox.ok("keys create old");
    sandbox.ok("keys create new");
    sandbox.ok("encrypt a -k local:old -c tenant=acme --required-context row=7");
    fs::remove_file(sandbox.path("a")).unwrap();
    (sandbox, plaintext)
}

fn recipients(sandbox: &Sandbox, file: &str) -> Vec<String> {
    let report: Value =
        serde_json::from_slice(&sandbox.ok(&format!("inspect {file} --json"))).unwrap();
    let recipients = report["recipients"].as_array().unwrap();
    recipients.iter().map(|r| format!("{} {}", r["key"].as_str().unwrap(), r["version"])).collect()
}

fn id(sandbox: &Sandbox, name: &str) -> String {
    let key: Value =
        serde_json::from_slice(&sandbox.ok(&format!("keys show {name} --json"))).unwrap();
    key["id"].as_str().unwrap().to_owned()
}

#[test]
fn recipients_change_in_place_and_the_body_stays() {
    let (sandbox, plaintext) = sealed();
    fs::set_permissions(sandbox.path("a.bulla"), fs::Permissions::from_mode(0o640)).unwrap();
    let before = sandbox.read("a.bulla");
    sandbox.ok("rewrap a.bulla --add local:new");
    assert_eq!(recipients(&sandbox, "a.bulla").len(), 2);
    sandbox.ok("rewrap a.bulla --remove local:old");
    assert_eq!(recipients(&sandbox, "a.bulla"), [format!("{} \"1\"", id(&sandbox, "new"))]);
    let after = sandbox.read("a.bulla");
    assert!(after[1024..] == before[1024..]);
    assert_eq!(fs::metadata(sandbox.path("a.bulla")).unwrap().mode() & 0o777, 0o640);
    assert_eq!(sandbox.names(), ["a.bulla"]);

    sandbox.ok("keys destroy old --yes");
    assert!(sandbox.ok("decrypt a.bulla -o - -c tenant=acme -c row=7") == plaintext);
    sandbox.write("old.bulla", &before);
    let ended = sandbox.run("decrypt old.bulla -c tenant=acme -c row=7");
    ended.expect(1, "key destroyed");
}

#[test]
fn a_file_moves_to_the_newest_version() {
    let (sandbox, _) = sealed();
    sandbox.ok("keys rotate old");
    sandbox.ok("rewrap a.bulla --add local:old");
    assert_eq!(recipients(&sandbox, "a.bulla"), [format!("{} \"2\"", id(&sandbox, "old"))]);
    sandbox.ok("keys destroy old --version 1 --yes");
    sandbox.ok("verify a.bulla -c tenant=acme -c row=7");
}

#[test]
fn another_output_leaves_the_file_as_it_is() {
    let (sandbox, _) = sealed();
    let before = sandbox.read("a.bulla");
    sandbox.ok("rewrap a.bulla --add local:new -o b.bulla");
    assert!(sandbox.read("a.bulla") == before);
    assert_eq!(recipients(&sandbox, "b.bulla").len(), 2);
    sandbox.run("rewrap a.bulla --add local:new -o b.bulla").expect(1, "b.bulla: exists already");
    sandbox.run("rewrap a.bulla --add local:new -o a.bulla").expect(2, "are the same file");
    let piped = sandbox.pipe("rewrap - --add local:new", &before);
    sandbox.write("c.bulla", piped.stdout);
    sandbox.ok("verify c.bulla -c tenant=acme -c row=7");
}

#[test]
fn the_text_form_stays_text() {
    let (sandbox, _) = sealed();
    sandbox.write("t", "token");
    sandbox.ok("encrypt t --text -k local:old");
    sandbox.ok("rewrap t.bulla --add local:new --remove local:old");
    assert!(sandbox.read("t.bulla").starts_with(b"bulla1."));
    assert_eq!(recipients(&sandbox, "t.bulla"), [format!("{} \"1\"", id(&sandbox, "new"))]);
    assert_eq!(sandbox.ok("decrypt t.bulla -o -"), b"token");
}

#[test]
fn a_recipient_is_removed_by_its_name_in_the_header() {
    let (sandbox, _) = sealed();
    sandbox.ok("rewrap a.bulla --add local:new");
    let old = id(&sandbox, "old");
    fs::remove_file(sandbox.home().join("names/old")).unwrap();
    sandbox.ok(&format!("rewrap a.bulla --remove local:{old}"));
    assert_eq!(recipients(&sandbox, "a.bulla").len(), 1);
}

#[test]
fn a_removal_says_that_it_is_no_revocation() {
    let (sandbox, _) = sealed();
    let added = sandbox.run("rewrap a.bulla --add local:new");
    added.expect(0, "");
    assert_eq!(added.stderr, "");
    let removed = sandbox.run("rewrap a.bulla --remove local:old");
    removed.expect(0, "no revocation");
    assert_eq!(removed.stderr.lines().count(), 1, "{}", removed.stderr);
    // Nothing was removed, so nothing is said.
    let failed = sandbox.run("rewrap a.bulla --remove local:old");
    assert!(!failed.stderr.contains("revocation"), "{}", failed.stderr);
}

/// Two values under one data key.
fn shared(sandbox: &Sandbox) -> Vec<Vec<u8>> {
    let store = bulla_local::Store::at(sandbox.home());
    let local = bulla_local::Local::builder(store).sealing_key("old").build().unwrap();
    let context = bulla::EncryptionContext::new();
    let item = |plaintext| bulla::envelope::BatchItem { plaintext, item_context: &context };
    let items = [item(&b"one"[..]), item(&b"two"[..])];
    let sealer = bulla::Sealer::new(&local).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let batch = runtime.block_on(sealer.seal_batch(&items, &context)).unwrap();
    batch.items.into_iter().map(Result::unwrap).collect()
}

#[test]
fn a_key_is_added_to_a_shared_data_key_only_if_that_is_meant() {
    let (sandbox, _) = sealed();
    let batch = shared(&sandbox);
    sandbox.write("one.bulla", &batch[0]);
    let refused = sandbox.run("rewrap one.bulla --add local:new");
    refused.expect(2, "this data key serves other messages");
    refused.expect(2, "hint: decrypt it and encrypt it anew");
    refused.expect(2, "--accept-whole-cohort");
    assert!(sandbox.read("one.bulla") == batch[0]);
    sandbox.ok("rewrap one.bulla --add local:old"); // which can open them all already
    sandbox.ok("rewrap one.bulla --add local:new --accept-whole-cohort");
    assert_eq!(recipients(&sandbox, "one.bulla").len(), 2);
    assert_eq!(sandbox.ok("decrypt one.bulla -o -"), b"one");
    // The hint is for whoever meant to add a key.
    sandbox.write("two.bulla", &batch[1]);
    let last = sandbox.run("rewrap two.bulla --remove local:old");
    last.expect(2, "1 to 8 recipients");
    assert!(!last.stderr.contains("cohort"), "{}", last.stderr);
}

#[test]
fn mistakes_change_nothing() {
    let (sandbox, _) = sealed();
    let before = sandbox.read("a.bulla");
    for (args, code, said) in [
        ("", 2, "<--add <KEY>|--remove <KEY>>"),
        ("--remove local:old", 2, "1 to 8 recipients"),
        ("--remove local:new", 1, "is no recipient"),
        ("--add local:gone", 1, "`bulla keys create gone` makes it"),
        #[cfg(not(feature = "gcp-kms"))]
        (
            "--add gcpkms://projects/p/locations/global/keyRings/r/cryptoKeys/x",
            2,
            "no provider for `gcpkms` keys",
        ),
    ] {
        sandbox.run(&format!("rewrap a.bulla {args}")).expect(code, said);
    }
    let mut altered = before.clone();
    altered[1000] ^= 1; // the header's padding and tag are checked, without the body
    sandbox.write("bad.bulla", &altered);
    sandbox.run("rewrap bad.bulla --add local:new").expect(3, "bad.bulla: ");
    assert!(sandbox.read("a.bulla") == before);
    assert!(sandbox.read("bad.bulla") == altered);

    let stranger = Sandbox::new();
    stranger.write("a.bulla", &before);
    stranger.ok("keys create new");
    stranger.run("rewrap a.bulla --add local:new").expect(3, "no recipient to open with");
    assert_eq!(sandbox.names(), ["a.bulla", "bad.bulla"]);
}

#[test]
fn a_pipe_is_not_replaced() {
    let (sandbox, _) = sealed();
    let pipe = sandbox.path("pipe");
    assert!(std::process::Command::new("mkfifo").arg(pipe).status().unwrap().success());
    sandbox.run("rewrap pipe --add local:new").expect(2, "pipe: is no file");
}

#[test]
fn a_link_stays_a_link() {
    let (sandbox, _) = sealed();
    symlink("a.bulla", sandbox.path("link")).unwrap();
    sandbox.ok("rewrap link --add local:new");
    assert!(fs::symlink_metadata(sandbox.path("link")).unwrap().is_symlink());
    assert_eq!(recipients(&sandbox, "a.bulla").len(), 2);
}
