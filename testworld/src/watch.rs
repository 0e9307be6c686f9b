use std::{
    io::{Read as _, Write as _},
    net::{Ipv4Addr, Shutdown, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

/// A proxy on a loopback port that keeps the request lines of HTTP that pass it, and tells each before it is
/// passed on.
#[derive(Debug)]
pub struct Watch {
    port: u16,
    lines: Arc<Mutex<Vec<String>>>,
}

type Tell = dyn Fn(&str) + Send + Sync;

const METHODS: [&str; 5] = ["GET /", "PUT /", "POST /", "HEAD /", "DELETE /"];

impl Watch {
    /// Starts one before a server. What `tell` does is done before the request goes on.
    ///
    /// # Panics
    /// If it does not start.
    #[must_use]
    pub fn start(upstream: u16, tell: impl Fn(&str) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let lines: Arc<Mutex<Vec<String>>> = Arc::default();
        let (kept, tell): (_, Arc<Tell>) = (Arc::clone(&lines), Arc::new(tell));
        thread::spawn(move || {
            for client in listener.incoming() {
                let Ok(client) = client else { return };
                let (kept, tell) = (Arc::clone(&kept), Arc::clone(&tell));
                thread::spawn(move || pass(client, upstream, &kept, &*tell));
            }
        });
        Self { port, lines }
    }

    /// Its URL, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// How many requests have begun so: a method, a space and the beginning of a path.
    ///
    /// # Panics
    /// If a thread that used it did.
    #[must_use]
    pub fn count(&self, beginning: &str) -> usize {
        self.lines.lock().unwrap().iter().filter(|line| line.starts_with(beginning)).count()
    }

    /// All request lines, without the version of HTTP.
    ///
    /// # Panics
    /// If a thread that used it did.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }

    /// Forgets what it has seen.
    ///
    /// # Panics
    /// If a thread that used it did.
    pub fn forget(&self) {
        self.lines.lock().unwrap().clear();
    }
}

fn pass(mut client: TcpStream, upstream: u16, kept: &Mutex<Vec<String>>, tell: &Tell) {
    let Ok(mut server) = TcpStream::connect((Ipv4Addr::LOCALHOST, upstream)) else { return };
    drop(client.set_nodelay(true));
    drop(server.set_nodelay(true));
    let (mut from, mut to) = (server.try_clone().unwrap(), client.try_clone().unwrap());
    let back = thread::spawn(move || {
        drop(std::io::copy(&mut from, &mut to));
        drop(to.shutdown(Shutdown::Both));
    });
    let (mut tail, mut buffer) = (Vec::new(), vec![0; 65_536]);
    while let Ok(len @ 1..) = client.read(&mut buffer) {
        tail.extend_from_slice(&buffer[..len]);
        while let Some(end) = tail.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = tail.drain(..=end).collect();
            if let Some(line) = request(&line) {
                kept.lock().unwrap().push(line.clone());
                tell(&line);
            }
        }
        // A body has few line ends: nothing of it is kept for long.
        if tail.len() > 65_536 {
            tail.clear();
        }
        if server.write_all(&buffer[..len]).is_err() {
            break;
        }
    }
    drop(server.shutdown(Shutdown::Both));
    drop(back.join());
}

/// A request line. The body of the request before may stand in front of it.
fn request(line: &[u8]) -> Option<String> {
    let line = line.strip_suffix(b" HTTP/1.1\r\n")?;
    let line = String::from_utf8_lossy(line);
    let start = METHODS.iter().filter_map(|method| line.rfind(method)).max()?;
    Some(line[start..].to_owned())
}
