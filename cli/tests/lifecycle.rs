//! Tokens for life, against other implementations: of keys that are published and rotated, of token
//! endpoints, and of Kubernetes' clients.
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

use std::{
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Stdio},
    time::{Duration, Instant},
};

use bulla_testworld::{Ministack, Node, OpenBao, Python, kms};
use sandbox::{Ended, Sandbox, end};
use serde_json::{Value, json};

/// Waits of a few seconds: 4 until a key signs.
const QUICK: &str = "--max-age 2s --staleness 1s --skew 1s --token-life 5m";

struct World(Sandbox);

impl World {
    fn new() -> Self {
        Self(Sandbox::new())
    }

    fn run(&self, args: &str) -> Ended {
        end(self.0.bulla().args(args.split_whitespace()))
    }

    fn ok(&self, args: &str) -> String {
        let ended = self.run(args);
        assert_eq!(ended.code, Some(0), "{args}: {}", ended.stderr);
        String::from_utf8(ended.stdout).unwrap()
    }

    /// Publishes the next key and has it sign, when it may.
    fn rotate(&self) {
        self.ok("keyring rotate keyring.json --now");
        let patience = Instant::now() + Duration::from_secs(60);
        loop {
            let ended = self.run("keyring rotate keyring.json --now");
            match ended.code {
                Some(0) => return,
                _ if Instant::now() < patience => {
                    assert!(ended.stderr.contains("may sign in"), "{}", ended.stderr);
                    std::thread::sleep(Duration::from_millis(500));
                }
                _ => panic!("{}", ended.stderr),
            }
        }
    }

    fn sign(&self, issuer: &str) -> String {
        let args = format!("token sign --ring keyring.json --iss {issuer} --sub ada --aud orders");
        self.ok(&args).trim().to_owned()
    }

    /// Serves the ring until it is dropped.
    fn serve(&self, port: u16, scheme: &str, more: &str) -> Serving {
        let issuer = format!("{scheme}://localhost:{port}");
        let args =
            format!("serve --ring keyring.json --issuer {issuer} --listen 127.0.0.1:{port} {more}");
        let mut command = self.0.bulla();
        command.args(args.split_whitespace()).stdin(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // It says so when it listens.
        let mut line = String::new();
        let said = child.stderr.as_mut().unwrap();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(said), &mut line).unwrap();
        assert!(line.contains(&format!("serving on {scheme}://127.0.0.1:{port}")), "{line}");
        Serving { child, issuer }
    }
}

struct Serving {
    child: Child,
    issuer: String,
}

impl Serving {
    /// Ends it as a service manager does, and waits for it.
    fn stop(mut self) -> Option<i32> {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        self.child.wait().unwrap().code()
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples").join(name).canonicalize().unwrap()
}

/// As `examples/keyring.md` has it.
#[test]
fn the_walkthrough_does_what_it_says() {
    if Python::for_tokens().is_none() {
        return;
    }
    let world = World::new();
    let bin = Path::new(sandbox::BULLA).parent().unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let mut script = world.0.program(Path::new("sh"));
    script.env("PATH", path).arg(example("keyring.sh")).arg(".").arg(free_port().to_string());
    script.arg(std::env::var_os("BULLA_TOKENS_PYTHON").unwrap()).arg(example("keyring.py"));
    let ended = end(&mut script);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let said = String::from_utf8(ended.stdout).unwrap();
    let verified: Vec<_> = said.lines().filter(|line| line.ends_with(" ada")).collect();
    let kids: Vec<_> = verified.iter().map(|line| line.split(' ').nth(1).unwrap()).collect();
    assert_eq!(kids.len(), 2, "{said}");
    assert_eq!(kids[1], format!("{}-2", kids[0]), "{said}");
    assert!(said.contains("retired") && said.contains("signing"), "{said}");
    let claims: Value = serde_json::from_slice(&world.0.read("after.json")).unwrap();
    assert_eq!(claims["sub"], "ada");
}

#[test]
fn a_server_ends_well_when_it_is_told_to() {
    let world = World::new();
    world.ok(&format!("keyring init keyring.json {QUICK}"));
    let serving = world.serve(free_port(), "http", "");
    assert_eq!(serving.stop(), Some(0));
}

/// One who never ends a request is hung up on, and keeps nobody else waiting.
#[test]
fn a_client_that_never_ends_its_request_is_hung_up_on() {
    use std::{
        io::{Read as _, Write as _},
        net::TcpStream,
    };

    let world = World::new();
    world.ok(&format!("keyring init keyring.json {QUICK}"));
    let port = free_port();
    let _serving = world.serve(port, "http", "");
    let connect = || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    let mut slow = connect();
    slow.write_all(b"GET /.well-known/jwks.json HTTP/1.1\r\nHost: localhost\r\nX: ").unwrap();
    let mut other = connect();
    other.write_all(b"GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    other.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    slow.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let mut rest = Vec::new();
    if let Err(error) = slow.read_to_end(&mut rest) {
        // A reset is an end too.
        let waits = [std::io::ErrorKind::WouldBlock, std::io::ErrorKind::TimedOut];
        assert!(!waits.contains(&error.kind()), "{error}");
    }
    assert!(!rest.starts_with(b"HTTP/1.1 200"));
}

/// OpenBao's own verifier, by discovery over TLS.
#[test]
fn openbao_logs_in_with_our_tokens() {
    let Some(bao) = OpenBao::start() else { return };
    let world = World::new();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    world.0.write("cert.pem", made.cert.pem());
    world.0.write("key.pem", made.signing_key.serialize_pem());
    world.ok(&format!("keyring init keyring.json {QUICK}"));
    let serving = world.serve(free_port(), "https", "--tls-cert cert.pem --tls-key key.pem");
    bao.ok("POST", "sys/auth/jwt", &json!({ "type": "jwt" }));
    let config = json!({
        "oidc_discovery_url": serving.issuer, "oidc_discovery_ca_pem": made.cert.pem(),
        // It goes by the keys alone otherwise.
        "bound_issuer": serving.issuer,
    });
    bao.ok("POST", "auth/jwt/config", &config);
    let role = json!({
        "role_type": "jwt", "user_claim": "sub", "bound_audiences": ["orders"], "policies": ["default"],
    });
    bao.ok("POST", "auth/jwt/role/r", &role);
    let login = |token: &str| {
        bao.request("", "POST", "auth/jwt/login", &json!({ "role": "r", "jwt": token })).0
    };
    let old = world.sign(&serving.issuer);
    assert_eq!(login(&old), 200);
    world.rotate();
    let new = world.sign(&serving.issuer);
    assert_ne!(kid(&old), kid(&new));
    assert_eq!((login(&old), login(&new)), (200, 200));

    // And what it refuses: another issuer, another audience, a signature that is not ours.
    let other = world.sign("https://other.example");
    let forged = format!("{}AAAA", &new[..new.len() - 4]);
    let args = format!("token sign --ring keyring.json --iss {} --sub ada --aud x", serving.issuer);
    let aud = world.ok(&args);
    for bad in [&*other, &forged, aud.trim()] {
        assert_eq!(login(bad), 400, "{bad}");
    }
}

fn kid(token: &str) -> String {
    let header = bulla::jwt::decode_unverified(token).unwrap();
    header.header()["kid"].as_str().unwrap().to_owned()
}

const JOSE: &str = "
import { createRemoteJWKSet, jwtVerify } from 'jose';
const [issuer, ...tokens] = process.argv.slice(1).filter((arg) => arg !== '--');
const metadata = await (await fetch(issuer + '/.well-known/openid-configuration')).json();
if (metadata.issuer !== issuer) throw new Error('another issuer');
const keys = createRemoteJWKSet(new URL(metadata.jwks_uri));
for (const token of tokens) {
  const { payload, protectedHeader } = await jwtVerify(token, keys, { issuer, audience: 'orders' });
  console.log(protectedHeader.kid, protectedHeader.alg, payload.sub);
}
";

#[test]
fn jose_reads_what_is_served_across_a_rotation() {
    let Some(node) = Node::find() else { return };
    for kind in ["p-256", "ed25519", "rsa-2048"] {
        let world = World::new();
        world.ok(&format!("keyring init keyring.json --type {kind} {QUICK}"));
        let serving = world.serve(free_port(), "http", "");
        let old = world.sign(&serving.issuer);
        world.ok(&format!("keyring rotate keyring.json --now --force --type {kind}"));
        let new = world.sign(&serving.issuer);
        let read = || node.run(JOSE, &[&serving.issuer, &old, &new]);
        // What is served may be a second old.
        std::thread::sleep(Duration::from_secs(3));
        let verified = read();
        let subjects: Vec<_> =
            verified.lines().map(|line| line.rsplit(' ').next().unwrap()).collect();
        assert_eq!(subjects, ["ada", "ada"], "{verified}");
        assert!(verified.starts_with(&kid(&old)) && verified.contains(&kid(&new)), "{verified}");
    }
}

const PROVIDER: &str = "
import { Provider } from 'oidc-provider';
const [port, clients] = process.argv.slice(1).filter((arg) => arg !== '--');
const algorithms = ['RS256', 'PS256', 'ES256', 'EdDSA'];
const provider = new Provider(`http://localhost:${port}`, {
  clients: JSON.parse(clients),
  enabledJWA: { clientAuthSigningAlgValues: algorithms },
  scopes: ['openid', 'read', 'admin'],
  features: {
    clientCredentials: { enabled: true },
    devInteractions: { enabled: false },
  },
});
provider.listen(Number(port), '127.0.0.1', () => console.log('listening'));
";

/// `private_key_jwt` at another's token endpoint, and what it refuses.
#[test]
fn oidc_provider_gives_tokens_for_assertions() {
    let Some(node) = Node::find() else { return };
    let world = World::new();
    let kinds =
        [("RS256", "rsa-2048"), ("PS256", "rsa-2048"), ("ES256", "p-256"), ("EdDSA", "ed25519")];
    let clients: Vec<_> = kinds
        .iter()
        .map(|(alg, kind)| {
            let key = alg.to_lowercase();
            world.ok(&format!("keys create {key} --type {kind}"));
            let alg_of_set = if *kind == "p-256" { String::new() } else { format!("--alg {alg}") };
            let set = world.ok(&format!("jwks --key local:{key} {alg_of_set}"));
            json!({
                "client_id": key, "token_endpoint_auth_method": "private_key_jwt",
                "token_endpoint_auth_signing_alg": alg, "grant_types": ["client_credentials"],
                "redirect_uris": [], "response_types": [], "scope": "read",
                "jwks": serde_json::from_str::<Value>(&set).unwrap(),
            })
        })
        .collect();
    let server = node.serve(PROVIDER, &[&json!(clients).to_string()]);
    let issuer = format!("http://localhost:{}", server.port());
    let ask = |client: &str, more: &str| {
        let args = format!("oauth token --endpoint {issuer}/token --client {client} {more}");
        world.run(&args)
    };
    for (alg, kind) in kinds {
        let key = alg.to_lowercase();
        let alg = if kind.starts_with("rsa") { format!("--alg {alg}") } else { String::new() };
        let audience = format!("--audience {issuer}");
        let got = ask(&key, &format!("--key local:{key} {alg} {audience} --scope read --json"));
        assert_eq!(got.code, Some(0), "{alg}: {}\n{}", got.stderr, server.log());
        let told: Value = serde_json::from_slice(&got.stdout).unwrap();
        assert!(told["access_token"].as_str().unwrap().len() > 20, "{told}");
        assert!(told["expires"].is_string(), "{told}");
        // The endpoint is an audience that the server knows too.
        assert_eq!(ask(&key, &format!("--key local:{key} {alg}")).code, Some(0));
    }
    let refused = [
        ("es256", "--key local:es256 --audience https://other.example", "invalid_client"),
        ("es256", "--key local:eddsa", "invalid_client"),
        ("es256", "--key local:es256 --kid unknown", "invalid_client"),
        ("nobody", "--key local:es256", "invalid_client"),
        ("es256", "--key local:es256 --scope admin", "invalid_scope"),
        ("es256", "--key local:es256 --on-behalf-of ada", "unsupported_grant_type"),
    ];
    for (client, more, code) in refused {
        let ended = ask(client, more);
        assert!(matches!(ended.code, Some(1 | 2)), "{more}: {:?}", ended.code);
        assert!(ended.stderr.contains(code), "{more}: {}", ended.stderr);
        assert!(!ended.stderr.contains("eyJ"), "{}", ended.stderr);
    }
    let nobody =
        world.run("oauth token --endpoint http://localhost:1/token --client a --key local:es256");
    assert_eq!(nobody.code, Some(4), "{}", nobody.stderr);
}

/// Workload identity: a token of the ring in the place of a secret of AWS. Whose token it is, the emulator of STS
/// does not check; that the SDK sends it there and goes by what it gets, this does.
#[test]
fn a_token_of_the_ring_is_exchanged_for_credentials_of_aws() {
    let Some(python) = Python::for_aws() else { return };
    let aws = Ministack::start(&python, false);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let arn = runtime.block_on(kms::symmetric(&aws.url()));
    let world = World::new();
    world.ok(&format!("keyring init keyring.json {QUICK}"));
    let sign =
        "token sign --ring keyring.json --iss https://id.example --sub app --aud sts.amazonaws.com";
    world.0.write("token", world.ok(sign).trim());
    world.0.write("a", "secret");
    let run = |args: &str, role: Option<&str>| {
        let mut command = world.0.bulla();
        for (name, _) in
            std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("AWS_"))
        {
            command.env_remove(name);
        }
        command.env("HOME", world.0.home()).env("AWS_EC2_METADATA_DISABLED", "true");
        command.env("AWS_ENDPOINT_URL", aws.url()).args(args.split_whitespace());
        if let Some(role) = role {
            command.env("AWS_WEB_IDENTITY_TOKEN_FILE", world.0.path("token"));
            command.env("AWS_ROLE_ARN", role).env("AWS_ROLE_SESSION_NAME", "app");
        }
        end(&mut command)
    };
    let role = "arn:aws:iam::000000000000:role/app";
    let encrypt = format!("encrypt a --key awskms:///{arn}?region=eu-west-1");
    let sealed = run(&encrypt, Some(role));
    assert_eq!(sealed.code, Some(0), "{}", sealed.stderr);
    let decrypt = format!("decrypt a.bulla -o b --key awskms:///{arn}?region=eu-west-1");
    assert_eq!(run(&decrypt, Some(role)).code, Some(0));
    assert_eq!(world.0.read("b"), b"secret");
    let nobody = run(&format!("{encrypt} -o c"), None);
    assert_ne!(nobody.code, Some(0), "without it there are no credentials");
}

const KUBERNETES: &str = r#"
import http.server, json, os, ssl, sys, threading
import kubernetes

cert, key, config, seen = sys.argv[1], sys.argv[2], sys.argv[3], []

class Cluster(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        seen.append(self.headers.get("Authorization"))
        body = json.dumps({"major": "1", "minor": "34", "gitVersion": "v1.34.0", "gitCommit": "",
            "gitTreeState": "", "buildDate": "", "goVersion": "", "compiler": "", "platform": ""}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *args):
        pass

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Cluster)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(cert, key)
server.socket = context.wrap_socket(server.socket, server_side=True)
threading.Thread(target=server.serve_forever, daemon=True).start()

text = open(config).read().replace("SERVER", "https://localhost:%d" % server.server_port)
open(config, "w").write(text)
kubernetes.config.load_kube_config(config)
kubernetes.client.VersionApi().get_code()
print(seen[0])
"#;

#[test]
fn a_kubernetes_client_runs_it_as_its_plugin() {
    let Some(python) = Python::for_tokens() else { return };
    let world = World::new();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    world.0.write("cert.pem", made.cert.pem());
    world.0.write("key.pem", made.signing_key.serialize_pem());
    world.ok(&format!("keyring init keyring.json {QUICK}"));
    for version in ["v1", "v1beta1"] {
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "c",
            "clusters": [{ "name": "k", "cluster": {
                "server": "SERVER", "certificate-authority": world.0.path("cert.pem") } }],
            "contexts": [{ "name": "c", "context": { "cluster": "k", "user": "u" } }],
            "users": [{ "name": "u", "user": { "exec": {
                "apiVersion": format!("client.authentication.k8s.io/{version}"),
                "command": sandbox::BULLA, "interactiveMode": "Never",
                "args": ["kube-credential", "--ring", world.0.path("keyring.json"), "--iss",
                    "https://id.example", "--sub", "ada", "--aud", "kubernetes", "--ttl", "5m"],
                "env": [{ "name": "BULLA_HOME", "value": world.0.home() }],
            } } }],
        });
        world.0.write("kubeconfig", config.to_string());
        let path = |name: &str| world.0.path(name).to_str().unwrap().to_owned();
        let (cert, key, config) = (path("cert.pem"), path("key.pem"), path("kubeconfig"));
        let seen = python.run(KUBERNETES, &[&cert, &key, &config]);
        let token = seen.strip_prefix("Bearer ").unwrap();
        let set = world.ok("jwks --ring keyring.json");
        world.0.write("jwks.json", set);
        world.0.write("seen.jwt", token);
        world
            .ok("token verify seen.jwt --jwks jwks.json --iss https://id.example --aud kubernetes");
    }
    let mut other = world.0.bulla();
    other.args(["kube-credential", "--ring", "keyring.json", "--iss", "x", "--aud", "y"]);
    let question = json!({ "apiVersion": "client.authentication.k8s.io/v9", "kind": "ExecCredential", "spec": {} });
    let ended = end(other.env("KUBERNETES_EXEC_INFO", question.to_string()));
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stdout.is_empty() && ended.stderr.contains("v1beta1"), "{}", ended.stderr);
}
