//! The protocol: CONNECT, TLS, and requests one after the other.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpStream},
    sync::{Arc, atomic::Ordering::SeqCst},
    thread,
    time::Duration,
};

use rustls::{ServerConnection, StreamOwned};
use serde_json::Value;

use super::World;

/// The most bytes of a request.
const MAX_LEN: usize = 1024 * 1024;

/// What was asked.
#[derive(Clone, Debug)]
pub struct Request {
    /// `GET` or `POST`.
    pub method: String,
    /// The host, or `identity` where an app's own identity is asked.
    pub host: String,
    /// The path, without the query.
    pub path: String,
    /// The query.
    pub query: String,
    /// The token.
    pub token: Option<String>,
    /// The rest of the head.
    pub head: String,
    /// The body.
    pub body: String,
}

/// What is answered.
#[derive(Clone, Debug)]
pub enum Answer {
    /// Status, more lines of the head, and the body.
    Whole(u16, Vec<String>, String),
    /// These bytes, and then the connection ends.
    Raw(Vec<u8>),
    /// These bytes, and then others again and again.
    Endless(Vec<u8>, &'static [u8]),
    /// An answer a while later.
    Late(Duration, Box<Answer>),
    /// Nothing, for good.
    Silence,
}

impl Answer {
    /// A success.
    #[must_use]
    pub fn ok(body: &Value) -> Self {
        Self::Whole(200, Vec::new(), body.to_string())
    }

    /// A refusal in the form that the service has.
    #[must_use]
    pub fn refusal(status: u16, code: &str, inner: Option<&str>) -> Self {
        let mut error = serde_json::json!({"code": code, "message": "Words.\r\nMore words."});
        if let Some(inner) = inner {
            error["innererror"] = serde_json::json!({"code": inner});
        }
        Self::Whole(status, Vec::new(), serde_json::json!({"error": error}).to_string())
    }

    /// The same with one more line of the head.
    #[must_use]
    pub fn with(self, line: &str) -> Self {
        match self {
            Self::Whole(status, mut lines, body) => {
                lines.push(line.to_owned());
                Self::Whole(status, lines, body)
            }
            other => other,
        }
    }
}

impl Request {
    /// What [`Azure::count`](super::Azure::count) calls it.
    #[must_use]
    pub fn operation(&self) -> &str {
        let mut parts = self.path.trim_start_matches('/').split('/');
        match (parts.next(), self.host.split_once('.')) {
            (_, None | Some(("login", _))) => "token",
            _ if self.token.is_none() => "challenge",
            (Some("deletedkeys"), _) => "deletedkeys",
            _ => match parts.nth(1) {
                Some("versions") => "versions",
                _ if self.method == "GET" => "get",
                _ => parts.next().unwrap_or_default(),
            },
        }
    }

    /// The body, as JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }
}

/// Serves one connection, and ends it.
pub(super) fn serve(client: TcpStream, world: &Arc<World>) {
    if world.down.load(SeqCst) {
        return;
    }
    drop(client.set_nodelay(true));
    let serial = world.serial.fetch_add(1, SeqCst);
    world.connections.lock().unwrap().insert(serial, client.try_clone().unwrap());
    connection(client, world);
    if let Some(connection) = world.connections.lock().unwrap().remove(&serial) {
        drop(connection.shutdown(Shutdown::Both));
    }
}

fn connection(mut client: TcpStream, world: &Arc<World>) {
    let mut bytes = Vec::new();
    let Some(end) = read_head(&mut client, &mut bytes) else { return };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let Some(to) = head.strip_prefix("CONNECT ") else {
        return requests(client, bytes, "identity", world);
    };
    let host = to.split(':').next().unwrap_or_default().to_owned();
    if client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").is_err() {
        return;
    }
    let Ok(tls) = ServerConnection::new(Arc::clone(&world.tls)) else { return };
    requests(StreamOwned::new(tls, client), Vec::new(), &host, world);
}

fn requests(mut stream: impl Read + Write, mut bytes: Vec<u8>, host: &str, world: &World) {
    while let Some(request) = read(&mut stream, &mut bytes, host) {
        world.seen.lock().unwrap().push(request.clone());
        if !write(&mut stream, world.answer(&request)) {
            return;
        }
    }
}

fn read(stream: &mut impl Read, bytes: &mut Vec<u8>, host: &str) -> Option<Request> {
    let end = read_head(stream, bytes)?;
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    bytes.drain(..end);
    let field = |wanted: &str| {
        let mut fields = head.lines().filter_map(|line| line.split_once(':'));
        let found = fields.find(|(name, _)| name.eq_ignore_ascii_case(wanted));
        found.map(|(_, value)| value.trim().to_owned())
    };
    let len = field("content-length").map_or(0, |len| len.parse().unwrap());
    while bytes.len() < len {
        fill(stream, bytes)?;
    }
    let body = String::from_utf8(bytes.drain(..len).collect()).ok()?;
    let mut line = head.lines().next()?.split(' ');
    let (method, target) = (line.next()?.to_owned(), line.next()?);
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    Some(Request {
        method,
        host: host.to_owned(),
        path: path.to_owned(),
        query: query.to_owned(),
        token: field("authorization").and_then(|v| v.strip_prefix("Bearer ").map(str::to_owned)),
        head,
        body,
    })
}

/// The length of the head, once all of it is there.
fn read_head(stream: &mut impl Read, bytes: &mut Vec<u8>) -> Option<usize> {
    loop {
        if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            return Some(at + 4);
        }
        fill(stream, bytes)?;
    }
}

fn fill(stream: &mut impl Read, bytes: &mut Vec<u8>) -> Option<()> {
    let mut buffer = [0; 4096];
    let len = stream.read(&mut buffer).ok().filter(|len| *len > 0)?;
    bytes.extend_from_slice(&buffer[..len]);
    (bytes.len() < MAX_LEN).then_some(())
}

/// Whether the connection goes on.
fn write(stream: &mut (impl Read + Write), answer: Answer) -> bool {
    let mut send = |bytes: &[u8]| stream.write_all(bytes).and_then(|()| stream.flush()).is_ok();
    match answer {
        Answer::Whole(status, lines, body) => {
            let mut all = format!("HTTP/1.1 {status} Status\r\nContent-Type: application/json\r\n");
            all.push_str("x-ms-request-id: 8f8b2f04-6f2a-4f0e-9a3a-0c4f7f0f6a11\r\n");
            lines.iter().for_each(|line| all.push_str(&format!("{line}\r\n")));
            all.push_str(&format!("Content-Length: {}\r\n\r\n{body}", body.len()));
            send(all.as_bytes())
        }
        Answer::Raw(bytes) => {
            send(&bytes);
            false
        }
        Answer::Endless(bytes, again) => {
            let mut going = send(&bytes);
            while going {
                going = send(again);
            }
            false
        }
        Answer::Late(wait, answer) => {
            thread::sleep(wait);
            write(stream, *answer)
        }
        Answer::Silence => {
            // Until the other side hangs up.
            let mut byte = [0];
            drop(stream.read(&mut byte));
            false
        }
    }
}
