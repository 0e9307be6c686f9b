//! The command line of `bulla store`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::PassphraseFiles;
use crate::{context::Pair, range::ByteRange};

pub(super) const AFTER_HELP: &str = "\
Examples:
  bulla store put report.pdf s3://bucket/reports/july.pdf
  bulla store ls s3://bucket/reports
  bulla store cat az://container/reports/july.pdf | less
  bulla store audit s3://bucket/reports
  bulla store rewrap --from local:old --to local:new s3://bucket/reports --dry-run

URL is file:///directory/…, s3://bucket/… or az://container/… . Credentials and settings of S3 come from
the variables AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION and the like, those of Azure from
AZURE_STORAGE_ACCOUNT_NAME, AZURE_STORAGE_ACCOUNT_KEY and the like, as the Rust crate object_store has
them; --store-option sets what they don't. Profiles of the AWS CLI are not read.";

#[derive(Debug, Subcommand)]
pub(crate) enum StoreCommand {
    Put(Box<PutObject>),
    Get(GetObject),
    Cat(CatObject),
    Ls(ListObjects),
    Audit(AuditStore),
    Rewrap(Box<RewrapStore>),
}

/// Which store, and how it is reached.
#[derive(Debug, Args)]
pub(crate) struct StoreOptions {
    /// A setting of the store by its name in object_store, such as aws_endpoint=https://minio.example;
    /// goes before the environment's
    #[arg(long = "store-option", value_name = "NAME=VALUE")]
    pub(crate) options: Vec<Pair>,
    /// Allow an endpoint without TLS
    #[arg(long)]
    pub(crate) allow_http: bool,
}

/// What an object is bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Bind {
    /// An id of its own, which its header stores: it can be copied and moved
    Object,
    /// Its name in the store: elsewhere it does not open
    Path,
    /// Nothing but the context
    Context,
}

/// How objects are opened.
#[derive(Debug, Args)]
pub(crate) struct OpenObject {
    /// A key that must be there to open with; those of the local key store and of the configuration
    /// are tried anyway
    #[arg(short, long = "key", value_name = "KEY")]
    pub(crate) keys: Vec<String>,
    /// What the data belongs to: all pairs that it was sealed under, of both kinds
    #[arg(short, long, value_name = "NAME=VALUE")]
    pub(crate) context: Vec<Pair>,
    /// What the object is bound to besides
    #[arg(long, value_enum, value_name = "WHAT", default_value = "object")]
    pub(crate) bind: Bind,
    #[command(flatten)]
    pub(crate) passphrases: PassphraseFiles,
}

/// Seals a file or a stream into an object
///
/// The object appears whole or not at all. It is as an encrypted store of the library writes it. An upload
/// that is interrupted is aborted.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bulla store put report.pdf s3://bucket/reports/july.pdf
  bulla store put report.pdf s3://bucket/reports/july.pdf --key local:work --key local:backup
  pg_dump shop | bulla store put - az://container/shop.sql --context tenant=acme
  bulla store put a.txt s3://bucket/a --store-option aws_endpoint=http://127.0.0.1:9000 --allow-http")]
pub(crate) struct PutObject {
    /// The file to seal; `-` for standard input
    pub(crate) input: PathBuf,
    /// The object
    pub(crate) url: String,
    /// A key that may open it, such as local:work, or a name from the configuration; give it again
    /// for more [default: the configuration's, or local:default]
    #[arg(short, long = "key", value_name = "KEY")]
    pub(crate) keys: Vec<String>,
    /// What the data belongs to: needed to open it, and stored in the object for all to read
    #[arg(short, long, value_name = "NAME=VALUE")]
    pub(crate) context: Vec<Pair>,
    /// As --context, but not stored: whoever opens must know it
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) required_context: Vec<Pair>,
    /// What the object is bound to besides
    #[arg(long, value_enum, value_name = "WHAT", default_value = "object")]
    pub(crate) bind: Bind,
    #[command(flatten)]
    pub(crate) store: StoreOptions,
    #[command(flatten)]
    pub(crate) passphrases: PassphraseFiles,
    /// Replace the object if it exists
    #[arg(short, long)]
    pub(crate) force: bool,
}

/// Opens an object into a file
///
/// The file appears whole or not at all.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bulla store get s3://bucket/reports/july.pdf                       # writes july.pdf
  bulla store get s3://bucket/reports/july.pdf -o report.pdf --force
  bulla store get az://container/shop.sql -o shop.sql --context tenant=acme
  bulla store get file:///srv/objects/disk.img -o boot --range 0..512")]
pub(crate) struct GetObject {
    /// The object
    pub(crate) url: String,
    /// Where to write; `-` for standard output [default: the last part of the object's name]
    #[arg(short, long, value_name = "OUTPUT")]
    pub(crate) output: Option<PathBuf>,
    /// Only these bytes of the plaintext, START..END without the byte at END; either may be left out
    #[arg(long, value_name = "START..END")]
    pub(crate) range: Option<ByteRange>,
    #[command(flatten)]
    pub(crate) opening: OpenObject,
    #[command(flatten)]
    pub(crate) store: StoreOptions,
    /// Replace the output if it exists; it keeps its owner, group and permissions
    #[arg(short, long)]
    pub(crate) force: bool,
}

/// Opens an object to standard output
///
/// Data is written as it is checked: if the exit code is not 0, what came out is not all of it.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bulla store cat s3://bucket/shop.sql | psql shop
  bulla store cat s3://bucket/disk.img --range 0..512 | xxd     # fetches the chunks that hold it")]
pub(crate) struct CatObject {
    /// The object
    pub(crate) url: String,
    /// Only these bytes of the plaintext, START..END without the byte at END; either may be left out
    #[arg(long, value_name = "START..END")]
    pub(crate) range: Option<ByteRange>,
    #[command(flatten)]
    pub(crate) opening: OpenObject,
    #[command(flatten)]
    pub(crate) store: StoreOptions,
}

/// Lists objects with the lengths of their plaintexts
///
/// Reads the header of each, and opens none: nothing that it shows is verified.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bulla store ls s3://bucket/reports
  bulla store ls file:///srv/objects --json | jq '.objects[].location'")]
pub(crate) struct ListObjects {
    /// The store, or what is below a path in it
    pub(crate) url: String,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) store: StoreOptions,
}

/// How an audit is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    Table,
    /// One value
    Json,
    /// A line for each object, and no summary
    Csv,
}

/// Tells which objects name which keys, in which versions
///
/// Reads the header of each object by one request, and needs no key; so nothing that it shows is
/// verified: whoever can write to the store could have written any of it. With --verify, keys are asked
/// whether headers are authentic: one call an object. Bodies are not read.
///
/// The exit code is 3 if an object is damaged, or could not be verified though it should be, and 1 if one
/// could not be read.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bulla store audit s3://bucket/reports
  bulla store audit s3://bucket --summary                  # keys and how many objects each opens
  bulla store audit s3://bucket --format csv > keys.csv
  bulla store audit s3://bucket --format json | jq '.summary.keys[] | select(.alone > 0)'
  bulla store audit file:///srv/objects --verify")]
pub(crate) struct AuditStore {
    /// The store, or what is below a path in it
    pub(crate) url: String,
    /// How it is written
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "table")]
    pub(crate) format: Format,
    /// Leave the objects out
    #[arg(long)]
    pub(crate) summary: bool,
    /// Ask keys whether headers are authentic
    #[arg(long)]
    pub(crate) verify: bool,
    /// A key that must be there to verify with; those of the local key store and of the configuration are
    /// tried anyway
    #[arg(short, long = "key", value_name = "KEY", requires = "verify")]
    pub(crate) keys: Vec<String>,
    /// How many objects are read at a time
    #[arg(long, value_name = "NUMBER", default_value_t = 32)]
    pub(crate) concurrency: usize,
    #[command(flatten)]
    pub(crate) store: StoreOptions,
    #[command(flatten)]
    pub(crate) passphrases: PassphraseFiles,
}

/// Changes which keys open all objects, without opening their bodies
///
/// Only headers change. In S3, the bodies of large objects are copied within the store; elsewhere, and
/// for small ones, they pass through here as they are. An object is replaced only if nobody else has
/// replaced it meanwhile. The context and what a body says play no part.
///
/// A run that ended, in whatever way, is run again: objects that are as they shall be are not written.
/// What fails with one object is told, and the run goes on with the others.
///
/// Removing a key is no revocation: whoever could open an object before may have kept a copy of it, or
/// of its data key, and older versions in the bucket still open. To revoke, seal anew.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bulla store rewrap --from local:old --to local:new s3://bucket/reports --dry-run
  bulla store rewrap --from local:old --to local:new s3://bucket/reports
  bulla store rewrap --from local:work --to local:work s3://bucket    # under its newest version
  bulla store rewrap --to local:backup s3://bucket                    # one key more, for all objects
  bulla store rewrap --from local:old --to local:new s3://bucket --rate 50 --resume rotation.state")]
#[command(group(clap::ArgGroup::new("change").args(["from", "to"]).required(true).multiple(true)))]
pub(crate) struct RewrapStore {
    /// The store, or what is below a path in it
    pub(crate) url: String,
    /// A key that shall open objects no more: a URI, a name, or as `bulla store audit` shows it. With it,
    /// only objects that are sealed to such a key are changed
    #[arg(long, value_name = "KEY")]
    pub(crate) from: Vec<String>,
    /// A key that shall open them, by URI or name, in its newest version
    #[arg(long, value_name = "KEY")]
    pub(crate) to: Vec<String>,
    /// A key that must be there to open with; those of the local key store and of the configuration
    /// are tried anyway
    #[arg(short, long = "key", value_name = "KEY")]
    pub(crate) keys: Vec<String>,
    /// Print the objects that are due, and change nothing
    #[arg(short = 'n', long)]
    pub(crate) dry_run: bool,
    /// How many objects are worked on at a time
    #[arg(long, value_name = "NUMBER", default_value_t = 16)]
    pub(crate) concurrency: usize,
    /// How many objects are looked at a second, at most
    #[arg(long, value_name = "OBJECTS")]
    pub(crate) rate: Option<f64>,
    /// How many bytes of objects are replaced a second, at most
    #[arg(long, value_name = "BYTES")]
    pub(crate) byte_rate: Option<f64>,
    /// Keep in this file which objects are done, so that another run does not read their headers again
    #[arg(long, value_name = "FILE")]
    pub(crate) resume: Option<PathBuf>,
    /// Allow --to where other objects have the same data key: the key added can open all of them
    #[arg(long)]
    pub(crate) accept_whole_cohort: bool,
    /// Allow headers of another length. A store that counts on one length for all can't tell the sizes
    /// of such objects
    #[arg(long)]
    pub(crate) allow_resize: bool,
    /// Replace objects without a condition where the store knows none, and those over 64 MiB where it
    /// knows none for them: nobody else may write meanwhile
    #[arg(long)]
    pub(crate) unconditional: bool,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) store: StoreOptions,
    #[command(flatten)]
    pub(crate) passphrases: PassphraseFiles,
}
