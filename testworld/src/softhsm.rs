use std::{env, fs, path::PathBuf, process::Command};

use tempfile::TempDir;

/// Names the directory of the child's tokens.
const TOKENS: &str = "BULLA_PKCS11_TOKENS";

/// SoftHSM with a token of its own, labelled `t`, in a process of its own: the library reads its
/// configuration from the environment, once.
#[derive(Debug)]
pub struct SoftHsm {
    /// The PKCS #11 library.
    pub module: PathBuf,
    /// Where the tokens are, a directory each.
    pub tokens: PathBuf,
}

impl SoftHsm {
    /// The user's PIN.
    pub const PIN: &str = "1234";

    /// In the parent, runs the named test again in a child with a new token, and returns nothing; in the
    /// child, the token. Finds SoftHSM below `BULLA_PKCS11_ROOT`, as the lane `pkcs11` sets it, and says
    /// so loudly where there is none.
    ///
    /// # Panics
    /// If the test fails in the child, or there is no SoftHSM and `BULLA_REQUIRE_PKCS11` is set.
    #[must_use]
    pub fn in_child(test: &str) -> Option<Self> {
        Self::in_child_by(|child| test_again(child, test))
    }

    /// The same for a program that is no test, whose child has the same arguments and says what it says.
    ///
    /// # Panics
    /// If the child fails, or there is no SoftHSM and `BULLA_REQUIRE_PKCS11` is set.
    #[must_use]
    pub fn in_same_program() -> Option<Self> {
        Self::in_child_by(|child| {
            assert!(child.args(env::args_os().skip(1)).status().unwrap().success());
        })
    }

    fn in_child_by(run: impl FnOnce(&mut Command)) -> Option<Self> {
        let root = root()?;
        let module = root.join("usr/lib/softhsm/libsofthsm2.so");
        if let Some(tokens) = env::var_os(TOKENS) {
            return Some(Self { module, tokens: tokens.into() });
        }
        let dir = tempfile::tempdir().unwrap();
        let config = configure(&dir);
        let mut init = Command::new(root.join("usr/bin/softhsm2-util"));
        init.arg("--module").arg(&module).env("SOFTHSM2_CONF", &config);
        init.args(["--init-token", "--free", "--label", "t", "--so-pin", "12345678"]);
        let made = init.args(["--pin", Self::PIN]).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let mut child = Command::new(env::current_exe().unwrap());
        run(child.env("SOFTHSM2_CONF", &config).env(TOKENS, dir.path().join("tokens")));
        None
    }
}

/// Where the packages are unpacked.
pub(crate) fn root() -> Option<PathBuf> {
    let root = env::var_os("BULLA_PKCS11_ROOT");
    if root.is_none() {
        assert!(env::var_os("BULLA_REQUIRE_PKCS11").is_none(), "BULLA_PKCS11_ROOT is not set");
        eprintln!("SKIPPED: run `cargo xtask test --lane pkcs11`, which sets up the tokens");
    }
    root.map(PathBuf::from)
}

/// Runs a test of this program again.
pub(crate) fn test_again(child: &mut Command, test: &str) {
    let child = child.args([test, "--exact", "--nocapture"]).output().unwrap();
    let said = String::from_utf8_lossy(&child.stdout);
    let errors = String::from_utf8_lossy(&child.stderr);
    assert!(child.status.success() && said.contains("1 passed"), "{said}\n{errors}");
}

fn configure(dir: &TempDir) -> PathBuf {
    let tokens = dir.path().join("tokens");
    fs::create_dir(&tokens).unwrap();
    let config = dir.path().join("softhsm2.conf");
    let text = format!("directories.tokendir = {}\nlog.level = ERROR\n", tokens.display());
    fs::write(&config, text).unwrap();
    config
}
