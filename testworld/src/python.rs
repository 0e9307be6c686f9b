use std::{ffi::OsStr, path::Path, process::Command};

/// The interpreter of a virtual environment that has the servers.
#[derive(Clone, Debug)]
pub struct Python {
    path: String,
}

impl Python {
    /// The one with the emulators of AWS: named by `BULLA_AWS_PYTHON`, as the lane `aws` sets it.
    /// `None`, loudly, where there is none.
    ///
    /// # Panics
    /// If there is none and `BULLA_REQUIRE_AWS` is set.
    #[must_use]
    pub fn for_aws() -> Option<Self> {
        Self::find("aws", "BULLA_AWS_PYTHON", "BULLA_REQUIRE_AWS")
    }

    /// The one with Microsoft's client of Key Vault: named by `BULLA_AZURE_PYTHON`, as the lane `azure` sets
    /// it. `None`, loudly, where there is none.
    ///
    /// # Panics
    /// If there is none and `BULLA_REQUIRE_AZURE` is set.
    #[must_use]
    pub fn for_azure() -> Option<Self> {
        Self::find("azure", "BULLA_AZURE_PYTHON", "BULLA_REQUIRE_AZURE")
    }

    /// The one with OpenBao: named by `BULLA_VAULT_PYTHON`, as the lane `vault` sets it. `None`, loudly,
    /// where there is none.
    ///
    /// # Panics
    /// If there is none and `BULLA_REQUIRE_VAULT` is set.
    #[must_use]
    pub fn for_vault() -> Option<Self> {
        Self::find("vault", "BULLA_VAULT_PYTHON", "BULLA_REQUIRE_VAULT")
    }

    /// The one with other implementations of tokens, and the Kubernetes client: named by
    /// `BULLA_TOKENS_PYTHON`, as the lane `tokens` sets it. `None`, loudly, where there is none.
    ///
    /// # Panics
    /// If there is none and `BULLA_REQUIRE_TOKENS` is set.
    #[must_use]
    pub fn for_tokens() -> Option<Self> {
        Self::find("tokens", "BULLA_TOKENS_PYTHON", "BULLA_REQUIRE_TOKENS")
    }

    /// The one with the client of SPIFFE's Workload API: named by `BULLA_SPIFFE_PYTHON`, as the lane `spiffe` sets
    /// it. `None`, loudly, where there is none.
    ///
    /// # Panics
    /// If there is none and `BULLA_REQUIRE_SPIFFE` is set.
    #[must_use]
    pub fn for_spiffe() -> Option<Self> {
        Self::find("spiffe", "BULLA_SPIFFE_PYTHON", "BULLA_REQUIRE_SPIFFE")
    }

    fn find(lane: &str, variable: &str, required: &str) -> Option<Self> {
        if let Ok(path) = std::env::var(variable) {
            return Some(Self { path });
        }
        assert!(std::env::var_os(required).is_none(), "{variable} is not set");
        eprintln!("SKIPPED: run `cargo xtask test --lane {lane}`, which sets up the servers");
        None
    }

    /// The directory with the interpreter, as `python3`.
    ///
    /// # Panics
    /// If it is named without one.
    #[must_use]
    pub fn bin(&self) -> &Path {
        Path::new(&self.path).parent().unwrap()
    }

    /// A command that runs a script file.
    #[must_use]
    pub fn script(&self, path: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(&self.path);
        command.arg(path);
        command
    }

    /// Runs a module, such as `moto.server`.
    pub(crate) fn module(&self, module: &str) -> Command {
        let mut command = Command::new(&self.path);
        command.args(["-m", module]);
        command
    }

    /// Runs a script and returns what it prints.
    ///
    /// # Panics
    /// If it fails.
    #[must_use]
    pub fn run(&self, script: &str, args: &[&str]) -> String {
        let output = Command::new(&self.path).args(["-c", script]).args(args).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }
}
