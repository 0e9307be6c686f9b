use std::{
    fs::{self, File},
    io::{Read as _, Write as _},
    net::{Ipv4Addr, TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(60);

/// A child process that serves HTTP on a loopback port. Killed on drop.
#[derive(Debug)]
pub struct Server {
    child: Child,
    port: u16,
    /// Holds its log, and whatever it keeps.
    dir: TempDir,
}

/// How it is known that a server is up.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Up {
    /// It answers a GET of this path.
    Answers(&'static str),
    /// It has written this. Where another server may have taken the port, and would answer.
    Says(&'static str),
}

impl Server {
    /// Starts what `command` makes of a port and a directory, and waits until it is up. A port that
    /// somebody else took in the meantime is given up for another.
    pub(crate) fn start(up: Up, command: impl Fn(u16, &TempDir) -> Command) -> Self {
        let mut log = String::new();
        for _ in 0..5 {
            let dir = tempfile::tempdir().unwrap();
            let port = free_port();
            let mut server = Self { child: spawn(command(port, &dir), &dir), port, dir };
            if server.is_up(up) {
                return server;
            }
            log = server.log();
        }
        panic!("the server did not start:\n{log}");
    }

    /// Starts it again after [`kill`](Self::kill), on the same port and with what it has kept.
    pub(crate) fn start_again(&mut self, up: Up, command: impl Fn(u16, &TempDir) -> Command) {
        for _ in 0..5 {
            self.kill();
            self.child = spawn(command(self.port, &self.dir), &self.dir);
            if self.is_up(up) {
                return;
            }
            thread::sleep(Duration::from_millis(500));
        }
        panic!("the server did not start again:\n{}", self.log());
    }

    /// The port that it listens on.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The directory that it was given.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Its URL, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// What it has written to its standard streams.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    /// Ends it at once, as a crash would. Its port answers no more.
    pub fn kill(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }

    /// The answer to a GET, or nothing.
    #[must_use]
    pub fn get(&self, path: &str) -> Option<String> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
        write!(stream, "GET {path} HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n").ok()?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).ok()?;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        answer.starts_with("HTTP/1.").then_some(answer)
    }

    /// Status and JSON of the answer to a request, or nothing. Headers end in `\r\n` each.
    pub(crate) fn exchange(
        &self,
        headers: &str,
        method: &str,
        path: &str,
        body: &Value,
    ) -> Option<(u16, Value)> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(60))).ok()?;
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let head = format!("{method} {path} HTTP/1.0\r\nHost: 127.0.0.1\r\n");
        let len = body.len();
        let request = format!("{head}{headers}Content-Length: {len}\r\n\r\n{body}");
        stream.write_all(request.as_bytes()).ok()?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).ok()?;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let (head, body) = answer.split_once("\r\n\r\n")?;
        let status = head.split(' ').nth(1)?.parse().ok()?;
        Some((status, serde_json::from_str(body).unwrap_or_default()))
    }

    fn is_up(&mut self, up: Up) -> bool {
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            if self.child.try_wait().unwrap().is_some() {
                return false;
            }
            let is_up = match up {
                Up::Answers(path) => self.get(path).is_some(),
                Up::Says(text) => self.log().contains(text),
            };
            if is_up {
                return true;
            }
            thread::sleep(Duration::from_millis(25));
        }
        false
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

fn spawn(mut command: Command, dir: &TempDir) -> Child {
    let log = File::create(dir.path().join("log")).unwrap();
    let both = log.try_clone().unwrap();
    command.stdin(Stdio::null()).stdout(log).stderr(both).spawn().unwrap()
}

pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}
