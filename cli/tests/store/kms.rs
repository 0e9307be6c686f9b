//! A rotation away from AWS KMS, as MiniStack plays it, which goes out in the middle.

use std::{
    process::Stdio,
    thread,
    time::{Duration, Instant},
};

use bulla_testworld::{Counter, Ministack, Python, kms};

use crate::{
    files::Objects,
    sandbox::{end, ended},
};

#[test]
fn an_outage_of_the_keys_ends_the_run_and_the_next_goes_on() {
    const OBJECTS: usize = 60;
    let Some(python) = Python::for_aws() else { return };
    let server = Ministack::start(&python, false);
    let counter = Counter::start(server.port());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let arn = runtime.block_on(kms::symmetric(&server.url()));
    let objects = Objects::new();
    let key = format!("awskms:///{arn}?endpoint={}", counter.url());
    let command = |args: &str| {
        let mut command = objects.sandbox.bulla();
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("AWS_") {
                command.env_remove(name);
            }
        }
        command.env("AWS_EC2_METADATA_DISABLED", "true").env("HOME", objects.sandbox.home());
        command.env("AWS_ACCESS_KEY_ID", "test").env("AWS_SECRET_ACCESS_KEY", "test");
        command.args(args.split_whitespace());
        command
    };
    objects.sandbox.write("in", "text");
    let sealed = end(&mut command(&format!("encrypt in -o sealed --key {key}")));
    assert_eq!(sealed.code, Some(0), "{sealed:?}");
    for n in 0..OBJECTS {
        objects.sandbox.write(&format!("objects/{n}"), objects.sandbox.read("sealed"));
    }
    let rewrap = format!("store rewrap --from {key} --to local:new {} --json", objects.url);
    let before = counter.count("Decrypt");
    let mut running = command(&format!("{rewrap} --rate 20"));
    let child = running.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let started = Instant::now();
    while counter.count("Decrypt") < before + 10 {
        assert!(started.elapsed() < Duration::from_secs(20), "it does not begin");
        thread::sleep(Duration::from_millis(5));
    }
    counter.set_down(true);
    let out = ended(child);
    out.expect(4, "one object after the other failed");
    out.expect(4, "run the same again to go on");
    let report: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
    let first = report["rewrapped"].as_u64().unwrap();
    assert!((9..OBJECTS as u64).contains(&first), "{report}");
    assert_eq!(report["complete"], false);

    counter.set_down(false);
    let out = end(&mut command(&rewrap));
    assert_eq!(out.code, Some(0), "{out:?}");
    let report: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!(report["rewrapped"].as_u64().unwrap() + first, OBJECTS as u64, "{report}");

    // Its name as an audit shows it is enough, and nobody is asked.
    counter.set_down(true);
    let shown =
        command(&format!("store rewrap --from awskms:{arn} --to local:new {}", objects.url));
    let out = end(&mut { shown });
    assert_eq!(out.code, Some(0), "{out:?}");
    assert!(String::from_utf8(out.stdout).unwrap().contains("60 as they shall be already"));
}
