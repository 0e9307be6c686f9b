use std::{
    collections::BTreeMap,
    io::{Read, Write as _},
    net::{Ipv4Addr, Shutdown, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    thread,
};

/// Stands before a server and counts the requests that reach it, by the AWS operation that they
/// name, by the verb at the end of their path (`decrypt` of `/v1/…/k:decrypt`), or by their path below `/v1/`.
/// Passes bytes on as they are.
#[derive(Debug)]
pub struct Counter {
    port: u16,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    upstream: u16,
    counts: Mutex<BTreeMap<String, usize>>,
    connections: Mutex<Vec<TcpStream>>,
    down: AtomicBool,
}

const HEADER: &[u8] = b"x-amz-target:";

impl Counter {
    /// Listens on a free port before that one.
    ///
    /// # Panics
    /// If it can't.
    #[must_use]
    pub fn start(upstream: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared {
            upstream,
            counts: Mutex::default(),
            connections: Mutex::default(),
            down: AtomicBool::new(false),
        });
        let serving = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let shared = Arc::clone(&serving);
                thread::spawn(move || shared.pass(client));
            }
        });
        Self { port, shared }
    }

    /// Its URL, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// How many requests named this operation or path, such as `Decrypt` or `transit/decrypt/orders`,
    /// whatever became of them.
    ///
    /// # Panics
    /// Never, but for a poisoned lock.
    #[must_use]
    pub fn count(&self, operation: &str) -> usize {
        self.shared.counts.lock().unwrap().get(operation).copied().unwrap_or_default()
    }

    /// How many requests there were in all.
    ///
    /// # Panics
    /// Never, but for a poisoned lock.
    #[must_use]
    pub fn total(&self) -> usize {
        self.shared.counts.lock().unwrap().values().sum()
    }

    /// Takes the server away, or gives it back. While it is away, requests are counted still, and
    /// their connections closed without an answer.
    ///
    /// # Panics
    /// Never, but for a poisoned lock.
    pub fn set_down(&self, down: bool) {
        self.shared.down.store(down, SeqCst);
        if down {
            for connection in self.shared.connections.lock().unwrap().drain(..) {
                drop(connection.shutdown(Shutdown::Both));
            }
        }
    }
}

impl Shared {
    fn pass(&self, mut client: TcpStream) {
        // Even of those that get no answer, the request is read first: it counts.
        let server = match self.down.load(SeqCst) {
            true => None,
            false => TcpStream::connect((Ipv4Addr::LOCALHOST, self.upstream)).ok(),
        };
        let Some(mut server) = server else {
            let mut first = [0; 8192];
            let len = client.read(&mut first).unwrap_or(0);
            self.scan(&mut Vec::new(), &first[..len]);
            return;
        };
        drop(client.set_nodelay(true));
        drop(server.set_nodelay(true));
        let mut kept = self.connections.lock().unwrap();
        kept.extend([client.try_clone().unwrap(), server.try_clone().unwrap()]);
        drop(kept);
        let (mut from, mut to) = (server.try_clone().unwrap(), client.try_clone().unwrap());
        let back = thread::spawn(move || {
            drop(std::io::copy(&mut from, &mut to));
            drop(to.shutdown(Shutdown::Both));
        });
        let mut tail = Vec::new();
        let mut buffer = vec![0; 65_536];
        while let Ok(len @ 1..) = client.read(&mut buffer) {
            self.scan(&mut tail, &buffer[..len]);
            if server.write_all(&buffer[..len]).is_err() {
                break;
            }
        }
        drop(server.shutdown(Shutdown::Both));
        drop(back.join());
    }

    /// Counts the header lines in these bytes. What could be the beginning of one is kept in
    /// `tail`. Bodies are JSON on one line, and can't have such a line in them.
    fn scan(&self, tail: &mut Vec<u8>, bytes: &[u8]) {
        tail.extend_from_slice(bytes);
        while let Some(end) = tail.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = tail.drain(..=end).collect();
            let named = match line.split_at_checked(HEADER.len()) {
                Some((name, value)) if name.eq_ignore_ascii_case(HEADER) => operation(value),
                _ => path(&line),
            };
            if let Some(named) = named {
                *self.counts.lock().unwrap().entry(named).or_default() += 1;
            }
        }
        // A body has no line end: nothing of it is kept for long.
        if tail.len() > 65_536 {
            tail.clear();
        }
    }
}

fn operation(value: &[u8]) -> Option<String> {
    String::from_utf8_lossy(value).trim().rsplit('.').next().map(str::to_owned)
}

/// The path of a request line. The body of the request before may stand in front of it.
fn path(line: &[u8]) -> Option<String> {
    let line = line.strip_suffix(b" HTTP/1.1\r\n")?;
    let line = String::from_utf8_lossy(line);
    let (_, path) = line.rsplit_once(" /v1/")?;
    let (path, _) = path.split_once('?').unwrap_or((path, ""));
    let last = path.rsplit('/').next().unwrap_or(path);
    Some(last.split_once(':').map_or(path, |(_, verb)| verb).to_owned())
}
