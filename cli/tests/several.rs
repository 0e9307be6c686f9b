//! One file for keys in AWS KMS (played by MiniStack), OpenBao and a token (of SoftHSM) at once: each of
//! them alone opens it.
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

use bulla_testworld::{Ministack, OpenBao, Python, SoftHsm, kms, tokens};
use sandbox::{BULLA, Ended, Sandbox, end};

/// What is shown in the walkthrough too. Where the servers are is in the environment, as it is for a
/// service.
const CONFIGURATION: &str = "\
default = \"everywhere\"

[keys.aws]
uri = \"awskms:///alias/orders?region=eu-west-1\"

[keys.openbao]
uri = \"openbao://orders\"

[keys.hsm]
uri = \"pkcs11:token=t;object=orders\"

[groups.everywhere]
recipients = [\"aws\", \"openbao\", \"hsm\"]
";

/// Where the walkthrough's PKCS #11 library is.
const MODULE: &str = "/usr/lib/softhsm/libsofthsm2.so";

/// The servers, of which each can be away.
struct World {
    sandbox: Sandbox,
    aws: Ministack,
    openbao: OpenBao,
    hsm: SoftHsm,
}

impl World {
    fn new(test: &str) -> Option<Self> {
        let (python, hsm) = (Python::for_aws()?, SoftHsm::in_child(test)?);
        let openbao = OpenBao::persistent()?;
        openbao.key("orders", "");
        let aws = Ministack::start(&python, false);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let arn = kms::symmetric(&aws.url()).await;
            let client = kms::client(&aws.url(), kms::REGION);
            let alias = client.create_alias().alias_name("alias/orders").target_key_id(arn);
            alias.send().await.unwrap();
        });
        let (_library, session) = tokens::session(&hsm);
        tokens::aes(&session, "orders", &[1], true);
        let sandbox = Sandbox::new();
        sandbox.write("bulla.toml", CONFIGURATION);
        Some(Self { sandbox, aws, openbao, hsm })
    }

    /// A program with the credentials for all of them, and nothing else of whoever runs this.
    fn program(&self, program: &str) -> Command {
        let mut command = self.sandbox.program(Path::new(program));
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy().into_owned();
            if ["AWS_", "BAO_", "VAULT_", "BULLA_"].iter().any(|own| name.starts_with(own)) {
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
            .env("BAO_ADDR", self.openbao.url())
            .env("BAO_TOKEN", self.openbao.root())
            .env("BULLA_PKCS11_MODULE", &self.hsm.module)
            .env("BULLA_PKCS11_PIN", SoftHsm::PIN);
        command
    }

    fn run(&self, args: &str) -> Ended {
        end(self.program(BULLA).args(args.split_whitespace()))
    }

    fn ok(&self, args: &str) -> Ended {
        let ended = self.run(args);
        assert_eq!(ended.code, Some(0), "{args}: {}", ended.stderr);
        ended
    }

    /// Takes the token out of its slot, or puts it back.
    fn plug(&self, is_in: bool) {
        let kept = self.hsm.tokens.with_extension("out");
        match is_in {
            true => fs::rename(kept, &self.hsm.tokens).unwrap(),
            false => fs::rename(&self.hsm.tokens, kept).unwrap(),
        }
    }

    fn opens(&self) {
        self.ok("decrypt report.bulla -o copy --force --context tenant=acme");
        assert_eq!(self.sandbox.read("copy"), self.sandbox.read("report"));
        fs::remove_file(self.sandbox.path("copy")).unwrap();
    }
}

#[test]
fn any_two_may_be_away() {
    let Some(mut world) = World::new("any_two_may_be_away") else { return };
    // Several chunks.
    let report: Vec<u8> = (0..300_000_u32).map(|i| (i % 251) as u8).collect();
    world.sandbox.write("report", report);
    let sealed = world.ok("encrypt report --context tenant=acme");
    assert_eq!(sealed.stderr, "");
    let shown = String::from_utf8(world.ok("inspect report.bulla").stdout).unwrap();
    for recipient in ["awskms:arn:aws:kms:eu-west-1:", "transit:", "pkcs11:t/01"] {
        assert!(shown.contains(recipient), "{recipient} is not in {shown}");
    }

    world.openbao.kill();
    world.plug(false);
    world.opens(); // AWS KMS
    let evil = world.run("decrypt report.bulla -o copy --context tenant=evil");
    evil.expect(3, "context mismatch");
    // Nobody is left out unasked.
    world.run("encrypt report -o other --context tenant=acme").expect(4, "openbao");
    assert!(!world.sandbox.path("other").exists());

    world.aws.kill();
    let all = world.run("decrypt report.bulla -o copy --context tenant=acme");
    assert_eq!(all.code, Some(4), "{}", all.stderr);
    assert!(!world.sandbox.path("copy").exists());

    world.plug(true);
    world.opens(); // the token
    world.plug(false);
    world.openbao.start_again();
    world.opens(); // OpenBao, after a crash
    world.openbao.seal();
    world.run("decrypt report.bulla -o copy --context tenant=acme").expect(4, "unseal it");
}

#[test]
fn the_walkthrough_is_as_recorded() {
    let Some(world) = World::new("the_walkthrough_is_as_recorded") else { return };
    world.sandbox.write("report", "quarterly figures\n");
    let text = include_str!("../../examples/three-ways.md");
    let path = Path::new(BULLA).parent().unwrap().display().to_string();
    let path = format!("{path}:{}", std::env::var("PATH").unwrap());
    // It is told by where it leads to.
    let module = world.hsm.module.canonicalize().unwrap();
    let mut run = 0;
    for block in text.split("<!-- test: walkthrough -->\n```console\n").skip(1) {
        for step in block.split("```").next().unwrap().split("$ ").skip(1) {
            let (command, recorded) = step.split_once('\n').unwrap();
            let mut shell = world.program("sh");
            shell.args(["-c", &format!("exec 2>&1; {command}")]);
            shell.env("PATH", &path).env("TOKENS", &world.hsm.tokens);
            shell.env("AWS", world.aws.pid().to_string());
            shell.env("OPENBAO", world.openbao.pid().to_string());
            let printed = String::from_utf8(end(&mut shell).stdout).unwrap();
            let printed = printed.replace(module.to_str().unwrap(), MODULE);
            assert_eq!(shape(&printed), shape(recorded), "$ {command}");
            run += 1;
        }
    }
    assert_eq!(run, 14);
}

/// What differs from run to run, by its shape: UUIDs.
fn shape(text: &str) -> String {
    let is_id = |c: char| c.is_ascii_hexdigit() || c == '-';
    let mut shape = String::new();
    for part in text.trim_end().split_inclusive(|c| !is_id(c)) {
        let id = part.trim_end_matches(|c| !is_id(c));
        let is_uuid = id.len() == 36 && id.matches('-').count() == 4;
        shape.push_str(if is_uuid { "UUID" } else { id });
        shape.push_str(&part[id.len()..]);
    }
    shape
}
