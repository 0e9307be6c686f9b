//! What may be answered to one request.

use std::{
    net::{Ipv6Addr, SocketAddr},
    time::{Duration, Instant},
};

use bulla::{Error, ErrorKind, jwt::KeySource};
use bulla_oidc::RemoteKeys;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use crate::world::{Content, Issuer, Reply, Server, World, expected};

const LIMIT: usize = 256 * 1024;

/// What a source says of this reply.
async fn said(reply: Reply) -> Result<(), Error> {
    let world = World::new().await;
    world.server.reply("/keys", reply);
    let result = world.keys.refresh().await;
    assert_eq!(world.server.count("/keys"), 1);
    result
}

async fn kind(reply: Reply) -> ErrorKind {
    let error = said(reply).await.unwrap_err();
    assert_eq!(error.provider(), Some("127.0.0.1"));
    error.kind()
}

#[tokio::test]
async fn tokens_of_the_issuer_verify_and_others_do_not() {
    let world = World::new().await;
    world.verify(&world.issuer.token().await).await.unwrap();
    let other = Issuer::new().token().await;
    assert_eq!(world.verify(&other).await.unwrap_err().kind(), ErrorKind::NotAuthentic);
}

#[tokio::test]
async fn a_request_says_little() {
    let world = World::new().await;
    world.keys.refresh().await.unwrap();
    let headers = world.server.last("/keys");
    assert_eq!(headers["accept"], "application/jwk-set+json, application/json");
    assert_eq!(headers["accept-encoding"], "identity");
    assert!(headers["user-agent"].to_str().unwrap().starts_with("bulla-oidc/"));
    let mut names: Vec<_> = headers.keys().map(|name| name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["accept", "accept-encoding", "host", "user-agent"]);
}

#[tokio::test]
async fn cookies_are_not_kept() {
    let world = World::new().await;
    let set = world.issuer.set().await.to_json();
    world.server.reply("/keys", Reply::json(set).with("set-cookie", "a=b"));
    world.keys.refresh().await.unwrap();
    world.keys.refresh().await.unwrap();
    assert!(!world.server.last("/keys").contains_key("cookie"));
}

#[tokio::test]
async fn a_document_has_a_largest_size() {
    let set = Issuer::new().set().await.to_json();
    let padded = |len: usize| format!("{set}{}", " ".repeat(len - set.len()));
    said(Reply::json(padded(LIMIT))).await.unwrap();
    assert_eq!(kind(Reply::json(padded(LIMIT + 1))).await, ErrorKind::Damaged);
    let chunked = |len| Reply { content: Content::Chunked(len), ..Reply::json("") };
    let message = |error: Error| error.message().to_owned();
    let long = message(said(chunked(LIMIT + 1)).await.unwrap_err());
    assert!(long.contains("longer"), "{long}");
    // White space is no set; but it was read to its end.
    let empty = message(said(chunked(LIMIT)).await.unwrap_err());
    assert!(empty.contains("no JWK set"), "{empty}");
}

/// Answers one connection with these bytes, and closes it.
async fn raw(answer: String) -> Result<(), Error> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/keys", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let _ = stream.read(&mut [0; 4096]).await;
        let _ = stream.write_all(answer.as_bytes()).await;
        let _ = stream.shutdown().await;
    });
    RemoteKeys::jwks(url).build().unwrap().refresh().await
}

#[tokio::test]
async fn a_length_that_is_not_true_helps_nobody() {
    let set = Issuer::new().set().await.to_json();
    let answer = |len: usize| format!("HTTP/1.1 200 OK\r\ncontent-length: {len}\r\n\r\n{set}");
    raw(answer(set.len())).await.unwrap();
    // Cut off, too short to be a set, and announced as huge.
    let kinds = [set.len() + 1, set.len() - 1, usize::MAX >> 1];
    let expected = [ErrorKind::Unavailable, ErrorKind::Damaged, ErrorKind::Damaged];
    for (len, expected) in kinds.into_iter().zip(expected) {
        assert_eq!(raw(answer(len)).await.unwrap_err().kind(), expected, "{len}");
    }
    let no_length = format!("HTTP/1.1 200 OK\r\n\r\n{}", " ".repeat(LIMIT + 1));
    assert_eq!(raw(no_length).await.unwrap_err().kind(), ErrorKind::Damaged);
    assert_eq!(raw("nonsense\r\n\r\n".into()).await.unwrap_err().kind(), ErrorKind::Unavailable);
    let headers = format!("HTTP/1.1 200 OK\r\n{}\r\n{set}", "a: b\r\n".repeat(10_000));
    assert_eq!(raw(headers).await.unwrap_err().kind(), ErrorKind::Unavailable);
}

/// Answers with this for ever, and says how much of it was taken, what is under way included.
async fn flood(begin: &str, rest: &'static [u8]) -> (ErrorKind, usize) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/keys", listener.local_addr().unwrap());
    let begin = begin.to_owned();
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let _ = stream.read(&mut [0; 4096]).await;
        let _ = stream.write_all(begin.as_bytes()).await;
        let mut taken = begin.len();
        while stream.write_all(rest).await.is_ok() {
            taken += rest.len();
        }
        taken
    });
    let error = RemoteKeys::jwks(url).build().unwrap().refresh().await.unwrap_err();
    (error.kind(), server.await.unwrap())
}

/// What the system holds of a connection that nobody reads from; the limits themselves are tested
/// where nothing is in between.
const UNDER_WAY: usize = 16 << 20;

#[tokio::test]
async fn floods_are_not_read() {
    let hints = b"HTTP/1.1 103 Early Hints\r\nlink: </a>; rel=preload\r\n\r\n";
    let long = format!("HTTP/1.1 200 OK\r\nx: {}", "a".repeat(390_000));
    for (begin, rest) in [
        ("", &hints[..]),
        (&long, b"a"),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", b"1\r\na\r\n"),
    ] {
        let (kind, taken) = flood(begin, rest).await;
        assert_eq!(kind, ErrorKind::Damaged);
        assert!(taken < UNDER_WAY, "{taken}");
    }
}

#[tokio::test]
async fn redirects_are_not_followed() {
    for status in [301, 302, 303, 307, 308] {
        let world = World::new().await;
        let set = world.issuer.set().await.to_json();
        world.server.reply("/elsewhere", Reply::json(set));
        let elsewhere = world.server.url("/elsewhere");
        world.server.reply("/keys", Reply::status(status).with("location", elsewhere));
        let error = world.keys.refresh().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert_eq!(world.server.count("/elsewhere"), 0);
    }
}

#[tokio::test]
async fn a_server_has_so_much_time() {
    let quick = Duration::from_millis(300);
    let set = Issuer::new().set().await.to_json();
    let stalled = Reply { content: Content::Stalled, ..Reply::json("") };
    for slow in [stalled, Reply::json(set).after(Duration::from_secs(60))] {
        let world = World::with(|builder| builder.timeout(quick)).await;
        world.server.reply("/keys", slow);
        let begun = Instant::now();
        assert_eq!(world.keys.refresh().await.unwrap_err().kind(), ErrorKind::Timeout);
        assert!(begun.elapsed() >= quick && begun.elapsed() < Duration::from_secs(20));
    }
}

#[tokio::test]
async fn nobody_there_is_an_outage() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/keys", listener.local_addr().unwrap());
    drop(listener);
    let keys = RemoteKeys::jwks(url).build().unwrap();
    assert_eq!(keys.refresh().await.unwrap_err().kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn the_status_decides_the_kind() {
    for (status, expected) in [
        (204, ErrorKind::Unsupported),
        (304, ErrorKind::Unsupported),
        (400, ErrorKind::Unsupported),
        (401, ErrorKind::Denied),
        (403, ErrorKind::Denied),
        (404, ErrorKind::NotFound),
        (410, ErrorKind::NotFound),
        (500, ErrorKind::Unavailable),
        (502, ErrorKind::Unavailable),
    ] {
        assert_eq!(kind(Reply::status(status)).await, expected, "{status}");
    }
    let slow_down = Reply::status(429).with("retry-after", "7");
    let error = said(slow_down).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Throttled);
    assert_eq!(error.retry_after(), Some(Duration::from_secs(7)));
}

#[tokio::test]
async fn what_is_compressed_is_refused() {
    let set = Issuer::new().set().await.to_json();
    let packed = Reply::json(set.clone()).with("content-encoding", "gzip");
    assert_eq!(kind(packed).await, ErrorKind::Damaged);
    said(Reply::json(set).with("content-encoding", "Identity")).await.unwrap();
}

#[tokio::test]
async fn what_is_no_set_is_no_fault_of_the_token() {
    let set = Issuer::new().set().await.to_json();
    let key = set.strip_prefix("{\"keys\":[").unwrap().strip_suffix("]}").unwrap();
    let encrypts = key.replacen('{', "{\"use\":\"enc\",", 1);
    for bad in [
        String::new(),
        "garbage".into(),
        "null".into(),
        "[]".into(),
        "{}".into(),
        "<html></html>".into(),
        "\u{1f980}".into(),
        r#"{"keys":[]}"#.into(),
        r#"{"keys":{}}"#.into(),
        r#"{"keys":[{"kty":"oct","k":"AA","kid":"a"}]}"#.into(),
        format!(r#"{{"keys":[{key},{key}]}}"#),
        format!(r#"{{"keys":[{encrypts}]}}"#),
        format!(r#"{{"keys":[],"keys":[{key}]}}"#),
        format!("{set}{set}"),
    ] {
        let world = World::new().await;
        world.server.reply("/keys", Reply::json(bad.clone()));
        let error = world.verify(&world.issuer.token().await).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Damaged, "{bad}");
    }
    // A key beside them that can't be used does no harm.
    let mixed = format!(r#"{{"keys":[{{"kty":"oct","k":"AA"}},{key}]}}"#);
    said(Reply::json(mixed)).await.unwrap();
}

#[tokio::test]
async fn this_host_has_names() {
    let issuer = Issuer::new();
    let server = Server::new().await;
    server.publish(&issuer).await;
    let by_name = format!("http://localhost:{}/keys", server.at.port());
    let keys = RemoteKeys::jwks(by_name).build().unwrap();
    expected()
        .build()
        .unwrap()
        .verify::<serde_json::Value>(&issuer.token().await, &keys)
        .await
        .unwrap();

    let sixth = Server::on(SocketAddr::from((Ipv6Addr::LOCALHOST, 0))).await;
    sixth.publish(&issuer).await;
    let keys = RemoteKeys::jwks(sixth.url("/keys")).build().unwrap();
    assert!(sixth.url("/keys").starts_with("http://[::1]:"));
    assert_eq!(keys.keys(None).await.unwrap().len(), 1);
}

#[test]
fn addresses_are_checked_without_asking() {
    for bad in ["http://id.example/keys", "https://u:p@id.example/keys", "https://id.example/#a"] {
        let error = RemoteKeys::jwks(bad).build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{bad}");
        assert!(!error.to_string().contains("u:p"));
    }
    let keys = RemoteKeys::jwks("https://id.example/keys");
    assert_eq!(keys.stale(Duration::MAX).build().unwrap_err().kind(), ErrorKind::InvalidInput);
}

#[tokio::test]
async fn https_is_https() {
    let server = Server::new().await; // speaks no TLS
    let keys = RemoteKeys::jwks(format!("https://{}/keys", server.at)).build().unwrap();
    assert_eq!(keys.refresh().await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(server.count("/keys"), 0);
}

#[test]
fn without_a_runtime_it_says_so() {
    let keys = RemoteKeys::jwks("https://id.example/keys").build().unwrap();
    let error = futures_util::FutureExt::now_or_never(keys.refresh()).unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}
