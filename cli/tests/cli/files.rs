//! Outputs: their names, what they replace, and that they are whole or not there.

use std::{
    fs,
    os::unix::{
        fs::{MetadataExt as _, PermissionsExt as _, symlink},
        process::CommandExt as _,
    },
    path::Path,
    process::Command,
};

use crate::sandbox::{BULLA, Sandbox, end, noise};

/// Some number of full chunks and a rest.
const LEN: usize = 200_000;

#[test]
fn there_and_back_with_default_names() {
    let sandbox = Sandbox::new();
    for len in [0, 1, 65_535, 65_536, 65_537, 131_072, LEN] {
        let plaintext = noise(len);
        sandbox.write("a.tar", &plaintext);
        sandbox.ok("encrypt a.tar");
        fs::remove_file(sandbox.path("a.tar")).unwrap();
        sandbox.ok("decrypt a.tar.bulla");
        assert_eq!(sandbox.read("a.tar"), plaintext, "{len}");
        fs::remove_file(sandbox.path("a.tar.bulla")).unwrap();
    }
}

#[test]
fn first_use_tells_where_the_key_is() {
    let sandbox = Sandbox::new();
    sandbox.write("a", "text");
    let first = sandbox.run("encrypt a");
    first.expect(0, "made the key local:default");
    first.expect(0, &format!("it is in {}: back that directory up", sandbox.home().display()));
    let second = sandbox.run("encrypt a -o b");
    assert_eq!((second.code, second.stderr.as_str()), (Some(0), ""));
}

#[test]
fn the_store_may_be_named_from_here() {
    let sandbox = Sandbox::new();
    sandbox.write("a", "text");
    let mut command = sandbox.bulla();
    let ended = end(command.args(["encrypt", "a"]).env("BULLA_HOME", "here"));
    ended.expect(0, &format!("it is in {}", sandbox.path("here").display()));
    assert_eq!(sandbox.names(), ["a", "a.bulla", "here"]);
}

#[test]
fn an_existing_output_stays_without_force() {
    let sandbox = Sandbox::new();
    sandbox.write("a", "new");
    sandbox.write("a.bulla", "old");
    sandbox.run("encrypt a").expect(1, "a.bulla: exists already");
    assert_eq!(sandbox.read("a.bulla"), b"old");
    assert!(!sandbox.home().exists(), "it was refused before any work");

    sandbox.ok("encrypt a --force");
    sandbox.run("decrypt a.bulla").expect(1, "a: exists already");
    sandbox.write("a", "changed");
    sandbox.ok("decrypt a.bulla --force");
    assert_eq!(sandbox.read("a"), b"new");
}

#[test]
fn new_files_follow_the_umask_and_replaced_ones_keep_their_permissions() {
    let sandbox = Sandbox::new();
    sandbox.write("a", "text");
    let mode = |name: &str| fs::metadata(sandbox.path(name)).unwrap().mode() & 0o777;
    let with_umask = |umask: &str, args: &str| {
        let script = format!("umask {umask}; exec {BULLA} {args}");
        let ended = end(sandbox.program(Path::new("sh")).args(["-c", &script]));
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    };
    with_umask("027", "encrypt a");
    assert_eq!(mode("a.bulla"), 0o640);
    with_umask("077", "decrypt a.bulla -o b");
    assert_eq!(mode("b"), 0o600);

    fs::set_permissions(sandbox.path("b"), fs::Permissions::from_mode(0o604)).unwrap();
    with_umask("022", "decrypt a.bulla -o b --force");
    assert_eq!(mode("b"), 0o604);
}

#[test]
fn a_link_stays_a_link_and_what_it_leads_to_is_replaced() {
    let sandbox = Sandbox::new();
    sandbox.write("a", "text");
    fs::create_dir(sandbox.path("far")).unwrap();
    sandbox.write("far/real", "old");
    symlink("far/real", sandbox.path("link")).unwrap();
    sandbox.run("encrypt a -o link").expect(1, "link: exists already");
    sandbox.ok("encrypt a -o link --force");
    assert!(fs::symlink_metadata(sandbox.path("link")).unwrap().is_symlink());
    assert_eq!(sandbox.ok("decrypt far/real -o -"), b"text");
    assert_eq!(fs::read_dir(sandbox.path("far")).unwrap().count(), 1);

    symlink("nothing", sandbox.path("dangling")).unwrap();
    for args in ["encrypt a -o dangling", "encrypt a -o dangling --force"] {
        sandbox.run(args).expect(1, "dangling: is a symbolic link to nothing");
    }
}

#[test]
fn input_and_output_may_not_be_the_same() {
    let sandbox = Sandbox::new();
    sandbox.write("a", "text");
    fs::hard_link(sandbox.path("a"), sandbox.path("hard")).unwrap();
    symlink("a", sandbox.path("soft")).unwrap();
    for output in ["a", "./a", "hard", "soft"] {
        let ended = sandbox.run(&format!("encrypt a --force -o {output}"));
        ended.expect(2, "a: input and output are the same file");
    }
    let script = format!("{BULLA} encrypt a -o - >> a; {BULLA} encrypt < a >> a");
    let ended = end(sandbox.program(Path::new("sh")).args(["-c", &script]));
    ended.expect(2, "standard input: input and output are the same file");
    assert_eq!(sandbox.read("a"), b"text");
}

#[test]
fn names_without_the_suffix_ask_for_one() {
    let sandbox = Sandbox::new();
    sandbox.write("a", "text");
    sandbox.run("decrypt a").expect(2, "name the output with -o");
}

#[test]
fn directories_are_no_files() {
    let sandbox = Sandbox::new();
    fs::create_dir(sandbox.path("d")).unwrap();
    sandbox.write("a", "text");
    sandbox.run("encrypt d").expect(1, "d: is a directory\n  hint: pack it first");
    assert_eq!(sandbox.run("inspect d").stderr, "bulla: d: is a directory\n");
    sandbox.run("encrypt a -o d").expect(1, "d: is a directory");
    sandbox.run("encrypt a -o no/b").expect(1, "there is no directory no");
    sandbox.run("encrypt no").expect(1, "no: No such file or directory");
    assert_eq!(sandbox.names(), ["a", "d"]);
}

#[test]
fn a_directory_that_can_not_be_written_to_is_told() {
    let sandbox = Sandbox::new();
    sandbox.write("a", "text");
    // The superuser may write anywhere, so somebody else has to try.
    let as_root = fs::metadata(sandbox.path("a")).unwrap().uid() == 0;
    let binary = sandbox.copied_binary();
    for dir in [sandbox.work().parent().unwrap(), &sandbox.work()] {
        fs::set_permissions(dir, fs::Permissions::from_mode(0o555)).unwrap();
    }
    let mut command = sandbox.program(&binary);
    if as_root {
        command.uid(65_534).gid(65_534);
    }
    let ended = end(command.args(["encrypt", "a"]));
    fs::set_permissions(sandbox.work(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(sandbox.work().parent().unwrap(), fs::Permissions::from_mode(0o755))
        .unwrap();
    ended.expect(1, "a.bulla: Permission denied");
    ended.expect(1, "a file must be made in .");
    assert_eq!(sandbox.names(), ["a"]);
}

#[test]
fn an_input_that_may_not_be_read_is_told() {
    let sandbox = Sandbox::new();
    sandbox.write("a", "text");
    let as_root = fs::metadata(sandbox.path("a")).unwrap().uid() == 0;
    let outside = sandbox.work().parent().unwrap().to_owned();
    let binary = sandbox.copied_binary();
    for dir in [&outside, &sandbox.work()] {
        fs::set_permissions(dir, fs::Permissions::from_mode(0o777)).unwrap();
    }
    fs::set_permissions(sandbox.path("a"), fs::Permissions::from_mode(0o000)).unwrap();
    let mut command = sandbox.program(&binary);
    if as_root {
        command.uid(65_534).gid(65_534);
    }
    end(command.args(["encrypt", "a"])).expect(1, "a: Permission denied");
    assert_eq!(sandbox.names(), ["a"]);
}

#[test]
fn a_full_disk_leaves_nothing() {
    let sandbox = Sandbox::new();
    sandbox.write("a", noise(LEN));
    sandbox.ok("encrypt a");
    for args in ["encrypt a -o /dev/full", "decrypt a.bulla -o /dev/full"] {
        sandbox.run(args).expect(1, "/dev/full: No space left on device");
    }
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let ended = end(sandbox.bulla().args(["inspect", "a.bulla"]));
    assert_eq!(ended.code, Some(0));
    let status = sandbox.bulla().args(["inspect", "a.bulla"]).stdout(full).status().unwrap();
    assert_eq!(status.code(), Some(1));

    // A limit on the size of files stops it half-way into a regular one.
    for (args, output) in [("encrypt a -o out", "out"), ("decrypt a.bulla -o out", "out")] {
        let script = format!("trap '' XFSZ; ulimit -f 150; exec {BULLA} {args}");
        let ended = end(sandbox.program(Path::new("sh")).args(["-c", &script]));
        ended.expect(1, &format!("{output}: File too large"));
        assert_eq!(sandbox.names(), ["a", "a.bulla"]);
    }
}

#[test]
fn a_device_and_a_named_pipe_are_written_to_and_not_replaced() {
    let sandbox = Sandbox::new();
    sandbox.write("a", "text");
    sandbox.ok("encrypt a -o /dev/null");
    sandbox.ok("encrypt a");

    let script = format!("{BULLA} encrypt a -o /dev/stdout > out");
    let ended = end(sandbox.program(Path::new("sh")).args(["-c", &script]));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(sandbox.ok("decrypt out -o -"), b"text");

    let made = Command::new("mkfifo").arg(sandbox.path("pipe")).status().unwrap();
    assert!(made.success());
    let reader = std::thread::spawn({
        let pipe = sandbox.path("pipe");
        move || fs::read(pipe).unwrap()
    });
    sandbox.ok("decrypt a.bulla -o pipe");
    assert_eq!(reader.join().unwrap(), b"text");
}

/// The lane `features` runs this with the command as it is built by default.
#[cfg(not(feature = "gcp-kms"))]
#[test]
fn no_provider_for_other_schemes() {
    let sandbox = Sandbox::new();
    sandbox.write("a", "text");
    sandbox.write("a.bulla", "any");
    for args in [
        "encrypt a -o b --key gcpkms://projects/p/locations/global/keyRings/r/cryptoKeys/x",
        "decrypt a.bulla -o b --key gcpkms://projects/p/locations/global/keyRings/r/cryptoKeys/x",
    ] {
        let ended = sandbox.run(args);
        ended.expect(2, "this build of bulla has no provider for `gcpkms` keys");
        ended.expect(2, "build it with `--features gcp-kms`");
    }
    sandbox.run("encrypt a -o b --key nonsense").expect(2, "key URI: ");
    assert_eq!(sandbox.names(), ["a", "a.bulla"]);
}

/// The lane `features` runs this with the command as it is built by default.
#[cfg(not(feature = "aws-kms"))]
#[test]
fn the_feature_that_brings_a_provider_is_named() {
    let sandbox = Sandbox::new();
    sandbox.write("a", "text");
    sandbox.ok("encrypt a");
    let said = "no provider for `awskms` keys; build it with `--features aws-kms`";
    for args in [
        "encrypt a -o b --key awskms:///alias/x",
        "decrypt a.bulla -o b --key awskms:///alias/x",
        "rewrap a.bulla --add awskms:///alias/x",
        "jwks --key awskms:///alias/x",
    ] {
        sandbox.run(args).expect(2, said);
    }
    sandbox.configure("[keys.cloud]\nuri = \"awskms:///alias/x\"");
    let report = String::from_utf8(sandbox.run("doctor").stdout).unwrap();
    assert!(report.contains(said), "{report}");
    assert_eq!(sandbox.names(), ["a", "a.bulla"]);
}

/// From 4 MiB on, several threads do the work. It must not show.
#[test]
fn large_files_are_whole_or_not_there() {
    let sandbox = Sandbox::new();
    for len in [(4 << 20) - 1, 4 << 20, (6 << 20) + 5] {
        let plaintext = noise(len);
        sandbox.write("a", &plaintext);
        sandbox.ok("encrypt a --force");
        let verified = format!("a.bulla: verified, {len} bytes of plaintext\n");
        assert_eq!(sandbox.ok("verify a.bulla"), verified.as_bytes());
        sandbox.ok("decrypt a.bulla --force");
        assert!(sandbox.read("a") == plaintext, "{len}");
    }
    let sealed = sandbox.read("a.bulla");
    let head = sealed.len() - ((6 << 20) + 5 + 97 * 16);
    for (what, bad) in [
        ("cut behind a chunk", sealed[..head + 70 * (65_536 + 16)].to_vec()),
        ("cut behind a run", sealed[..head + 64 * (65_536 + 16)].to_vec()),
        ("longer", [&sealed[..], b"x"].concat()),
        ("altered", {
            let mut bad = sealed.clone();
            bad[5 << 20] ^= 1;
            bad
        }),
    ] {
        sandbox.write("bad.bulla", &bad);
        sandbox.run("decrypt bad.bulla").expect(3, "bad.bulla: ");
        sandbox.run("verify bad.bulla").expect(3, "bad.bulla: ");
        assert!(!sandbox.path("bad").exists(), "{what}");
    }
    let full = sandbox.run("encrypt a -o /dev/full");
    full.expect(1, "/dev/full: ");
}
