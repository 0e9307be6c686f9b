//! Standard input and output, and the text form.

use std::process::Stdio;

use crate::sandbox::{Sandbox, ended, noise};

#[test]
fn pipes_both_ways() {
    let sandbox = Sandbox::new();
    let plaintext = noise(300_000);
    let sealed = sandbox.pipe("encrypt", &plaintext);
    assert_eq!(sealed.code, Some(0), "{}", sealed.stderr);
    for args in ["decrypt", "decrypt -", "decrypt - -o -"] {
        let opened = sandbox.pipe(args, &sealed.stdout);
        assert_eq!(opened.code, Some(0), "{}", opened.stderr);
        assert!(opened.stdout == plaintext, "{args}");
    }
    assert!(sandbox.names().is_empty());

    sandbox.write("a", &plaintext);
    let sealed = sandbox.ok("encrypt a -o -");
    let ended = sandbox.pipe("decrypt -o b", &sealed);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(sandbox.read("b") == plaintext);
}

#[test]
fn an_empty_pipe_is_an_empty_message() {
    let sandbox = Sandbox::new();
    let sealed = sandbox.pipe("encrypt", b"").stdout;
    let opened = sandbox.pipe("decrypt", &sealed);
    assert_eq!((opened.code, opened.stdout.as_slice()), (Some(0), &[] as &[u8]));
    sandbox.pipe("decrypt", b"").expect(3, "standard input: not sealed data");
}

#[test]
fn a_closed_pipe_is_no_error() {
    let sandbox = Sandbox::new();
    sandbox.write("a", noise(1_000_000));
    sandbox.ok("encrypt a");
    for args in [
        "encrypt a -o -",
        "decrypt a.bulla -o -",
        "inspect a.bulla",
        "inspect a.bulla --json",
        "keys list",
        "--help",
    ] {
        let mut command = sandbox.bulla();
        command.args(args.split_whitespace()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        drop(child.stdout.take());
        let ended = ended(child);
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{args}");
    }
}

#[test]
fn the_text_form_is_one_line_and_opens_like_the_binary() {
    let sandbox = Sandbox::new();
    let sealed = sandbox.pipe("encrypt --text", b"token").stdout;
    let line = String::from_utf8(sealed).unwrap();
    assert!(line.starts_with("bulla1.") && line.ends_with('\n') && line.lines().count() == 1);
    let bare = line.trim_end();
    for text in [line.clone(), bare.to_owned(), format!("{bare}\r\n")] {
        let opened = sandbox.pipe("decrypt", text.as_bytes());
        assert_eq!(opened.stdout, b"token", "{}", opened.stderr);
    }
    for text in [format!("{bare}\n\n"), format!("{bare} "), format!("{bare}="), "bulla1.\n".into()]
    {
        sandbox.pipe("decrypt", text.as_bytes()).expect(3, "not sealed data");
    }
    sandbox.write("token.bulla", &line);
    sandbox.ok("decrypt token.bulla");
    assert_eq!(sandbox.read("token"), b"token");
}

#[test]
fn the_text_form_is_bounded() {
    let sandbox = Sandbox::new();
    let most = vec![0; 32 << 20];
    let sealed = sandbox.pipe("encrypt --text", &most).stdout;
    assert!(sandbox.pipe("decrypt", &sealed).stdout == most);
    let ended = sandbox.pipe("encrypt --text", &[most.as_slice(), b"x"].concat());
    ended.expect(2, "--text is for data up to 32 MiB");
    assert!(ended.stdout.is_empty());

    let endless = [b"bulla1.".as_slice(), &vec![b'A'; 65 << 20]].concat();
    sandbox.pipe("decrypt", &endless).expect(1, "read up to 64 MiB");
}
