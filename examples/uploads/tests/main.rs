//! The service as a process, and curl as its client.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "helpers of tests are tests too"
)]

mod server;
mod walkthrough;

use std::{
    fs::{self, File},
    io::{Read as _, Seek as _, SeekFrom, Write as _},
    path::Path,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use server::Server;

/// A line of every file here, and nowhere in the store.
const SECRET: &str = "plaintext-of-ada";

const MIB: u64 = 1 << 20;

/// 192 MiB, or 1 GiB where tests may be long.
fn large() -> u64 {
    if std::env::var_os("BULLA_LONG_TESTS").is_some() { 1024 * MIB } else { 192 * MIB }
}

/// Writes a file that does not repeat, but for a line in each MiB.
fn write_file(path: &Path, len: u64) {
    let mut file = File::create(path).unwrap();
    let mut random = fastrand::Rng::with_seed(11);
    let mut piece = vec![0; usize::try_from(MIB).unwrap()];
    let mut left = len;
    while left > 0 {
        random.fill(&mut piece);
        piece[..SECRET.len()].copy_from_slice(SECRET.as_bytes());
        let now = usize::try_from(left.min(MIB)).unwrap();
        file.write_all(&piece[..now]).unwrap();
        left -= now as u64;
    }
}

fn part(path: &Path, from: u64, len: usize) -> Vec<u8> {
    let mut file = File::open(path).unwrap();
    file.seek(SeekFrom::Start(from)).unwrap();
    let mut bytes = vec![0; len];
    file.read_exact(&mut bytes).unwrap();
    bytes
}

fn is_same(one: &Path, other: &Path) -> bool {
    Command::new("cmp").arg("--silent").args([one, other]).status().unwrap().success()
}

#[test]
fn a_large_file_goes_in_and_comes_out_in_flat_memory() {
    let Some(server) = Server::start(&[]) else { return };
    let token = server.token("web");
    let path = server.path("large");
    write_file(&server.path("small"), MIB);
    write_file(&path, large());
    let put = |file: &str, query: &str| {
        let name = format!("/objects/{file}{query}");
        server.curl(&["-T", server.path(file).to_str().unwrap()], &name, Some(&token))
    };
    assert_eq!(put("small", "").status, 201);
    let before = server.peak_memory();
    let answer = put("large", "");
    assert_eq!(answer.status, 201, "{answer:?}");
    assert_eq!(answer.text(), format!("{{\"bytes\":{}}}\n", large()));
    assert_eq!(put("large", "?compress=zstd").status, 201);
    assert_eq!(put("large", "").status, 201);
    let after = server.peak_memory();

    let out = server.path("out");
    let whole = server.curl(&["-o", out.to_str().unwrap()], "/objects/large", Some(&token));
    assert_eq!(whole.status, 200);
    assert!(is_same(&path, &out));
    let reading = server.peak_memory();
    println!(
        "peak memory of the service: {before} KiB, {after} after uploads, {reading} after a download"
    );
    // Some parts of 8 MiB, plain and sealed, and what the allocator keeps of them: half the shorter file.
    assert!(after < before + 96 * 1024, "{before} KiB, and then {after} KiB");
    assert!(reading < after + 32 * 1024, "{after} KiB, and then {reading} KiB");

    let len = large();
    for (range, from, count) in [
        ("0-0", 0, 1),
        ("65530-65600", 65_530, 71),
        (&format!("{}-{}", len / 2 - 5, len / 2 + 200_000), len / 2 - 5, 200_006),
        ("-5", len - 5, 5),
        (&format!("{}-", len - 70_000), len - 70_000, 70_000),
    ] {
        let answer = server.curl(&["-r", range], "/objects/large", Some(&token));
        assert_eq!(answer.status, 206, "{range}");
        assert!(answer.body == part(&path, from, count), "{range}");
        let of = format!("content-range: bytes {from}-{}/{len}", from + count as u64 - 1);
        assert!(answer.head.contains(&of), "{of} is not in {}", answer.head);
    }
    let beyond = server.curl(&["-r", &format!("{len}-")], "/objects/large", Some(&token));
    assert_eq!((beyond.status, beyond.error().as_str()), (416, "range_not_satisfiable"));
    assert!(beyond.head.contains(&format!("content-range: bytes */{len}")), "{}", beyond.head);

    assert!(server.store_has(b"bulla"), "the search finds what is there");
    assert!(!server.store_has(SECRET.as_bytes()), "plaintext is at rest");
}

#[test]
fn a_compressed_object_comes_back_whole() {
    let Some(server) = Server::start(&[]) else { return };
    let token = server.token("web");
    let text = format!("{SECRET}: the same line, again and again\n").repeat(100_000);
    fs::write(server.path("log"), &text).unwrap();
    let log = server.path("log");
    let put =
        server.curl(&["-T", log.to_str().unwrap()], "/objects/log?compress=zstd", Some(&token));
    assert_eq!(put.status, 201);
    assert!(server.stored_len("web/log") < text.len() as u64 / 20);
    for args in [&[][..], &["-r", "0-9"]] {
        let got = server.curl(args, "/objects/log", Some(&token));
        assert_eq!(got.status, 200);
        assert!(got.body == text.as_bytes());
        assert!(got.head.contains("accept-ranges: none"), "{}", got.head);
    }
    assert!(!server.store_has(SECRET.as_bytes()));
    let other =
        server.curl(&["-T", log.to_str().unwrap()], "/objects/log?compress=lz4", Some(&token));
    assert_eq!((other.status, other.error().as_str()), (400, "bad_query"));
    // The empty object is one too.
    fs::write(server.path("none"), "").unwrap();
    for query in ["", "?compress=zstd"] {
        let none = server.path("none");
        let path = format!("/objects/none{query}");
        assert_eq!(server.curl(&["-T", none.to_str().unwrap()], &path, Some(&token)).status, 201);
        let got = server.curl(&[], "/objects/none", Some(&token));
        assert_eq!((got.status, got.body.len()), (200, 0));
        let part = server.curl(&["-r", "0-"], "/objects/none", Some(&token));
        assert_eq!(part.status, if query.is_empty() { 416 } else { 200 });
    }
}

#[test]
fn nobody_passes_without_a_token_that_is_good_for_it() {
    let Some(server) = Server::start(&[]) else { return };
    let token = server.token("web");
    fs::write(server.path("a"), "a").unwrap();
    let a = server.path("a");
    let upload = ["-T", a.to_str().unwrap()];
    let (head, signature) = token.rsplit_once('.').unwrap();
    let first = if signature.starts_with('A') { 'B' } else { 'A' };
    let forged = format!("{head}.{first}{}", &signature[1..]);
    let foreign = "eyJhbGciOiJub25lIn0.e30.";
    for bad in [None, Some("x"), Some(forged.as_str()), Some(foreign)] {
        for args in [&[][..], &upload] {
            let answer = server.curl(args, "/objects/a", bad);
            assert_eq!((answer.status, answer.error().as_str()), (401, "unauthorized"), "{bad:?}");
            assert!(answer.head.contains("www-authenticate: bearer"), "{}", answer.head);
        }
    }
    let reader = server.token_of("web", "objects:read");
    let answer = server.curl(&upload, "/objects/a", Some(&reader));
    assert_eq!((answer.status, answer.error().as_str()), (403, "forbidden"));
    assert_eq!(server.curl(&upload, "/objects/a", Some(&token)).status, 201);
    assert_eq!(server.curl(&[], "/objects/a", Some(&reader)).body, b"a");

    // Tokens are for secrets, and these are for nobody.
    for (client, secret) in [("web", "wrong"), ("nobody", "a-secret-of-the-web-client")] {
        let user = format!("{client}:{secret}");
        let args = ["-u", user.as_str(), "-d", "grant_type=client_credentials"];
        let answer = server.curl(&args, "/token", None);
        assert_eq!((answer.status, answer.error().as_str()), (401, "invalid_client"));
    }
    let keys = server.curl(&[], "/.well-known/jwks.json", None);
    assert!(keys.status == 200 && keys.text().contains("P-256"), "{keys:?}");
}

#[test]
fn owners_are_apart_and_objects_stay_where_they_are() {
    let Some(server) = Server::start(&[]) else { return };
    let (web, batch) = (server.token("web"), server.token("batch"));
    for name in ["a", "b"] {
        fs::write(server.path(name), format!("{SECRET} {name}")).unwrap();
        let file = server.path(name);
        let path = format!("/objects/{name}");
        assert_eq!(server.curl(&["-T", file.to_str().unwrap()], &path, Some(&web)).status, 201);
    }
    let theirs = server.curl(&[], "/objects/a", Some(&batch));
    assert_eq!((theirs.status, theirs.error().as_str()), (404, "not_found"));
    for name in ["..%2fweb%2fa", "%2e%2e", ".hidden", "a%2fb"] {
        let answer = server.curl(&["--path-as-is"], &format!("/objects/{name}"), Some(&batch));
        assert_eq!((answer.status, answer.error().as_str()), (400, "bad_name"), "{name}");
    }
    // Who owns the store moves, swaps, cuts and alters, and nobody is given what came of it.
    let stored = |name: &str| server.stored_path(name);
    fs::create_dir_all(stored("batch")).unwrap();
    fs::copy(stored("web/a"), stored("batch/a")).unwrap();
    let moved = server.curl(&[], "/objects/a", Some(&batch));
    assert_eq!((moved.status, moved.error().as_str()), (500, "failed"));
    let sealed = fs::read(stored("web/a")).unwrap();
    fs::copy(stored("web/b"), stored("web/a")).unwrap();
    assert_eq!(server.curl(&[], "/objects/a", Some(&web)).status, 500);
    let mut altered = sealed.clone();
    *altered.last_mut().unwrap() ^= 1;
    for bad in [&sealed[..sealed.len() - 1], &altered, b"a plain file", b""] {
        fs::write(stored("web/a"), bad).unwrap();
        let answer = server.curl(&[], "/objects/a", Some(&web));
        assert_eq!((answer.status, answer.error().as_str()), (500, "failed"));
        assert!(!answer.text().contains(SECRET));
    }
    fs::write(stored("web/a"), &sealed).unwrap();
    assert_eq!(server.curl(&[], "/objects/a", Some(&web)).status, 200);

    // Where the damage is further on, the answer has begun: it ends early, and curl says so.
    for query in ["", "?compress=zstd"] {
        write_file(&server.path("long"), 24 * MIB);
        let long = server.path("long");
        let path = format!("/objects/long{query}");
        assert_eq!(server.curl(&["-T", long.to_str().unwrap()], &path, Some(&web)).status, 201);
        let sealed = fs::read(stored("web/long")).unwrap();
        let mut altered = sealed.clone();
        altered[20_000_000] ^= 1;
        // At the end of a chunk, too: 1,080 bytes are before the first.
        for bad in [&altered[..], &sealed[..sealed.len() - 1], &sealed[..1080 + 320 * 65_552]] {
            fs::write(stored("web/long"), bad).unwrap();
            let answer = server.curl(&[], "/objects/long", Some(&web));
            // Some of it is seen at once.
            if answer.status == 500 {
                assert_eq!(answer.error(), "failed");
                continue;
            }
            assert!(answer.failed && answer.body.len() < 24 << 20, "{query}: {answer:?}");
            assert!(fs::read(&long).unwrap().starts_with(&answer.body));
        }
    }
}

#[test]
fn what_is_too_long_or_was_given_up_leaves_nothing() {
    let Some(server) = Server::start(&["--max-bytes", "20000000"]) else { return };
    let token = server.token("web");
    let path = server.path("long");
    write_file(&path, 20_000_001);
    let file = path.to_str().unwrap();
    // Once by its declared length, and once by what comes.
    let chunked = ["-T", file, "-H", "Transfer-Encoding: chunked"];
    for args in [&["-T", file][..], &chunked] {
        let answer = server.curl(args, "/objects/long", Some(&token));
        assert_eq!((answer.status, answer.error().as_str()), (413, "too_long"), "{args:?}");
    }
    assert_eq!(server.curl(&[], "/objects/long", Some(&token)).status, 404);
    assert_eq!(server.stored_files(), Vec::<String>::new());

    write_file(&path, 20_000_000);
    let mut slow =
        server.command(&["-T", file, "--limit-rate", "4M"], "/objects/long", Some(&token));
    let mut slow = slow.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let began = Instant::now();
    while server.stored_files().is_empty() {
        assert!(began.elapsed() < Duration::from_secs(30), "no part was written");
        thread::sleep(Duration::from_millis(20));
    }
    slow.kill().unwrap();
    slow.wait().unwrap();
    let began = Instant::now();
    while !server.stored_files().is_empty() {
        assert!(began.elapsed() < Duration::from_secs(30), "{:?}", server.stored_files());
        thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(server.curl(&[], "/objects/long", Some(&token)).status, 404);
    assert_eq!(server.curl(&["-T", file], "/objects/long", Some(&token)).status, 201);
}

#[test]
fn it_ends_when_the_last_request_has() {
    let Some(mut server) = Server::start(&[]) else { return };
    let token = server.token("web");
    let path = server.path("file");
    write_file(&path, 12 * MIB);
    let args = ["-T", path.to_str().unwrap(), "--limit-rate", "6M"];
    let slow = server.command(&args, "/objects/file", Some(&token)).spawn().unwrap();
    let began = Instant::now();
    while server.stored_files().is_empty() {
        assert!(began.elapsed() < Duration::from_secs(30), "no part was written");
        thread::sleep(Duration::from_millis(20));
    }
    server.terminate();
    let output = slow.wait_with_output().unwrap();
    assert!(output.status.success(), "the upload under way was cut off");
    assert_eq!(server.wait(), Some(0));
    assert_eq!(server.stored_files(), ["web/file"]);
}
