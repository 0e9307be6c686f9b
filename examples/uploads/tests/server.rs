//! The service in a directory of its own.

use std::{
    env, fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use bulla_local::{KeyType, Protection, Store};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

pub(crate) struct Server {
    child: Child,
    url: String,
    dir: TempDir,
}

/// What curl got.
pub(crate) struct Answer {
    /// Whether curl says that it is not whole.
    pub(crate) failed: bool,
    pub(crate) status: u16,
    /// Status line and headers, in lower case.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let start = String::from_utf8_lossy(&self.body[..self.body.len().min(200)]);
        write!(f, "{} {} {start} ({} bytes)", self.failed, self.head, self.body.len())
    }
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// What JSON says of an error.
    pub(crate) fn error(&self) -> String {
        let json: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        json["error"].as_str().unwrap_or_default().to_owned()
    }
}

/// Whether there is curl. Where there is none, says so, or fails where it has to be there.
pub(crate) fn has_curl() -> bool {
    let found = Command::new("curl").arg("--version").output().is_ok();
    if !found {
        assert!(env::var_os("BULLA_REQUIRE_PIPELINE").is_none(), "curl is not installed");
        eprintln!("SKIPPED: install curl, and run `cargo xtask test --lane pipeline`");
    }
    found
}

impl Server {
    pub(crate) fn start(args: &[&str]) -> Option<Self> {
        if !has_curl() {
            return None;
        }
        let dir = tempfile::tempdir().unwrap();
        let keys = Store::at(dir.path().join("keys"));
        keys.create_key("uploads", KeyType::Aes256, &Protection::None).unwrap();
        keys.create_key("tokens", KeyType::P256, &Protection::None).unwrap();
        let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
        write(
            "bulla.toml",
            "default = 'uploads'\n[keys.uploads]\nuri = 'local:uploads'\n[keys.tokens]\nuri = 'local:tokens'\n",
        );
        write("clients", "web a-secret-of-the-web-client\nbatch a-secret-of-the-batch-job\n");
        fs::create_dir(dir.path().join("objects")).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_uploads"))
            .arg("--store")
            .arg(format!("file://{}", dir.path().join("objects").display()))
            .arg("--clients")
            .arg(dir.path().join("clients"))
            .args(["--listen", "127.0.0.1:0"])
            .args(args)
            .env("BULLA_HOME", dir.path().join("keys"))
            .env("BULLA_CONFIG", dir.path().join("bulla.toml"))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let url = line.trim().strip_prefix("listening on ").unwrap().to_owned();
        Some(Self { child, url, dir })
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn command(&self, args: &[&str], path: &str, token: Option<&str>) -> Command {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--max-time", "300", "-D"])
            .arg(self.path("head"))
            .args(args);
        if let Some(token) = token {
            curl.args(["-H", &format!("Authorization: Bearer {token}")]);
        }
        curl.arg(format!("{}{path}", self.url));
        curl
    }

    pub(crate) fn curl(&self, args: &[&str], path: &str, token: Option<&str>) -> Answer {
        let output = self.command(args, path, token).output().unwrap();
        // The last answer's: an interim one (100) may have come before.
        let heads = fs::read_to_string(self.path("head")).unwrap().to_lowercase();
        let head = heads.trim_end().rsplit("\r\n\r\n").next().unwrap().to_owned();
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let (status, failed) =
            (status.unwrap_or_else(|| panic!("{said}")), !output.status.success());
        Answer { failed, status, head, body: output.stdout }
    }

    pub(crate) fn token(&self, client: &str) -> String {
        self.token_of(client, "objects:read objects:write")
    }

    pub(crate) fn token_of(&self, client: &str, scope: &str) -> String {
        let clients = fs::read_to_string(self.path("clients")).unwrap();
        let line = clients.lines().find(|line| line.starts_with(client)).unwrap();
        let user = line.replacen(' ', ":", 1);
        let scope = format!("scope={scope}");
        let args = ["-u", &user, "-d", "grant_type=client_credentials", "--data-urlencode", &scope];
        let answer = self.curl(&args, "/token", None);
        assert_eq!(answer.status, 200, "{answer:?}");
        let json: Value = serde_json::from_slice(&answer.body).unwrap();
        json["access_token"].as_str().unwrap().to_owned()
    }

    /// The most memory that it has had, in KiB.
    pub(crate) fn peak_memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    pub(crate) fn stored_path(&self, name: &str) -> PathBuf {
        self.path("objects").join(name)
    }

    pub(crate) fn stored_len(&self, name: &str) -> u64 {
        fs::metadata(self.stored_path(name)).unwrap().len()
    }

    /// The files of the store, those of uploads under way included.
    pub(crate) fn stored_files(&self) -> Vec<String> {
        let root = self.path("objects");
        let mut names: Vec<_> = files(&root)
            .into_iter()
            .map(|path| path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned())
            .collect();
        names.sort();
        names
    }

    /// Whether some file of the store has these bytes in it.
    pub(crate) fn store_has(&self, bytes: &[u8]) -> bool {
        let has = |path: PathBuf| {
            // In pieces: the file may be large, and the machine small.
            let file = fs::File::open(path).unwrap();
            let mut reader = BufReader::with_capacity(8 << 20, file);
            let mut window = Vec::new();
            loop {
                let piece = reader.fill_buf().unwrap();
                if piece.is_empty() {
                    return false;
                }
                window.extend_from_slice(piece);
                let len = piece.len();
                reader.consume(len);
                if memmem(&window, bytes) {
                    return true;
                }
                window.drain(..window.len() - bytes.len().min(window.len()));
            }
        };
        files(&self.path("objects")).into_iter().any(has)
    }

    pub(crate) fn terminate(&self) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, Signal::TERM).unwrap();
    }

    pub(crate) fn wait(&mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn memmem(bytes: &[u8], text: &[u8]) -> bool {
    let first = text[0];
    let mut rest = bytes;
    while let Some(at) = rest.iter().position(|byte| *byte == first) {
        if rest[at..].starts_with(text) {
            return true;
        }
        rest = &rest[at + 1..];
    }
    false
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    let entries = entries.filter_map(|entry| Some(entry.ok()?.path()));
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}
