//! The command line of `bulla keys`.

use std::path::PathBuf;

use bulla_local::{ExportFormat, KeyType};
use clap::{
    Args, Subcommand, ValueEnum,
    builder::{PossibleValuesParser, TypedValueParser},
};

use super::PassphraseFiles;

pub(super) const AFTER_HELP: &str = "\
Examples:
  bulla keys create work
  bulla keys list
  bulla keys rotate work               # from now on, sealed to version 2; version 1 still opens
  bulla keys disable work --version 1
  bulla keys destroy work --version 1";

const ENABLE_HELP: &str = "\
Examples:
  bulla keys enable work
  bulla keys enable work --version 1";

const DEPRECATE_HELP: &str = "\
Examples:
  bulla keys deprecate work --version 1";

const DISABLE_HELP: &str = "\
Examples:
  bulla keys disable work
  bulla keys disable work --version 1";

#[derive(Debug, Subcommand)]
pub(crate) enum KeysCommand {
    Create(CreateKey),
    List(ListKeys),
    Show(ShowKey),
    Rotate(RotateKey),
    Use(UseVersion),
    /// Lets versions seal and open again
    #[command(after_help = ENABLE_HELP)]
    Enable(ChangeKey),
    /// Lets versions open, but seal no more
    #[command(after_help = DEPRECATE_HELP)]
    Deprecate(ChangeKey),
    /// Lets versions do nothing until they are enabled again
    #[command(after_help = DISABLE_HELP)]
    Disable(ChangeKey),
    Destroy(DestroyKey),
    Import(ImportKey),
    Export(ExportKey),
    Public(PublicKey),
}

/// Makes a key, in the key store or on a token
///
/// Keys of type aes-256 seal and open. The other types sign: see `bulla token`. What a key on a token
/// is used by from then on is printed: its URI with the new id.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bulla keys create work
  bulla keys create release --type ed25519
  bulla keys create archive --passphrase              # asks for it, twice
  bulla keys create 'pkcs11:token=hsm;object=orders'  # never leaves the token")]
pub(crate) struct CreateKey {
    /// The name of the key: local:NAME is its URI. Or a pkcs11: URI with token and label (object)
    pub(crate) name: String,
    /// What kind of key
    #[arg(short = 't', long = "type", value_name = "TYPE", default_value = "aes-256")]
    #[arg(value_parser = key_type())]
    pub(crate) key_type: KeyType,
    #[command(flatten)]
    pub(crate) passphrase: NewPassphrase,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Lists the keys
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bulla keys list
  bulla keys list --json | jq -r '.keys[].name'")]
pub(crate) struct ListKeys {
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Shows a key and its versions
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bulla keys show work
  bulla keys show work --json | jq .current")]
pub(crate) struct ShowKey {
    /// The key's name or id
    pub(crate) name: String,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Adds a version to a key: what is sealed from now on is sealed to it
///
/// Older versions still open. A key that is under a passphrase asks for one for the new version.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bulla keys rotate work
  bulla rewrap report.pdf.bulla --add local:work      # moves a file to the new version")]
pub(crate) struct RotateKey {
    /// The key's name or id
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) passphrase: NewPassphrase,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Makes a version of a key the one that seals, be it older or newer
///
/// The version must be active. All others still open.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bulla keys use work 1                               # back from version 2")]
pub(crate) struct UseVersion {
    /// The key's name or id
    pub(crate) name: String,
    /// The version
    #[arg(value_name = "NUMBER")]
    pub(crate) version: u32,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// The arguments of whatever changes the state of versions.
#[derive(Debug, Args)]
pub(crate) struct ChangeKey {
    /// The key's name or id
    pub(crate) name: String,
    /// This version; all of them unless said
    #[arg(long, value_name = "NUMBER")]
    pub(crate) version: Option<u32>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Destroys the material of a key, or of one version: what is sealed to it never opens again
///
/// Asks before it does. The file is removed and not overwritten: backups and snapshots keep theirs.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bulla keys destroy work --version 1
  bulla keys destroy work --yes")]
pub(crate) struct DestroyKey {
    /// The key's name or id
    pub(crate) name: String,
    /// This version; all of them unless said
    #[arg(long, value_name = "NUMBER")]
    pub(crate) version: Option<u32>,
    /// Don't ask
    #[arg(long)]
    pub(crate) yes: bool,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Takes a key from elsewhere into the store
///
/// The file holds a private key as PEM (PKCS#8, PKCS#1 or SEC 1, not encrypted) or as a JWK, or an
/// AES-256 key as a JWK; its text tells which.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bulla keys import release release-key.pem
  bulla keys import work work.jwk --passphrase
  vault-tool print release | bulla keys import release")]
pub(crate) struct ImportKey {
    /// The name of the key: local:NAME is its URI
    pub(crate) name: String,
    /// The file with the key; `-` or nothing for standard input
    pub(crate) file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) passphrase: NewPassphrase,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Writes a private key, or the secret of an AES key, in plain
///
/// Asks before it does. The file is readable by you alone.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bulla keys export work -o work.jwk
  bulla keys export release --format pem --yes | other-tool import")]
pub(crate) struct ExportKey {
    /// The key's name or id
    pub(crate) name: String,
    /// This version; the current one unless said
    #[arg(long, value_name = "NUMBER")]
    pub(crate) version: Option<u32>,
    /// How to write it; AES keys have no PEM form
    #[arg(long, value_enum, default_value_t = PrivateFormat::Jwk)]
    pub(crate) format: PrivateFormat,
    /// Where to write; standard output unless said
    #[arg(short, long, value_name = "OUTPUT")]
    pub(crate) output: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) passphrases: PassphraseFiles,
    /// Don't ask
    #[arg(long)]
    pub(crate) yes: bool,
    /// Replace OUTPUT if it exists
    #[arg(short, long)]
    pub(crate) force: bool,
}

/// Writes the public key of a key that signs
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bulla keys public release
  bulla keys public release --format pem -o release-public.pem")]
pub(crate) struct PublicKey {
    /// The key's name or id
    pub(crate) name: String,
    /// This version; the current one unless said
    #[arg(long, value_name = "NUMBER")]
    pub(crate) version: Option<u32>,
    /// How to write it
    #[arg(long, value_enum, default_value_t = KeyFormat::Jwk)]
    pub(crate) format: KeyFormat,
    /// Where to write; standard output unless said
    #[arg(short, long, value_name = "OUTPUT")]
    pub(crate) output: Option<PathBuf>,
    /// Replace OUTPUT if it exists; it keeps its owner, group and permissions
    #[arg(short, long)]
    pub(crate) force: bool,
}

/// How a private key is written down.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum PrivateFormat {
    /// A JSON Web Key
    Jwk,
    /// PEM: PKCS#8
    Pem,
    /// PEM for older programs: PKCS#1, RSA keys only
    Pkcs1,
    /// PEM for older programs: SEC 1, EC keys only
    Sec1,
}

impl From<PrivateFormat> for ExportFormat {
    fn from(format: PrivateFormat) -> Self {
        match format {
            PrivateFormat::Jwk => Self::Jwk,
            PrivateFormat::Pem => Self::Pem,
            PrivateFormat::Pkcs1 => Self::Pkcs1,
            PrivateFormat::Sec1 => Self::Sec1,
        }
    }
}

/// How a public key is written down.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum KeyFormat {
    /// A JSON Web Key
    Jwk,
    /// PEM: SubjectPublicKeyInfo
    Pem,
}

impl From<KeyFormat> for ExportFormat {
    fn from(format: KeyFormat) -> Self {
        match format {
            KeyFormat::Jwk => Self::Jwk,
            KeyFormat::Pem => Self::Pem,
        }
    }
}

/// Whether and how a new version is protected.
#[derive(Debug, Args)]
pub(crate) struct NewPassphrase {
    /// Keep it under a passphrase, which is asked for on the terminal. There is no way to open
    /// anything without it
    #[arg(long)]
    pub(crate) passphrase: bool,
    /// Keep it under the passphrase in this file
    #[arg(long, value_name = "FILE")]
    pub(crate) passphrase_file: Option<PathBuf>,
}

fn key_type() -> impl TypedValueParser<Value = KeyType> {
    PossibleValuesParser::new(KeyType::ALL.map(KeyType::as_str))
        .try_map(|text| text.parse::<KeyType>())
}
