use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

use crate::server::{Server, Up};

/// PostgreSQL with a database `postgres` of its own, whose user `postgres` needs no password.
#[derive(Debug)]
pub struct Postgres {
    server: Server,
}

impl Postgres {
    /// Starts one, of the programs in the directory that `BULLA_TOKENS_POSTGRES` names, as the lane `tokens`
    /// sets it. `None`, loudly, where there is none.
    ///
    /// # Panics
    /// If there is none and `BULLA_REQUIRE_TOKENS` is set, or if it does not start.
    #[must_use]
    pub fn start() -> Option<Self> {
        let Some(bin) = env::var_os("BULLA_TOKENS_POSTGRES").map(PathBuf::from) else {
            let required = env::var_os("BULLA_REQUIRE_TOKENS").is_some();
            assert!(!required, "BULLA_TOKENS_POSTGRES is not set");
            eprintln!("SKIPPED: run `cargo xtask test --lane tokens`, which sets up the servers");
            return None;
        };
        let up = Up::Says("database system is ready to accept connections");
        let server = Server::start(up, |port, dir| {
            let data = dir.path().join("data");
            init(&bin, dir, &data);
            let mut postgres = of_user(&bin.join("postgres"));
            postgres.arg("-D").arg(&data).args(["-h", "127.0.0.1", "-p"]).arg(port.to_string());
            // Nothing outlives a test, so nothing has to reach the disk.
            postgres.args(["-c", "fsync=off", "-c", "unix_socket_directories="]);
            postgres
        });
        Some(Self { server })
    }

    /// For clients.
    #[must_use]
    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.server.port())
    }

    /// Ends it at once, as a crash would.
    pub fn kill(&mut self) {
        self.server.kill();
    }
}

/// It refuses to be root, and is nobody then.
const NOBODY: u32 = 65_534;

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|own| {
        use std::os::unix::fs::MetadataExt as _;
        own.uid() == 0
    })
}

fn of_user(program: &Path) -> Command {
    use std::os::unix::process::CommandExt as _;

    let mut command = Command::new(program);
    if is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    command.current_dir("/");
    command
}

fn init(bin: &Path, dir: &TempDir, data: &Path) {
    if is_root() {
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o711);
        fs::set_permissions(dir.path(), open).unwrap();
        fs::create_dir(data).unwrap();
        std::os::unix::fs::chown(data, Some(NOBODY), Some(NOBODY)).unwrap();
    }
    let mut init = of_user(&bin.join("initdb"));
    init.args([
        "--auth=trust",
        "--username=postgres",
        "--no-sync",
        "--encoding=UTF8",
        "--locale=C",
        "-D",
    ]);
    let made = init.arg(data).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}
