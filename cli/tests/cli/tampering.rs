//! Altered and cut files: exit code 3, and never an output.

use crate::sandbox::{Sandbox, noise};

const HEAD: usize = 1024 + 56;
const CHUNK: usize = 65_536 + 16;

fn refused(sandbox: &Sandbox, bytes: &[u8], what: &str) {
    sandbox.write("bad.bulla", bytes);
    for args in ["decrypt bad.bulla", "decrypt bad.bulla --range .. -o bad", "verify bad.bulla"] {
        let ended = sandbox.run(args);
        assert_eq!(ended.code, Some(3), "{args}, {what}: {}", ended.stderr);
        assert!(ended.stderr.contains("bad.bulla: "), "{args}, {what}: {}", ended.stderr);
        assert!(ended.stdout.is_empty());
    }
    assert_eq!(sandbox.names(), ["a", "a.bulla", "bad.bulla"], "{what}");
}

fn sealed() -> (Sandbox, Vec<u8>) {
    let sandbox = Sandbox::new();
    sandbox.write("a", noise(3 * 65_536 + 100));
    sandbox.ok("encrypt a");
    let sealed = sandbox.read("a.bulla");
    assert_eq!(sealed.len(), HEAD + 3 * CHUNK + 116);
    (sandbox, sealed)
}

#[test]
fn cut_anywhere_leaves_no_output() {
    let (sandbox, sealed) = sealed();
    let boundaries = (0..=3).map(|chunks| HEAD + chunks * CHUNK);
    let inside = [0, 1, 9, 10, 500, 1024, HEAD - 1, HEAD + 15, HEAD + 16, sealed.len() - 1];
    for len in boundaries.chain(inside) {
        refused(&sandbox, &sealed[..len], &format!("cut to {len}"));
    }
}

#[test]
fn altered_anywhere_leaves_no_output() {
    let (sandbox, sealed) = sealed();
    let last = sealed.len() - 1;
    for at in [0, 7, 9, 30, 100, 1000, 1023, 1024, HEAD - 1, HEAD, HEAD + CHUNK, last] {
        let mut bad = sealed.clone();
        bad[at] ^= 1;
        refused(&sandbox, &bad, &format!("altered at {at}"));
    }
    let mut swapped = sealed.clone();
    let (first, second) = swapped[HEAD..].split_at_mut(CHUNK);
    first.swap_with_slice(&mut second[..CHUNK]);
    refused(&sandbox, &swapped, "chunks swapped");
    refused(&sandbox, &[sealed.as_slice(), b"x"].concat(), "extended");
}

#[test]
fn a_version_of_the_future_is_told_from_damage() {
    let (sandbox, mut sealed) = sealed();
    sealed[5] = 2;
    sandbox.write("bad.bulla", &sealed);
    sandbox.run("decrypt bad.bulla").expect(1, "format version 2 is not known");
}

#[test]
fn to_a_pipe_only_whole_chunks_came_and_the_code_tells() {
    let (sandbox, sealed) = sealed();
    sandbox.write("bad.bulla", &sealed[..HEAD + 2 * CHUNK]);
    let ended = sandbox.run("decrypt bad.bulla -o -");
    ended.expect(3, "not authentic");
    assert_eq!(ended.stdout, sandbox.read("a")[..2 * 65_536]);
}

#[test]
fn an_existing_output_survives_a_failure() {
    let (sandbox, sealed) = sealed();
    sandbox.write("bad.bulla", &sealed[..HEAD + CHUNK]);
    sandbox.write("bad", "old");
    sandbox.run("decrypt bad.bulla --force").expect(3, "not authentic");
    assert_eq!(sandbox.read("bad"), b"old");
    assert_eq!(sandbox.names(), ["a", "a.bulla", "bad", "bad.bulla"]);
}
