use std::{fs, ops::Deref, process::Command};

use serde_json::Value;

use crate::{
    python::Python,
    server::{Server, Up},
};

/// MiniStack: asked about signing, key states, multi-Region keys and IAM. Its ciphertexts are not
/// authenticated, and it does not look at the key that Decrypt names.
#[derive(Debug)]
pub struct Ministack(Server);

impl Ministack {
    /// Starts one. With `auth` it checks signatures of requests and IAM policies; the access key
    /// `test` is the root's in any case.
    ///
    /// # Panics
    /// If it does not start.
    #[must_use]
    pub fn start(python: &Python, auth: bool) -> Self {
        Self::serving(python, "kms,iam,sts", auth)
    }

    /// Starts one with S3 alone, which looks at no signature.
    ///
    /// # Panics
    /// If it does not start.
    #[must_use]
    pub fn s3(python: &Python) -> Self {
        Self::serving(python, "s3", false)
    }

    fn serving(python: &Python, services: &str, auth: bool) -> Self {
        Self(Server::start(Up::Answers("/_ministack/health"), |port, dir| {
            let mut command = python.module("ministack");
            isolate(&mut command);
            command
                // Its own default is every interface.
                .env("BIND_HOST", "127.0.0.1")
                .env("GATEWAY_PORT", port.to_string())
                .env("SERVICES", services)
                .env("IOT_MTLS_ENABLED", "0")
                .env("AUTH", auth.to_string())
                .env("TMPDIR", dir.path())
                .env("STATE_DIR", dir.path().join("state"));
            command
        }))
    }
}

/// Moto: asked about contexts, tampering, wrong keys, ReEncrypt and rotation. It signs digests
/// wrongly and goes on with keys that are disabled.
#[derive(Debug)]
pub struct Moto(Server);

impl Moto {
    /// Starts one.
    ///
    /// # Panics
    /// If it does not start.
    #[must_use]
    pub fn start(python: &Python) -> Self {
        Self(Server::start(Up::Answers("/moto-api/data.json"), |port, _| {
            let mut command = python.module("moto.server");
            isolate(&mut command);
            command.args(["-H", "127.0.0.1", "-p", &port.to_string()]);
            command
        }))
    }
}

/// Microburst: a proxy that injects faults in the form in which AWS has them.
#[derive(Debug)]
pub struct Microburst(Server);

impl Microburst {
    /// Starts one before `upstream` with rules in its YAML, a list.
    ///
    /// # Panics
    /// If it does not start.
    #[must_use]
    pub fn start(python: &Python, upstream: &str, rules: &str) -> Self {
        Self(Server::start(Up::Answers("/_microburst/rules"), |port, dir| {
            let config = dir.path().join("faults.yaml");
            let rules: String = rules.lines().map(|line| format!("  {line}\n")).collect();
            fs::write(&config, format!("rules:\n{rules}")).unwrap();
            let mut command = python.module("microburst");
            isolate(&mut command);
            command.args(["--host", "127.0.0.1", "--port", &port.to_string()]);
            command.args(["--upstream", upstream, "--config"]).arg(config);
            command
        }))
    }

    /// How many faults it has injected.
    ///
    /// # Panics
    /// If it does not answer.
    #[must_use]
    pub fn fired(&self) -> usize {
        let fired = self.get("/_microburst/fired").expect("microburst answers");
        fired.matches("\"action\"").count()
    }
}

macro_rules! has_buckets {
    ($($name:ident),+) => {$(
        impl $name {
            /// Makes a bucket of S3 in `us-east-1`, for the access key `test`.
            ///
            /// # Panics
            /// If it is not made.
            pub fn make_bucket(&self, name: &str) {
                let scope = "Credential=test/20260101/us-east-1/s3/aws4_request";
                let signed = "SignedHeaders=host, Signature=0";
                let headers = format!("Authorization: AWS4-HMAC-SHA256 {scope}, {signed}\r\n");
                let answer = self.exchange(&headers, "PUT", &format!("/{name}"), &Value::Null);
                assert!(matches!(answer, Some((200, _))), "{answer:?}\n{}", self.log());
            }
        }
    )+};
}

has_buckets!(Ministack, Moto);

/// Nothing of the developer's own cloud gets in.
fn isolate(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("AWS_") {
            command.env_remove(name);
        }
    }
    command.env("AWS_EC2_METADATA_DISABLED", "true");
}

macro_rules! is_a_server {
    ($($name:ident),+) => {$(
        impl Deref for $name {
            type Target = Server;

            fn deref(&self) -> &Server {
                &self.0
            }
        }

        impl $name {
            /// As [`Server::kill`].
            pub fn kill(&mut self) {
                self.0.kill();
            }
        }
    )+};
}

is_a_server!(Ministack, Moto, Microburst);
