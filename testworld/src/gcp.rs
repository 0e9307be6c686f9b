use std::{ops::Deref, path::PathBuf, process::Command};

use serde_json::{Value, json};

use crate::server::{Server, Up};

/// A Cloud KMS by the book: the program `cloudkms` of the Go module `testworld/gcp`, which is built on Google's
/// own definition of the messages.
#[derive(Debug)]
pub struct CloudKms {
    server: Server,
}

impl CloudKms {
    /// The token of whoever may do everything.
    pub const OWNER: &str = "owner";

    /// Where rings are made, unless said otherwise.
    pub const LOCATION: &str = "projects/p/locations/europe-west3";

    /// Starts one without keys, where the lane `gcp` has built it: below `BULLA_GCP_BIN`. `None`, loudly, where
    /// there is none.
    ///
    /// # Panics
    /// If it does not start, or there is none and `BULLA_REQUIRE_GCP` is set.
    #[must_use]
    pub fn start() -> Option<Self> {
        let program = programs()?.join("cloudkms");
        let server = Server::start(Up::Says("serving"), |port, dir| {
            let mut command = Command::new(&program);
            command.env_clear().env("HOME", dir.path()).arg("-port").arg(port.to_string());
            command
        });
        Some(Self { server })
    }

    /// A key that seals, in software, and its resource name.
    #[must_use]
    pub fn sealing_key(&self, name: &str) -> String {
        self.key(Self::LOCATION, name, "ENCRYPT_DECRYPT", "GOOGLE_SYMMETRIC_ENCRYPTION", "SOFTWARE")
    }

    /// A key that signs by that algorithm, in software, and its resource name.
    #[must_use]
    pub fn signing_key(&self, name: &str, algorithm: &str) -> String {
        self.key(Self::LOCATION, name, "ASYMMETRIC_SIGN", algorithm, "SOFTWARE")
    }

    /// A key in the ring `r` of a location, and its resource name.
    ///
    /// # Panics
    /// If it can't be made.
    #[must_use]
    pub fn key(
        &self,
        location: &str,
        name: &str,
        purpose: &str,
        algorithm: &str,
        level: &str,
    ) -> String {
        // It may be there already.
        self.request(
            Self::OWNER,
            "POST",
            &format!("/v1/{location}/keyRings?keyRingId=r"),
            &json!({}),
        );
        let key = json!({
            "purpose": purpose,
            "versionTemplate": {"algorithm": algorithm, "protectionLevel": level},
        });
        let made = self.ok(
            "POST",
            &format!("/v1/{location}/keyRings/r/cryptoKeys?cryptoKeyId={name}"),
            &key,
        );
        made["name"].as_str().unwrap().to_owned()
    }

    /// A new version of a key, and its number. It becomes primary only if it is made so.
    ///
    /// # Panics
    /// If it can't be made.
    pub fn new_version(&self, key: &str) -> u64 {
        let made = self.ok("POST", &format!("/v1/{key}/cryptoKeyVersions"), &json!({}));
        made["name"].as_str().unwrap().rsplit('/').next().unwrap().parse().unwrap()
    }

    /// Makes a version the primary one.
    ///
    /// # Panics
    /// If it can't be.
    pub fn make_primary(&self, key: &str, version: u64) {
        let id = json!({"cryptoKeyVersionId": version.to_string()});
        self.ok("POST", &format!("/v1/{key}:updatePrimaryVersion"), &id);
    }

    /// A new version of a key, made primary: what a rotation does.
    pub fn rotate(&self, key: &str) -> u64 {
        let version = self.new_version(key);
        self.make_primary(key, version);
        version
    }

    /// Puts a version into a state, however it gets there: `DISABLED`, `ENABLED`, `DESTROYED` and so on.
    ///
    /// # Panics
    /// If there is none.
    pub fn set_state(&self, key: &str, version: u64, state: &str) {
        let asked = json!({"Name": format!("{key}/cryptoKeyVersions/{version}"), "State": state});
        self.ok("POST", "/control/state", &asked);
    }

    /// What goes wrong from now on, and nothing else: a list of faults, as `faults.go` has them.
    ///
    /// # Panics
    /// If it is not taken.
    pub fn faults(&self, faults: &Value) {
        self.ok("POST", "/control/faults", faults);
    }

    /// Somebody who may do something, as `accounts.go` has it.
    ///
    /// # Panics
    /// If it is not taken.
    pub fn principal(&self, principal: &Value) {
        self.ok("POST", "/control/principals", principal);
    }

    /// How often a method was asked for since [`reset`](Self::reset), such as `Decrypt`.
    ///
    /// # Panics
    /// If it does not say.
    #[must_use]
    pub fn count(&self, method: &str) -> u64 {
        self.ok("GET", "/control/counts", &Value::Null)[method].as_u64().unwrap_or(0)
    }

    /// How often any method was.
    ///
    /// # Panics
    /// If it does not say.
    #[must_use]
    pub fn total(&self) -> u64 {
        let counts = self.ok("GET", "/control/counts", &Value::Null);
        counts.as_object().unwrap().values().filter_map(Value::as_u64).sum()
    }

    /// How many tokens it has given out.
    ///
    /// # Panics
    /// If it does not say.
    #[must_use]
    pub fn tokens_given(&self) -> u64 {
        self.ok("GET", "/control/tokens", &Value::Null)["given"].as_u64().unwrap()
    }

    /// Begins to count anew.
    ///
    /// # Panics
    /// If it does not.
    pub fn reset(&self) {
        self.ok("POST", "/control/counts", &json!({}));
    }

    /// What the owner's request is answered with.
    ///
    /// # Panics
    /// If that is no success.
    pub fn ok(&self, method: &str, path: &str, body: &Value) -> Value {
        let (status, answer) = self.request(Self::OWNER, method, path, body);
        assert!((200..300).contains(&status), "{method} {path}: HTTP {status}: {answer}");
        answer
    }

    /// Status and answer of a request. Zero where there is none.
    pub fn request(&self, token: &str, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let headers = format!("Authorization: Bearer {token}\r\n");
        self.server.exchange(&headers, method, path, body).unwrap_or_default()
    }
}

/// Reads the log of the server, its port and its URL.
impl Deref for CloudKms {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}

/// Where the programs of the Go module are.
fn programs() -> Option<PathBuf> {
    let programs = std::env::var_os("BULLA_GCP_BIN");
    if programs.is_none() {
        assert!(std::env::var_os("BULLA_REQUIRE_GCP").is_none(), "BULLA_GCP_BIN is not set");
        eprintln!("SKIPPED: run `cargo xtask test --lane gcp`, which builds the server");
    }
    programs.map(PathBuf::from)
}
