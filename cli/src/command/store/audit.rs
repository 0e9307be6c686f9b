//! `bulla store audit`.

use std::io::Write as _;

use bulla_object_store::maintain::{Audit, KeyTally, Recipient, Row, State, Summary};
use futures_util::StreamExt as _;
use serde::Serialize;

use super::place::{Place, code_of, failure, one_line};
use crate::{
    Session,
    args::{AuditStore, Format},
    config,
    failure::{Failure, Outcome, worst},
    json,
    passphrases::Passphrases,
    providers::{Keys, Openers},
    say, shown, stdio,
};

const UNVERIFIED: &str = "UNVERIFIED: read without a key; whoever can write to the store could have \
                          written any of this";

/// What is left out of a line of the table.
const MOST_RECIPIENTS: usize = 3;

pub(super) fn run(args: AuditStore, session: &Session) -> Outcome<()> {
    let place = Place::find(&args.url, &args.store)?;
    place.expect_directory()?;
    let mut builder =
        Audit::builder(place.store()).prefix(place.path.clone()).concurrency(args.concurrency);
    if args.verify {
        let config = config::load(session.config.as_deref())?;
        let keys = Keys::choose(config.as_ref(), &args.keys)?;
        let passphrases = Passphrases::new(&args.passphrases.files, &session.cleanup)?;
        let Openers { opener, unopened } = keys.opener_of_any(&passphrases, &session.runtime)?;
        for key in unopened {
            say::note(&format!("this key could not be tried: {}", key.message()));
        }
        builder = builder.verify(opener);
    }
    let mut rows = builder.build()?.rows();
    let mut out = Out::new(args.format, args.summary, args.verify)?;
    let (mut summary, mut code) = (Summary::default(), 0);
    while let Some(row) = session.runtime.block_on(rows.next()) {
        let row = row.map_err(|error| failure(&place.name, &error))?;
        summary.add(&row);
        code = worst([code, code_of_row(&row)].into_iter());
        out.row(&place.object(&row.location), &row)?;
    }
    out.end(&summary)?;
    if summary.objects == 0 {
        say::note(&format!("{}: no objects are here", place.name));
    }
    match code {
        0 => Ok(()),
        code => Err(Failure::told(code)),
    }
}

fn code_of_row(row: &Row) -> u8 {
    let verified = match &row.verified {
        Some(Err(error)) => Failure::of_kind(error.kind()).code(),
        _ => 0,
    };
    worst([code_of(row.state), verified].into_iter())
}

/// Where the rows go, as they come.
enum Out {
    Table { rows: bool, verify: bool, begun: bool },
    Json { rows: bool, verify: bool, begun: bool },
    Csv(Box<csv::Writer<Vec<u8>>>),
    Nothing,
}

/// An object. As JSON it is documented in JSON.md: fields are added, not changed.
#[derive(Serialize)]
struct Object<'a> {
    location: &'a str,
    state: &'static str,
    size: u64,
    plaintext_len: Option<u64>,
    suite: Option<u8>,
    shared_data_key: Option<bool>,
    recipients: Vec<KeyReport<'a>>,
    context: &'a [String],
    transform: Option<&'a str>,
    verified: Option<bool>,
    detail: Option<String>,
}

#[derive(Serialize)]
struct KeyReport<'a> {
    scheme: &'a str,
    key: &'a str,
    version: Option<&'a str>,
    algorithm: &'static str,
}

#[derive(Serialize)]
struct SummaryReport<'a> {
    objects: u64,
    size: u64,
    states: std::collections::BTreeMap<&'static str, u64>,
    shared_data_keys: u64,
    verified: Option<u64>,
    not_verified: Option<u64>,
    keys: Vec<KeySummary<'a>>,
}

#[derive(Serialize)]
struct KeySummary<'a> {
    scheme: &'a str,
    key: &'a str,
    version: Option<&'a str>,
    objects: u64,
    size: u64,
    alone: u64,
}

impl Out {
    fn new(format: Format, only_summary: bool, verify: bool) -> Outcome<Self> {
        let rows = !only_summary;
        Ok(match format {
            Format::Table => Self::Table { rows, verify, begun: false },
            Format::Json => Self::Json { rows, verify, begun: false },
            Format::Csv if only_summary => {
                return Err(Failure::usage("the format csv is for objects, and has no summary"));
            }
            Format::Csv => {
                let mut writer = csv::Writer::from_writer(Vec::new());
                let head = writer.write_record(COLUMNS);
                head.map_err(|error| Failure::other(format!("writing CSV: {error}")))?;
                Self::Csv(Box::new(writer))
            }
        })
    }

    fn row(&mut self, location: &str, row: &Row) -> Outcome<()> {
        match self {
            Self::Table { rows: false, .. } | Self::Json { rows: false, .. } | Self::Nothing => {
                Ok(())
            }
            Self::Table { verify, begun, .. } => {
                let mut text = String::new();
                if !std::mem::replace(begun, true) {
                    text.push_str(&table_head(*verify));
                }
                text.push_str(&table_row(location, row));
                stdio::print(&text)
            }
            Self::Json { begun, .. } => {
                let before =
                    if std::mem::replace(begun, true) { ",\n" } else { "{\n  \"objects\": [\n" };
                let object = json::line(&Object::new(location, row))?;
                stdio::print(&format!("{before}    {object}"))
            }
            Self::Csv(writer) => {
                let failed = |error: csv::Error| Failure::other(format!("writing CSV: {error}"));
                writer.write_record(record(location, row)).map_err(failed)?;
                // By the piece: there may be more than fit into memory.
                if writer.get_ref().len() < 1 << 16 {
                    return Ok(());
                }
                writer.flush().map_err(|error| Failure::other(format!("writing CSV: {error}")))?;
                let full = std::mem::replace(
                    writer,
                    Box::new(csv::WriterBuilder::new().has_headers(false).from_writer(Vec::new())),
                );
                print_csv(*full)
            }
        }
    }

    fn end(&mut self, summary: &Summary) -> Outcome<()> {
        match std::mem::replace(self, Self::Nothing) {
            Self::Nothing => Ok(()),
            Self::Table { verify, begun, .. } => {
                let mut text = if begun { "\n".to_owned() } else { table_head(verify) };
                text.push_str(&table_summary(summary, verify));
                stdio::print(&text)
            }
            Self::Json { rows, verify, begun } => {
                let before = match (rows, begun) {
                    (false, _) => "{\n",
                    (true, true) => "\n  ],\n",
                    (true, false) => "{\n  \"objects\": [],\n",
                };
                let summary = json::line(&SummaryReport::new(summary, verify))?;
                stdio::print(&format!("{before}  \"summary\": {summary}\n}}\n"))
            }
            Self::Csv(writer) => print_csv(*writer),
        }
    }
}

fn print_csv(writer: csv::Writer<Vec<u8>>) -> Outcome<()> {
    let bytes =
        writer.into_inner().map_err(|error| Failure::other(format!("writing CSV: {error}")))?;
    let mut out = std::io::stdout().lock();
    out.write_all(&bytes).and_then(|()| out.flush()).map_err(|error| stdio::write_failure(&error))
}

const COLUMNS: [&str; 11] = [
    "location",
    "state",
    "size",
    "plaintext_len",
    "suite",
    "shared_data_key",
    "recipients",
    "context",
    "transform",
    "verified",
    "detail",
];

/// Recipients and names of pairs are separated by spaces, which are in none of the former.
fn record(location: &str, row: &Row) -> [String; 11] {
    let sealed = row.sealed.as_ref();
    let text = |value: Option<String>| value.unwrap_or_default();
    let recipients = sealed.map(|sealed| {
        let all: Vec<_> = sealed.recipients.iter().map(recipient).collect();
        all.join(" ")
    });
    [
        location.to_owned(),
        row.state.as_str().to_owned(),
        row.size.to_string(),
        text(sealed.map(|sealed| sealed.plaintext_len.to_string())),
        text(sealed.map(|sealed| sealed.suite.code().to_string())),
        text(sealed.map(|sealed| sealed.shared.to_string())),
        text(recipients),
        text(sealed.map(|sealed| sealed.context_keys.join(" "))),
        text(sealed.and_then(|sealed| sealed.transform.clone())),
        text(row.verified.as_ref().map(|verified| verified.is_ok().to_string())),
        text(detail(row)),
    ]
}

fn table_head(verify: bool) -> String {
    let head = if verify { String::new() } else { format!("{UNVERIFIED}\n\n") };
    format!("{head}{:>15}  {:8}  {}\n", "BYTES", "STATE", "OBJECT, AND WHAT OPENS IT")
}

fn table_row(location: &str, row: &Row) -> String {
    let mut text =
        format!("{:>15}  {:8}  {}\n", row.size, row.state.as_str(), shown::token(location));
    let mut line = |what: &str| text.push_str(&format!("{:29}{what}\n", ""));
    if let Some(sealed) = &row.sealed {
        for one in sealed.recipients.iter().take(MOST_RECIPIENTS) {
            line(&recipient(one));
        }
        match sealed.recipients.len().saturating_sub(MOST_RECIPIENTS) {
            0 => {}
            more => line(&format!("and {more} more")),
        }
    }
    if let Some(detail) = detail(row) {
        line(&detail);
    }
    text
}

fn table_summary(summary: &Summary, verify: bool) -> String {
    let mut text = format!("{} objects, {} bytes", summary.objects, summary.bytes);
    for state in State::ALL {
        match summary.count(state) {
            0 => {}
            count => text.push_str(&format!(", {count} {state}")),
        }
    }
    text.push('\n');
    if verify {
        let (good, bad) = (summary.verified, summary.not_verified);
        text.push_str(&format!("{good} verified, {bad} not\n"));
    }
    if summary.shared > 0 {
        text.push_str(&format!(
            "{} have a data key that serves other objects too\n",
            summary.shared
        ));
    }
    if !summary.keys.is_empty() {
        text.push_str(&format!("\n{:>10}  {:>15}  {:>10}  KEY\n", "OBJECTS", "BYTES", "ALONE"));
    }
    for ((key, version), tally) in &summary.keys {
        let KeyTally { objects, bytes, alone, .. } = tally;
        let version = version.as_ref().map(|version| format!(" version {version}"));
        let version = version.unwrap_or_default();
        text.push_str(&format!("{objects:>10}  {bytes:>15}  {alone:>10}  {key}{version}\n"));
    }
    text
}

/// A key with its version, in visible ASCII.
fn recipient(recipient: &Recipient) -> String {
    match &recipient.version {
        Some(version) => format!("{}@{version}", recipient.key),
        None => recipient.key.to_string(),
    }
}

fn detail(row: &Row) -> Option<String> {
    match &row.verified {
        Some(Err(error)) => Some(one_line(error)),
        _ => row.detail.as_ref().map(|detail| one_line(detail)),
    }
}

impl<'a> Object<'a> {
    fn new(location: &'a str, row: &'a Row) -> Self {
        let sealed = row.sealed.as_ref();
        let recipients =
            sealed.map(|sealed| sealed.recipients.iter().map(KeyReport::new).collect());
        Self {
            location,
            state: row.state.as_str(),
            size: row.size,
            plaintext_len: sealed.map(|sealed| sealed.plaintext_len),
            suite: sealed.map(|sealed| sealed.suite.code()),
            shared_data_key: sealed.map(|sealed| sealed.shared),
            recipients: recipients.unwrap_or_default(),
            context: sealed.map(|sealed| &*sealed.context_keys).unwrap_or_default(),
            transform: sealed.and_then(|sealed| sealed.transform.as_deref()),
            verified: row.verified.as_ref().map(Result::is_ok),
            detail: detail(row),
        }
    }
}

impl<'a> KeyReport<'a> {
    fn new(recipient: &'a Recipient) -> Self {
        Self {
            scheme: recipient.key.scheme(),
            key: recipient.key.id(),
            version: recipient.version.as_deref(),
            algorithm: recipient.algorithm,
        }
    }
}

impl<'a> SummaryReport<'a> {
    fn new(summary: &'a Summary, verify: bool) -> Self {
        let states = summary.states.iter().map(|(state, count)| (state.as_str(), *count));
        let keys = summary.keys.iter().map(|((key, version), tally)| KeySummary {
            scheme: key.scheme(),
            key: key.id(),
            version: version.as_deref(),
            objects: tally.objects,
            size: tally.bytes,
            alone: tally.alone,
        });
        Self {
            objects: summary.objects,
            size: summary.bytes,
            states: states.collect(),
            shared_data_keys: summary.shared,
            verified: verify.then_some(summary.verified),
            not_verified: verify.then_some(summary.not_verified),
            keys: keys.collect(),
        }
    }
}
