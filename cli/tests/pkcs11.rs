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

use bulla_testworld::SoftHsm;
use cryptoki::{
    context::{CInitializeArgs, CInitializeFlags, Pkcs11},
    mechanism::Mechanism,
    object::Attribute,
    session::{Session, UserType},
    types::AuthPin,
};
use sandbox::{Ended, Sandbox, end};

struct World {
    sandbox: Sandbox,
    hsm: SoftHsm,
}

impl World {
    fn new(test: &str) -> Option<Self> {
        let hsm = SoftHsm::in_child(test)?;
        make_keys(&hsm);
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

/// An AES key `orders` and a pair `tokens`.
fn make_keys(hsm: &SoftHsm) {
    let library = Pkcs11::new(&hsm.module).unwrap();
    library.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)).unwrap();
    let slots = library.get_slots_with_token().unwrap();
    let slot = slots.into_iter().find(|s| library.get_token_info(*s).unwrap().label() == "t");
    let session = library.open_rw_session(slot.unwrap()).unwrap();
    session.login(UserType::User, Some(&AuthPin::from(SoftHsm::PIN))).unwrap();
    make_aes(&session);
    let named =
        [Attribute::Token(true), Attribute::Label(b"tokens".to_vec()), Attribute::Id(vec![2])];
    let curve = Attribute::EcParams(vec![6, 8, 42, 134, 72, 206, 61, 3, 1, 7]);
    let public = [&named[..], &[Attribute::Verify(true), curve]].concat();
    let private = [&named[..], &[Attribute::Private(true), Attribute::Sign(true)]].concat();
    session.generate_key_pair(&Mechanism::EccKeyPairGen, &public, &private).unwrap();
}

fn make_aes(session: &Session) {
    let template = [
        Attribute::Token(true),
        Attribute::Private(true),
        Attribute::Sensitive(true),
        Attribute::Extractable(false),
        Attribute::ValueLen(32_u64.into()),
        Attribute::Encrypt(true),
        Attribute::Decrypt(true),
        Attribute::Label(b"orders".to_vec()),
        Attribute::Id(vec![1]),
    ];
    session.generate_key(&Mechanism::AesKeyGen, &template).unwrap();
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
    world.run("encrypt a -o d --key pkcs11:token=t;object=tokens").expect(2, "signs");
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
         [keys.tokens]\nuri = \"pkcs11:token=t;object=tokens\"\n\
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
