//! The command with keys in AWS KMS, played by MiniStack.
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

use aws_sdk_kms::{
    Client, Config,
    config::{BehaviorVersion, Credentials, Region},
    types::{KeySpec, KeyUsageType},
};
use bulla_testworld::{Counter, Ministack, Python};
use sandbox::{Ended, Sandbox, end};

struct World {
    sandbox: Sandbox,
    server: Ministack,
    counter: Counter,
    /// The ARN behind `alias/orders`.
    arn: String,
}

impl World {
    fn new() -> Option<Self> {
        let server = Ministack::start(&Python::for_aws()?, false);
        let counter = Counter::start(server.port());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let arn = runtime.block_on(make_keys(&server.url()));
        Some(Self { sandbox: Sandbox::new(), server, counter, arn })
    }

    /// Credentials, and nothing else of whoever runs this.
    fn command(&self, args: &str) -> Command {
        let mut command = self.sandbox.bulla();
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("AWS_") {
                command.env_remove(name);
            }
        }
        command.env("HOME", self.sandbox.home()).env("AWS_EC2_METADATA_DISABLED", "true");
        command.env("AWS_ACCESS_KEY_ID", "test").env("AWS_SECRET_ACCESS_KEY", "test");
        command.args(args.split_whitespace());
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

    /// The URI of a key, by its alias.
    fn key(&self, alias: &str) -> String {
        format!("awskms:///alias/{alias}?region=eu-west-1&endpoint={}", self.counter.url())
    }
}

async fn make_keys(url: &str) -> String {
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-west-1"))
        .endpoint_url(url)
        .credentials_provider(Credentials::new("test", "test", None, None, "test"));
    let client = Client::from_conf(config.build());
    let mut arns = Vec::new();
    for (alias, spec, usage) in [
        ("alias/orders", KeySpec::SymmetricDefault, KeyUsageType::EncryptDecrypt),
        ("alias/other", KeySpec::SymmetricDefault, KeyUsageType::EncryptDecrypt),
        ("alias/tokens", KeySpec::EccNistP256, KeyUsageType::SignVerify),
    ] {
        let made = client.create_key().key_spec(spec).key_usage(usage).send().await.unwrap();
        let arn = made.key_metadata.unwrap().arn.unwrap();
        client.create_alias().alias_name(alias).target_key_id(&arn).send().await.unwrap();
        arns.push(arn);
    }
    arns.swap_remove(0)
}

#[test]
fn seals_and_opens_by_uri() {
    let Some(world) = World::new() else { return };
    let key = world.key("orders");
    world.sandbox.write("a", "secret");
    world.ok(&format!("encrypt a --key {key} --context tenant=acme"));
    let shown = world.ok("inspect a.bulla");
    assert!(shown.contains(&format!("awskms:{}, wrap native", world.arn)), "{shown}");
    let options = format!("--key {key} --context tenant=acme");
    world.ok(&format!("decrypt a.bulla -o b {options}"));
    assert_eq!(world.sandbox.read("b"), b"secret");
    assert!(world.ok(&format!("verify a.bulla {options}")).contains("6 bytes"));
    // Without the key there is nobody to ask.
    let ended = world.run("decrypt a.bulla -o c --context tenant=acme");
    ended.expect(3, "no recipient to open with");
    ended.expect(3, "no key is asked because a file names it");
    world.sandbox.configure(&format!("[keys.gone]\nuri = \"{}\"", world.key("gone")));
    let ended = world.run("decrypt a.bulla -o c --context tenant=acme");
    ended.expect(3, "hint: this key could not be tried: gone: build: ");
    let wrong = world.run(&format!("decrypt a.bulla -o c --key {key} --context tenant=evil"));
    wrong.expect(3, "context mismatch");
    assert_eq!(world.counter.count("GenerateDataKey"), 1);
    assert_eq!(world.counter.count("Decrypt"), 2);
}

#[test]
fn opens_by_the_configuration() {
    let Some(world) = World::new() else { return };
    world.sandbox.configure(&format!(
        "default = \"orders\"\n[keys.orders]\nuri = \"{}\"\npolicy = \"quick\"\n\
         [keys.other]\nuri = \"{}\"\n[keys.here]\nuri = \"local:here\"\n\
         [groups.both]\nrecipients = [\"orders\", \"here\"]\nwrite = {{ at-least = 1 }}\n\
         [policies.quick]\nattempt-timeout = \"1s\"\ndeadline = \"2s\"",
        world.key("orders"),
        world.key("other"),
    ));
    world.ok("keys create here");
    world.sandbox.write("a", "secret");
    world.ok("encrypt a");
    world.ok("decrypt a.bulla -o b");
    assert_eq!(world.sandbox.read("b"), b"secret");

    // Recipients come and go; the alias stands for the key behind it.
    world.ok("rewrap a.bulla --add other --add here");
    world.ok("rewrap a.bulla --remove orders");
    let shown = world.ok("inspect a.bulla");
    assert!(!shown.contains(&world.arn) && shown.contains("local:"), "{shown}");
    world.ok("decrypt a.bulla -o b --force");

    // What is sealed here alone asks no cloud.
    let before = world.counter.total();
    world.ok("encrypt a -k here -o local.bulla");
    world.ok("decrypt local.bulla -o b --force");
    assert_eq!(world.counter.total(), before);

    // The cloud goes away. A group that need not be complete seals, and is mended later.
    world.counter.set_down(true);
    let ended = world.run("encrypt a -k both -o during.bulla");
    ended.expect(0, "sealed, but not to orders: build: ");
    world.ok("decrypt during.bulla -o b --force");
    world.run("encrypt a -k orders -o no.bulla").expect(4, "provider unavailable");
    world.counter.set_down(false);
    world.ok("rewrap during.bulla --add orders");
    assert!(world.ok("inspect during.bulla").contains(&world.arn));
}

#[test]
fn an_outage_is_told_from_a_missing_key() {
    let Some(world) = World::new() else { return };
    let key = world.key("orders");
    world.sandbox.write("a", "secret");
    world.ok(&format!("encrypt a --key {key}"));
    world.counter.set_down(true);
    let ended = world.run(&format!("decrypt a.bulla -o b --key {key}"));
    ended.expect(4, "provider unavailable: kms:DescribeKey: KMS can't be reached");
    world.counter.set_down(false);
    let ended = world.run(&format!("decrypt a.bulla -o b --key {}", world.key("other")));
    ended.expect(3, "no recipient to open with");
    let ended = world.run(&format!("encrypt a -o c --key {}", world.key("missing")));
    ended.expect(1, "key not found");
    let ended = world.run(&format!("encrypt a -o c --key {}", world.key("tokens")));
    ended.expect(2, "signs and does not seal");
}

#[test]
fn missing_credentials_are_told() {
    let Some(world) = World::new() else { return };
    world.sandbox.write("a", "secret");
    let mut command = world.command(&format!("encrypt a --key {}", world.key("orders")));
    command.env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY");
    end(&mut command).expect(1, "no AWS credentials were found; set AWS_ACCESS_KEY_ID");
    let ended = world.run("encrypt a --key awskms:///alias/orders");
    ended.expect(2, "no AWS region is known");
    assert_eq!(world.counter.total(), 0);
}

/// Region and credentials from the files of the AWS CLI, by the profile that the URI names.
#[test]
fn profiles_are_those_of_the_aws_cli() {
    let Some(world) = World::new() else { return };
    world.sandbox.write("a", "secret");
    world.sandbox.write(
        "aws-config",
        "[profile ada]\nregion = eu-west-1\naws_access_key_id = test\naws_secret_access_key = test\n",
    );
    let key = format!("awskms:///alias/orders?profile=ada&endpoint={}", world.counter.url());
    let run = |args: &str| {
        let mut command = world.command(args);
        command.env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY");
        end(command.env("AWS_CONFIG_FILE", world.sandbox.path("aws-config")))
    };
    run(&format!("encrypt a --key {key}")).expect(0, "");
    run(&format!("verify a.bulla --key {key}")).expect(0, "");
    let nobody = key.replace("=ada", "=nobody");
    run(&format!("encrypt a -o b --key {nobody}")).expect(2, "no AWS region is known");
}

#[test]
fn doctor_asks_the_cloud() {
    let Some(world) = World::new() else { return };
    world.sandbox.configure(&format!(
        "[keys.orders]\nuri = \"{}\"\n[keys.tokens]\nuri = \"{}\"\n[keys.gone]\nuri = \"{}\"",
        world.key("orders"),
        world.key("tokens"),
        world.key("gone"),
    ));
    let ended = world.run("doctor");
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    let said = String::from_utf8(ended.stdout).unwrap();
    for text in [
        "ok    key orders: SYMMETRIC_DEFAULT, active, seals (context bound), direct up to 4096",
        "ok    key tokens: ECC_NIST_P256, active, signs ES256",
        "FAIL  key gone: ",
        "key not found",
    ] {
        assert!(said.contains(text), "{text:?} is not in {said}");
    }
}

#[test]
fn tokens_are_signed_in_the_cloud_and_verified_without_it() {
    let Some(world) = World::new() else { return };
    world.sandbox.configure(&format!(
        "[keys.orders]\nuri = \"{}\"\n[keys.tokens]\nuri = \"{}\"\npolicy = \"quick\"\n\
         [policies.quick]\nattempt-timeout = \"1s\"\ndeadline = \"2s\"",
        world.key("orders"),
        world.key("tokens"),
    ));
    let expected = "--iss us --aud them";
    let token = world.ok(&format!("token sign --key tokens {expected}"));
    world.sandbox.write("token", token);
    // The key that seals is left out.
    let set = world.ok("jwks");
    assert_eq!((set.matches("\"kid\"").count(), set.matches("ES256").count()), (1, 1), "{set}");
    world.sandbox.write("jwks.json", set);
    world.ok(&format!("token verify token --key tokens {expected}"));
    world.ok(&format!("token verify token --key {} {expected}", world.key("tokens")));
    world.run("token sign --key orders").expect(2, "orders seals and does not sign");
    world.run("token sign --key tokens --alg RS256").expect(2, "does not sign RS256");

    world.counter.set_down(true);
    world.ok(&format!("token verify token --jwks jwks.json {expected}"));
    for args in
        ["token sign --key tokens", "jwks", &format!("token verify token --key tokens {expected}")]
    {
        let ended = world.run(args);
        ended.expect(4, "provider unavailable");
        assert!(ended.stdout.is_empty(), "{args}");
    }
}
