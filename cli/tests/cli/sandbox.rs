//! A directory to work in and a key store, both gone afterwards.

use std::{
    fs,
    io::{Read as _, Write as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc,
    time::Duration,
};

pub(crate) const BULLA: &str = env!("CARGO_BIN_EXE_bulla");

pub(crate) struct Sandbox {
    dir: tempfile::TempDir,
}

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl Sandbox {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("work")).unwrap();
        Self { dir }
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.dir.path().join("home")
    }

    /// The user's configuration directory.
    pub(crate) fn config_home(&self) -> PathBuf {
        self.dir.path().join("config")
    }

    /// Gives the user a configuration.
    pub(crate) fn configure(&self, text: &str) {
        let dir = self.config_home().join("bulla");
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("bulla.toml"), text).unwrap();
    }

    pub(crate) fn work(&self) -> PathBuf {
        self.dir.path().join("work")
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.work().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.path(name), content).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap()
    }

    /// What is in the directory, hidden files included.
    pub(crate) fn names(&self) -> Vec<String> {
        let names = fs::read_dir(self.work()).unwrap();
        let mut names: Vec<_> =
            names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// `bulla`, to be given arguments; its input is empty unless said.
    pub(crate) fn bulla(&self) -> Command {
        self.program(Path::new(BULLA))
    }

    /// Any program in the sandbox.
    pub(crate) fn program(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.work()).env("BULLA_HOME", self.home()).stdin(Stdio::null());
        command.env("XDG_CONFIG_HOME", self.config_home()).env_remove("BULLA_CONFIG");
        command
    }

    /// `bulla` where anybody may run it. Copied by another process: one that this process has open for
    /// writing can't be run by the tests beside this one.
    pub(crate) fn copied_binary(&self) -> PathBuf {
        let binary = self.dir.path().join("bulla");
        assert!(Command::new("cp").arg(BULLA).arg(&binary).status().unwrap().success());
        binary
    }

    /// Runs `bulla` with arguments that are separated by spaces.
    pub(crate) fn run(&self, args: &str) -> Ended {
        end(self.bulla().args(args.split_whitespace()))
    }

    /// The same with an input from a pipe.
    pub(crate) fn pipe(&self, args: &str, input: &[u8]) -> Ended {
        let mut command = self.bulla();
        command.args(args.split_whitespace());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                // It may end before it has read everything.
                let _ = stdin.write_all(input);
            });
            ended(child)
        })
    }

    /// Runs what must succeed in silence or with notes, and returns its output.
    pub(crate) fn ok(&self, args: &str) -> Vec<u8> {
        let ended = self.run(args);
        assert_eq!(ended.code, Some(0), "{args}: {}", ended.stderr);
        ended.stdout
    }
}

pub(crate) fn end(command: &mut Command) -> Ended {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    ended(command.spawn().unwrap())
}

/// The first line that a run says. Fails if it says nothing.
pub(crate) fn first_line(child: &mut Child) -> String {
    let mut stderr = child.stderr.take().unwrap();
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        let (mut line, mut byte) = (Vec::new(), [0]);
        while line.last() != Some(&b'\n') && stderr.read_exact(&mut byte).is_ok() {
            line.push(byte[0]);
        }
        tell.send((String::from_utf8(line).unwrap(), stderr))
    });
    let (line, stderr) = told.recv_timeout(Duration::from_secs(20)).expect("it says nothing");
    child.stderr = Some(stderr);
    line
}

pub(crate) fn ended(child: Child) -> Ended {
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    Ended { code: output.status.code(), stdout: output.stdout, stderr }
}

impl Ended {
    /// Fails unless the run ended with this code and said this.
    #[track_caller]
    pub(crate) fn expect(&self, code: i32, said: &str) {
        assert_eq!(self.code, Some(code), "{}", self.stderr);
        assert!(self.stderr.contains(said), "{:?} is not in: {}", said, self.stderr);
    }
}

/// Bytes that don't repeat soon and are no text.
pub(crate) fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[7]
    };
    (0..len).map(|_| next()).collect()
}
