//! Tools that lanes need beyond the Rust toolchain. What can be installed goes below the target
//! directory, once.

use std::{
    env::consts::EXE_SUFFIX,
    fs,
    path::{Path, PathBuf},
};

use crate::project::{Outcome, Project, create_dir, read_file, remove_dir};

const CARGO_DENY_VERSION: &str = "0.20.2";

/// Whether cargo-nextest is there. Without it, `cargo test` runs the tests.
pub(crate) fn has_nextest(project: &Project) -> bool {
    project.cargo(["nextest", "--version"]).read().is_ok()
}

/// The pinned cargo-deny, built first if it's missing.
pub(crate) fn cargo_deny(project: &Project) -> Outcome<PathBuf> {
    let root = project.target("tools");
    let installed = root.join(format!("bin/cargo-deny{EXE_SUFFIX}"));
    for candidate in [&installed, Path::new("cargo-deny")] {
        if is_wanted_cargo_deny(project, candidate) {
            return Ok(candidate.to_path_buf());
        }
    }

    // Unoptimised: it builds in a fraction of the time, and runs for a second or two.
    let package = format!("cargo-deny@{CARGO_DENY_VERSION}");
    let build = project.target("tools-build");
    project
        .cargo(["install", "--locked", "--debug", "--force", &package, "--root"])
        .arg(&root)
        .env("CARGO_TARGET_DIR", &build)
        .env("CARGO_INCREMENTAL", "0")
        .env("CARGO_PROFILE_DEV_DEBUG", "0")
        .run()
        .map_err(|error| {
            format!(
                "{error}. Installing it needs crates.io; a cargo-deny {CARGO_DENY_VERSION} on the \
                 PATH does as well"
            )
        })?;
    remove_dir(&build)?;
    Ok(installed)
}

fn is_wanted_cargo_deny(project: &Project, binary: &Path) -> bool {
    let version = project.command(binary, ["--version"]).read();
    version.is_ok_and(|version| version.trim().ends_with(&format!(" {CARGO_DENY_VERSION}")))
}

/// A Python that has what a file of requirements lists, in a virtual environment of its own. It is
/// built anew when the requirements change.
pub(crate) fn python(project: &Project, name: &str, requirements: &str) -> Outcome<PathBuf> {
    let venv = project.target(format!("testworld/{name}"));
    let python = venv.join(if cfg!(windows) { "Scripts/python.exe" } else { "bin/python" });
    let path = project.path(requirements);
    let wanted = read_file(&path)?;
    let stamp = venv.join("requirements.stamp");
    let runs = || project.command(&python, ["--version"]).read().is_ok();
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) && runs() {
        return Ok(python);
    }

    remove_dir(&venv)?;
    create_dir(&project.target("testworld"))?;
    project.command("python3", ["-m", "venv"]).arg(&venv).run().map_err(|error| {
        format!("{error}. Install Python 3 with its venv module (Debian: python3-venv)")
    })?;
    let install = ["-m", "pip", "install", "--quiet", "--no-input", "--requirement"];
    project.command(&python, install).arg(&path).run().map_err(|error| {
        format!("{error}. Installing {requirements} needs a Python package index")
    })?;
    fs::write(&stamp, wanted)
        .map_err(|error| format!("cannot write {}: {error}", stamp.display()))?;
    Ok(python)
}

/// The packages of `testworld/node/NAME`, as its lock file has them. No script of theirs is run.
pub(crate) fn node(project: &Project, name: &str) -> Outcome<PathBuf> {
    let from = project.path(format!("testworld/node/{name}"));
    let dir = project.target(format!("testworld/{name}-node"));
    let stamp = dir.join("installed.stamp");
    let lock = read_file(&from.join("package-lock.json"))?;
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == lock) {
        return Ok(dir);
    }
    remove_dir(&dir)?;
    create_dir(&dir)?;
    for file in ["package.json", "package-lock.json"] {
        let text = read_file(&from.join(file))?;
        fs::write(dir.join(file), text).map_err(|error| format!("cannot write {file}: {error}"))?;
    }
    let install = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"];
    project.command("npm", install).current_dir(&dir).run().map_err(|error| {
        format!("{error}. The lane needs Node.js 20 or newer with npm, and a package registry")
    })?;
    fs::write(&stamp, lock)
        .map_err(|error| format!("cannot write {}: {error}", stamp.display()))?;
    Ok(dir)
}

/// A directory with the programs of a Go module: its own, and those that it names as tools. Go checks what it
/// downloads by the module's `go.sum`, and builds anew what has changed.
pub(crate) fn go(project: &Project, name: &str) -> Outcome<PathBuf> {
    go_programs(project, name, "0")
}

/// The same where something of it is written in C: it takes a C compiler too.
pub(crate) fn go_and_c(project: &Project, name: &str) -> Outcome<PathBuf> {
    project.command("cc", ["--version"]).read().map_err(|error| {
        format!("{error}. Install a C compiler (Debian: gcc, libc6-dev): {name} is built by it")
    })?;
    go_programs(project, name, "1")
}

fn go_programs(project: &Project, name: &str, cgo: &str) -> Outcome<PathBuf> {
    let dir = project.path(format!("testworld/{name}"));
    let programs = project.target(format!("testworld/{name}/bin"));
    let shared = project.target("testworld/go");
    project.command("go", ["version"]).read().map_err(|error| {
        format!("{error}. Install Go (https://go.dev/doc/install): the servers of {name} are built by it")
    })?;
    let tools = read_file(&dir.join("go.mod"))?.lines().any(|line| line.starts_with("tool"));
    // A cache that is not read-only can be removed as all of the target directory is; a newer Go than is
    // there is not fetched unasked.
    project
        .command("go", ["install", "./..."])
        .args(tools.then_some("tool"))
        .current_dir(&dir)
        .env("GOBIN", &programs)
        .env("GOPATH", &shared)
        .env("GOMODCACHE", shared.join("mod"))
        .env("GOCACHE", shared.join("cache"))
        .env("GOFLAGS", "-modcacherw -mod=readonly -buildvcs=false -ldflags=-s")
        .env("GOTOOLCHAIN", "local")
        .env("GOWORK", "off")
        .env("CGO_ENABLED", cgo)
        .run()
        .map_err(|error| format!("{error}. Building testworld/{name} needs a Go module proxy"))?;
    Ok(programs)
}

/// A directory with what Debian packages hold, unpacked and not installed: that takes no root. What they
/// depend on must be on the system.
pub(crate) fn debian(project: &Project, name: &str, packages: &[String]) -> Outcome<PathBuf> {
    let root = project.target(format!("testworld/{name}"));
    let stamp = root.join("packages.stamp");
    let wanted = packages.join("\n");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(root);
    }
    remove_dir(&root)?;
    create_dir(&root)?;
    // Lists and state of its own: the system's may be old or absent, and are root's to renew.
    let state = root.join("apt");
    for dir in ["lists/partial", "archives/partial"] {
        create_dir(&state.join(dir))?;
    }
    let setting = |name: &str, value: &Path| format!("{name}={}", value.display());
    let settings = [
        setting("Dir::State::lists", &state.join("lists")),
        setting("Dir::Cache", &state),
        "APT::Sandbox::User=".to_owned(),
    ];
    let apt = |task: &str| {
        let command = project.command("apt-get", ["--quiet=2"]);
        let command =
            settings.iter().fold(command, |command, setting| command.args(["-o", setting]));
        command.arg(task).current_dir(&root)
    };
    apt("update").run().and_then(|()| apt("download").args(packages).run()).map_err(|error| {
        format!("{error}. Unpacking {} needs Debian's packages", packages.join(" and "))
    })?;
    let entries = fs::read_dir(&root).map_err(|error| error.to_string())?;
    for archive in entries.flatten().map(|entry| entry.path()) {
        if archive.extension().is_some_and(|extension| extension == "deb") {
            project.command("dpkg-deb", ["-x"]).arg(&archive).arg(&root).run()?;
        }
    }
    fs::write(&stamp, wanted)
        .map_err(|error| format!("cannot write {}: {error}", stamp.display()))?;
    Ok(root)
}
