//! The command line of `bulla keys`.

use bulla_local::KeyType;
use clap::{
    Args, Subcommand,
    builder::{PossibleValuesParser, TypedValueParser},
};

pub(super) const AFTER_HELP: &str = "\
Examples:
  bulla keys create work
  bulla keys list";

#[derive(Debug, Subcommand)]
pub(crate) enum KeysCommand {
    Create(CreateKey),
    List(ListKeys),
    Show(ShowKey),
}

/// Makes a key
///
/// Keys of type aes-256 seal and open. The other types sign, for programs that use the library.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bulla keys create work
  bulla keys create release --type ed25519")]
pub(crate) struct CreateKey {
    /// The name of the key: local:NAME is its URI
    pub(crate) name: String,
    /// What kind of key
    #[arg(short = 't', long = "type", value_name = "TYPE", default_value = "aes-256")]
    #[arg(value_parser = key_type())]
    pub(crate) key_type: KeyType,
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

fn key_type() -> impl TypedValueParser<Value = KeyType> {
    PossibleValuesParser::new(KeyType::ALL.map(KeyType::as_str))
        .try_map(|text| text.parse::<KeyType>())
}
