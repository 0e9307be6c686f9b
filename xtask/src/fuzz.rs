//! Fuzz targets, built with the stable toolchain and run for a while each.

use std::{
    ffi::OsStr,
    fs,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Instant,
};

use crate::{
    lanes::Level,
    project::{Outcome, Project, create_dir},
};

/// What cargo-fuzz asks of the compiler for coverage, less what needs a nightly one (sanitizers).
const RUSTFLAGS: &str = "--cfg fuzzing -Cpasses=sancov-module \
    -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares \
    -Ccodegen-units=1";

/// How long the lane fuzzes each target: by default enough to see that it runs, and for a release
/// longer.
const SECONDS: u32 = 5;
const SECONDS_FOR_ALL: u32 = 60;

/// Longer inputs find no more, and slow the search down.
const MAX_LEN: u32 = 1 << 17;

pub(crate) fn lane(project: &Project, level: Level) -> Outcome {
    run(project, if level == Level::All { SECONDS_FOR_ALL } else { SECONDS }, &[])
}

/// Fuzzes the targets named, or all of them.
pub(crate) fn run(project: &Project, seconds: u32, only: &[String]) -> Outcome {
    let all = targets(project)?;
    if let Some(unknown) = only.iter().find(|name| !all.contains(name)) {
        return Err(format!("there is no fuzz target {unknown}; there are {}", all.join(", ")));
    }
    let host = host(project)?;
    build(project, &host)?;
    let wanted: Vec<_> = all.iter().filter(|name| only.is_empty() || only.contains(name)).collect();
    let mut failed = Vec::new();
    for (name, result) in fuzz_all(project, &host, &wanted, seconds) {
        match result {
            Ok((executions, took)) => {
                println!("{name:<12}{executions:>14} executions in {took} s");
            }
            Err(error) => {
                eprintln!("{error}");
                failed.push(name);
            }
        }
    }
    if failed.is_empty() { Ok(()) } else { Err(format!("found by fuzzing: {}", failed.join(", "))) }
}

/// As many at the same time as there are processors.
fn fuzz_all<'a>(
    project: &Project,
    host: &str,
    wanted: &[&'a String],
    seconds: u32,
) -> Vec<(&'a str, Outcome<(u64, u64)>)> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::new());
    let width = thread::available_parallelism().map_or(1, usize::from).min(wanted.len());
    thread::scope(|scope| {
        for _ in 0..width {
            scope.spawn(|| {
                while let Some(name) = wanted.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let began = Instant::now();
                    let result = fuzz(project, host, name, seconds);
                    let result = result.map(|n| (n, began.elapsed().as_secs()));
                    done.lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .push((name.as_str(), result));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(name, _)| *name);
    done
}

fn targets(project: &Project) -> Outcome<Vec<String>> {
    let dir = project.path("fuzz/fuzz_targets");
    let entries =
        fs::read_dir(&dir).map_err(|error| format!("cannot read {}: {error}", dir.display()))?;
    let mut names: Vec<_> = entries
        .flatten()
        .filter(|entry| entry.path().extension() == Some(OsStr::new("rs")))
        .filter_map(|entry| Some(entry.path().file_stem()?.to_str()?.to_owned()))
        .collect();
    names.sort();
    Ok(names)
}

/// The toolchain's own target. It is named to cargo, so that the flags are not for build scripts.
fn host(project: &Project) -> Outcome<String> {
    let version = project.command("rustc", ["-vV"]).read()?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).ok_or_else(|| "rustc does not tell its host".to_owned())
}

fn build(project: &Project, host: &str) -> Outcome {
    let args = ["build", "--release", "--bins", "--manifest-path", "fuzz/Cargo.toml", "--target"];
    project
        .cargo(args)
        .arg(host)
        .arg("--target-dir")
        .arg(project.target("fuzz"))
        .env("RUSTFLAGS", RUSTFLAGS)
        .env("CARGO_INCREMENTAL", "0")
        .titled("cargo build --bins (in fuzz/, with coverage)")
        .run()
}

/// Runs one target, and gives back how often.
fn fuzz(project: &Project, host: &str, name: &str, seconds: u32) -> Outcome<u64> {
    let corpus = project.target("fuzz/corpus").join(name);
    let found = project.target("fuzz/found");
    create_dir(&corpus)?;
    create_dir(&found)?;
    println!("$ {name}, {seconds} s");
    let binary = project.target("fuzz").join(host).join("release").join(name);
    let said = project
        .command(binary, [format!("-max_total_time={seconds}"), format!("-max_len={MAX_LEN}")])
        .arg("-print_final_stats=1")
        .arg("-verbosity=0")
        .arg("-timeout=25")
        .arg(format!("-artifact_prefix={}/{name}-", found.display()))
        .arg(&corpus)
        .arg(project.path("fuzz/corpus").join(name))
        .read_stderr()?;
    let executions = said
        .lines()
        .find_map(|line| line.strip_prefix("stat::number_of_executed_units:")?.trim().parse().ok());
    executions.filter(|n| *n > 0).ok_or_else(|| format!("{name} executed nothing: {said}"))
}
