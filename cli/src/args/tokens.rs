//! The command line of `bulla token` and `bulla jwks`.

use std::{path::PathBuf, time::Duration};

use bulla::{SigningAlgorithm, jwt::Ed25519Name};
use bulla_config::parse_duration;
use clap::{
    ArgGroup, Args, Subcommand,
    builder::{NonEmptyStringValueParser, PossibleValuesParser, TypedValueParser},
};
use serde_json::value::{RawValue, to_raw_value};

use super::PassphraseFiles;

pub(super) const AFTER_HELP: &str = "\
Examples:
  bulla keys create id --type p-256
  bulla token sign --key local:id --iss https://id.example --sub ada --aud orders > token.jwt
  bulla jwks --key local:id > jwks.json
  bulla token verify token.jwt --jwks jwks.json --iss https://id.example --aud orders";

/// The type of most tokens.
pub(crate) const DEFAULT_TYP: &str = "JWT";

/// Longer than any token should last, and short enough that its end has a date.
const MAX_TTL: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    Sign(SignToken),
    Verify(VerifyToken),
    Inspect(InspectToken),
}

/// Signs claims and prints the token
///
/// The token has `iat` (now), `exp` (in an hour) and `jti` (128 random bits), and what is given
/// here. --claim and --claims may give these three as well. A claim that is given twice is refused.
///
/// Its `kid` is the key's thumbprint (RFC 7638), as in the sets that `bulla jwks` prints.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bulla token sign --key local:id --iss https://id.example --sub ada --aud orders
  bulla token sign --key local:id --iss https://id.example --aud orders --ttl 5m \\
      --claim scope=read --claim admin:=false --claim 'roles:=[\"clerk\"]'
  jq -n '{sub: \"ada\"}' | bulla token sign --key local:id --iss https://id.example --claims -
  bulla token sign --ring keyring.json --iss https://id.example --sub ada --aud orders")]
#[command(group(ArgGroup::new("signer").args(["key", "ring"]).required(true)))]
pub(crate) struct SignToken {
    /// The key that signs, such as local:id, or a name from the configuration
    #[arg(short, long, value_name = "KEY")]
    pub(crate) key: Option<String>,
    /// Sign with the key of this ring that signs now (see `bulla keyring`), by the name that it has there
    #[arg(long, value_name = "FILE", conflicts_with_all = ["alg", "kid"])]
    pub(crate) ring: Option<PathBuf>,
    /// The algorithm, for RSA keys: the others have one [default: RS256]. EdDSA and Ed25519 are one by
    /// two names, of which verifiers may know only one [default: EdDSA]
    #[arg(long, value_name = "ALGORITHM", value_parser = algorithm(), hide_possible_values = true)]
    pub(crate) alg: Option<NamedAlgorithm>,
    /// Who issues it: `iss`
    #[arg(long, value_name = "ISSUER", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) iss: Option<String>,
    /// Whom it is about: `sub`
    #[arg(long, value_name = "SUBJECT", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) sub: Option<String>,
    /// Whom it is for: `aud`; give it again for more
    #[arg(long, value_name = "AUDIENCE", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) aud: Vec<String>,
    /// How long it lasts: a whole number and s, m or h, such as 30m [default: 1h]
    #[arg(long, value_name = "DURATION", value_parser = ttl, allow_hyphen_values = true)]
    pub(crate) ttl: Option<Duration>,
    /// One more claim: NAME=TEXT is a string, NAME:=JSON any value; give it again for more
    #[arg(long = "claim", value_name = "NAME=TEXT|NAME:=JSON")]
    pub(crate) claim: Vec<ClaimPair>,
    /// A JSON object with more claims; `-` for standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) claims: Option<PathBuf>,
    /// What kind of token it is: `typ` of the header, such as at+jwt (RFC 9068)
    #[arg(long, default_value = DEFAULT_TYP, value_parser = NonEmptyStringValueParser::new())]
    pub(crate) typ: String,
    /// Call the key this, instead of by its thumbprint; verifiers must know it by that name
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    pub(crate) kid: Option<String>,
    #[command(flatten)]
    pub(crate) passphrases: PassphraseFiles,
}

/// Verifies a token and prints its claims as JSON
///
/// The signature must be that of one of the keys, with the key's own algorithm; `exp` must be there
/// and not have passed, `nbf` and `iat` not be to come; and issuer, audience and type must be those
/// expected. A check is waived only by its --any option.
///
/// The exit code is 3 if the token is not valid, and 4 if the keys can't be had for now: then
/// nothing is known of the token.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bulla token verify token.jwt --key local:id --iss https://id.example --aud orders
  bulla token verify token.jwt --jwks jwks.json --iss https://id.example --aud orders
  bulla token verify token.jwt --issuer https://id.example --aud orders --typ at+jwt
  bulla token verify svid.jwt --issuer spiffe://example.org --aud orders
  xclip -o | bulla token verify --jwks jwks.json --any-issuer --any-audience | jq .sub")]
#[command(group(ArgGroup::new("keys").args(["key", "jwks", "issuer"]).required(true)))]
pub(crate) struct VerifyToken {
    /// The token; `-` or nothing for standard input
    pub(crate) file: Option<PathBuf>,
    /// Verify with this key, such as local:id, or a name from the configuration. No passphrase is
    /// needed
    #[arg(short, long, value_name = "KEY")]
    pub(crate) key: Option<String>,
    /// Verify with the keys of this JWK set
    #[arg(long, value_name = "FILE|URL")]
    pub(crate) jwks: Option<String>,
    /// Verify with the keys that this issuer publishes (OpenID Connect Discovery), and expect it in
    /// `iss`. Takes a build with the feature `oidc`, as a URL for --jwks does. A trust domain of SPIFFE, such as
    /// spiffe://example.org, has its keys from the Workload API that SPIFFE_ENDPOINT_SOCKET names, and its
    /// tokens are verified as `bulla spiffe verify` does; that takes the feature `spiffe`
    #[arg(long, value_name = "URL", conflicts_with = "any_issuer")]
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub(crate) issuer: Option<String>,
    /// The issuer expected in `iss`; with --issuer it is that URL and may be left out
    #[arg(long, value_name = "ISSUER", required_unless_present_any = ["any_issuer", "issuer"])]
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub(crate) iss: Option<String>,
    /// The audience expected in `aud`, perhaps among others
    #[arg(long, value_name = "AUDIENCE", required_unless_present = "any_audience")]
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub(crate) aud: Option<String>,
    /// The type expected in `typ` of the header
    #[arg(long, default_value = DEFAULT_TYP, value_parser = NonEmptyStringValueParser::new())]
    pub(crate) typ: String,
    /// How far clocks may differ: at most 60s
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = parse_duration)]
    pub(crate) leeway: Duration,
    /// Accept this algorithm only. Of a JWK set, RSA keys without `alg` need it; of --key, RSA keys
    /// are taken to sign RS256 without it
    #[arg(long, value_name = "ALGORITHM", value_parser = algorithm(), hide_possible_values = true)]
    pub(crate) alg: Option<NamedAlgorithm>,
    /// Accept any issuer, and none: whoever has one of the keys
    #[arg(long, conflicts_with = "iss")]
    pub(crate) any_issuer: bool,
    /// Accept any audience, and none: also tokens that were meant for somebody else
    #[arg(long, conflicts_with = "aud")]
    pub(crate) any_audience: bool,
    /// Accept any type, and none: also an ID token in the place of an access token
    #[arg(long, conflicts_with = "typ")]
    pub(crate) any_typ: bool,
}

/// Shows what a token says, without verifying any of it
///
/// Prints a JSON object with `unverified`, `header` and `claims`. Needs no key: anybody could have
/// written what it shows. Any algorithm is read, `none` included.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bulla token inspect token.jwt
  xclip -o | bulla token inspect | jq '.claims.exp | todate'")]
pub(crate) struct InspectToken {
    /// The token; `-` or nothing for standard input
    pub(crate) file: Option<PathBuf>,
}

/// Prints public keys as a JWK set, for whoever verifies tokens
///
/// All versions that may verify are in it, active and deprecated, each named by its thumbprint (RFC
/// 7638). Disabled and destroyed ones are not, and nothing private is. No passphrase is needed.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bulla jwks > jwks.json                              # every key here that signs
  bulla jwks --key local:id --key local:old-id > jwks.json
  bulla jwks --ring keyring.json > jwks.json          # those of a ring, by their names there")]
pub(crate) struct Jwks {
    /// The keys of this ring (see `bulla keyring`)
    #[arg(long, value_name = "FILE", conflicts_with_all = ["keys", "alg"])]
    pub(crate) ring: Option<PathBuf>,
    /// A key that signs, such as local:id, or a name from the configuration; give it again for more
    /// [default: all keys of the configuration that sign, or without one of the local key store]
    #[arg(short, long = "key", value_name = "KEY")]
    pub(crate) keys: Vec<String>,
    /// What RSA keys are said to sign with [default: RS256], or what Ed25519 is called: EdDSA or
    /// Ed25519 [default: EdDSA]; give it again for the other
    #[arg(long, value_name = "ALGORITHM", value_parser = published_algorithm())]
    #[arg(hide_possible_values = true)]
    pub(crate) alg: Vec<NamedAlgorithm>,
}

/// An algorithm, and which of its names was used, if it has several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NamedAlgorithm {
    pub(crate) algorithm: SigningAlgorithm,
    pub(crate) ed25519: Option<Ed25519Name>,
}

pub(super) fn algorithm() -> impl TypedValueParser<Value = NamedAlgorithm> {
    let names = SigningAlgorithm::ALL.iter().map(|algorithm| algorithm.as_str());
    PossibleValuesParser::new(names.chain([Ed25519Name::EdDsa.as_str()])).map(|name| named(&name))
}

/// Those that a key does not say of itself.
fn published_algorithm() -> impl TypedValueParser<Value = NamedAlgorithm> {
    let names = SigningAlgorithm::ALL.iter().map(|algorithm| algorithm.as_str());
    let rsa = names.filter(|name| name.starts_with(['R', 'P']));
    let ed25519 = [Ed25519Name::EdDsa, Ed25519Name::Ed25519].map(Ed25519Name::as_str);
    PossibleValuesParser::new(rsa.chain(ed25519)).map(|name| named(&name))
}

/// The parsers let known names pass, and no other.
fn named(name: &str) -> NamedAlgorithm {
    let names = [Ed25519Name::EdDsa, Ed25519Name::Ed25519];
    let ed25519 = names.into_iter().find(|known| known.as_str() == name);
    let algorithm = SigningAlgorithm::from_name(name).unwrap_or(SigningAlgorithm::Ed25519);
    NamedAlgorithm { algorithm, ed25519 }
}

fn ttl(text: &str) -> Result<Duration, String> {
    let ttl = parse_duration(text).map_err(|error| error.to_string())?;
    if ttl < Duration::from_secs(1) {
        return Err("a token lasts a second or more".to_owned());
    }
    if ttl > MAX_TTL {
        return Err("a token lasts 100 years or less".to_owned());
    }
    Ok(ttl)
}

/// A claim by its name.
#[derive(Clone, Debug)]
pub(crate) struct ClaimPair {
    pub(crate) name: String,
    pub(crate) value: Box<RawValue>,
}

impl std::str::FromStr for ClaimPair {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, value) = text
            .split_once('=')
            .ok_or("a claim is NAME=TEXT, such as scope=read, or NAME:=JSON, such as level:=2")?;
        let (name, value) = match name.strip_suffix(':') {
            Some(name) => (name, RawValue::from_string(value.to_owned())),
            None => (name, to_raw_value(value)),
        };
        if name.is_empty() {
            return Err("the name of the claim is empty");
        }
        let value = value.map_err(|_| "what is behind `:=` is no JSON; a string is NAME=TEXT")?;
        Ok(Self { name: name.to_owned(), value })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_is_text_or_json() {
        let read = |text: &str| {
            let claim: ClaimPair = text.parse().unwrap();
            (claim.name, claim.value.get().to_owned())
        };
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(read("a=1"), pair("a", "\"1\""));
        assert_eq!(read("a:=1"), pair("a", "1"));
        assert_eq!(read("a:=18446744073709551617"), pair("a", "18446744073709551617"));
        assert_eq!(read("https://x.example/y=b=c"), pair("https://x.example/y", "\"b=c\""));
        assert_eq!(read("urn:x:={\"b\":[]}"), pair("urn:x", "{\"b\":[]}"));
        assert_eq!(read("a="), pair("a", "\"\""));
        assert_eq!(read("a=\"\n"), pair("a", "\"\\\"\\n\""));
        for bad in ["", "a", "=b", ":=1", "a:=", "a:=b", "a:=1 2", "a:={\"b\":1"] {
            assert!(bad.parse::<ClaimPair>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_token_lasts_some_time_and_not_for_ever() {
        assert_eq!(ttl("1h"), Ok(Duration::from_secs(3600)));
        assert_eq!(ttl("876000h"), Ok(MAX_TTL));
        for bad in ["0s", "999ms", "-1s", "876001h", "1", ""] {
            assert!(ttl(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn every_algorithm_has_its_name() {
        for algorithm in SigningAlgorithm::ALL {
            assert_eq!(named(algorithm.as_str()).algorithm, algorithm);
        }
        assert_eq!(named("RS256").ed25519, None);
        for (name, ed25519) in [("EdDSA", Ed25519Name::EdDsa), ("Ed25519", Ed25519Name::Ed25519)] {
            let expected =
                NamedAlgorithm { algorithm: SigningAlgorithm::Ed25519, ed25519: Some(ed25519) };
            assert_eq!(named(name), expected);
        }
    }
}
