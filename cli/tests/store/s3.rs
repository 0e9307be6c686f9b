//! The command on S3, played by MiniStack.

use std::{
    process::{Command, Stdio},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use bulla_testworld::{Ministack, Python, Watch};
use rustix::process::{Pid, Signal, kill_process};

use crate::sandbox::{Ended, Sandbox, end, ended, noise};

struct World {
    sandbox: Sandbox,
    server: Ministack,
    watch: Watch,
}

impl World {
    fn new(tell: impl Fn(&str) + Send + Sync + 'static) -> Option<Self> {
        let server = Ministack::s3(&Python::for_aws()?);
        server.make_bucket("bucket");
        let watch = Watch::start(server.port(), tell);
        let sandbox = Sandbox::new();
        for key in ["old", "new"] {
            sandbox.ok(&format!("keys create {key}"));
        }
        Some(Self { sandbox, server, watch })
    }

    fn command(&self, args: &str) -> Command {
        let mut command = self.sandbox.bulla();
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("AWS_") {
                command.env_remove(name);
            }
        }
        command.env("AWS_EC2_METADATA_DISABLED", "true").env("AWS_REGION", "us-east-1");
        command.env("AWS_ACCESS_KEY_ID", "test").env("AWS_SECRET_ACCESS_KEY", "test");
        command.env("AWS_ENDPOINT", self.watch.url()).arg("store");
        command.args(args.split_whitespace());
        command
    }

    fn run(&self, args: &str) -> Ended {
        end(&mut self.command(args))
    }

    fn ok(&self, args: &str) -> Vec<u8> {
        let ended = self.run(&format!("{args} --allow-http"));
        assert_eq!(ended.code, Some(0), "{args}: {}", ended.stderr);
        ended.stdout
    }

    fn uploads(&self) -> usize {
        self.server.get("/bucket?uploads").unwrap_or_default().matches("<UploadId>").count()
    }
}

#[test]
fn objects_are_put_listed_audited_rewrapped_and_got() {
    let Some(world) = World::new(|_| {}) else { return };
    let large = noise(20 << 20);
    world.sandbox.write("small", "text");
    world.sandbox.write("large", &large);
    world.ok("put small s3://bucket/dir/small --key local:old");
    world.ok("put large s3://bucket/dir/large --key local:old");
    world.sandbox.run("keys show old");
    let listed = String::from_utf8(world.ok("ls s3://bucket/dir")).unwrap();
    assert!(listed.contains(&format!("{:>15}          dir/large", 20 << 20)), "{listed}");
    let audit = String::from_utf8(world.ok("audit s3://bucket --format csv")).unwrap();
    assert_eq!(audit.lines().count(), 3, "{audit}");

    world.watch.forget();
    let due = String::from_utf8(
        world.ok("rewrap --from local:old --to local:new s3://bucket/dir --dry-run"),
    );
    assert!(due.unwrap().contains("2 due"));
    assert_eq!(world.watch.count("PUT ") + world.watch.count("POST "), 0);
    let done = world.ok("rewrap --from local:old --to local:new s3://bucket/dir --json");
    let done: serde_json::Value = serde_json::from_slice(&done).unwrap();
    assert_eq!(done["rewrapped"], 2);
    // Of the large one, only its beginning passed through here.
    assert!(done["bytes_through"].as_u64().unwrap() < 6 << 20, "{done}");
    world.sandbox.ok("keys disable old");
    assert!(world.ok("cat s3://bucket/dir/large") == large);
    assert_eq!(world.ok("cat s3://bucket/dir/small"), b"text");
    let range = world.ok("cat s3://bucket/dir/large --range 10000000..10000010");
    assert_eq!(range, large[10_000_000..10_000_010]);
    assert_eq!(world.uploads(), 0);
}

#[test]
fn mistakes_are_told_clearly() {
    let Some(world) = World::new(|_| {}) else { return };
    world.run("ls s3://bucket").expect(2, "this endpoint is without TLS");
    world.run("ls s3://bucket").expect(2, "hint: --allow-http allows it");
    let missing = world.run("ls s3://none --allow-http");
    missing
        .expect(1, "s3://none: the store says NoSuchBucket: The specified bucket does not exist");
    world.run("cat s3://bucket/none --allow-http").expect(1, "there is no such object");
    let mut command = world.command("ls s3://bucket --allow-http");
    command.env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY");
    end(&mut command).expect(1, "no AWS credentials were found; set AWS_ACCESS_KEY_ID");
    let mut command = world.command("ls s3://bucket --allow-http");
    command.env_remove("AWS_SECRET_ACCESS_KEY");
    let half = end(&mut command);
    assert_eq!(half.code, Some(1), "{half:?}");
    assert!(
        half.stderr.contains("Missing SecretAccessKey") && !half.stderr.contains('\t'),
        "{half:?}"
    );
    // The empty bucket is no mistake, and is told.
    let empty = world.run("rewrap --to local:new s3://bucket/none --allow-http");
    empty.expect(0, "");
    assert_eq!(String::from_utf8(empty.stdout).unwrap(), "0 objects: 0 rewrapped\n");
}

/// The server goes away for good: the end comes within the time that somebody waits.
#[test]
fn a_store_that_is_out_is_told() {
    let Some(mut world) = World::new(|_| {}) else { return };
    world.server.kill();
    let started = Instant::now();
    let ended = world.run("audit s3://bucket --allow-http");
    ended.expect(1, "s3://bucket: ");
    assert!(started.elapsed() < Duration::from_secs(60));
}

/// Waits for what comes soon.
fn wait(mut look: impl FnMut() -> bool) {
    let started = Instant::now();
    while !look() {
        assert!(started.elapsed() < Duration::from_secs(20), "it did not come");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn an_interrupted_upload_is_aborted() {
    let slow = |line: &str| {
        if line.contains("partNumber=2") {
            std::thread::sleep(Duration::from_secs(2));
        }
    };
    let Some(world) = World::new(slow) else { return };
    world.sandbox.write("large", noise(40 << 20));
    let args = "put large s3://bucket/large --key local:old --allow-http";
    let mut command = world.sandbox.program(std::path::Path::new("env"));
    let inner = world.command(args);
    command.args(["--default-signal", crate::sandbox::BULLA]).args(inner.get_args());
    for (name, value) in inner.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    wait(|| world.watch.lines().iter().any(|line| line.contains("partNumber=2")));
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    kill_process(pid, Signal::INT).unwrap();
    ended(child).expect(130, "interrupted");
    assert_eq!(world.uploads(), 0);
    world.run("cat s3://bucket/large --allow-http").expect(1, "there is no such object");
}

/// Killed again and again, with what is put counted at the store.
#[test]
fn killed_five_times_nothing_is_put_twice() {
    const OBJECTS: usize = 400;
    let puts: Arc<Mutex<usize>> = Arc::default();
    let seen = Arc::clone(&puts);
    let tell = move |line: &str| *seen.lock().unwrap() += usize::from(line.starts_with("PUT "));
    let Some(world) = World::new(tell) else { return };
    world.sandbox.write("text", "text");
    world.sandbox.ok("encrypt text -o sealed --key local:old");
    let sealed = world.sandbox.read("sealed");
    let store = object_store::aws::AmazonS3Builder::new()
        .with_bucket_name("bucket")
        .with_endpoint(world.server.url())
        .with_allow_http(true)
        .with_access_key_id("test")
        .with_secret_access_key("test")
        .build()
        .unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for n in 0..OBJECTS {
        let path = object_store::path::Path::from(format!("dir/{n}"));
        let put = object_store::ObjectStoreExt::put(&store, &path, sealed.clone().into());
        runtime.block_on(put).unwrap();
    }
    let args =
        "rewrap --from local:old --to local:new s3://bucket/dir --allow-http --concurrency 4";
    let mut random = fastrand::Rng::with_seed(31);
    for _ in 0..5 {
        let goal = *puts.lock().unwrap() + random.usize(5..OBJECTS / 8);
        let mut command = world.command(args);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        wait(|| *puts.lock().unwrap() >= goal);
        assert!(child.try_wait().unwrap().is_none(), "it ended too soon");
        child.kill().unwrap();
        child.wait().unwrap();
    }
    world.ok("rewrap --from local:old --to local:new s3://bucket/dir");
    let audit = String::from_utf8(world.ok("audit s3://bucket/dir --summary")).unwrap();
    assert!(audit.contains(&format!("\n{OBJECTS:>10}  ")), "{audit}");
    // Each object once, but for those whose request was under way when the run was killed and did not
    // arrive; and what each run puts to see whether conditions are heeded.
    let mut put: Vec<_> = world.watch.lines();
    put.retain(|line| line.starts_with("PUT /bucket/dir/"));
    let all = put.len();
    put.sort();
    put.dedup();
    assert_eq!(put.len(), OBJECTS);
    assert!(all <= OBJECTS + 5 * 4, "{all}");
    for run in 0..2 {
        let before = *puts.lock().unwrap();
        world.ok("rewrap --from local:old --to local:new s3://bucket/dir");
        assert_eq!(*puts.lock().unwrap(), before, "{run}");
    }
}
