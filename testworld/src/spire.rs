use std::{
    env, fs,
    ops::Deref,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::server::{Server, Up, free_port};

const PATIENCE: Duration = Duration::from_secs(60);

/// SPIRE: a server, and an agent that attests the processes of this user.
#[derive(Debug)]
pub struct Spire {
    programs: PathBuf,
    trust_domain: String,
    bundle_port: u16,
    token: String,
    agent: Option<Server>,
    server: Server,
}

/// How SPIRE's bundle endpoint is authenticated.
#[derive(Clone, Copy, Debug)]
pub enum Endpoint<'a> {
    /// By an X.509-SVID of the server: `https_spiffe`.
    Spiffe,
    /// By a certificate for `localhost` with its key, in files: `https_web`.
    Web {
        /// The chain, PEM.
        chain: &'a Path,
        /// The key, PEM.
        key: &'a Path,
    },
}

impl Spire {
    /// Starts both for a trust domain, from the programs that the lane `spiffe` has built with `--all`: below
    /// `BULLA_SPIRE_BIN`. `None`, loudly, where there are none. `roots`, PEM, is whom the server trusts by the Web's
    /// rules.
    ///
    /// # Panics
    /// If one of them does not start, or there are none and `BULLA_REQUIRE_SPIRE` is set.
    #[must_use]
    pub fn start(trust_domain: &str, endpoint: Endpoint<'_>, roots: Option<&Path>) -> Option<Self> {
        let Some(programs) = env::var_os("BULLA_SPIRE_BIN").map(PathBuf::from) else {
            assert!(env::var_os("BULLA_REQUIRE_SPIRE").is_none(), "BULLA_SPIRE_BIN is not set");
            eprintln!("SKIPPED: run `cargo xtask test --lane spiffe --all`, which builds SPIRE");
            return None;
        };
        let bundle_port = free_port();
        let server = Server::start(Up::Says("Starting Server APIs"), |port, dir| {
            let config = server_config(trust_domain, port, bundle_port, endpoint, dir.path());
            let file = dir.path().join("server.conf");
            fs::write(&file, config).unwrap();
            let mut command = Command::new(programs.join("spire-server"));
            command.env_clear().env("HOME", dir.path()).arg("run").arg("-config").arg(file);
            if let Some(roots) = roots {
                command.env("SSL_CERT_FILE", roots);
            }
            command
        });
        let trust_domain = trust_domain.to_owned();
        let token = String::new();
        let mut spire = Self { programs, trust_domain, bundle_port, token, agent: None, server };
        wait(|| spire.healthy("spire-server", &spire.api()), || spire.server.log());
        let made = spire.ask(&["token", "generate", "-output", "json"]);
        made["value"].as_str().unwrap().clone_into(&mut spire.token);
        spire.start_agent();
        Some(spire)
    }

    /// The address of the Workload API.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    /// The path of its socket.
    ///
    /// # Panics
    /// If there is no agent.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.agent.as_ref().unwrap().dir().join("api.sock")
    }

    /// The URL of the bundle endpoint.
    #[must_use]
    pub fn bundle_url(&self) -> String {
        format!("https://localhost:{}/", self.bundle_port)
    }

    /// The id that the bundle endpoint has by SPIFFE's rules.
    #[must_use]
    pub fn endpoint_id(&self) -> String {
        format!("spiffe://{}/spire/server", self.trust_domain)
    }

    /// The bundle document, as the server has it.
    #[must_use]
    pub fn bundle(&self) -> Value {
        serde_json::from_str(&self.run(&["bundle", "show", "-format", "spiffe"])).unwrap()
    }

    /// Has this user's processes attested as the workload of that path, and waits until the agent knows: the
    /// number of the entry. `more` are further arguments of `spire-server entry create`.
    ///
    /// # Panics
    /// If the server refuses.
    pub fn entry(&self, path: &str, more: &[&str]) -> String {
        let (parent, id, user) = (self.agent_id(), self.id(path), self.user());
        let args = ["entry", "create", "-parentID", &parent, "-spiffeID", &id, "-selector", &user];
        let made = self.ask(&[&args[..], &["-output", "json"], more].concat());
        let number = made["results"][0]["entry"]["id"].as_str();
        let number = number.unwrap_or_else(|| panic!("{made}")).to_owned();
        wait(|| self.fetched().contains(&id), || self.agent_log());
        number
    }

    /// What SPIRE's own client fetches for this process.
    fn fetched(&self) -> String {
        let mut command = Command::new(self.programs.join("spire-agent"));
        command.env_clear().args(["api", "fetch", "x509", "-socketPath"]).arg(self.socket());
        String::from_utf8_lossy(&command.output().unwrap().stdout).into_owned()
    }

    /// The agent's id, which is the parent of entries.
    #[must_use]
    pub fn agent_id(&self) -> String {
        self.id(&format!("/spire/agent/join_token/{}", self.token))
    }

    /// The selector of this user's processes.
    ///
    /// # Panics
    /// If the system does not say who this is.
    #[must_use]
    pub fn user(&self) -> String {
        format!("unix:uid:{}", fs::metadata(self.server.dir()).unwrap().uid())
    }

    /// The id of the workload of a path.
    #[must_use]
    pub fn id(&self, path: &str) -> String {
        format!("spiffe://{}{path}", self.trust_domain)
    }

    /// Another key signs the tokens from now on: `jwt` or `x509`.
    ///
    /// # Panics
    /// If the server refuses.
    pub fn rotate(&self, kind: &str) {
        let prepared = self.ask(&["localauthority", kind, "prepare", "-output", "json"]);
        let id = prepared["prepared_authority"]["authority_id"].as_str();
        let id = id.unwrap_or_else(|| panic!("{prepared}"));
        self.run(&["localauthority", kind, "activate", "-authorityID", id]);
    }

    /// What `spire-server` prints, as JSON.
    ///
    /// # Panics
    /// If it fails.
    #[must_use]
    pub fn ask(&self, args: &[&str]) -> Value {
        let printed = self.run(args);
        serde_json::from_str(&printed).unwrap_or_else(|_| panic!("{args:?}: {printed}"))
    }

    /// What `spire-server` prints.
    ///
    /// # Panics
    /// If it fails.
    pub fn run(&self, args: &[&str]) -> String {
        self.try_run(args).unwrap_or_else(|why| panic!("{args:?}: {why}\n{}", self.server.log()))
    }

    /// The same, or what it says if it fails.
    ///
    /// # Errors
    /// If it fails.
    ///
    /// # Panics
    /// If it does not start.
    pub fn try_run(&self, args: &[&str]) -> Result<String, String> {
        let mut command = Command::new(self.programs.join("spire-server"));
        command.env_clear().args(args).arg("-socketPath").arg(self.api());
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let why = String::from_utf8_lossy(&output.stderr);
        if output.status.success() { Ok(said) } else { Err(format!("{said}{why}")) }
    }

    /// What the agent has written.
    #[must_use]
    pub fn agent_log(&self) -> String {
        self.agent.as_ref().map(|agent| agent.log()).unwrap_or_default()
    }

    fn start_agent(&mut self) {
        let bundle = self.run(&["bundle", "show"]);
        let agent = Server::start(Up::Says("Starting agent APIs"), |_, dir| {
            let roots = dir.path().join("bootstrap.pem");
            fs::write(&roots, &bundle).unwrap();
            let config = agent_config(&self.trust_domain, self.server.port(), dir.path());
            let file = dir.path().join("agent.conf");
            fs::write(&file, config).unwrap();
            let mut command = Command::new(self.programs.join("spire-agent"));
            command.env_clear().env("HOME", dir.path());
            command.args(["run", "-joinToken", &self.token, "-config"]).arg(file);
            command
        });
        wait(|| self.healthy("spire-agent", &agent.dir().join("api.sock")), || agent.log());
        self.agent = Some(agent);
    }

    fn api(&self) -> PathBuf {
        self.server.dir().join("server.sock")
    }

    fn healthy(&self, program: &str, socket: &Path) -> bool {
        let mut command = Command::new(self.programs.join(program));
        command.env_clear().args(["healthcheck", "-socketPath"]).arg(socket);
        command.output().unwrap().status.success()
    }
}

/// Reads the log of the server.
impl Deref for Spire {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}

fn wait(mut done: impl FnMut() -> bool, log: impl Fn() -> String) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < PATIENCE, "SPIRE is not ready:\n{}", log());
        thread::sleep(Duration::from_millis(100));
    }
}

fn server_config(
    trust_domain: &str,
    port: u16,
    bundle_port: u16,
    endpoint: Endpoint<'_>,
    dir: &Path,
) -> String {
    let profile = match endpoint {
        Endpoint::Spiffe => "profile \"https_spiffe\" {}".to_owned(),
        Endpoint::Web { chain, key } => format!(
            "profile \"https_web\" {{ serving_cert_file {{ cert_file_path = {chain:?} key_file_path = {key:?} file_sync_interval = \"1h\" }} }}"
        ),
    };
    let (socket, database) = (dir.join("server.sock"), dir.join("datastore.sqlite3"));
    let keys = dir.join("keys.json");
    format!(
        r#"server {{
    bind_address = "127.0.0.1"
    bind_port = "{port}"
    socket_path = {socket:?}
    trust_domain = "{trust_domain}"
    data_dir = {dir:?}
    log_level = "INFO"
    ratelimit {{ attestation = false }}
    federation {{
        bundle_endpoint {{ address = "127.0.0.1" port = {bundle_port} refresh_hint = "1m" {profile} }}
    }}
    experimental {{ cache_reload_interval = "1s" }}
}}
plugins {{
    DataStore "sql" {{ plugin_data {{ database_type = "sqlite3" connection_string = {database:?} }} }}
    KeyManager "disk" {{ plugin_data {{ keys_path = {keys:?} }} }}
    NodeAttestor "join_token" {{ plugin_data {{}} }}
}}
"#
    )
}

fn agent_config(trust_domain: &str, server_port: u16, dir: &Path) -> String {
    let (socket, roots) = (dir.join("api.sock"), dir.join("bootstrap.pem"));
    format!(
        r#"agent {{
    data_dir = {dir:?}
    log_level = "INFO"
    server_address = "127.0.0.1"
    server_port = "{server_port}"
    socket_path = {socket:?}
    trust_bundle_path = {roots:?}
    trust_domain = "{trust_domain}"
    experimental {{ sync_interval = "1s" }}
}}
plugins {{
    KeyManager "memory" {{ plugin_data {{}} }}
    NodeAttestor "join_token" {{ plugin_data {{}} }}
    WorkloadAttestor "unix" {{ plugin_data {{}} }}
}}
"#
    )
}
