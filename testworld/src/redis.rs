use std::{env, fs, path::PathBuf, process::Command};

use crate::server::{Server, Up};

/// Redis, which keeps nothing unless it is told to.
#[derive(Debug)]
pub struct Redis {
    server: Server,
}

impl Redis {
    /// Starts one, of the packages unpacked below the directory that `BULLA_PIPELINE_ROOT` names, as the lane
    /// `pipeline` sets it. `None`, loudly, where there is none.
    ///
    /// # Panics
    /// If there is none and `BULLA_REQUIRE_PIPELINE` is set, or if it does not start.
    #[must_use]
    pub fn start() -> Option<Self> {
        let Some(root) = env::var_os("BULLA_PIPELINE_ROOT").map(PathBuf::from) else {
            let required = env::var_os("BULLA_REQUIRE_PIPELINE").is_some();
            assert!(!required, "BULLA_PIPELINE_ROOT is not set");
            eprintln!("SKIPPED: run `cargo xtask test --lane pipeline`, which sets up the servers");
            return None;
        };
        let libraries = libraries(&root);
        let server = Server::start(Up::Says("Ready to accept connections"), |port, dir| {
            let mut redis = Command::new(root.join("usr/bin/redis-server"));
            redis.env("LD_LIBRARY_PATH", &libraries).current_dir(dir.path());
            redis.args(["--bind", "127.0.0.1", "--port"]).arg(port.to_string());
            // A dump that is not compressed shows what is in it.
            redis.args(["--save", "", "--appendonly", "no", "--rdbcompression", "no"]);
            redis
        });
        Some(Self { server })
    }

    /// For clients.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.server.port())
    }
}

/// Where the libraries of a package are, whatever the machine is called.
fn libraries(root: &std::path::Path) -> PathBuf {
    let entries = fs::read_dir(root.join("usr/lib")).unwrap();
    let mut dirs = entries.map(|entry| entry.unwrap().path());
    dirs.find(|dir| dir.join("libjemalloc.so.2").exists()).unwrap()
}
