use std::{env, path::PathBuf, process::Command};

use crate::server::{Server, Up};

/// Node.js with the packages of `testworld/node/tokens`.
#[derive(Clone, Debug)]
pub struct Node {
    dir: PathBuf,
}

impl Node {
    /// In the directory that `BULLA_TOKENS_NODE` names, as the lane `tokens` sets it. `None`, loudly, where there is
    /// none.
    ///
    /// # Panics
    /// If there is none and `BULLA_REQUIRE_TOKENS` is set.
    #[must_use]
    pub fn find() -> Option<Self> {
        if let Some(dir) = env::var_os("BULLA_TOKENS_NODE") {
            return Some(Self { dir: dir.into() });
        }
        assert!(env::var_os("BULLA_REQUIRE_TOKENS").is_none(), "BULLA_TOKENS_NODE is not set");
        eprintln!("SKIPPED: run `cargo xtask test --lane tokens`, which sets up Node's packages");
        None
    }

    /// Runs a module and returns what it prints.
    ///
    /// # Panics
    /// If it fails.
    #[must_use]
    pub fn run(&self, module: &str, args: &[&str]) -> String {
        let output = self.command(module).args(args).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Runs a module as a server, which gets its port as first argument and prints `listening` once it does.
    ///
    /// # Panics
    /// If it does not start.
    #[must_use]
    pub fn serve(&self, module: &str, args: &[&str]) -> Server {
        Server::start(Up::Says("listening"), |port, _| {
            let mut command = self.command(module);
            command.arg(port.to_string()).args(args);
            command
        })
    }

    /// Packages are found from the working directory, as from a file that lies there.
    fn command(&self, module: &str) -> Command {
        let mut command = Command::new("node");
        command.current_dir(&self.dir).args(["--input-type=module", "--eval", module, "--"]);
        command
    }
}
