//! Where the workspace is, and how commands run in it.

use std::{
    env,
    ffi::{OsStr, OsString},
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

/// What a lane comes to: nothing to say, or why it failed.
pub(crate) type Outcome<T = ()> = Result<T, String>;

/// How often a command that must end in time is looked at.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

pub(crate) struct Project {
    root: PathBuf,
    target: PathBuf,
    cargo: OsString,
    /// When all commands are ended.
    until: Option<Instant>,
}

impl Project {
    pub(crate) fn find() -> Outcome<Self> {
        // Cargo sets the variable for `cargo run`. A binary started by hand knows where it was
        // built.
        let manifest_dir = env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        let root = manifest_dir.parent().ok_or("xtask is not inside a workspace")?.to_path_buf();
        let target = match env::var_os("CARGO_TARGET_DIR") {
            Some(dir) => std::path::absolute(dir).map_err(|error| error.to_string())?,
            None => root.join("target"),
        };
        let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        Ok(Self { root, target, cargo, until: None })
    }

    /// Ends commands once so much time has passed.
    pub(crate) fn within(self, limit: Option<Duration>) -> Self {
        Self { until: limit.and_then(|limit| Instant::now().checked_add(limit)), ..self }
    }

    /// Whether that time has passed.
    pub(crate) fn is_late(&self) -> bool {
        self.until.is_some_and(|until| Instant::now() >= until)
    }

    /// A path in the workspace.
    pub(crate) fn path(&self, relative: impl AsRef<Path>) -> PathBuf {
        self.root.join(relative)
    }

    /// A path in the target directory.
    pub(crate) fn target(&self, relative: impl AsRef<Path>) -> PathBuf {
        self.target.join(relative)
    }

    /// A cargo command at the workspace's root.
    pub(crate) fn cargo<I: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = I>) -> Step {
        self.step("cargo", &self.cargo, args)
    }

    /// Any other command at the workspace's root.
    pub(crate) fn command<I: AsRef<OsStr>>(
        &self,
        program: impl AsRef<OsStr>,
        args: impl IntoIterator<Item = I>,
    ) -> Step {
        let program = program.as_ref();
        let name = Path::new(program).file_stem().unwrap_or(program).to_string_lossy();
        self.step(&name, program, args)
    }

    fn step<I: AsRef<OsStr>>(
        &self,
        name: &str,
        program: &OsStr,
        args: impl IntoIterator<Item = I>,
    ) -> Step {
        let mut command = Command::new(program);
        command.current_dir(&self.root).stdin(Stdio::null());
        Step { command, line: name.to_owned(), until: self.until }.args(args)
    }
}

/// One command of a lane.
pub(crate) struct Step {
    command: Command,
    line: String,
    until: Option<Instant>,
}

impl Step {
    pub(crate) fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        let arg = arg.as_ref();
        self.line.push(' ');
        self.line.push_str(&arg.to_string_lossy());
        self.command.arg(arg);
        self
    }

    pub(crate) fn args<I: AsRef<OsStr>>(self, args: impl IntoIterator<Item = I>) -> Self {
        args.into_iter().fold(self, Self::arg)
    }

    /// Shows this instead of the command.
    pub(crate) fn titled(mut self, line: &str) -> Self {
        line.clone_into(&mut self.line);
        self
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    pub(crate) fn env_remove(mut self, name: &str) -> Self {
        self.command.env_remove(name);
        self
    }

    pub(crate) fn current_dir(mut self, dir: &Path) -> Self {
        self.command.current_dir(dir);
        self
    }

    /// Prints the command and runs it, its output going where ours goes.
    pub(crate) fn run(mut self) -> Outcome {
        println!("$ {}", self.line);
        let status = match self.until {
            None => self.command.status().map_err(|error| self.not_started(&error))?,
            Some(until) => self.run_until(until)?,
        };
        if status.success() { Ok(()) } else { Err(format!("`{}` failed ({status})", self.line)) }
    }

    /// Ends the command and all that it has started, once it is late.
    fn run_until(&mut self, until: Instant) -> Outcome<ExitStatus> {
        in_a_group(&mut self.command);
        let mut child = self.command.spawn().map_err(|error| self.not_started(&error))?;
        loop {
            let ended = child.try_wait().map_err(|error| format!("`{}`: {error}", self.line))?;
            if let Some(status) = ended {
                return Ok(status);
            }
            if Instant::now() >= until {
                end_group(&mut child);
                return Err(format!("`{}` was ended: the time was up", self.line));
            }
            thread::sleep(LOOK_AGAIN);
        }
    }

    /// Runs the command without printing anything, and gives back what it wrote to stdout.
    pub(crate) fn read(mut self) -> Outcome<String> {
        let output = self.command.output().map_err(|error| self.not_started(&error))?;
        if output.status.success() {
            String::from_utf8(output.stdout)
                .map_err(|_| format!("`{}` wrote something other than UTF-8", self.line))
        } else {
            let why = String::from_utf8_lossy(&output.stderr);
            Err(format!("`{}` failed ({}): {}", self.line, output.status, why.trim()))
        }
    }

    /// Runs the command without printing anything, and gives back what it wrote to stderr.
    pub(crate) fn read_stderr(mut self) -> Outcome<String> {
        let output = self.command.output().map_err(|error| self.not_started(&error))?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        if output.status.success() {
            return Ok(said);
        }
        Err(format!("`{}` failed ({}): {}", self.line, output.status, said.trim()))
    }

    fn not_started(&self, error: &std::io::Error) -> String {
        format!("`{}` did not start: {error}", self.line)
    }
}

/// What the command starts is of one process group, which Ctrl-C at a terminal does not reach.
#[cfg(unix)]
fn in_a_group(command: &mut Command) {
    std::os::unix::process::CommandExt::process_group(command, 0);
}

#[cfg(not(unix))]
fn in_a_group(_: &mut Command) {}

fn end_group(child: &mut Child) {
    #[cfg(unix)]
    drop(Command::new("kill").args(["-KILL", "--", &format!("-{}", child.id())]).status());
    drop(child.kill());
    drop(child.wait());
}

pub(crate) fn read_file(path: &Path) -> Outcome<String> {
    fs::read_to_string(path).map_err(|error| format!("cannot read {}: {error}", path.display()))
}

pub(crate) fn create_dir(path: &Path) -> Outcome {
    fs::create_dir_all(path).map_err(|error| format!("cannot create {}: {error}", path.display()))
}

/// Removes a directory and all that is in it. One that isn't there is fine.
pub(crate) fn remove_dir(path: &Path) -> Outcome {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(format!("cannot remove {}: {error}", path.display()))
        }
        _ => Ok(()),
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn what_takes_too_long_is_ended_with_all_that_it_has_started() {
        let project = Project::find().unwrap().within(Some(Duration::from_millis(300)));
        let survived = env::temp_dir().join(format!("bulla-xtask-{}", std::process::id()));
        let script = format!("(sleep 2; touch {}) & wait", survived.display());
        let began = Instant::now();
        let error = project.command("sh", ["-c", &script]).run().unwrap_err();
        assert!(error.ends_with("the time was up"), "{error}");
        assert!(project.is_late() && began.elapsed() < Duration::from_secs(2));
        thread::sleep(Duration::from_secs(3));
        assert!(!survived.exists());
        let in_time = Project::find().unwrap().within(Some(Duration::from_secs(60)));
        assert_eq!(in_time.command("true", [""; 0]).run(), Ok(()));
        assert!(in_time.command("false", [""; 0]).run().is_err() && !in_time.is_late());
    }
}
