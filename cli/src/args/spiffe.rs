//! The command line of `bulla spiffe`.

use std::{path::PathBuf, time::Duration};

use bulla_config::parse_duration;
use clap::{ArgGroup, Args, Subcommand, builder::NonEmptyStringValueParser};

use super::{
    NamedAlgorithm, PassphraseFiles,
    tokens::{ClaimPair, algorithm},
};

pub(super) const AFTER_HELP: &str = "\
Examples:
  bulla keyring init svids.json --max-age 25m --token-life 5m
  bulla spiffe issue spiffe://example.org/billing --ring svids.json --aud reports > svid.jwt
  bulla spiffe bundle example.org --ring svids.json > bundle.json
  bulla spiffe verify svid.jwt --bundle example.org=bundle.json --aud reports";

#[derive(Debug, Subcommand)]
pub(crate) enum SpiffeCommand {
    Issue(IssueSvid),
    Fetch(FetchSvid),
    Verify(VerifySvid),
    Bundle(PrintBundle),
    Serve(Box<ServeSvids>),
}

/// Issues a JWT-SVID to a workload and prints it
///
/// The trust domain is the ID's. The token has `sub` (the ID), `aud` (an array), `iat` (now), `exp` (in 5
/// minutes), `jti`, and what is given here; its header has `alg`, `kid` and `typ`. A key of Ed25519 issues
/// none: the standard does not have it.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bulla spiffe issue spiffe://example.org/billing --key local:id --aud reports
  bulla spiffe issue spiffe://example.org/billing --ring svids.json --aud reports --ttl 1m
  bulla spiffe issue spiffe://example.org/billing --key local:id --aud sts.amazonaws.com \\
      --iss https://id.example --claim tenant=acme")]
#[command(group(ArgGroup::new("svid_signer").args(["key", "ring"]).required(true)))]
pub(crate) struct IssueSvid {
    /// The workload's ID, such as spiffe://example.org/billing
    #[arg(value_name = "SPIFFE-ID")]
    pub(crate) id: String,
    /// The key that signs, such as local:id, or a name from the configuration
    #[arg(short, long, value_name = "KEY")]
    pub(crate) key: Option<String>,
    /// Sign with the key of this ring that signs now (see `bulla keyring`), by the name that it has there
    #[arg(long, value_name = "FILE", conflicts_with_all = ["alg", "kid"])]
    pub(crate) ring: Option<PathBuf>,
    /// Whom it is for: `aud`; give it again for more, each of which can pass it on to the others
    #[arg(long, value_name = "AUDIENCE", required = true)]
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub(crate) aud: Vec<String>,
    /// How long it lasts: a whole number and s, m or h, up to 24h
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = parse_duration)]
    pub(crate) ttl: Duration,
    /// Who issues it, for verifiers that look for keys by OpenID Connect discovery: `iss`
    #[arg(long, value_name = "URL", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) iss: Option<String>,
    /// One more claim: NAME=TEXT is a string, NAME:=JSON any value; give it again for more
    #[arg(long = "claim", value_name = "NAME=TEXT|NAME:=JSON")]
    pub(crate) claim: Vec<ClaimPair>,
    /// The algorithm, for RSA keys [default: RS256]
    #[arg(long, value_name = "ALGORITHM", value_parser = algorithm(), hide_possible_values = true)]
    pub(crate) alg: Option<NamedAlgorithm>,
    /// Call the key this, instead of by its thumbprint; the bundle must have it by that name
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    pub(crate) kid: Option<String>,
    #[command(flatten)]
    pub(crate) passphrases: PassphraseFiles,
}

/// Asks this host's Workload API for a JWT-SVID of this process, and prints it
///
/// The Workload API is the one that SPIFFE_ENDPOINT_SOCKET names: SPIRE's agent, `bulla spiffe serve`, or any other
/// that speaks it. Which IDs this process has is for it to say.
///
/// The exit code is 4 if the Workload API is not there for now, and 1 if it has no such ID for this process.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bulla spiffe fetch --aud reports
  bulla spiffe fetch spiffe://example.org/billing --aud reports
  curl -H \"Authorization: Bearer $(bulla spiffe fetch --aud reports)\" https://reports.example")]
pub(crate) struct FetchSvid {
    /// The ID that it is to be of, such as spiffe://example.org/billing [default: the first one of this process]
    #[arg(value_name = "SPIFFE-ID")]
    pub(crate) id: Option<String>,
    /// Whom it is for: `aud`; give it again for more, each of which can pass it on to the others
    #[arg(long, value_name = "AUDIENCE", required = true)]
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub(crate) aud: Vec<String>,
    /// How long is waited for the Workload API
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = parse_duration)]
    pub(crate) timeout: Duration,
}

/// Verifies a JWT-SVID with the bundle of its trust domain, and prints its claims as JSON
///
/// The subject is a SPIFFE ID, of a trust domain whose bundle is given; the signature is that of a key of
/// this bundle, by RSA or ECDSA; `exp` has not passed, the audience is the one expected, and `typ` is JWT,
/// JOSE or not there.
///
/// The exit code is 3 if the token is not valid, and 4 if a bundle can't be had for now: then nothing is
/// known of the token.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bulla spiffe verify svid.jwt --bundle example.org=bundle.json --aud reports
  bulla spiffe verify svid.jwt --bundle example.org=https://example.org/bundle.json --aud reports
  SPIFFE_ENDPOINT_SOCKET=unix:///run/bulla/api.sock bulla spiffe verify svid.jwt --aud reports
  xclip -o | bulla spiffe verify --bundle example.org=bundle.json --aud reports | jq -r .sub")]
pub(crate) struct VerifySvid {
    /// The token; `-` or nothing for standard input
    pub(crate) file: Option<PathBuf>,
    /// The bundle of a trust domain: a file, or an https URL whose server has a certificate that is trusted
    /// here; give it again for more trust domains [default: those of the Workload API that
    /// SPIFFE_ENDPOINT_SOCKET names]
    #[arg(long = "bundle", value_name = "DOMAIN=FILE|URL")]
    pub(crate) bundles: Vec<DomainBundle>,
    /// The audience expected in `aud`, perhaps among others
    #[arg(long, value_name = "AUDIENCE", required = true)]
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub(crate) aud: String,
    /// How far clocks may differ: at most 60s
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = parse_duration)]
    pub(crate) leeway: Duration,
}

/// Prints the SPIFFE bundle of a trust domain: what its SVIDs are verified with
///
/// Of a ring, the bundle's number (`spiffe_sequence`) rises with each key that comes or goes, and its hint is
/// a fifth of what the ring's policy lets sets be kept for. Of a key, give a number with --sequence, and
/// raise it with each change. No passphrase is needed: nothing private is read.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bulla spiffe bundle example.org --ring svids.json > bundle.json
  bulla spiffe bundle example.org --key local:id --sequence 2 --x509 roots.pem > bundle.json
  bulla spiffe bundle partner.example --url https://partner.example/bundle.json")]
#[command(group(ArgGroup::new("bundle_of").args(["keys", "ring", "url", "x509"]).required(true).multiple(true)))]
pub(crate) struct PrintBundle {
    /// The trust domain, such as example.org
    #[arg(value_name = "DOMAIN")]
    pub(crate) trust_domain: String,
    /// A key that signs its JWT-SVIDs; give it again for more
    #[arg(short, long = "key", value_name = "KEY", conflicts_with_all = ["ring", "url"])]
    pub(crate) keys: Vec<String>,
    /// The keys of this ring (see `bulla keyring`)
    #[arg(long, value_name = "FILE", conflicts_with = "url")]
    pub(crate) ring: Option<PathBuf>,
    /// Certificates that sign its X.509-SVIDs, in PEM
    #[arg(long, value_name = "FILE", conflicts_with = "url")]
    pub(crate) x509: Option<PathBuf>,
    /// Fetch the bundle of another trust domain, and print it as it is understood here. The server proves
    /// itself by a certificate for its name (`https_web`)
    #[arg(long, value_name = "URL", conflicts_with_all = ["sequence", "refresh_hint", "alg"])]
    pub(crate) url: Option<String>,
    /// The bundle's number; with --ring it is added to the ring's
    #[arg(long, value_name = "NUMBER")]
    pub(crate) sequence: Option<u64>,
    /// How often to look for changes [default: the ring's, or 5m]
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    pub(crate) refresh_hint: Option<Duration>,
    /// What RSA keys are said to sign with [default: RS256]
    #[arg(long, value_name = "ALGORITHM", value_parser = algorithm(), hide_possible_values = true)]
    #[arg(conflicts_with = "ring")]
    pub(crate) alg: Option<NamedAlgorithm>,
}

/// Serves SPIFFE's Workload API to the processes of this host: experimental
///
/// Each process that fits an entry, by its user, its group or the file that it runs, gets an X.509-SVID and
/// JWT-SVIDs of the entry's ID, and the bundles of the trust domains that are named. Whoever may use the key
/// is everybody in the trust domain. SIGTERM and SIGINT end it, and remove the socket.
///
/// The root's certificate is made at the first start, by the key, and kept in --root.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bulla spiffe serve example.org --key local:id --root root.pem --socket /run/bulla/api.sock \\
      --entry spiffe://example.org/billing,uid=1001
  bulla spiffe serve example.org --key 'awskms:///alias/ca' --ring svids.json --root root.pem \\
      --socket api.sock --entry spiffe://example.org/orders,gid=1002,path=/usr/bin/orders \\
      --bundle partner.example=https://partner.example/bundle.json
  SPIFFE_ENDPOINT_SOCKET=unix:///run/bulla/api.sock orders")]
pub(crate) struct ServeSvids {
    /// The trust domain, such as example.org
    #[arg(value_name = "DOMAIN")]
    pub(crate) trust_domain: String,
    /// The socket, made with the mode of --mode; a directory that others may write to is refused
    #[arg(long, value_name = "FILE")]
    pub(crate) socket: PathBuf,
    /// Who may connect to the socket, as chmod has it in octal; what they get is for the entries to say
    #[arg(long, value_name = "MODE", default_value = "666", value_parser = mode)]
    pub(crate) mode: u32,
    /// The key that signs certificates, such as local:id, or a name from the configuration
    #[arg(short, long, value_name = "KEY")]
    pub(crate) key: String,
    /// The root's certificate, in PEM; it is made if it is not there
    #[arg(long, value_name = "FILE")]
    pub(crate) root: PathBuf,
    /// Sign tokens with this ring (see `bulla keyring`), and not with the key
    #[arg(long, value_name = "FILE")]
    pub(crate) ring: Option<PathBuf>,
    /// Who gets which ID: SPIFFE-ID and one or more of uid=, gid= and path= (of an executable), all of which
    /// have to fit; give it again for more
    #[arg(long = "entry", value_name = "SPIFFE-ID,NAME=VALUE,...", required = true)]
    pub(crate) entries: Vec<WorkloadEntry>,
    /// The bundle of another trust domain: a file, or an https URL that is looked at again and again; give it
    /// again for more
    #[arg(long = "bundle", value_name = "DOMAIN=FILE|URL")]
    pub(crate) bundles: Vec<DomainBundle>,
    /// How long certificates last: up to 24h
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = parse_duration)]
    pub(crate) svid_life: Duration,
    /// How long tokens last: up to 24h
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = parse_duration)]
    pub(crate) token_life: Duration,
    #[command(flatten)]
    pub(crate) passphrases: PassphraseFiles,
}

/// Which processes get which identity.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct WorkloadEntry {
    pub(crate) id: String,
    pub(crate) uid: Option<u32>,
    pub(crate) gid: Option<u32>,
    pub(crate) path: Option<PathBuf>,
}

impl std::str::FromStr for WorkloadEntry {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.split(',');
        let id = parts.next().unwrap_or_default().to_owned();
        let mut entry = Self { id, ..Self::default() };
        for part in parts {
            let (name, value) = part
                .split_once('=')
                .ok_or_else(|| format!("{part:?} is not NAME=VALUE, such as uid=1001"))?;
            let number = || value.parse().map_err(|_| format!("{value:?} is no number of {name}"));
            let twice = match name {
                "uid" => entry.uid.replace(number()?).is_some(),
                "gid" => entry.gid.replace(number()?).is_some(),
                "path" if !value.is_empty() => entry.path.replace(value.into()).is_some(),
                _ => return Err(format!("{name:?} is not uid, gid or path")),
            };
            if twice {
                return Err(format!("{name} is given twice"));
            }
        }
        match (entry.uid, entry.gid, &entry.path) {
            (None, None, None) => {
                Err("an entry names whom it fits, such as spiffe://example.org/a,uid=1001"
                    .to_owned())
            }
            _ => Ok(entry),
        }
    }
}

/// Octal, and nothing but permissions.
fn mode(text: &str) -> Result<u32, String> {
    match u32::from_str_radix(text, 8) {
        Ok(mode) if mode <= 0o777 => Ok(mode),
        _ => Err("a mode is octal, from 0 to 777".to_owned()),
    }
}

/// A trust domain and where its bundle is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DomainBundle {
    pub(crate) trust_domain: String,
    pub(crate) place: String,
}

impl std::str::FromStr for DomainBundle {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('=') {
            Some((domain, place)) if !domain.is_empty() && !place.is_empty() => {
                Ok(Self { trust_domain: domain.to_owned(), place: place.to_owned() })
            }
            _ => Err("a bundle is DOMAIN=FILE, such as example.org=bundle.json, or DOMAIN=URL"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_names_an_id_and_whom_it_fits() {
        let read = |text: &str| text.parse::<WorkloadEntry>();
        let entry = read("spiffe://a/b,gid=2,path=/usr/bin/b=c,uid=1").unwrap();
        assert_eq!((entry.id.as_str(), entry.uid, entry.gid), ("spiffe://a/b", Some(1), Some(2)));
        assert_eq!(entry.path.unwrap().to_str(), Some("/usr/bin/b=c"));
        for bad in
            ["", "a", "a,", "a,uid", "a,uid=x", "a,uid=-1", "a,uid=1,uid=1", "a,path=", "a,b=c"]
        {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_mode_is_octal() {
        assert_eq!(mode("660"), Ok(0o660));
        for bad in ["", "888", "1777", "rw", "-1", "0x1"] {
            assert!(mode(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_bundle_has_its_trust_domain_before_it() {
        let read = |text: &str| text.parse::<DomainBundle>();
        let of = |domain: &str, place: &str| DomainBundle {
            trust_domain: domain.to_owned(),
            place: place.to_owned(),
        };
        assert_eq!(read("a=b.json"), Ok(of("a", "b.json")));
        assert_eq!(read("a=https://b/c?d=e"), Ok(of("a", "https://b/c?d=e")));
        for bad in ["", "a", "=b", "a=", "https://b/c"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
