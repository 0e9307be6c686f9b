//! The command with keys in Azure Key Vault, played by a service by the book.
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

use bulla_testworld::azure::{Azure, Kind};
use sandbox::{Ended, Sandbox, end};

const VAULT: &str = "acme.vault.azure.net";
const HSM: &str = "acme.managedhsm.azure.net";
const WRAPS: [&str; 2] = ["wrapKey", "unwrapKey"];

struct World {
    sandbox: Sandbox,
    azure: Azure,
}

impl World {
    fn new() -> Self {
        let azure = Azure::start();
        azure.key(VAULT, "orders", Kind::Rsa(2048), &WRAPS);
        azure.key(VAULT, "tokens", Kind::P256, &["sign", "verify"]);
        azure.key(HSM, "orders", Kind::Oct, &WRAPS);
        Self { sandbox: Sandbox::new(), azure }
    }

    /// The command where nothing says who it is.
    fn bare(&self, args: &str) -> Command {
        let mut command = self.sandbox.bulla();
        let foreign =
            ["AZURE_", "IDENTITY_", "MSI_", "HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY"];
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy().into_owned();
            if foreign.iter().any(|prefix| name.to_uppercase().starts_with(prefix)) {
                command.env_remove(name);
            }
        }
        command.env("HTTPS_PROXY", self.azure.proxy()).env("SSL_CERT_FILE", self.azure.ca_file());
        command.env("HOME", self.sandbox.home()).args(args.split_whitespace());
        command
    }

    fn command(&self, args: &str) -> Command {
        let mut command = self.bare(args);
        command.env("AZURE_TENANT_ID", Azure::TENANT).env("AZURE_CLIENT_ID", Azure::CLIENT);
        command.env("AZURE_CLIENT_SECRET", Azure::SECRET);
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
fn what_anybody_can_have_sealed_opens_for_who_accepts_it() {
    let world = World::new();
    world.sandbox.write("a", "secret");
    world.ok("encrypt a --key azurekeyvault://acme/orders --context tenant=acme");
    let shown = world.ok("inspect a.bulla");
    assert!(shown.contains("azurekeyvault:acme.vault.azure.net/orders"), "{shown}");
    assert!(shown.contains("wrap rsa-oaep-256, 256 bytes"), "{shown}");

    let before = world.azure.count("unwrapkey");
    let decrypt = "decrypt a.bulla -o b --context tenant=acme";
    world
        .run(&format!("{decrypt} --key azurekeyvault://acme/orders"))
        .expect(1, "accept_public_key_wraps");
    world.sandbox.configure("[keys.orders]\nuri = \"azurekeyvault://acme/orders\"");
    world.run(decrypt).expect(1, "accept_public_key_wraps");
    assert_eq!(world.azure.count("unwrapkey"), before);

    world.sandbox.configure(
        "[keys.orders]\nuri = \"azurekeyvault://acme/orders\"\naccept-public-key-wraps = true",
    );
    world.ok(decrypt);
    assert_eq!(world.sandbox.read("b"), b"secret");
    world.run("decrypt a.bulla -o c --context tenant=evil").expect(3, "context mismatch");
    assert_eq!(world.sandbox.names(), ["a", "a.bulla", "b"]);
}

#[test]
fn a_managed_hsm_wraps_for_those_with_a_right_alone() {
    let world = World::new();
    world.sandbox.write("a", "secret");
    let key = "--key azurekeyvault://acme.managedhsm.azure.net/orders";
    world.ok(&format!("encrypt a {key}"));
    assert!(world.ok("inspect a.bulla").contains("wrap aes-kw, 40 bytes"));
    world.ok(&format!("decrypt a.bulla -o b {key}"));
    assert_eq!(world.sandbox.read("b"), b"secret");
}

#[test]
fn the_configuration_takes_it_for_keys_that_have_such_wraps() {
    let world = World::new();
    world.sandbox.configure("[keys.a]\nuri = \"local:a\"\naccept-public-key-wraps = true");
    world.run("doctor").expect(2, "");
    let ended = world.run("doctor");
    let shown = String::from_utf8(ended.stdout).unwrap() + &ended.stderr;
    assert!(shown.contains("bulla.toml:3:27: `accept-public-key-wraps` is for keys"), "{shown}");
}

#[test]
fn the_doctor_says_what_opens() {
    let world = World::new();
    world.azure.key(VAULT, "both", Kind::Rsa(2048), &["wrapKey", "unwrapKey", "sign", "verify"]);
    world.sandbox.configure(
        "default = \"orders\"\n[keys.orders]\nuri = \"azurekeyvault://acme/orders\"\n\
         [keys.open]\nuri = \"azurekeyvault://acme/orders\"\naccept-public-key-wraps = true\n\
         [keys.hsm]\nuri = \"azurekeyvault://acme.managedhsm.azure.net/orders\"\n\
         [keys.tokens]\nuri = \"azurekeyvault://acme/tokens\"\n\
         [keys.both]\nuri = \"azurekeyvault://acme/both\"\n\
         [keys.gone]\nuri = \"azurekeyvault://acme/gone\"",
    );
    let ended = world.run("doctor");
    let shown = String::from_utf8(ended.stdout).unwrap();
    assert_ne!(ended.code, Some(0), "{shown}");
    for text in [
        "ok    key orders: rsa-2048, active, version 00000000000000000000000000000000, \
         seals (context local-only), opens nothing, since anybody with its public key can seal to it: \
         accept-public-key-wraps is not set, answered",
        "seals (context local-only), opens what anybody with its public key has sealed, answered",
        "ok    key hsm: oct-HSM, active, version 00000000000000000000000000000002, \
         seals (context local-only), answered",
        "ok    key tokens: p-256, active, version 00000000000000000000000000000001, signs ES256",
        "FAIL  key both: build: invalid input: key acme.vault.azure.net/both may both wrap and sign",
        "FAIL  key gone: build: key not found: get: there is no key acme.vault.azure.net/gone",
    ] {
        assert!(shown.contains(text), "{text:?} is not in {shown}");
    }
}

#[test]
fn signs_tokens_and_publishes_keys() {
    let world = World::new();
    let published = world.ok("jwks --key azurekeyvault://acme/tokens");
    assert!(published.contains("\"P-256\""), "{published}");
    let token = world.ok("token sign --key azurekeyvault://acme/tokens --iss me --aud you");
    world.sandbox.write("keys.json", published);
    world.sandbox.write("token", token.trim());
    world.ok("token verify token --jwks keys.json --iss me --aud you --alg ES256");
    world.sandbox.write("a", "secret");
    world.run("encrypt a --key azurekeyvault://acme/tokens").expect(2, "signs");
}

#[test]
fn who_the_command_is_the_environment_says() {
    let world = World::new();
    world.sandbox.write("a", "secret");
    let args = "encrypt a --force --key azurekeyvault://acme/orders";
    let mut command = world.command(args);
    end(command.env("AZURE_CLIENT_SECRET", "wrong")).expect(1, "AADSTS7000215");
    let mut command = world.command(args);
    end(command.env_remove("AZURE_TENANT_ID")).expect(2, "AZURE_TENANT_ID is not set");

    // A federated token, as a pod has it.
    world.sandbox.write("federated", "federated-token");
    let mut command = world.command(args);
    command.env_remove("AZURE_CLIENT_SECRET");
    command.env("AZURE_FEDERATED_TOKEN_FILE", world.sandbox.path("federated"));
    assert_eq!(end(&mut command).code, Some(0));

    // The identity of an app. It is asked without the proxy.
    let mut command = world.bare(args);
    command.env("IDENTITY_ENDPOINT", world.azure.identity_endpoint());
    command.env("IDENTITY_HEADER", "secret-of-the-machine");
    assert_eq!(end(&mut command).code, Some(0));
    let mut command = world.bare(args);
    command.env("IDENTITY_ENDPOINT", world.azure.identity_endpoint());
    command.env("IDENTITY_HEADER", "other");
    end(&mut command).expect(1, "does not accept these credentials");

    // Nobody has logged in.
    let mut command = world.bare(args);
    command.env("AZURE_TOKEN_CREDENTIALS", "dev").env("PATH", world.sandbox.work());
    end(&mut command).expect(1, "no Azure credentials could be had");
}

#[test]
fn each_cloud_is_reached_by_its_own_names() {
    let world = World::new();
    world.sandbox.write("a", "secret");
    for host in ["acme.vault.azure.cn", "acme.vault.usgovcloudapi.net", "acme.managedhsm.azure.cn"]
    {
        world.azure.key(host, "orders", Kind::Rsa(2048), &WRAPS);
        world.ok(&format!("encrypt a --force --key azurekeyvault://{host}/orders"));
    }
    let seen = world.azure.seen();
    let asked = |host: &str| seen.iter().filter(|request| request.host == host).count();
    assert_eq!(asked("login.microsoftonline.com"), 0);
    assert_eq!(asked("login.chinacloudapi.cn"), 2);
    assert_eq!(asked("login.microsoftonline.us"), 1);
}

#[test]
fn an_outage_is_told_as_one() {
    let world = World::new();
    world.sandbox.write("a", "secret");
    world.azure.set_down(true);
    world.sandbox.configure(
        "[keys.orders]\nuri = \"azurekeyvault://acme/orders\"\npolicy = \"p\"\n\
         [policies.p]\nmax-attempts = 2\nbackoff = { base = \"1ms\", cap = \"2ms\" }",
    );
    let ended = world.run("encrypt a --key orders");
    assert_eq!(ended.code, Some(4), "{}", ended.stderr);
}
