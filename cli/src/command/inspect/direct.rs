//! What a direct message says: the key itself encrypted the payload, and there is no header.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    io::{Cursor, Read as _},
};

use bulla::format::DirectMessage;
use serde::Serialize;

use super::{Kind, RecipientReport, UNVERIFIED, owned_pairs, write_context};
use crate::{
    failure::{Failure, Outcome},
    input::{Form, Sealed},
    pump,
};

/// The answer. As JSON it is documented in JSON.md: fields are added, not changed.
#[derive(Serialize)]
pub(super) struct DirectReport {
    file: String,
    /// Always false, for those who read only this.
    verified: bool,
    kind: Kind,
    form: Form,
    format_version: u8,
    context: BTreeMap<String, String>,
    recipients: [RecipientReport; 1],
    sealed_len: usize,
}

impl DirectReport {
    /// `start` is what was read of it already.
    pub(super) fn read(start: Vec<u8>, sealed: Sealed) -> Outcome<Self> {
        let Sealed { reader, form, name, .. } = sealed;
        let mut bytes = Vec::new();
        // One byte more than there can be is read, so that it is missed by nobody.
        let mut whole = Cursor::new(start).chain(reader).take(DirectMessage::MAX_LEN as u64 + 1);
        whole.read_to_end(&mut bytes).map_err(|e| pump::read_failure(&name, e))?;
        let message = DirectMessage::parse(&bytes).map_err(|e| Failure::from(e).at(&name))?;
        Ok(Self {
            file: name,
            verified: false,
            kind: Kind::Direct,
            form,
            format_version: bytes.get(5).copied().unwrap_or_default(),
            context: owned_pairs(message.stored_context()),
            recipients: [RecipientReport::new(message.wrapped())],
            sealed_len: bytes.len(),
        })
    }

    pub(super) fn write_text(&self, out: &mut String) -> std::fmt::Result {
        writeln!(out, "{UNVERIFIED}")?;
        writeln!(out)?;
        writeln!(out, "file:         {}", self.file)?;
        writeln!(out, "form:         {}", self.form.in_words())?;
        writeln!(out, "version:      {}", self.format_version)?;
        writeln!(out, "kind:         direct message: the key itself encrypted the payload")?;
        writeln!(out, "length:       {} bytes", self.sealed_len)?;
        write_context(out, &self.context)?;
        writeln!(out, "recipients:   1, which opens it with `decrypt_direct`")?;
        self.recipients.iter().try_for_each(|recipient| recipient.write_text(out))
    }
}
