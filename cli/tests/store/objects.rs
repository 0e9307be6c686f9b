//! Objects in a directory, put and got one by one.

use std::process::Stdio;

use crate::{
    files::Objects,
    sandbox::{end, noise},
};

#[test]
fn what_is_put_is_got() {
    let objects = Objects::new();
    let sandbox = &objects.sandbox;
    // Nothing, a piece, and more than a part.
    for (n, len) in [0, 1, 70_000, 20 << 20].into_iter().enumerate() {
        let plaintext = noise(len);
        sandbox.write("in", &plaintext);
        let url = format!("{}/dir/{n}", objects.url);
        let context = "--context tenant=acme --context row=7";
        sandbox.ok(&format!(
            "store put in {url} --key local:old --context tenant=acme --required-context row=7"
        ));
        sandbox.ok(&format!("store get {url} -o out --force {context}"));
        assert!(sandbox.read("out") == plaintext, "{len}");
        assert!(sandbox.ok(&format!("store cat {url} {context}")) == plaintext, "{len}");
        let wrong = sandbox.run(&format!("store cat {url} --context tenant=evil --context row=7"));
        wrong.expect(3, "context mismatch");
        let wrong = sandbox.run(&format!("store cat {url} --context tenant=acme"));
        wrong.expect(3, "not authentic");
        assert!(wrong.stdout.is_empty());
    }
    let url = format!("{}/dir/2", objects.url);
    let range = |range: &str| {
        let context = "--context tenant=acme --context row=7";
        sandbox.ok(&format!("store cat {url} {context} --range {range}"))
    };
    assert_eq!(range("65530..65540"), noise(70_000)[65_530..65_540]);
    assert_eq!(range("69990.."), noise(70_000)[69_990..]);
    assert_eq!(range("..0"), b"");
    sandbox
        .run(&format!("store cat {url} --context tenant=acme --context row=7 --range 70001.."))
        .expect(2, "the plaintext has 70000 bytes");

    // Rewrapped, it still opens, with the other key alone.
    let done = objects.store("rewrap --from local:old --to local:new");
    assert_eq!(done.code, Some(0), "{done:?}");
    sandbox.ok("keys disable old");
    assert!(range("..") == noise(70_000));
}

#[test]
fn what_comes_through_a_pipe_is_put() {
    let objects = Objects::new();
    let plaintext = noise(9 << 20);
    let args = format!("store put - {}/piped --key local:old", objects.url);
    let ended = objects.sandbox.pipe(&args, &plaintext);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(objects.sandbox.ok(&format!("store cat {}/piped", objects.url)) == plaintext);
}

#[test]
fn an_object_is_replaced_only_if_that_is_said() {
    let objects = Objects::new();
    let sandbox = &objects.sandbox;
    sandbox.write("in", "first");
    let url = format!("{}/a", objects.url);
    sandbox.ok(&format!("store put in {url} --key local:old"));
    sandbox.write("in", "second");
    let again = sandbox.run(&format!("store put in {url} --key local:old"));
    again.expect(1, "exists already");
    again.expect(1, "hint: --force replaces it");
    assert_eq!(sandbox.ok(&format!("store cat {url}")), b"first");
    sandbox.ok(&format!("store put in {url} --key local:old --force"));
    // The object's name is the file's, in this directory.
    sandbox.ok(&format!("store get {url}"));
    assert_eq!(sandbox.read("a"), b"second");
    sandbox.run(&format!("store get {url}")).expect(1, "exists already");
    sandbox.ok(&format!("store get {url} --force"));
}

/// Where it was bound to its name, an object that was moved does not open.
#[test]
fn an_object_bound_to_its_name_opens_there_alone() {
    let objects = Objects::new();
    let sandbox = &objects.sandbox;
    sandbox.write("in", "text");
    for (bind, opens) in [("object", true), ("path", false), ("context", true)] {
        let url = format!("{}/{bind}", objects.url);
        sandbox.ok(&format!("store put in {url} --key local:old --bind {bind}"));
        assert_eq!(sandbox.ok(&format!("store cat {url} --bind {bind}")), b"text");
        std::fs::rename(sandbox.path(&format!("objects/{bind}")), sandbox.path("objects/moved"))
            .unwrap();
        let moved = sandbox.run(&format!("store cat {}/moved --bind {bind}", objects.url));
        assert_eq!(moved.code == Some(0), opens, "{bind}: {moved:?}");
        std::fs::remove_file(sandbox.path("objects/moved")).unwrap();
    }
}

#[test]
fn mistakes_are_told() {
    let objects = Objects::new();
    let sandbox = &objects.sandbox;
    sandbox.write("in", "text");
    let run = |args: &str| sandbox.run(&format!("store {args}"));
    let url = &objects.url;
    run(&format!("put missing {url}/a --key local:old")).expect(1, "No such file or directory");
    run(&format!("put in {url}/ --key local:old")).expect(2, "this names no object");
    run("put in file:/// --key local:old").expect(2, "this names no object");
    run(&format!("cat {url}/none")).expect(1, "there is no such object");
    sandbox.write("objects/plain", "hello, this is no sealed data at all");
    run(&format!("cat {url}/plain")).expect(3, "not sealed data");
    run(&format!("get {url}/plain -o out")).expect(3, "not sealed data");
    assert!(!sandbox.names().contains(&"out".to_owned()));

    // Sealed to a key that is not here.
    sandbox.ok(&format!("store put in {url}/a --key local:old"));
    let mut command = sandbox.bulla();
    command.env("BULLA_HOME", sandbox.path("elsewhere")).stdin(Stdio::null());
    let ended = end(command.args(["store", "cat", &format!("{url}/a")]));
    ended.expect(3, "no recipient to open with");

    // Cut short: what came out is not all of it, and no file appears.
    sandbox.write("in", noise(200_000));
    sandbox.ok(&format!("store put in {url}/long --key local:old"));
    let cut = sandbox.read("objects/long")[..150_000].to_vec();
    sandbox.write("objects/long", cut);
    run(&format!("get {url}/long -o out")).expect(3, "not authentic");
    assert!(!sandbox.names().contains(&"out".to_owned()));
}
