//! `bulla decrypt --range`.

use crate::sandbox::{Sandbox, end, noise};

const LEN: usize = 5 * 65_536 + 1000;

#[test]
fn any_range_is_that_part_of_the_plaintext() {
    let sandbox = Sandbox::new();
    let plaintext = noise(LEN);
    sandbox.write("a", &plaintext);
    sandbox.ok("encrypt a");
    sandbox.ok("encrypt a --text -o t");
    let ranges = [
        (0, 0),
        (0, 1),
        (65_535, 65_537),
        (65_536, 131_072),
        (100, LEN - 100),
        (LEN - 1, LEN),
        (0, LEN),
    ];
    for (start, end) in ranges {
        for file in ["a.bulla", "t"] {
            let out = sandbox.ok(&format!("decrypt {file} --range {start}..{end}"));
            assert!(out == plaintext[start..end], "{start}..{end}");
        }
    }
    assert!(sandbox.ok("decrypt a.bulla --range 300000..") == plaintext[300_000..]);
    assert!(sandbox.ok("decrypt a.bulla --range ..300000") == plaintext[..300_000]);
    assert!(sandbox.ok(&format!("decrypt a.bulla --range 7..{}", u64::MAX)) == plaintext[7..]);
    assert_eq!(sandbox.ok(&format!("decrypt a.bulla --range {LEN}..")), b"");
}

#[test]
fn a_part_does_not_take_the_name_of_the_whole() {
    let sandbox = Sandbox::new();
    sandbox.write("a", "0123456789");
    sandbox.ok("encrypt a");
    std::fs::remove_file(sandbox.path("a")).unwrap();
    assert_eq!(sandbox.ok("decrypt a.bulla --range 2..5"), b"234");
    assert_eq!(sandbox.names(), ["a.bulla"]);
    sandbox.ok("decrypt a.bulla --range 2..5 -o part");
    assert_eq!(sandbox.read("part"), b"234");
}

#[test]
fn only_the_chunks_that_are_asked_for_are_opened() {
    let sandbox = Sandbox::new();
    let plaintext = noise(LEN);
    sandbox.write("a", &plaintext);
    sandbox.ok("encrypt a");
    let mut sealed = sandbox.read("a.bulla");
    sealed[1080 + 2 * 65_552] ^= 1;
    sandbox.write("a.bulla", &sealed);
    assert!(sandbox.ok("decrypt a.bulla --range 0..100000") == plaintext[..100_000]);
    let ended = sandbox.run("decrypt a.bulla --range 100000..140000 -o part");
    ended.expect(3, "a.bulla: not authentic");
    assert_eq!(sandbox.names(), ["a", "a.bulla"]);
}

#[test]
fn mistakes_are_told() {
    let sandbox = Sandbox::new();
    sandbox.write("a", "0123456789");
    sandbox.ok("encrypt a");
    let run = |range: &str| sandbox.run(&format!("decrypt a.bulla --range {range}"));
    run("11..").expect(2, "starts at 11, and the plaintext has 10 bytes");
    run("11..20").expect(2, "starts at 11, and the plaintext has 10 bytes");
    run("5..3").expect(2, "the range ends before it starts");
    run("x").expect(2, "a range is START..END");
    let sealed = sandbox.read("a.bulla");
    sandbox.pipe("decrypt --range 1..2", &sealed).expect(2, "needs a file, not a pipe");
    let file = std::fs::File::open(sandbox.path("a.bulla")).unwrap();
    let ended = end(sandbox.bulla().args(["decrypt", "--range", "1..3"]).stdin(file));
    assert_eq!((ended.code, ended.stdout.as_slice()), (Some(0), b"12".as_slice()));
}
