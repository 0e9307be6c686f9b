//! The command with keys on a PKCS #11 token, played by SoftHSM.
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

use bulla_testworld::{SoftHsm, tokens};
use sandbox::{Ended, Sandbox, end};

struct World {
    sandbox: Sandbox,
    hsm: SoftHsm,
}

impl World {
    fn new(test: &str) -> Option<Self> {
        let hsm = SoftHsm::in_child(test)?;
        let (_library, session) = tokens::session(&hsm);
        tokens::aes(&session, "orders", &[1], true);
        tokens::pairs(&session);
        Some(Self { sandbox: Sandbox::new(), hsm })
    }

    fn command(&self, args: &str) -> Command {
        let mut command = self.sandbox.bulla();
        command.env("BULLA_PKCS11_MODULE", &self.hsm.module);
        command.env("BULLA_PKCS11_PIN", SoftHsm::PIN).args(args.split_whitespace());
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
    let Some(world) = World::new("seals_and_opens_by_uri") else { return };
    let key = "--key pkcs11:token=t;object=orders --context tenant=acme";
    world.sandbox.write("a", "secret");
    world.ok(&format!("encrypt a {key}"));
    let shown = world.ok("inspect a.bulla");
    assert!(shown.contains("pkcs11:t/01, wrap native"), "{shown}");
    world.ok(&format!("decrypt a.bulla -o b {key}"));
    assert_eq!(world.sandbox.read("b"), b"secret");
    let evil = "decrypt a.bulla -o c --key pkcs11:token=t;object=orders --context tenant=evil";
    world.run(evil).expect(3, "context mismatch");
    // By its id it is the same key.
    world.ok("decrypt a.bulla -o c --key pkcs11:token=t;id=%01 --context tenant=acme");
    world.run("encrypt a -o d --key pkcs11:token=t;object=gone").expect(1, "key not found");
    world.run("encrypt a -o d --key pkcs11:token=t;object=p256").expect(2, "signs");
    assert_eq!(world.sandbox.names(), ["a", "a.bulla", "b", "c"]);
}

#[test]
fn a_pin_that_is_wrong_or_missing_is_told() {
    let Some(world) = World::new("a_pin_that_is_wrong_or_missing_is_told") else { return };
    world.sandbox.write("a", "secret");
    let args = "encrypt a --key pkcs11:token=t;object=orders";
    let mut command = world.command(args);
    end(command.env("BULLA_PKCS11_PIN", "9999")).expect(1, "does not accept the PIN");
    let mut command = world.command(args);
    end(command.env_remove("BULLA_PKCS11_PIN")).expect(2, "wants a PIN");
    world.run("encrypt a --key pkcs11:token=t;object=orders?pin-value=1234").expect(2, "pin");
    world.sandbox.write("pin", "1234\n");
    let source = format!("?pin-source=file:{}", world.sandbox.path("pin").display());
    let mut command = world.command(&format!("{args}{source}"));
    assert_eq!(end(command.env_remove("BULLA_PKCS11_PIN")).code, Some(0));
}

#[test]
fn the_doctor_looks_at_the_token() {
    let Some(world) = World::new("the_doctor_looks_at_the_token") else { return };
    world.sandbox.configure(
        "default = \"orders\"\n[keys.orders]\nuri = \"pkcs11:token=t;object=orders\"\n\
         [keys.tokens]\nuri = \"pkcs11:token=t;object=p256\"\n\
         [keys.gone]\nuri = \"pkcs11:token=away;object=orders\"",
    );
    let ended = world.run("doctor");
    let shown = String::from_utf8(ended.stdout).unwrap();
    assert_eq!(ended.code, Some(4), "{shown}");
    for text in [
        "ok    key orders: aes-256, active, seals (context bound), direct up to 4096 bytes",
        "ok    key tokens: p-256, active, signs ES256",
        "FAIL  key gone: build: provider unavailable: no token \"away\" is in a slot of the module; \
         there are \"t\"",
    ] {
        assert!(shown.contains(text), "{text:?} is not in {shown}");
    }
}

#[test]
fn makes_keys_on_the_token() {
    let Some(world) = World::new("makes_keys_on_the_token") else { return };
    world.sandbox.write("a", "secret");
    let made = world.run("keys create pkcs11:token=t;object=new");
    made.expect(0, "made aes-256 with id ");
    let uri = String::from_utf8(made.stdout).unwrap();
    let uri = uri.strip_suffix('\n').unwrap();
    assert!(uri.starts_with("pkcs11:token=t;object=new;id=%"), "{uri}");
    world.ok(&format!("encrypt a --key {uri}"));
    world.ok(&format!("decrypt a.bulla -o b --key {uri}"));
    assert_eq!(world.sandbox.read("b"), b"secret");

    let said = world.ok("keys create pkcs11:token=t;object=signs --type p-256 --json");
    let key: serde_json::Value = serde_json::from_str(&said).unwrap();
    let text = |name: &str| key[name].as_str().unwrap();
    assert_eq!((text("type"), text("id").len()), ("p-256", 32));
    assert_eq!(text("name"), format!("pkcs11:t/{}", text("id")));
    let published = world.ok(&format!("jwks --key {}", text("uri")));
    assert!(published.contains("\"P-256\""), "{published}");

    for (args, code, said) in [
        ("pkcs11:token=t;object=new", 1, "is on token \"t\" already"),
        ("pkcs11:token=away;object=new", 4, "no token \"away\""),
        ("pkcs11:token=t;id=%09", 2, "needs a label"),
        ("pkcs11:token=t;object=other;type=private", 2, "not what is asked for"),
        ("pkcs11:token=t;object=other --passphrase", 2, "for local keys"),
        ("awskms:///alias/other", 2, "`awskms` keys"),
        ("local:other", 2, "by their names: other"),
    ] {
        world.run(&format!("keys create {args}")).expect(code, said);
    }
    // An id tells keys of one label apart.
    world.ok("keys create pkcs11:token=t;object=new;id=%09");
    world.ok("encrypt a -o c --key pkcs11:token=t;object=new;id=%09");
    world.run("encrypt a -o d --key pkcs11:token=t;object=new").expect(2, "2 keys");
}
