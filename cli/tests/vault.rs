//! The command with keys in OpenBao.
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

use bulla_testworld::OpenBao;
use sandbox::{Ended, Sandbox, end};
use serde_json::{Value, json};

struct World {
    sandbox: Sandbox,
    bao: OpenBao,
}

impl World {
    fn new() -> Option<Self> {
        let bao = OpenBao::start()?;
        bao.key("orders", "");
        bao.key("tokens", "ecdsa-p256");
        Some(Self { sandbox: Sandbox::new(), bao })
    }

    /// The command where nothing says where the server is.
    fn bare(&self, args: &str) -> Command {
        let mut command = self.sandbox.bulla();
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy().into_owned();
            if ["VAULT_", "BAO_", "BULLA_VAULT_"].iter().any(|prefix| name.starts_with(prefix)) {
                command.env_remove(name);
            }
        }
        command.args(args.split_whitespace());
        command
    }

    fn command(&self, args: &str) -> Command {
        let mut command = self.bare(args);
        command.env("VAULT_ADDR", self.bao.url()).env("VAULT_TOKEN", self.bao.root());
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
    world.ok("encrypt a --key hashivault://orders --context tenant=acme");
    let shown = world.ok("inspect a.bulla");
    assert!(shown.contains(":transit:orders, wrap native, 89 bytes"), "{shown}");
    world.ok("decrypt a.bulla -o b --key hashivault://orders --context tenant=acme");
    assert_eq!(world.sandbox.read("b"), b"secret");
    // OpenBao is the same server under another scheme, by either family of variables. No proxy is asked.
    let mut command =
        world.command("decrypt a.bulla -o c --key openbao://orders --context tenant=acme");
    for name in ["http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy", "ALL_PROXY"] {
        command.env(name, "http://127.0.0.1:1");
    }
    let ended = end(command.env_remove("no_proxy").env_remove("NO_PROXY"));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let mut command =
        world.bare("decrypt a.bulla -o d --key openbao://orders --context tenant=acme");
    command.env("BAO_ADDR", world.bao.url()).env("BAO_TOKEN", world.bao.root());
    let ended = end(&mut command);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    world
        .run("decrypt a.bulla -o e --key hashivault://orders --context tenant=evil")
        .expect(3, "context mismatch");
    world.run("encrypt a -o e --key hashivault://gone").expect(1, "key not found");
    world.run("encrypt a -o e --key hashivault://tokens").expect(2, "signs");
    assert_eq!(world.sandbox.names(), ["a", "a.bulla", "b", "c", "d"]);
}

#[test]
fn what_is_missing_in_the_environment_is_told() {
    let Some(world) = World::new() else { return };
    world.sandbox.write("a", "secret");
    let args = "encrypt a --key hashivault://orders";
    end(&mut world.bare(args)).expect(2, "set VAULT_ADDR");
    let mut command = world.bare(args);
    end(command.env("VAULT_ADDR", world.bao.url())).expect(2, "set VAULT_TOKEN");
    let mut command = world.command(args);
    end(command.env("VAULT_TOKEN", "s.wrong")).expect(1, "denied");
    let mut command = world.command(args);
    end(command.env("VAULT_ADDR", "http://vault.example.com")).expect(2, "plain http");
    // The variables of one family are not mixed with those of the other.
    let mut command = world.command("encrypt a --key openbao://orders");
    end(command.env("BAO_ADDR", world.bao.url())).expect(2, "set BAO_TOKEN");
}

/// By AppRole, whose secret id is in a file, wrapped.
#[test]
fn logs_in_as_the_environment_says() {
    let Some(world) = World::new() else { return };
    world.bao.policy("app", bulla_vault::LEAST_PRIVILEGE_POLICY);
    let (role, _) = world.bao.app_role("app", &json!({"token_policies": "app"}));
    let path = "auth/approle/role/app/secret-id";
    world.sandbox.write("wrapped", world.bao.wrapped("POST", path, &json!({})));
    world.sandbox.write("a", "secret");
    let command = |to: &str| {
        let mut command = world.bare(&format!("encrypt a -o {to} --key hashivault://orders"));
        command.env("VAULT_ADDR", world.bao.url()).env("BULLA_VAULT_AUTH", "approle");
        command.env("BULLA_VAULT_ROLE", &role).env("BULLA_VAULT_SECRET_WRAPPED", "true");
        command.env("BULLA_VAULT_SECRET_FILE", world.sandbox.path("wrapped"));
        command
    };
    let ended = end(&mut command("b"));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    end(&mut command("c")).expect(1, "somebody else has the secret");
}

/// A rotated key shows as one more in the set, and what was signed before verifies.
#[test]
fn signs_tokens_and_publishes_every_version() {
    let Some(world) = World::new() else { return };
    let kids = |world: &World| -> Vec<String> {
        let set: Value = serde_json::from_str(&world.ok("jwks --key hashivault://tokens")).unwrap();
        let keys = set["keys"].as_array().unwrap();
        keys.iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
    };
    let first = kids(&world);
    assert_eq!(first.len(), 1);
    let sign = "token sign --key hashivault://tokens --iss me --aud you";
    world.sandbox.write("old", world.ok(sign));
    world.bao.rotate("tokens");
    let both = kids(&world);
    assert_eq!(both.len(), 2);
    assert!(both.contains(&first[0]));
    world.sandbox.write("new", world.ok(sign));
    for token in ["old", "new"] {
        let verify = format!("token verify {token} --key hashivault://tokens --iss me --aud you");
        world.ok(&verify);
    }
}

#[test]
fn the_doctor_looks_at_the_server() {
    let Some(world) = World::new() else { return };
    world.sandbox.configure(
        "default = \"orders\"\n[keys.orders]\nuri = \"hashivault://orders\"\n\
         [keys.tokens]\nuri = \"openbao://tokens\"\n\
         [keys.gone]\nuri = \"hashivault://gone?mount=nowhere\"",
    );
    let ended = world.run("doctor");
    let shown = String::from_utf8(ended.stdout).unwrap();
    assert_eq!(ended.code, Some(1), "{shown}");
    for text in [
        "ok    key orders: aes256-gcm96, active, version 1, seals (context bound), direct up to 4096 bytes",
        "ok    key tokens: ecdsa-p256, active, version 1, signs ES256",
        "FAIL  key gone: build: key not found: looking at the key: there is no nowhere/keys/gone; check \
         key, mount and namespace",
    ] {
        assert!(shown.contains(text), "{text:?} is not in {shown}");
    }
    world.sandbox.write("a", "secret");
    world.ok("encrypt a");
    world.bao.rotate("orders");
    world.ok("rewrap a.bulla --add orders");
    world.ok("decrypt a.bulla -o b");
}
