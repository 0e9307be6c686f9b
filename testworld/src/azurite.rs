use std::{env, ops::Deref, path::PathBuf, process::Command};

use crate::server::{Server, Up};

/// The account of every Azurite, and its key, which are public.
const ACCOUNT: &str = "devstoreaccount1";
const KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/// Makes a container: a PUT with a shared key. <https://learn.microsoft.com/rest/api/storageservices/authorize-with-shared-key>
const MAKE_CONTAINER: &str = r#"
const [base, account, key, container] = process.argv.slice(1);
const { createHmac } = await import("node:crypto");
const headers = { "x-ms-date": new Date().toUTCString(), "x-ms-version": "2021-12-02" };
const told = Object.entries(headers).map(([name, value]) => `${name}:${value}\n`).join("");
const text = `PUT${"\n".repeat(12)}${told}/${account}/${account}/${container}\nrestype:container`;
const signature = createHmac("sha256", Buffer.from(key, "base64")).update(text).digest("base64");
headers.authorization = `SharedKey ${account}:${signature}`;
const answer = await fetch(`${base}/${container}?restype=container`, { method: "PUT", headers });
if (!answer.ok) throw new Error(`${answer.status} ${await answer.text()}`);
"#;

/// Azurite: Azure Blob Storage by Microsoft's own emulator, in memory.
#[derive(Debug)]
pub struct Azurite {
    server: Server,
    dir: PathBuf,
}

impl Azurite {
    /// Starts one of the packages in the directory that `BULLA_STORE_NODE` names, as the lane `store` sets it.
    /// `None`, loudly, where there is none.
    ///
    /// # Panics
    /// If it does not start, or if there is none and `BULLA_REQUIRE_STORE` is set.
    #[must_use]
    pub fn start() -> Option<Self> {
        let Some(dir) = env::var_os("BULLA_STORE_NODE").map(PathBuf::from) else {
            assert!(env::var_os("BULLA_REQUIRE_STORE").is_none(), "BULLA_STORE_NODE is not set");
            eprintln!("SKIPPED: run `cargo xtask test --lane store`, which sets up Azurite");
            return None;
        };
        let server = Server::start(Up::Says("successfully listens on"), |port, _| {
            let mut command = Command::new("node");
            command
                .current_dir(&dir)
                .arg("node_modules/azurite/dist/src/blob/main.js")
                .args(["--blobHost", "127.0.0.1", "--blobPort", &port.to_string()])
                .args(["--inMemoryPersistence", "--disableTelemetry", "--skipApiVersionCheck"])
                .env_remove("AZURITE_ACCOUNTS");
            command
        });
        Some(Self { server, dir })
    }

    /// Where the account is, without a slash at the end.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("{}/{ACCOUNT}", self.server.url())
    }

    /// The name of the account.
    #[must_use]
    pub fn account(&self) -> &'static str {
        ACCOUNT
    }

    /// The account's key.
    #[must_use]
    pub fn key(&self) -> &'static str {
        KEY
    }

    /// Makes a container.
    ///
    /// # Panics
    /// If it is not made.
    pub fn make_container(&self, name: &str) {
        let output = Command::new("node")
            .current_dir(&self.dir)
            .args(["--input-type=module", "--eval", MAKE_CONTAINER, "--"])
            .args([&self.endpoint(), ACCOUNT, KEY, name])
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

impl Deref for Azurite {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}
