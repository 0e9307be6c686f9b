//! Those who say too much, too little, or the wrong things.

use std::time::{Duration, Instant};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::UnixStream,
    time::timeout,
};

use crate::world::{Running, entry};

#[tokio::test(flavor = "multi_thread")]
async fn connections_are_counted_and_their_places_come_back() {
    let running =
        Running::with(|it| it.entry(entry("orders").anybody()).max_connections(4, 3)).await;
    let mut held: Vec<UnixStream> = Vec::new();
    for _ in 0..3 {
        held.push(UnixStream::connect(running.path()).await.unwrap());
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    // The fourth of one user is hung up on.
    let mut fourth = UnixStream::connect(running.path()).await.unwrap();
    let read = timeout(Duration::from_secs(5), fourth.read(&mut [0; 16])).await.unwrap();
    assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
    held.clear();
    tokio::time::sleep(Duration::from_millis(200)).await;
    running.client().await.fetch_x509_svid().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_connects_and_says_nothing_is_hung_up_on() {
    let running = Running::new().await;
    let mut silent = UnixStream::connect(running.path()).await.unwrap();
    let before = Instant::now();
    let read = timeout(Duration::from_secs(15), silent.read(&mut [0; 16])).await.unwrap();
    assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
    assert!(before.elapsed() > Duration::from_secs(9));
}

#[tokio::test(flavor = "multi_thread")]
async fn noise_ends_its_own_connection_and_no_other() {
    let running = Running::new().await;
    for noise in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        &[0xff; 4096],
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\xff\xff\xff",
    ] {
        let mut stream = UnixStream::connect(running.path()).await.unwrap();
        let _ = stream.write_all(noise).await;
        let _ = stream.shutdown().await;
        let mut answer = Vec::new();
        let _ = timeout(Duration::from_secs(5), stream.read_to_end(&mut answer)).await.unwrap();
    }
    running.client().await.fetch_x509_svid().await.unwrap();
}

/// A request as HTTP has it, with what headers one likes.
async fn ask(running: &Running, path: &str, header: Option<&str>, body: Vec<u8>) -> String {
    use http_body_util::{BodyExt as _, Full};
    use hyper_util::rt::{TokioExecutor, TokioIo};
    let stream = UnixStream::connect(running.path()).await.unwrap();
    let (mut send, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
    tokio::spawn(connection);
    let len = u32::try_from(body.len()).unwrap().to_be_bytes();
    let framed = [&[0][..], &len, &body].concat();
    let mut request = http::Request::post(format!("http://localhost{path}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers");
    if let Some(value) = header {
        request = request.header("workload.spiffe.io", value);
    }
    let request = request.body(Full::new(bytes::Bytes::from(framed))).unwrap();
    let response = send.send_request(request).await.unwrap();
    let status = |headers: &http::HeaderMap| {
        headers.get("grpc-status").map(|code| code.to_str().unwrap().to_owned())
    };
    if let Some(code) = status(response.headers()) {
        return code;
    }
    let mut body = response.into_body();
    let frame = timeout(Duration::from_secs(5), body.frame()).await.unwrap();
    match frame.unwrap().unwrap().into_trailers() {
        Ok(trailers) => status(&trailers).unwrap_or_default(),
        Err(_) => "data".to_owned(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_without_its_header_is_refused() {
    let running = Running::new().await;
    const INVALID_ARGUMENT: &str = "3";
    const UNIMPLEMENTED: &str = "12";
    let fetch = "/SpiffeWorkloadAPI/FetchX509SVID";
    for header in [None, Some("false"), Some("TRUE"), Some("")] {
        assert_eq!(ask(&running, fetch, header, Vec::new()).await, INVALID_ARGUMENT);
    }
    assert_eq!(ask(&running, fetch, Some("true"), Vec::new()).await, "data");
    let nowhere = ask(&running, "/SpiffeWorkloadAPI/Nothing", Some("true"), Vec::new()).await;
    assert_eq!(nowhere, UNIMPLEMENTED);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_too_long_or_none_is_refused() {
    let running = Running::new().await;
    let fetch = "/SpiffeWorkloadAPI/FetchX509SVID";
    let long = ask(&running, fetch, Some("true"), vec![0x0a; 65 * 1024]).await;
    assert_ne!(long, "data");
    let none = ask(&running, fetch, Some("true"), vec![0xff; 16]).await;
    assert_ne!(none, "data");
    running.client().await.fetch_x509_svid().await.unwrap();
}
