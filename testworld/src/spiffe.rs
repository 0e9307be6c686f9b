use std::{
    env, fs,
    io::Write as _,
    ops::Deref,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use serde_json::{Value, json};

use crate::server::{Server, Up};

/// Programs on go-spiffe: those of the Go module `testworld/spiffe`.
#[derive(Clone, Debug)]
pub struct GoSpiffe {
    programs: PathBuf,
}

/// A trust domain by the book, in Go: a Workload API on a socket, for whoever connects.
#[derive(Debug)]
pub struct TrustDomain {
    server: Server,
}

impl GoSpiffe {
    /// Where the lane `spiffe` has built them: below `BULLA_SPIFFE_BIN`. `None`, loudly, where there are none.
    ///
    /// # Panics
    /// If there are none and `BULLA_REQUIRE_SPIFFE` is set.
    #[must_use]
    pub fn find() -> Option<Self> {
        if let Some(programs) = env::var_os("BULLA_SPIFFE_BIN") {
            return Some(Self { programs: programs.into() });
        }
        assert!(env::var_os("BULLA_REQUIRE_SPIFFE").is_none(), "BULLA_SPIFFE_BIN is not set");
        eprintln!("SKIPPED: run `cargo xtask test --lane spiffe`, which builds the programs");
        None
    }

    /// The path of one of the programs.
    #[must_use]
    pub fn program(&self, name: &str) -> PathBuf {
        self.programs.join(name)
    }

    /// A command of one of the programs, `workload`, `mtls` or `bundles`, without this process's environment. Its
    /// first argument is what is to be done.
    #[must_use]
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.program(program));
        command.env_clear().stdin(Stdio::null());
        command
    }

    /// What a command prints, a value a line.
    ///
    /// # Panics
    /// If it fails.
    #[must_use]
    pub fn run(&self, command: &mut Command) -> Vec<Value> {
        let output = command.output().unwrap();
        assert!(output.status.success(), "{command:?}: {}", text(&output.stderr));
        lines(&output)
    }

    /// Why a command fails.
    ///
    /// # Panics
    /// If it does not.
    #[must_use]
    pub fn refusal(&self, command: &mut Command) -> String {
        let output = command.output().unwrap();
        assert!(!output.status.success(), "{command:?}: {}", text(&output.stdout));
        text(&output.stderr)
    }

    /// What go-spiffe says of tokens that are to be for that audience, each: the SVID, or an `error`.
    ///
    /// # Panics
    /// If the bundle document is none, or it says less.
    #[must_use]
    pub fn validate(
        &self,
        trust_domain: &str,
        bundle: &Path,
        audience: &str,
        tokens: &[impl AsRef<str>],
    ) -> Vec<Value> {
        let mut command = self.command("workload");
        command.args(["validate", "-trust-domain", trust_domain, "-audience", audience]);
        command.arg("-bundle").arg(bundle);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let all: String = tokens.iter().map(|token| format!("{}\n", token.as_ref())).collect();
        // It answers as it reads, so what it says must not wait until all is written.
        let writer = std::thread::spawn(move || drop(stdin.write_all(all.as_bytes())));
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap();
        let said = lines(&output);
        assert_eq!(said.len(), tokens.len(), "{said:?}");
        said
    }

    /// Runs one of the programs as a server that is told its port.
    #[must_use]
    pub fn serve(&self, program: &str, set: impl Fn(&mut Command)) -> Server {
        Server::start(Up::Says("serving"), |port, _| {
            let mut command = self.command(program);
            command.args(["serve", "-port", &port.to_string()]);
            set(&mut command);
            command
        })
    }

    /// Starts a trust domain whose workload has that id.
    #[must_use]
    pub fn trust_domain(&self, id: &str) -> TrustDomain {
        let server = Server::start(Up::Says("serving"), |port, dir| {
            let mut command = self.command("authority");
            command.args(["-port", &port.to_string(), "-id", id]);
            command.arg("-socket").arg(dir.path().join("api.sock"));
            command
        });
        TrustDomain { server }
    }
}

impl TrustDomain {
    /// The address of the Workload API.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    /// The path of its socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.server.dir().join("api.sock")
    }

    /// Another X.509-SVID for the workload: the serial number.
    #[must_use]
    pub fn rotate(&self) -> String {
        self.post("rotate", &json!({}))["serial"].as_str().unwrap().to_owned()
    }

    /// Another root beside those that there are, and an SVID of it.
    pub fn rotate_root(&self) {
        self.post("rotate-root", &json!({}));
    }

    /// Another key for tokens beside those that there are: its id.
    pub fn rotate_key(&self) -> String {
        self.post("rotate-key", &json!({}))["kid"].as_str().unwrap().to_owned()
    }

    /// The serial number of the workload's certificate.
    #[must_use]
    pub fn serial(&self) -> String {
        self.get("state")["serial"].as_str().unwrap().to_owned()
    }

    /// How often a method of the Workload API was called, such as `FetchJWTSVID`.
    #[must_use]
    pub fn count(&self, method: &str) -> u64 {
        self.get("state")["counts"][method].as_u64().unwrap_or(0)
    }

    /// The bundle document.
    #[must_use]
    pub fn bundle(&self) -> Value {
        self.get("bundle")
    }

    /// Calls end with a code of gRPC from now on, or, with zero, as they should.
    pub fn fail_with(&self, code: u32) {
        self.post("fault", &json!({"Code": code}));
    }

    /// Calls are not answered from now on.
    pub fn hang(&self) {
        self.post("fault", &json!({"Hang": true}));
    }

    /// An X.509-SVID for an id: the chain and its key, as PEM. The certificate is good for `127.0.0.1` and
    /// `localhost` too.
    #[must_use]
    pub fn svid(&self, id: &str) -> (String, String) {
        let made = self.post("svid", &json!({"Id": id}));
        let text = |name: &str| made[name].as_str().unwrap().to_owned();
        (text("chain"), text("key"))
    }

    /// A token with that header and those claims, of the current key.
    #[must_use]
    pub fn token(&self, header: &Value, claims: &Value) -> String {
        let made = self.post("token", &json!({"Header": header, "Claims": claims}));
        made["token"].as_str().unwrap().to_owned()
    }

    /// A token of a new key for an algorithm, which the bundle has from now on or has not. An empty id is none.
    #[must_use]
    pub fn token_by(
        &self,
        algorithm: &str,
        kid: &str,
        published: bool,
        header: &Value,
        claims: &Value,
    ) -> String {
        let wanted = json!({
            "Algorithm": algorithm, "Kid": kid, "Published": published, "Header": header, "Claims": claims,
        });
        self.post("token", &wanted)["token"].as_str().unwrap().to_owned()
    }

    fn post(&self, what: &str, body: &Value) -> Value {
        self.ask("POST", what, body)
    }

    fn get(&self, what: &str) -> Value {
        self.ask("GET", what, &Value::Null)
    }

    fn ask(&self, method: &str, what: &str, body: &Value) -> Value {
        let path = format!("/control/{what}");
        let (status, answer) = self.server.exchange("", method, &path, body).unwrap_or_default();
        assert_eq!(status, 200, "{method} {path}: {answer}\n{}", self.server.log());
        answer
    }
}

/// Reads the log of the server.
impl Deref for TrustDomain {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}

fn lines(output: &Output) -> Vec<Value> {
    text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Writes a file below a directory: its path.
///
/// # Panics
/// If it can't be written.
#[must_use]
pub fn write(dir: &Path, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
    let path = dir.join(name);
    fs::write(&path, text).unwrap();
    path
}
