//! The command line.

mod keyring;
mod keys;
mod spiffe;
mod store;
mod tokens;

use std::{path::PathBuf, process::ExitCode};

use clap::{ArgGroup, Args, Parser, Subcommand, error::ErrorKind};

#[cfg(feature = "oauth")]
pub(crate) use self::keyring::OauthClient;
pub(crate) use self::keyring::{
    InitRing, KeyringCommand, KubeCredential, NewKeys, OauthCommand, OauthToken, RemoveFromRing,
    RingStatus, RotateRing, Serve,
};
pub(crate) use self::keys::{
    ChangeKey, CreateKey, DestroyKey, ExportKey, ImportKey, KeysCommand, ListKeys, NewPassphrase,
    PublicKey, RotateKey, ShowKey, UseVersion,
};
#[cfg_attr(
    not(feature = "spiffe"),
    allow(unused_imports, reason = "only SPIFFE's commands look")
)]
pub(crate) use self::spiffe::{
    DomainBundle, FetchSvid, IssueSvid, PrintBundle, ServeSvids, SpiffeCommand, VerifySvid,
    WorkloadEntry,
};
pub(crate) use self::store::StoreCommand;
#[cfg(feature = "store")]
pub(crate) use self::store::{
    AuditStore, Bind, CatObject, Format, GetObject, ListObjects, OpenObject, PutObject,
    RewrapStore, StoreOptions,
};
#[cfg(feature = "spiffe")]
pub(crate) use self::tokens::DEFAULT_TYP;
pub(crate) use self::tokens::{
    InspectToken, Jwks, NamedAlgorithm, SignToken, TokenCommand, VerifyToken,
};
use crate::{context::Pair, range::ByteRange, say};

/// Seals files with keys that stay in a key store, and opens them again.
///
/// Each file has a data key of its own, which is wrapped by one or more keys that are named by
/// URIs such as local:default. A file that was altered, cut or sealed under another context does
/// not open. JSON Web Tokens are signed and verified with such keys too.
#[derive(Debug, Parser)]
#[command(name = "bulla", version, max_term_width = 100, after_help = AFTER_HELP)]
pub(crate) struct Cli {
    /// Read names of keys from this configuration
    #[arg(long, global = true, value_name = "FILE", display_order = 900)]
    pub(crate) config: Option<PathBuf>,
    #[command(subcommand)]
    pub(crate) command: Command,
}

const AFTER_HELP: &str = "\
Examples:
  bulla encrypt notes.txt          # writes notes.txt.bulla; makes the key local:default if need be
  bulla decrypt notes.txt.bulla    # writes notes.txt
  tar -c photos | bulla encrypt -o photos.tar.bulla
  bulla inspect notes.txt.bulla

Local keys are in the directory that BULLA_HOME names, or else in your data directory; `bulla keys
list` says which. Back it up: without its key, nothing opens.

Names for keys are in the configuration: the file that --config or BULLA_CONFIG names, or else
bulla/bulla.toml in your configuration directory. Where there is one, no key is made unasked.

Exit codes:
  0    done (also if whoever read the output closed the pipe)
  1    failed: a missing or disabled key, an output that exists or was changed meanwhile, a full
       disk and the like
  2    wrong usage, or a mistake in the configuration
  3    not opened: not authentic, not sealed data, wrong key, context or passphrase;
       a token that is not valid
  4    the provider of the keys is not available; try again later
  130  interrupted";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Encrypt(Encrypt),
    Decrypt(Decrypt),
    Verify(Verify),
    Inspect(Inspect),
    Rewrap(Rewrap),
    /// Seals, opens and looks after objects in S3, Azure Blob Storage and directories
    #[command(subcommand, after_help = store::AFTER_HELP)]
    Store(StoreCommand),
    /// Manages the keys of the local key store
    ///
    /// The store is the directory that BULLA_HOME names, or else `bulla` in your data directory.
    #[command(subcommand, after_help = keys::AFTER_HELP)]
    Keys(KeysCommand),
    /// Signs, verifies and shows JSON Web Tokens
    ///
    /// A token comes from a file or from standard input, and never from an argument, which a shell
    /// would write to its history.
    #[command(subcommand, after_help = tokens::AFTER_HELP)]
    Token(TokenCommand),
    Jwks(Jwks),
    /// Keeps the signing keys of an issuer: makes, publishes, rotates and removes them
    #[command(subcommand, after_help = keyring::AFTER_HELP)]
    Keyring(KeyringCommand),
    Serve(Serve),
    /// Gets tokens from an authorization server
    #[command(subcommand, after_help = keyring::OAUTH_AFTER_HELP)]
    Oauth(OauthCommand),
    KubeCredential(KubeCredential),
    /// Issues and verifies identities of workloads, as SPIFFE has them
    #[command(subcommand, after_help = spiffe::AFTER_HELP)]
    Spiffe(SpiffeCommand),
    Doctor(Doctor),
    Completions(Completions),
    Man(Man),
}

/// Seals a file or a stream
///
/// The output is INPUT with `.bulla` behind it, or standard output if the input is standard
/// input. It appears whole or not at all, with the permissions that your umask gives a new file.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bulla encrypt report.pdf                            # writes report.pdf.bulla
  bulla encrypt report.pdf --key local:work           # a key made with `bulla keys create work`
  bulla encrypt report.pdf --key local:work --key local:backup       # either key opens it
  bulla encrypt report.pdf --key 'awskms:///alias/app?region=eu-west-1'
  bulla encrypt row.json --context tenant=acme --required-context row=7
  pg_dump shop | bulla encrypt > shop.sql.bulla
  printf %s \"$TOKEN\" | bulla encrypt --text           # one line of text, for a configuration")]
pub(crate) struct Encrypt {
    /// The file to seal; `-` or nothing for standard input
    pub(crate) input: Option<PathBuf>,
    /// Where to write; `-` for standard output
    #[arg(short, long, value_name = "OUTPUT")]
    pub(crate) output: Option<PathBuf>,
    /// A key that may open it, such as local:work, or a name from the configuration; give it again
    /// for more [default: the configuration's, or local:default]
    #[arg(short, long = "key", value_name = "KEY")]
    pub(crate) keys: Vec<String>,
    /// What the data belongs to: needed to open it, and stored in the file for all to read
    #[arg(short, long, value_name = "NAME=VALUE")]
    pub(crate) context: Vec<Pair>,
    /// As --context, but not stored: whoever opens must know it
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) required_context: Vec<Pair>,
    /// Write the text form, for small data: one line, `bulla1.` and base64url
    #[arg(long)]
    pub(crate) text: bool,
    #[command(flatten)]
    pub(crate) passphrases: PassphraseFiles,
    /// Replace the output if it exists; it keeps its owner, group and permissions
    #[arg(short, long)]
    pub(crate) force: bool,
}

/// Opens a sealed file or stream
///
/// The output is INPUT without `.bulla`, or standard output if the input is standard input. A file
/// appears whole or not at all, with the permissions that your umask gives a new file. To a pipe,
/// data is written as it is checked: if the exit code is not 0, what came out is not all of it.
///
/// All keys of the local key store and of the configuration are tried.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bulla decrypt report.pdf.bulla                      # writes report.pdf
  bulla decrypt row.json.bulla --context tenant=acme --context row=7
  bulla decrypt row.json.bulla --stored-context --context row=7
  bulla decrypt shop.sql.bulla -o - | psql shop
  bulla decrypt disk.img.bulla --range 0..512 | xxd   # opens the chunks that hold it, no others
  bulla decrypt < token.txt                           # binary and text form alike")]
pub(crate) struct Decrypt {
    /// The file to open; `-` or nothing for standard input
    pub(crate) input: Option<PathBuf>,
    /// Where to write; `-` for standard output
    #[arg(short, long, value_name = "OUTPUT")]
    pub(crate) output: Option<PathBuf>,
    /// Only these bytes of the plaintext, START..END without the byte at END; either may be left
    /// out. To standard output unless -o is given. The input must be a file
    #[arg(long, value_name = "START..END")]
    pub(crate) range: Option<ByteRange>,
    #[command(flatten)]
    pub(crate) opening: OpenArgs,
    /// Replace the output if it exists; it keeps its owner, group and permissions
    #[arg(short, long)]
    pub(crate) force: bool,
}

/// How sealed data is opened, whatever is done with it.
#[derive(Debug, Args)]
pub(crate) struct OpenArgs {
    /// A key that must be there to open with; those of the local key store and of the configuration
    /// are tried anyway
    #[arg(short, long = "key", value_name = "KEY")]
    pub(crate) keys: Vec<String>,
    /// What the data belongs to: all pairs that it was sealed under, of both kinds
    #[arg(short, long, value_name = "NAME=VALUE")]
    pub(crate) context: Vec<Pair>,
    /// Take the stored pairs from the file itself and show them; --context gives the others.
    /// This gives up the check that the file is the one that belongs here
    #[arg(long)]
    pub(crate) stored_context: bool,
    #[command(flatten)]
    pub(crate) passphrases: PassphraseFiles,
}

/// Where passphrases come from if not from the terminal: never from an argument.
#[derive(Debug, Args)]
pub(crate) struct PassphraseFiles {
    /// Read the passphrase of a protected key from this file instead of asking for it; give it
    /// again for more
    #[arg(id = "passphrase_file", long = "passphrase-file", value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
}

/// Checks sealed data, all of it, and writes nothing
///
/// The exit code is 0 only if every byte is as it was sealed, under this context, and none is
/// missing.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bulla verify report.pdf.bulla
  bulla verify row.json.bulla --context tenant=acme --context row=7
  bulla verify row.json.bulla --stored-context --context row=7
  ssh backup cat shop.sql.bulla | bulla verify")]
pub(crate) struct Verify {
    /// The sealed file; `-` or nothing for standard input
    pub(crate) file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) opening: OpenArgs,
}

/// Changes who can open sealed data, without opening its body
///
/// FILE is replaced by a copy with another header, at once or not at all; with -o it stays as it
/// is. Another run that is about to replace it is waited for, and what other programs change
/// meanwhile is left as it is. The body is copied unchecked: `bulla verify` checks it. No context is
/// needed.
///
/// Removing a key is no revocation: whoever could open the file before may have kept a copy of it,
/// or of its data key. To revoke, decrypt it and encrypt it anew.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bulla rewrap report.pdf.bulla --add local:backup
  bulla rewrap report.pdf.bulla --add local:new --remove local:old
  bulla rewrap report.pdf.bulla --add local:work      # again, under its newest version
  bulla rewrap report.pdf.bulla --remove local:0123456789abcdef0123456789abcdef    # by its id")]
#[command(group(ArgGroup::new("change").args(["add", "remove"]).required(true).multiple(true)))]
pub(crate) struct Rewrap {
    /// The sealed file; `-` for standard input, and then to standard output
    pub(crate) file: PathBuf,
    /// A key that shall open it too, by URI or name; if it does already, its newest version shall
    #[arg(long, value_name = "KEY")]
    pub(crate) add: Vec<String>,
    /// A key that shall open it no more: a URI, a name, or a recipient as `bulla inspect` shows it
    #[arg(long, value_name = "KEY")]
    pub(crate) remove: Vec<String>,
    /// Allow --add where other messages have the same data key: the key added can open all of them
    #[arg(long)]
    pub(crate) accept_whole_cohort: bool,
    /// Where to write instead; `-` for standard output
    #[arg(short, long, value_name = "OUTPUT")]
    pub(crate) output: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) passphrases: PassphraseFiles,
    /// Replace OUTPUT if it exists; it keeps its owner, group and permissions
    #[arg(short, long)]
    pub(crate) force: bool,
}

/// Explains the header of sealed data
///
/// Works offline and needs no key, so nothing that it shows is verified: whoever could write the
/// file could have written any of it.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bulla inspect report.pdf.bulla
  bulla inspect report.pdf.bulla --json | jq .recipients")]
pub(crate) struct Inspect {
    /// The sealed file; `-` or nothing for standard input
    pub(crate) file: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Checks configuration, key store and keys, and changes nothing
///
/// Prints a line for each, with what to do. Asks every key of the configuration, or without one
/// every key of the local key store; and the SPIFFE Workload API, if SPIFFE_ENDPOINT_SOCKET names
/// one. The exit code is 0 if there is no more than a warning, else that of the worst finding.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bulla doctor
  bulla doctor --passphrase-file ~/secret             # tries protected keys too
  bulla doctor --json | jq -r '.checks[] | select(.status != \"ok\")'")]
pub(crate) struct Doctor {
    #[command(flatten)]
    pub(crate) passphrases: PassphraseFiles,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Prints a script that completes commands in a shell
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bulla completions bash > ~/.local/share/bash-completion/completions/bulla
  bulla completions zsh > ~/.zfunc/_bulla
  bulla completions fish > ~/.config/fish/completions/bulla.fish")]
pub(crate) struct Completions {
    /// The shell
    pub(crate) shell: clap_complete::Shell,
}

/// Prints the manual pages
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bulla man | man -l -
  bulla man --dir ~/.local/share/man/man1")]
pub(crate) struct Man {
    /// Write a page for each command into this directory instead, replacing older ones
    #[arg(long, value_name = "DIRECTORY")]
    pub(crate) dir: Option<PathBuf>,
}

/// Reads the command line. `Err` is the exit code of a run that ends here.
pub(crate) fn parse() -> Result<Cli, ExitCode> {
    Cli::try_parse().map_err(|error| {
        match error.kind() {
            // Help. If nobody reads it, nobody wants it.
            ErrorKind::DisplayHelp
            | ErrorKind::DisplayVersion
            | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
                let _ = error.print();
            }
            _ => {
                let text = error.render().to_string();
                say::note(text.strip_prefix("error: ").unwrap_or(&text).trim_end());
            }
        }
        ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn definitions_hold_together() {
        Cli::command().debug_assert();
    }
}
