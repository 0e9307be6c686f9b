//! One file for keys of five providers, and one set of keys for tokens of all: AWS KMS (played by
//! MiniStack), Google Cloud KMS and Azure Key Vault (by services by the book), OpenBao and the local store.
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

use std::{fs, path::Path, process::Command};

use aws_sdk_kms::types::KeySpec;
use bulla_testworld::{
    CloudKms, Ministack, OpenBao, Python,
    azure::{Azure, Kind},
    kms,
};
use sandbox::{BULLA, Ended, Sandbox, end};
use serde_json::{Value, json};

const NAMES: [&str; 5] = ["aws", "azure", "gcp", "local", "openbao"];

struct World {
    sandbox: Sandbox,
    aws: Ministack,
    azure: Azure,
    gcp: CloudKms,
    openbao: OpenBao,
    /// The lines of the configuration by the keys' names.
    keys: Vec<(String, String)>,
}

impl World {
    fn new() -> Option<Self> {
        let (python, gcp, openbao) = (Python::for_aws()?, CloudKms::start()?, OpenBao::start()?);
        let (aws, azure, sandbox) =
            (Ministack::start(&python, false), Azure::start(), Sandbox::new());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let client = kms::client(&aws.url(), kms::REGION);
            let keys = [
                ("alias/orders", kms::symmetric(&aws.url()).await),
                ("alias/orders-2", kms::symmetric(&aws.url()).await),
                ("alias/tokens", kms::pair(&aws.url(), KeySpec::EccNistP256).await),
            ];
            for (alias, key) in keys {
                let alias = client.create_alias().alias_name(alias).target_key_id(key);
                alias.send().await.unwrap();
            }
        });
        let vault = "acme.vault.azure.net";
        azure.key(vault, "orders", Kind::Rsa(2048), &["wrapKey", "unwrapKey"]);
        azure.key(vault, "tokens", Kind::P256, &["sign", "verify"]);
        openbao.key("orders", "");
        openbao.key("tokens", "ecdsa-p256");
        gcp.principal(&json!({"subject": "refresh"}));
        let credentials = json!({
            "type": "authorized_user", "client_id": "c", "client_secret": "s",
            "refresh_token": "refresh", "token_uri": format!("{}/oauth/token", gcp.url()),
        });
        sandbox.write("adc.json", credentials.to_string());
        let gcp_uri = |key: &str| format!("gcpkms://{key}?endpoint={}", gcp.url());
        let mut keys = Vec::new();
        let mut key = |name: &str, uri: &str, more: &str| {
            keys.push((name.to_owned(), format!("[keys.{name}]\nuri = \"{uri}\"\n{more}\n")));
        };
        key("aws", "awskms:///alias/orders?region=eu-west-1", "");
        key("azure", "azurekeyvault://acme/orders", "accept-public-key-wraps = true\n");
        key("gcp", &gcp_uri(&gcp.sealing_key("orders")), "");
        key("local", "local:orders", "");
        key("openbao", "openbao://orders", "");
        key("aws-2", "awskms:///alias/orders-2?region=eu-west-1", "");
        key("aws-tokens", "awskms:///alias/tokens?region=eu-west-1", "");
        key("azure-tokens", "azurekeyvault://acme/tokens", "");
        key("gcp-tokens", &gcp_uri(&gcp.signing_key("tokens", "EC_SIGN_P256_SHA256")), "");
        key("local-tokens", "local:tokens", "");
        key("openbao-tokens", "openbao://tokens", "");
        let world = Self { sandbox, aws, azure, gcp, openbao, keys };
        world.configure(|_| true);
        world.ok("keys create orders");
        world.ok("keys create tokens --type p-256");
        Some(world)
    }

    /// A configuration with these keys, and with all of the five as what is sealed to, if they are there.
    fn configure(&self, has: impl Fn(&str) -> bool) {
        let lines = self.keys.iter().filter(|(name, _)| has(name)).map(|(_, lines)| lines.as_str());
        let mut text: String = lines.collect();
        if NAMES.iter().all(|name| has(name)) {
            let recipients = NAMES.map(|name| format!("{name:?}")).join(", ");
            text = format!(
                "default = \"everywhere\"\n\n[groups.everywhere]\nrecipients = [{recipients}]\n\n{text}"
            );
        }
        self.sandbox.write("bulla.toml", text);
    }

    /// A program with the credentials for all of them, and nothing else of whoever runs this.
    fn program(&self, program: &str) -> Command {
        let mut command = self.sandbox.program(Path::new(program));
        let foreign = ["AWS_", "AZURE_", "BAO_", "BULLA_", "GOOGLE_", "VAULT_", "IDENTITY_"];
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy().into_owned();
            let proxies = name.to_uppercase().ends_with("_PROXY");
            if proxies || foreign.iter().any(|own| name.starts_with(own)) {
                command.env_remove(name);
            }
        }
        command
            .env("HOME", self.sandbox.home())
            .env("BULLA_HOME", self.sandbox.home())
            .env("BULLA_CONFIG", self.sandbox.path("bulla.toml"))
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("AWS_ENDPOINT_URL", self.aws.url())
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test")
            .env("AZURE_TENANT_ID", Azure::TENANT)
            .env("AZURE_CLIENT_ID", Azure::CLIENT)
            .env("AZURE_CLIENT_SECRET", Azure::SECRET)
            .env("HTTPS_PROXY", self.azure.proxy())
            .env("SSL_CERT_FILE", self.azure.ca_file())
            .env("BAO_ADDR", self.openbao.url())
            .env("BAO_TOKEN", self.openbao.root())
            .env("GOOGLE_APPLICATION_CREDENTIALS", self.sandbox.path("adc.json"));
        command
    }

    fn run(&self, args: &str) -> Ended {
        end(self.program(BULLA).args(args.split_whitespace()))
    }

    fn ok(&self, args: &str) -> String {
        let ended = self.run(args);
        assert_eq!(ended.code, Some(0), "{args}: {}", ended.stderr);
        String::from_utf8(ended.stdout).unwrap()
    }

    /// What is behind the header.
    fn body(&self) -> Vec<u8> {
        let told: Value = serde_json::from_str(&self.ok("inspect report.bulla --json")).unwrap();
        let header = usize::try_from(told["header_len"].as_u64().unwrap()).unwrap();
        self.sandbox.read("report.bulla").split_off(header)
    }

    fn recipients(&self) -> Vec<String> {
        let told: Value = serde_json::from_str(&self.ok("inspect report.bulla --json")).unwrap();
        let all = told["recipients"].as_array().unwrap();
        let text = |one: &Value, name: &str| one[name].as_str().unwrap().to_owned();
        all.iter().map(|one| format!("{}:{}", text(one, "scheme"), text(one, "key"))).collect()
    }
}

#[test]
fn each_of_five_opens_alone() {
    let Some(world) = World::new() else { return };
    // Several chunks.
    let report: Vec<u8> = (0..300_000_u32).map(|i| (i % 251) as u8).collect();
    world.sandbox.write("report", &report);
    let sealed = world.run("encrypt report --context tenant=acme");
    assert_eq!((sealed.code, sealed.stderr.as_str()), (Some(0), ""));
    assert_eq!(world.recipients().len(), 5);

    let nowhere = world.sandbox.path("nowhere");
    let decrypt = |name: &str| {
        world.configure(|key| key == name);
        let mut command = world.program(BULLA);
        command.args(["decrypt", "report.bulla", "-o", "copy", "-f", "--context", "tenant=acme"]);
        if name != "local" {
            command.env("BULLA_HOME", &nowhere);
        }
        end(&mut command)
    };
    for name in NAMES {
        let opened = decrypt(name);
        assert_eq!(opened.code, Some(0), "{name}: {}", opened.stderr);
        assert_eq!(world.sandbox.read("copy"), report, "{name}");
        fs::remove_file(world.sandbox.path("copy")).unwrap();
    }
    let nobody = decrypt("aws-2");
    assert_eq!(nobody.code, Some(3), "{}", nobody.stderr);
    assert!(!world.sandbox.path("copy").exists());
}

#[test]
fn one_is_dropped_and_another_added_without_touching_the_body() {
    let Some(world) = World::new() else { return };
    world.sandbox.write("report", vec![7; 200_000]);
    world.ok("encrypt report --context tenant=acme");
    let (body, before) = (world.body(), world.recipients());
    world.ok("rewrap report.bulla --remove gcp --add aws-2");
    let after = world.recipients();
    assert_eq!(world.body(), body);
    assert_eq!(after.len(), 5);
    assert!(before.iter().any(|key| key.starts_with("gcpkms:")));
    assert!(!after.iter().any(|key| key.starts_with("gcpkms:")), "{after:?}");
    assert_eq!(after.iter().filter(|key| key.starts_with("awskms:")).count(), 2, "{after:?}");
    world.configure(|key| key == "aws-2");
    world.ok("decrypt report.bulla -o copy --context tenant=acme");
    assert_eq!(world.sandbox.read("copy"), vec![7; 200_000]);
}

const PYJWT: &str = "
import json, sys, jwt
keys = jwt.PyJWKSet.from_dict(json.load(open(sys.argv[1])))
for path in sys.argv[2:]:
    token = open(path).read().strip()
    key = keys[jwt.get_unverified_header(token)['kid']]
    print(jwt.decode(token, key, algorithms=['ES256'], audience='orders', issuer='https://id.example')['sub'])
";

#[test]
fn one_set_verifies_tokens_of_all() {
    let (Some(python), Some(world)) = (Python::for_tokens(), World::new()) else { return };
    let keys: Vec<_> = NAMES.iter().map(|name| format!("--key {name}-tokens")).collect();
    let set = world.ok(&format!("jwks {}", keys.join(" ")));
    world.sandbox.write("jwks.json", &set);
    let set: Value = serde_json::from_str(&set).unwrap();
    assert_eq!(set["keys"].as_array().unwrap().len(), 5);
    let mut args = vec![world.sandbox.path("jwks.json").to_str().unwrap().to_owned()];
    for name in NAMES {
        let sign = format!("token sign --key {name}-tokens --iss https://id.example --aud orders");
        let token = world.ok(&format!("{sign} --sub {name}"));
        let path = world.sandbox.path(&format!("{name}.jwt"));
        fs::write(&path, token).unwrap();
        args.push(path.to_str().unwrap().to_owned());
    }
    let args: Vec<_> = args.iter().map(String::as_str).collect();
    assert_eq!(python.run(PYJWT, &args).lines().collect::<Vec<_>>(), NAMES);
}

#[test]
fn the_walkthrough_is_as_recorded() {
    let Some(world) = World::new() else { return };
    world.sandbox.write("report", "quarterly figures\n");
    let text = include_str!("../../examples/five-clouds.md");
    let bin = Path::new(BULLA).parent().unwrap().display().to_string();
    let path = format!("{bin}:{}", std::env::var("PATH").unwrap());
    let (mut run, mut differs) = (0, Vec::new());
    for block in text.split("<!-- test: walkthrough -->\n```console\n").skip(1) {
        for step in block.split("```").next().unwrap().split("$ ").skip(1) {
            let (command, recorded) = step.split_once('\n').unwrap();
            let mut shell = world.program("sh");
            shell.args(["-c", &format!("exec 2>&1; {command}")]).env("PATH", &path);
            let printed = String::from_utf8(end(&mut shell).stdout).unwrap();
            if shape(&printed) != shape(recorded) {
                differs.push(format!("$ {command}\n{printed}"));
            }
            run += 1;
        }
    }
    assert!(differs.is_empty(), "{}", differs.join(""));
    assert_eq!(run, 9);
}

/// What differs from run to run, by its shape: UUIDs, other ids of 32 digits, and ports.
fn shape(text: &str) -> String {
    let is_id = |c: char| c.is_ascii_hexdigit() || c == '-';
    let mut shape = String::new();
    for part in text.trim_end().split_inclusive(|c| !is_id(c)) {
        let id = part.trim_end_matches(|c| !is_id(c));
        let is_uuid = id.len() == 36 && id.matches('-').count() == 4;
        let is_other = id.len() == 32 && !id.contains('-');
        shape.push_str(if is_uuid || is_other { "ID" } else { id });
        shape.push_str(&part[id.len()..]);
    }
    shape
}
