//! The command with keys in a Cloud KMS by the book.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test that can't go on has failed"
)]

#[path = "cli/sandbox.rs"]
mod sandbox;

use std::process::Command;

use bulla_testworld::CloudKms;
use sandbox::{Ended, Sandbox, end};
use serde_json::{Value, json};

struct World {
    sandbox: Sandbox,
    kms: CloudKms,
    seals: String,
    signs: String,
}

impl World {
    fn new() -> Option<Self> {
        let kms = CloudKms::start()?;
        let seals = kms.sealing_key("orders");
        let signs = kms.signing_key("tokens", "EC_SIGN_P256_SHA256");
        let sandbox = Sandbox::new();
        // A user's credentials, as gcloud writes them.
        kms.principal(&json!({"subject": "refresh"}));
        let credentials = json!({
            "type": "authorized_user", "client_id": "c", "client_secret": "s",
            "refresh_token": "refresh", "token_uri": format!("{}/oauth/token", kms.url()),
        });
        sandbox.write("adc.json", credentials.to_string());
        Some(Self { sandbox, kms, seals, signs })
    }

    /// A key's URI on this server.
    fn uri(&self, key: &str) -> String {
        format!("gcpkms://{key}?endpoint={}", self.kms.url())
    }

    /// The command where nothing says who it is.
    fn bare(&self, args: &str) -> Command {
        let mut command = self.sandbox.bulla();
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy().into_owned();
            if ["GOOGLE_", "GCE_", "CLOUDSDK_"].iter().any(|prefix| name.starts_with(prefix)) {
                command.env_remove(name);
            }
        }
        command.env("HOME", self.sandbox.work()).args(args.split_whitespace());
        command
    }

    fn command(&self, args: &str) -> Command {
        let mut command = self.bare(args);
        command.env("GOOGLE_APPLICATION_CREDENTIALS", self.sandbox.path("adc.json"));
        command
    }

    fn run(&self, args: &str) -> Ended {
        end(&mut self.command(args))
    }

    fn ok(&self, args: &str) -> String {
        let ended = self.run(args);
        assert_eq!(ended.code, Some(0), "{args}: {}", ended.stderr);
        String::from_utf8(ended.stdout).unwrap()
    }
}

#[test]
fn seals_and_opens_by_uri() {
    let Some(world) = World::new() else { return };
    world.sandbox.write("a", "secret");
    let key = world.uri(&world.seals);
    world.ok(&format!("encrypt a --key {key} --context tenant=acme"));
    let shown = world.ok("inspect a.bulla");
    let record = format!("gcpkms:{} version 1, wrap native, ", world.seals);
    assert!(shown.contains(&record), "{shown}");
    world.ok(&format!("decrypt a.bulla -o b --key {key} --context tenant=acme"));
    assert_eq!(world.sandbox.read("b"), b"secret");
    world
        .run(&format!("decrypt a.bulla -o c --key {key} --context tenant=evil"))
        .expect(3, "context mismatch");
    let gone = world.uri(&world.seals.replace("orders", "gone"));
    world.run(&format!("encrypt a -o c --key {gone}")).expect(1, "key not found");
    let signs = world.uri(&world.signs);
    let sealed = world.run(&format!("encrypt a -o c --key {signs}"));
    assert_ne!(sealed.code, Some(0), "{}", sealed.stderr);
    world.kms.set_state(&world.seals, 1, "DISABLED");
    world.run(&format!("encrypt a -o c --key {key}")).expect(1, "enable it");
    assert!(!world.sandbox.names().contains(&"c".to_owned()));
}

#[test]
fn keys_of_the_configuration_are_looked_at_by_doctor() {
    let Some(world) = World::new() else { return };
    world.sandbox.configure(&format!(
        "default = \"orders\"\n[keys.orders]\nuri = {:?}\n[keys.tokens]\nuri = {:?}\n",
        world.uri(&world.seals),
        world.uri(&world.signs)
    ));
    world.sandbox.write("a", "secret");
    world.ok("encrypt a");
    world.ok("decrypt a.bulla -o b");
    let told = world.ok("doctor");
    for text in [
        "ok    key orders: GOOGLE_SYMMETRIC_ENCRYPTION, active, version 1, seals (context bound), \
         direct up to 65536 bytes",
        "ok    key tokens: EC_SIGN_P256_SHA256, active, version 1, signs ES256",
    ] {
        assert!(told.contains(text), "{text:?} is not in {told}");
    }
    world.kms.rotate(&world.seals);
    world.ok("rewrap a.bulla --add orders");
    world.kms.set_state(&world.seals, 1, "DISABLED");
    world.ok("decrypt a.bulla -o c");
    world.kms.set_state(&world.seals, 2, "DESTROY_SCHEDULED");
    let ended = world.run("doctor");
    assert_ne!(ended.code, Some(0));
    let told = String::from_utf8(ended.stdout).unwrap() + &ended.stderr;
    assert!(told.contains("scheduled for destruction"), "{told}");
}

#[test]
fn credentials_are_found_where_all_of_googles_clients_find_them() {
    let Some(world) = World::new() else { return };
    world.sandbox.write("a", "secret");
    let args = |to: &str| format!("encrypt a -o {to} --key {}", world.uri(&world.seals));
    // The file that gcloud writes.
    let dir = world.sandbox.path(".config/gcloud");
    std::fs::create_dir_all(&dir).unwrap();
    let well_known = dir.join("application_default_credentials.json");
    std::fs::write(&well_known, world.sandbox.read("adc.json")).unwrap();
    let ended = end(&mut world.bare(&args("b")));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    std::fs::remove_file(well_known).unwrap();
    // The metadata server.
    world.kms.principal(&json!({"metadata": true}));
    let metadata = format!("127.0.0.1:{}", world.kms.port());
    let ended = end(world.bare(&args("c")).env("GCE_METADATA_HOST", metadata));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    // What is named and is not there is not passed over.
    let mut command = world.bare(&args("d"));
    end(command.env("GOOGLE_APPLICATION_CREDENTIALS", "/no/such/file")).expect(2, "can't be read");
    world.sandbox.write("adc.json", r#"{"type":"authorized_user","client_id":"c","client_secret":"s","refresh_token":"revoked","token_uri":"URL/oauth/token"}"#.replace("URL", &world.kms.url()));
    let ended = world.run(&args("d"));
    ended.expect(1, "no token could be had");
    assert!(!ended.stderr.contains("revoked"), "{}", ended.stderr);
}

/// A new version shows as one more in the set, and what was signed before verifies.
#[test]
fn signs_tokens_and_publishes_every_version() {
    let Some(world) = World::new() else { return };
    let key = world.uri(&world.signs);
    let kids = || -> Vec<String> {
        let set: Value = serde_json::from_str(&world.ok(&format!("jwks --key {key}"))).unwrap();
        let keys = set["keys"].as_array().unwrap();
        keys.iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
    };
    let first = kids();
    assert_eq!(first.len(), 1);
    let sign = format!("token sign --key {key} --iss me --aud you");
    world.sandbox.write("old", world.ok(&sign));
    world.kms.new_version(&world.signs);
    let both = kids();
    assert!(both.len() == 2 && both.contains(&first[0]), "{both:?}");
    world.sandbox.write("new", world.ok(&sign));
    for token in ["old", "new"] {
        world.ok(&format!("token verify {token} --key {key} --iss me --aud you"));
    }
}
