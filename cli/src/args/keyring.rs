//! The command lines of `bulla keyring`, `bulla serve`, `bulla oauth` and `bulla kube-credential`.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use bulla_config::parse_duration;
use bulla_local::KeyType;
use bulla_tokens::ring::KidStyle;
use clap::{
    Args, Subcommand, ValueEnum,
    builder::{NonEmptyStringValueParser, PossibleValuesParser, TypedValueParser},
};

use super::{
    NamedAlgorithm, PassphraseFiles, SignToken,
    tokens::{ClaimPair, algorithm},
};

pub(super) const AFTER_HELP: &str = "\
Examples:
  bulla keyring init keyring.json --key local:default
  bulla keyring status keyring.json
  bulla keyring rotate keyring.json                   # whatever is due: from cron, every hour
  bulla token sign --ring keyring.json --iss https://id.example --aud orders
  bulla jwks --ring keyring.json";

#[derive(Debug, Subcommand)]
pub(crate) enum KeyringCommand {
    Init(InitRing),
    Status(RingStatus),
    Rotate(RotateRing),
    Remove(RemoveFromRing),
}

/// Where the keys of a ring come from.
#[derive(Debug, Args)]
pub(crate) struct NewKeys {
    /// Make key pairs, and keep their private halves in the ring, sealed to this key: a URI, or a name
    /// from the configuration; give it again for more [default: the configuration's, or local:default]
    #[arg(short, long = "key", value_name = "KEY")]
    pub(crate) keys: Vec<String>,
    /// Take up a key that signs where it is instead, such as 'awskms:///alias/tokens'
    #[arg(long, value_name = "KEY", conflicts_with = "keys")]
    pub(crate) sign_with: Option<String>,
    /// What kind of key pair: p-256, p-384, p-521, ed25519, rsa-2048, rsa-3072 or rsa-4096
    #[arg(short = 't', long = "type", value_name = "TYPE", default_value = "p-256")]
    #[arg(value_parser = signing_type(), hide_possible_values = true, conflicts_with = "sign_with")]
    pub(crate) key_type: KeyType,
    /// The algorithm, for RSA keys [default: RS256]
    #[arg(long, value_name = "ALGORITHM", value_parser = algorithm(), hide_possible_values = true)]
    pub(crate) alg: Option<NamedAlgorithm>,
    /// What keys are called: 2026-11, or their thumbprint (RFC 7638)
    #[arg(long, value_name = "STYLE", value_enum, default_value_t = Kid::Month)]
    pub(crate) kid: Kid,
    #[command(flatten)]
    pub(crate) passphrases: PassphraseFiles,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Kid {
    /// By the month in which they are made
    Month,
    /// By the thumbprint of the public half
    Thumbprint,
}

impl From<Kid> for KidStyle {
    fn from(kid: Kid) -> Self {
        match kid {
            Kid::Month => Self::Month,
            Kid::Thumbprint => Self::Thumbprint,
        }
    }
}

/// Begins a ring of signing keys, with one that signs at once
///
/// The ring is a file: public keys, private ones that are sealed, and what each key is in. Whoever may
/// write to it says which keys are published, so keep it as you keep configuration.
///
/// How long keys wait follows from --max-age, --token-life, --skew and --staleness: a new one until every
/// cached set has it, and one that signs no more until its last token has expired.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bulla keyring init keyring.json                     # sealed to the default key
  bulla keyring init keyring.json --key local:work --type ed25519 --kid thumbprint
  bulla keyring init keyring.json --sign-with 'awskms:///alias/tokens' --rotate-every 90d")]
pub(crate) struct InitRing {
    /// The file, which must not be there yet
    pub(crate) ring: PathBuf,
    /// What the ring is called: 1 to 64 of A-Z, a-z, 0-9, _ and -. Sealed keys are bound to it
    #[arg(long, default_value = "tokens")]
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) new: NewKeys,
    /// For how long verifiers keep the set of keys: what is served as max-age
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = parse_long)]
    pub(crate) max_age: Duration,
    /// The longest life of a token
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = parse_long)]
    pub(crate) token_life: Duration,
    /// How far clocks may differ, and what verifiers allow on top
    #[arg(long, value_name = "DURATION", default_value = "2m", value_parser = parse_long)]
    pub(crate) skew: Duration,
    /// How old a process's knowledge of the ring may be; it looks ten times as often
    #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = parse_long)]
    pub(crate) staleness: Duration,
    /// For how long a key signs
    #[arg(long, value_name = "DURATION", default_value = "180d", value_parser = parse_long)]
    pub(crate) rotate_every: Duration,
}

/// Shows the keys of a ring, and what is due
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bulla keyring status keyring.json
  bulla keyring status keyring.json --json | jq -r .next.due")]
pub(crate) struct RingStatus {
    /// The file
    pub(crate) ring: PathBuf,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Does what is due: publishes a key, has it sign, removes those that have retired
///
/// Nothing is the usual answer, so it may run from cron, also on several hosts: of those who rotate at
/// once, one does. With --now, a rotation begins, or goes on as far as the waits allow, whether it is due
/// or not.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bulla keyring rotate keyring.json
  bulla keyring rotate keyring.json --now             # publishes the next key; later, has it sign
  bulla keyring rotate keyring.json --now --sign-with 'awskms:///alias/tokens'   # moves to a KMS
  bulla keyring rotate keyring.json --now --force     # the key that signs has leaked")]
pub(crate) struct RotateRing {
    /// The file
    pub(crate) ring: PathBuf,
    #[command(flatten)]
    pub(crate) new: NewKeys,
    /// Begin a rotation, or go on with it, though it is not due
    #[arg(long)]
    pub(crate) now: bool,
    /// Have the new key sign without waiting: verifiers refuse its tokens until they fetch the set anew
    #[arg(long, requires = "now")]
    pub(crate) force: bool,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Takes a key out of a ring: one that has retired, or one that has not signed yet
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bulla keyring remove keyring.json 2026-11
  bulla keyring remove keyring.json 2026-11 --force   # it has leaked: its tokens are refused from now on")]
pub(crate) struct RemoveFromRing {
    /// The file
    pub(crate) ring: PathBuf,
    /// The key, as `bulla keyring status` shows it
    pub(crate) kid: String,
    /// Remove it without waiting: tokens that it has signed are refused
    #[arg(long)]
    pub(crate) force: bool,
}

/// Serves the keys of a ring, the metadata of its issuer, health and metrics
///
/// Below the issuer's path: /.well-known/jwks.json and /.well-known/openid-configuration. Besides:
/// /.well-known/oauth-authorization-server, /healthz (the process is up), /readyz (the ring can be read) and
/// /metrics (Prometheus).
///
/// /metrics and /readyz are for you: have a proxy keep them from the Internet. Needs no key: nothing is signed. With --rotate it also does what is due. SIGTERM and SIGINT end it, after
/// the requests that are under way.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bulla serve --ring keyring.json --issuer https://id.example --listen 127.0.0.1:8080   # behind a proxy
  bulla serve --ring keyring.json --issuer https://id.example:8443 --listen 0.0.0.0:8443 \\
      --tls-cert cert.pem --tls-key key.pem
  bulla serve --ring keyring.json --issuer http://localhost:8080 --rotate --key local:work")]
pub(crate) struct Serve {
    /// The ring's file
    #[arg(long, value_name = "FILE")]
    pub(crate) ring: PathBuf,
    /// Who issues the tokens: https, or http of this host
    #[arg(long, value_name = "URL", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) issuer: String,
    /// The address and port to listen on
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    pub(crate) listen: SocketAddr,
    /// Serve TLS with this certificate and its chain, in PEM
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub(crate) tls_cert: Option<PathBuf>,
    /// The certificate's private key, in PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub(crate) tls_key: Option<PathBuf>,
    /// Rotate the ring by its schedule too; new keys are made as `bulla keyring rotate` makes them
    #[arg(long)]
    pub(crate) rotate: bool,
    #[command(flatten)]
    pub(crate) new: NewKeys,
}

pub(super) const OAUTH_AFTER_HELP: &str = "\
Examples:
  bulla oauth token --endpoint https://id.example/token --client orders --key local:id";

#[derive(Debug, Subcommand)]
pub(crate) enum OauthCommand {
    Token(OauthToken),
}

/// Gets an access token from an authorization server, with a key in the place of a secret
///
/// The client authenticates with an assertion that the key signs (RFC 7523), whose `kid` is the key's
/// thumbprint, as in the sets that `bulla jwks` prints. The server knows the client's public keys.
///
/// Prints the token alone, or with --json what came with it. The exit code is 4 if the server can't be had
/// for now.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bulla oauth token --endpoint https://id.example/token --client orders --key local:id --scope read
  bulla oauth token --endpoint https://id.example/token --client orders --key local:id \\
      --on-behalf-of ada                              # the grant jwt-bearer
  curl -H \"Authorization: Bearer $(bulla oauth token …)\" https://api.example/")]
pub(crate) struct OauthToken {
    #[command(flatten)]
    pub(crate) client: OauthClient,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Who asks which authorization server for what.
#[derive(Debug, Args)]
pub(crate) struct OauthClient {
    /// The token endpoint
    #[arg(long, value_name = "URL")]
    pub(crate) endpoint: String,
    /// The client's id there
    #[arg(long, value_name = "ID")]
    pub(crate) client: String,
    /// The key that signs, such as local:id, or a name from the configuration
    #[arg(short, long, value_name = "KEY")]
    pub(crate) key: String,
    /// The algorithm, for RSA keys [default: RS256]
    #[arg(long, value_name = "ALGORITHM", value_parser = algorithm(), hide_possible_values = true)]
    pub(crate) alg: Option<NamedAlgorithm>,
    /// Call the key this, instead of by its thumbprint
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    pub(crate) kid: Option<String>,
    /// The `aud` of assertions, where that is not the endpoint
    #[arg(long, value_name = "AUDIENCE")]
    pub(crate) audience: Option<String>,
    /// The scope to ask for; several with spaces between
    #[arg(long)]
    pub(crate) scope: Option<String>,
    /// Ask on behalf of this user, by the grant jwt-bearer
    #[arg(long, value_name = "SUBJECT")]
    pub(crate) on_behalf_of: Option<String>,
    /// One more claim of assertions: NAME=TEXT is a string, NAME:=JSON any value; give it again for more
    #[arg(long = "claim", value_name = "NAME=TEXT|NAME:=JSON")]
    pub(crate) claim: Vec<ClaimPair>,
    /// One more parameter of the request, such as resource=https://api.example; give it again for more
    #[arg(long = "parameter", value_name = "NAME=VALUE")]
    pub(crate) parameters: Vec<Parameter>,
    /// Trust this certification authority too, in PEM
    #[arg(long, value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) passphrases: PassphraseFiles,
}

/// Prints a credential for kubectl and other Kubernetes clients
///
/// For the exec section of a kubeconfig. The token is signed here, and the cluster has to trust its issuer
/// (an AuthenticationConfiguration with the issuer's URL). Honours KUBERNETES_EXEC_INFO, and answers in the
/// version that it names: v1 or v1beta1 of client.authentication.k8s.io.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bulla kube-credential --ring keyring.json --iss https://id.example --sub ada --aud kubernetes

In a kubeconfig:
  users:
  - name: ada
    user:
      exec:
        apiVersion: client.authentication.k8s.io/v1
        command: bulla
        args: [kube-credential, --ring, /etc/bulla/keyring.json, --iss, https://id.example,
               --sub, ada, --aud, kubernetes, --ttl, 10m]
        interactiveMode: IfAvailable")]
pub(crate) struct KubeCredential {
    #[command(flatten)]
    pub(crate) token: SignToken,
}

/// A parameter by its name.
#[derive(Clone, Debug)]
#[cfg_attr(not(feature = "oauth"), allow(dead_code, reason = "it is told that it can't be used"))]
pub(crate) struct Parameter {
    pub(crate) name: String,
    pub(crate) value: String,
}

impl std::str::FromStr for Parameter {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('=') {
            Some((name, value)) if !name.is_empty() => {
                Ok(Self { name: name.to_owned(), value: value.to_owned() })
            }
            _ => Err("a parameter is NAME=VALUE, such as resource=https://api.example"),
        }
    }
}

fn signing_type() -> impl TypedValueParser<Value = KeyType> {
    let names = KeyType::ALL.iter().filter(|kind| !kind.seals()).map(|kind| kind.as_str());
    PossibleValuesParser::new(names).map(|name| name.parse().unwrap_or(KeyType::P256))
}

/// A whole number and s, m, h or d.
fn parse_long(text: &str) -> Result<Duration, String> {
    let days = text.strip_suffix('d').and_then(|days| days.parse::<u32>().ok());
    match days {
        Some(days) => Ok(Duration::from_secs(u64::from(days) * 24 * 3600)),
        None => parse_duration(text).map_err(|error| format!("{error}, or d for days")),
    }
}
