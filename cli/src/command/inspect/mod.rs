//! `bulla inspect`: what a header says, without a key and so without any proof.

mod direct;

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    io::{self, Read},
};

use bulla::{
    EncryptionContext,
    format::{DirectMessage, Header, PREFIX_LEN, Transform},
    key::WrapAlgorithm,
};
use serde::Serialize;

use self::direct::DirectReport;
use crate::{
    args::Inspect,
    failure::{Failure, Outcome},
    input::{Form, Sealed, Source},
    json, pump, shown, stdio,
};

/// Salt and commitment, between the header and the first chunk.
const PREAMBLE_LEN: u64 = 56;

pub(crate) fn run(args: Inspect) -> Outcome<()> {
    let source = Source::choose(args.file)?;
    let report = Report::read(source.open()?.into_sealed()?)?;
    if args.json { json::print(&report) } else { stdio::print(&report.to_text()) }
}

const UNVERIFIED: &str = "UNVERIFIED: read without a key; anybody could have written any of this";

#[derive(Serialize)]
#[serde(untagged)]
enum Report {
    Sealed(SealedReport),
    Direct(DirectReport),
}

/// What a message is.
#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Sealed,
    Direct,
}

/// The answer. As JSON it is documented in JSON.md: fields are added, not changed.
#[derive(Serialize)]
struct SealedReport {
    file: String,
    /// Always false, for those who read only this.
    verified: bool,
    kind: Kind,
    form: Form,
    format_version: u8,
    suite: SuiteReport,
    shared_data_key: bool,
    context: BTreeMap<String, String>,
    transform: Option<String>,
    recipients: Vec<RecipientReport>,
    header_len: u64,
    sealed_len: u64,
    body_len: Option<u64>,
    plaintext_len: Option<u64>,
}

#[derive(Serialize)]
struct SuiteReport {
    number: u8,
    description: String,
    chunk_len: usize,
}

#[derive(Serialize)]
struct RecipientReport {
    scheme: String,
    key: String,
    version: Option<String>,
    algorithm: WrapName,
    wrapped_len: usize,
}

/// A wrap algorithm by its stable name.
struct WrapName(WrapAlgorithm);

impl Serialize for WrapName {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.as_str())
    }
}

impl Report {
    fn read(mut sealed: Sealed) -> Outcome<Self> {
        let mut start = Vec::new();
        read_to(&mut sealed, &mut start, PREFIX_LEN)?;
        Ok(match DirectMessage::begins(&start) {
            true => Self::Direct(DirectReport::read(start, sealed)?),
            false => Self::Sealed(SealedReport::read(start, sealed)?),
        })
    }

    fn to_text(&self) -> String {
        let mut out = String::new();
        let written = match self {
            Self::Sealed(report) => report.write_text(&mut out),
            Self::Direct(report) => report.write_text(&mut out),
        };
        written.unwrap_or_default(); // a String takes everything
        out
    }
}

impl SealedReport {
    /// `start` is what was read of it already.
    fn read(start: Vec<u8>, mut sealed: Sealed) -> Outcome<Self> {
        let header = read_header(start, &mut sealed)?;
        let Sealed { mut reader, len, form, name, .. } = sealed;
        let header_len = header.as_bytes().len() as u64;
        let sealed_len = match len {
            Some(len) => len,
            // A pipe tells its length at its end only.
            None => {
                let rest = io::copy(&mut reader, &mut io::sink());
                header_len + rest.map_err(|e| Failure::io(&name, &e))?
            }
        };
        let suite = header.suite();
        let body_len = sealed_len.checked_sub(header_len + PREAMBLE_LEN);
        Ok(Self {
            file: name,
            verified: false,
            kind: Kind::Sealed,
            form,
            format_version: header.as_bytes().get(5).copied().unwrap_or_default(),
            suite: SuiteReport {
                number: suite.code(),
                description: suite.to_string(),
                chunk_len: suite.chunk_len(),
            },
            shared_data_key: header.is_data_key_shared(),
            context: owned_pairs(header.stored_context()),
            transform: header.stored_context().get(Transform::KEY).map(str::to_owned),
            recipients: header.recipients().iter().map(RecipientReport::new).collect(),
            header_len,
            sealed_len,
            body_len,
            plaintext_len: body_len.and_then(|len| suite.plaintext_len(len)),
        })
    }

    fn write_text(&self, out: &mut String) -> std::fmt::Result {
        writeln!(out, "{UNVERIFIED}")?;
        writeln!(out)?;
        writeln!(out, "file:         {}", self.file)?;
        writeln!(out, "form:         {}", self.form.in_words())?;
        writeln!(out, "version:      {}", self.format_version)?;
        writeln!(out, "suite:        {}", self.suite.description)?;
        let data_key = if self.shared_data_key {
            "shared with other messages: whoever may open one of them can open all"
        } else {
            "for this message alone"
        };
        writeln!(out, "data key:     {data_key}")?;
        writeln!(out, "header:       {} bytes", self.header_len)?;
        match self.body_len {
            Some(len) => writeln!(out, "body:         {len} bytes")?,
            None => writeln!(out, "body:         missing: the data is cut short")?,
        }
        match (self.plaintext_len, self.body_len) {
            (Some(len), _) => match &self.transform {
                None => writeln!(out, "plaintext:    {len} bytes")?,
                Some(how) => {
                    let how = shown::token(how);
                    writeln!(out, "plaintext:    {len} bytes as it was transformed: {how}")?;
                }
            },
            (None, Some(_)) => {
                writeln!(out, "plaintext:    no message has such a body: it was cut or damaged")?;
            }
            (None, None) => {}
        }
        write_context(out, &self.context)?;
        writeln!(out, "recipients:   {}, any one of which opens", self.recipients.len())?;
        for recipient in &self.recipients {
            recipient.write_text(out)?;
        }
        Ok(())
    }
}

impl RecipientReport {
    fn new(wrapped: &bulla::Wrapped) -> Self {
        Self {
            scheme: wrapped.key.scheme().to_owned(),
            key: wrapped.key.id().to_owned(),
            version: wrapped.version.as_ref().map(|version| version.as_str().to_owned()),
            algorithm: WrapName(wrapped.algorithm),
            wrapped_len: wrapped.blob.len(),
        }
    }

    fn write_text(&self, out: &mut String) -> std::fmt::Result {
        write!(out, "  {}:{}", self.scheme, shown::token(&self.key))?;
        if let Some(version) = &self.version {
            write!(out, " version {version}")?;
        }
        writeln!(out, ", wrap {}, {} bytes", self.algorithm.0.as_str(), self.wrapped_len)
    }
}

fn owned_pairs(context: &EncryptionContext) -> BTreeMap<String, String> {
    context.iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

fn write_context(out: &mut String, context: &BTreeMap<String, String>) -> std::fmt::Result {
    match context.len() {
        0 => writeln!(out, "context:      nothing stored")?,
        n => writeln!(out, "context:      {n} stored; there may be more that is not")?,
    }
    for (key, value) in context {
        writeln!(out, "  {} = {}", shown::token(key), shown::token(value))?;
    }
    Ok(())
}

/// Reads the header alone: data that is cut right behind it can still be explained.
fn read_header(mut bytes: Vec<u8>, sealed: &mut Sealed) -> Outcome<Header> {
    let name = sealed.name.clone();
    let told = |error: bulla::Error| Failure::from(error).at(&name);
    let len = Header::declared_len(&bytes).map_err(told)?;
    read_to(sealed, &mut bytes, len)?;
    Header::parse(&bytes).map_err(told)
}

/// Reads until there are so many bytes, or no more.
fn read_to(sealed: &mut Sealed, bytes: &mut Vec<u8>, len: usize) -> Outcome<()> {
    let more = len.saturating_sub(bytes.len()) as u64;
    let read = (&mut sealed.reader).take(more).read_to_end(bytes);
    read.map(drop).map_err(|e| pump::read_failure(&sealed.name, e))
}
