//! The engine's answers over sealed tables are those over plain ones, in one process and in a cluster, and whoever alters
//! a file is found out.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

use std::{
    fs,
    io::{BufRead as _, BufReader},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use bulla_lake::{QUERIES, TABLES, declare, plain, query, session, write};

const BIN: &str = env!("CARGO_BIN_EXE_bulla-lake");
const SCALE: f64 = 0.02;
const PARTS: i32 = 4;

/// A directory with keys, their configuration, and the tables both sealed and in plain.
struct World {
    dir: tempfile::TempDir,
}

impl World {
    async fn new() -> Self {
        let world = Self { dir: tempfile::tempdir().unwrap() };
        for dir in ["lake", "plain"] {
            fs::create_dir(world.path(dir)).unwrap();
        }
        let store = bulla_local::Store::at(world.path("keys"));
        for key in ["lake", "another"] {
            store
                .create_key(key, bulla_local::KeyType::Aes256, &bulla_local::Protection::None)
                .unwrap();
        }
        for key in ["lake", "another"] {
            let config = format!("[keys.lake]\nuri = \"local:{key}\"\n");
            fs::write(world.path(&format!("{key}.toml")), config).unwrap();
        }
        let (scale, parts) = (SCALE.to_string(), PARTS.to_string());
        said(world.command(&["write", "--scale", &scale, "--parts", &parts]));
        let session = session(plain(&world.path("plain")).unwrap()).unwrap();
        write(&session, SCALE, PARTS).await.unwrap();
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(BIN);
        command.arg("--store").arg(self.path("lake")).args(args);
        command.env("BULLA_HOME", self.path("keys")).env("BULLA_CONFIG", self.path("lake.toml"));
        command
    }

    /// What the engine says without encryption.
    async fn expected(&self, sql: &str) -> String {
        let session = session(plain(&self.path("plain")).unwrap()).unwrap();
        declare(&session).await.unwrap();
        format!("{}\n", query(&session, sql).await.unwrap())
    }
}

/// What a program says that succeeds.
fn said(mut command: Command) -> String {
    let output = command.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// What a program says that fails.
fn failed(mut command: Command) -> String {
    let output = command.output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(!output.status.success(), "{command:?}: {told}");
    assert!(told.is_empty(), "{told}");
    String::from_utf8(output.stderr).unwrap()
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let names = |table: &bulla_lake::Table| fs::read_dir(dir.join(table.name())).unwrap();
    let mut files: Vec<_> =
        TABLES.iter().flat_map(names).map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

#[tokio::test]
async fn sql_over_sealed_tables_says_what_it_says_over_plain_ones() {
    let world = World::new().await;
    let (sealed, plain) = (files(&world.path("lake")), files(&world.path("plain")));
    assert_eq!(sealed.len(), TABLES.len() * PARTS as usize);
    for (sealed, plain) in sealed.iter().zip(&plain) {
        let (sealed, plain) = (fs::read(sealed).unwrap(), fs::read(plain).unwrap());
        assert!(plain.starts_with(b"PAR1") && !sealed.starts_with(b"PAR1"));
        let is_told = |text: &[u8]| sealed.windows(text.len()).any(|window| window == text);
        assert!(!is_told(b"PAR1") && !is_told(b"ARROW:schema"));
    }
    for (name, sql) in QUERIES {
        let answer = said(world.command(&["query", sql]));
        assert_eq!(answer, world.expected(sql).await, "{name}");
        assert!(answer.lines().count() > 4, "{answer}");
    }
    // Numbers stand for queries.
    assert_eq!(said(world.command(&["query", "6"])), world.expected(QUERIES[2].1).await);

    let mut other = world.command(&["query", "6"]);
    other.env("BULLA_CONFIG", world.path("another.toml"));
    let error = failed(other);
    assert!(error.contains("none of these keys is configured here"), "{error}");

    // One file in the place of another of the same table, and a byte of a column.
    let at = |part: usize| world.path("lake").join(format!("lineitem/{part}.parquet"));
    let kept = fs::read(at(1)).unwrap();
    fs::copy(at(2), at(1)).unwrap();
    failed(world.command(&["query", "6"]));
    let mut altered = kept.clone();
    let middle = altered.len() / 2;
    altered[middle] ^= 1;
    fs::write(at(1), &altered).unwrap();
    failed(world.command(&["query", "all columns"]));
    fs::write(at(1), &kept[..kept.len() - 65_552]).unwrap();
    failed(world.command(&["query", "all columns"]));
    fs::write(at(1), &kept).unwrap();
    said(world.command(&["query", "all columns"]));
}

#[tokio::test]
async fn a_cluster_of_processes_says_the_same() {
    let world = World::new().await;
    let mut scheduler = world.command(&["scheduler", "--port", "0"]);
    let mut scheduler = Server::start(scheduler.stdout(Stdio::piped()));
    let mut line = String::new();
    let told = scheduler.0.stdout.take().unwrap();
    BufReader::new(told).read_line(&mut line).unwrap();
    let port = line.trim().strip_prefix("scheduler on 127.0.0.1:").unwrap().to_owned();

    let executors: Vec<_> = ["one", "two"]
        .map(|name| {
            let [flight, grpc] = free_ports();
            let work_dir = world.path(name);
            fs::create_dir(&work_dir).unwrap();
            let args = ["executor", "--scheduler", &port, "--port", &flight, "--grpc-port", &grpc];
            let mut command = world.command(&args);
            command.arg("--work-dir").arg(&work_dir);
            (Server::start(&mut command), flight, work_dir)
        })
        .into();
    for (_, flight, _) in &executors {
        until_answered(flight);
    }

    for (name, sql) in QUERIES {
        let answer = said(world.command(&["query", sql, "--scheduler", &port]));
        assert_eq!(answer, world.expected(sql).await, "{name}");
    }
    // What passes between stages went through the executors' directories.
    for (_, _, work_dir) in &executors {
        assert!(fs::read_dir(work_dir).unwrap().next().is_some(), "{work_dir:?} was not used");
    }

    // Who has no key gets nothing by way of a cluster that has it: tables are declared by their footers.
    let mut other = world.command(&["query", "6", "--scheduler", &port]);
    other.env("BULLA_CONFIG", world.path("another.toml"));
    failed(other);

    let at = |part: usize| world.path("lake").join(format!("lineitem/{part}.parquet"));
    fs::copy(at(2), at(1)).unwrap();
    failed(world.command(&["query", "6", "--scheduler", &port]));
}

/// A process that ends with the test.
struct Server(Child);

impl Server {
    fn start(command: &mut Command) -> Self {
        Self(command.spawn().unwrap())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Ballista binds by number, so they are looked for first.
fn free_ports() -> [String; 2] {
    let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    listeners.map(|listener| listener.local_addr().unwrap().port().to_string())
}

fn until_answered(port: &str) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while std::net::TcpStream::connect(format!("127.0.0.1:{port}")).is_err() {
        assert!(Instant::now() < deadline, "nobody answers on port {port}");
        thread::sleep(Duration::from_millis(50));
    }
}
