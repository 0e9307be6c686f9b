//! Keys that others publish, over HTTP on loopback.

use std::{
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    thread,
};

use crate::sandbox::Sandbox;

/// A server that answers each path with what is given for it, until the test ends.
fn serve(pages: impl Fn(&str, &str) -> Option<String> + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let own = url.clone();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let _ = answer(stream.unwrap(), |path| pages(&own, path));
        }
    });
    url
}

fn answer(mut stream: TcpStream, page: impl Fn(&str) -> Option<String>) -> std::io::Result<()> {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        request.push(byte[0]);
    }
    let request = String::from_utf8_lossy(&request);
    let path = request.split(' ').nth(1).unwrap_or_default();
    let (status, body) = match page(path) {
        Some(body) => ("200 OK", body),
        None => ("404 Not Found", String::new()),
    };
    write!(
        stream,
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
         connection: close\r\n\r\n{body}",
        body.len()
    )
}

/// A sandbox with the key `local:id`, and its set as others see it.
fn published() -> (Sandbox, String) {
    let sandbox = Sandbox::new();
    sandbox.ok("keys create id --type p-256");
    let set = String::from_utf8(sandbox.ok("jwks")).unwrap();
    (sandbox, set)
}

fn issuer(set: String) -> String {
    serve(move |own, path| match path {
        "/.well-known/openid-configuration" => {
            Some(format!(r#"{{"issuer":"{own}","jwks_uri":"{own}/keys"}}"#))
        }
        "/keys" => Some(set.clone()),
        _ => None,
    })
}

#[test]
fn keys_are_fetched_from_a_url_and_by_way_of_the_issuer() {
    let (sandbox, set) = published();
    let url = issuer(set);
    let token = sandbox.ok(&format!("token sign --key local:id --iss {url} --aud orders"));
    for keys in [format!("--jwks {url}/keys --iss {url}"), format!("--issuer {url}")] {
        let verified = sandbox.pipe(&format!("token verify {keys} --aud orders"), &token);
        verified.expect(0, "");
        let shown = String::from_utf8(verified.stdout).unwrap();
        assert!(shown.contains("orders"), "{shown}");
    }
    let other = format!("token verify --issuer {url} --iss https://other.example --aud orders");
    sandbox.pipe(&other, &token).expect(2, "--iss is not the URL that --issuer names");
    let elsewhere = sandbox.ok("token sign --key local:id --iss https://a.example --aud orders");
    let verify = format!("token verify --issuer {url} --aud orders");
    sandbox.pipe(&verify, &elsewhere).expect(3, "https://a.example");
}

#[test]
fn somebody_elses_keys_verify_nothing() {
    let (sandbox, _) = published();
    let (_, others) = published();
    let url = issuer(others);
    let token = sandbox.ok(&format!("token sign --key local:id --iss {url} --aud orders"));
    let verify = format!("token verify --issuer {url} --aud orders");
    sandbox.pipe(&verify, &token).expect(3, "kid");
}

#[test]
fn an_outage_is_no_verdict_on_the_token() {
    let (sandbox, _) = published();
    let token = sandbox.ok("token sign --key local:id --iss https://a.example --aud orders");
    let verify = |keys: &str| {
        sandbox.pipe(&format!("token verify --jwks {keys} --any-issuer --aud orders"), &token)
    };
    // Nobody listens on the port of a listener that is gone.
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let down = verify(&format!("http://{gone}/keys"));
    assert_eq!(down.code, Some(4), "{}", down.stderr);
    let garbled = serve(|_, _| Some("<html>".to_owned()));
    let told = verify(&format!("{garbled}/keys"));
    assert!(!matches!(told.code, Some(0 | 3)), "{:?} {}", told.code, told.stderr);
    let missing = serve(|_, _| None);
    let told = verify(&format!("{missing}/keys"));
    assert!(!matches!(told.code, Some(0 | 3)), "{:?} {}", told.code, told.stderr);
    let plain = verify("http://id.example/keys");
    plain.expect(2, "https");
}
