//! Reading an object's header, by itself.

use std::sync::Arc;

use bulla::format::{Header, MAGIC, PREFIX_LEN, Preamble};
use object_store::{
    Attributes, Extensions, GetOptions, GetRange, ObjectMeta, ObjectStore, Result, path::Path,
};
use tokio::sync::OnceCell;

use super::fetch::collect;
use crate::{
    error::{failed, not_sealed, replaced, wrong_answer},
    headers::{Form, Key, Known, Pin},
    store::Shared,
};

/// Salt and commitment, behind a header.
const AFTER_HEADER_LEN: usize = 56;

/// A header that was read now, and what came with it.
pub(super) struct Seen {
    pub(super) known: Arc<Known>,
    pub(super) attributes: Attributes,
    pub(super) extensions: Extensions,
}

/// What an object's first bytes say.
pub(super) enum Start {
    Plain,
    Sealed(Preamble),
    /// Its header is this long, with what is behind it, and there were fewer bytes.
    Longer(usize),
}

impl<S: ObjectStore> Shared<S> {
    /// How long the preamble is of what this store writes.
    pub(super) fn usual_preamble_len(&self) -> usize {
        usize::from(self.sealer.header_len()) + AFTER_HEADER_LEN
    }

    /// The header of an object that has none in the cache. Of many who ask at the same time, one reads it.
    pub(super) async fn header(
        &self,
        location: &Path,
        options: &GetOptions,
        key: &Key,
    ) -> Result<Arc<Known>> {
        if is_conditional(options) {
            return Ok(self.read_header(location, options).await?.known);
        }
        let gate = self.headers.gate(key);
        // Who has to wait does so once: if there is nothing then, all go on at the same time.
        let _turn = match gate.try_lock() {
            Ok(turn) => Some(turn),
            Err(_) => {
                drop(gate.lock().await);
                None
            }
        };
        match self.headers.find(key) {
            Some(known) => Ok(known),
            None => Ok(self.read_header(location, options).await?.known),
        }
    }

    /// Reads an object's first bytes, under the caller's conditions, by one request: two where its header
    /// is longer than those that this store writes.
    pub(super) async fn read_header(&self, location: &Path, options: &GetOptions) -> Result<Seen> {
        let usual = self.usual_preamble_len();
        let first = GetOptions {
            range: Some(GetRange::Bounded(0..usual as u64)),
            head: false,
            ..options.clone()
        };
        let result = match self.inner.get_opts(location, first).await {
            Ok(result) => result,
            Err(error) => return self.read_empty(location, options, error).await,
        };
        let (meta, range) = (result.meta.clone(), result.range.clone());
        let (attributes, extensions) = (result.attributes.clone(), result.extensions.clone());
        if range != (0..meta.size.min(usual as u64)) {
            return Err(wrong_answer(location, "other bytes than its first"));
        }
        let bytes = collect(location, result, usual).await?;
        let form = match self.read_start(location, &bytes)? {
            Start::Plain => Form::Plain,
            Start::Sealed(preamble) => Form::Sealed { preamble, opened: OnceCell::new() },
            Start::Longer(len) if len as u64 > meta.size => {
                return Err(failed(location, bulla::Error::not_authentic()));
            }
            Start::Longer(len) => {
                let preamble = self.read_long_header(location, options, &meta, len).await?;
                Form::Sealed { preamble, opened: OnceCell::new() }
            }
        };
        let known = self.headers.make(meta, form);
        self.headers.insert(&key(location, options), &known);
        Ok(Seen { known, attributes, extensions })
    }

    async fn read_long_header(
        &self,
        location: &Path,
        options: &GetOptions,
        meta: &ObjectMeta,
        len: usize,
    ) -> Result<Preamble> {
        let pinned = Pin::of(meta).apply(unconditional(options));
        let range = Some(GetRange::Bounded(0..len as u64));
        let result = self.inner.get_opts(location, GetOptions { range, ..pinned }).await?;
        if result.meta.size != meta.size || result.meta.e_tag != meta.e_tag {
            return Err(replaced(location));
        }
        let bytes = collect(location, result, len).await?;
        match self.read_start(location, &bytes)? {
            Start::Sealed(preamble) => Ok(preamble),
            Start::Plain | Start::Longer(_) => Err(replaced(location)),
        }
    }

    /// Looks at first bytes. That an object is not sealed is an error, but while a store is migrated.
    pub(super) fn read_start(&self, location: &Path, bytes: &[u8]) -> Result<Start> {
        if bytes.get(..MAGIC.len()) != Some(&MAGIC) {
            return if self.reads_plaintext { Ok(Start::Plain) } else { Err(not_sealed(location)) };
        }
        let read = || {
            let prefix = bytes.get(..PREFIX_LEN).unwrap_or(bytes);
            let len = Header::declared_len(prefix)? + AFTER_HEADER_LEN;
            match bytes.get(..len) {
                Some(preamble) => Ok(Start::Sealed(Preamble::split(preamble)?.0)),
                None => Ok(Start::Longer(len)),
            }
        };
        read().map_err(|error| failed(location, error))
    }

    /// No range of an object without bytes can be asked for, and stores say so in different ways. Such an
    /// object is not sealed. Any other error stays.
    async fn read_empty(
        &self,
        location: &Path,
        options: &GetOptions,
        error: object_store::Error,
    ) -> Result<Seen> {
        if !matches!(error, object_store::Error::Generic { .. }) {
            return Err(error);
        }
        let head = GetOptions { head: true, range: None, ..options.clone() };
        match self.inner.get_opts(location, head).await {
            Ok(result) if result.meta.size == 0 && self.reads_plaintext => {
                let known = self.headers.make(result.meta, Form::Plain);
                let (attributes, extensions) = (result.attributes, result.extensions);
                Ok(Seen { known, attributes, extensions })
            }
            Ok(result) if result.meta.size == 0 => Err(not_sealed(location)),
            _ => Err(error),
        }
    }
}

/// Where what is known of an object is kept.
pub(super) fn key(location: &Path, options: &GetOptions) -> Key {
    (location.clone(), options.version.clone())
}

pub(super) fn is_conditional(options: &GetOptions) -> bool {
    options.if_match.is_some() || has_more_conditions(options)
}

/// Conditions that can't be sent together with an ETag of ours, or not to every store.
pub(super) fn has_more_conditions(options: &GetOptions) -> bool {
    options.if_none_match.is_some()
        || options.if_modified_since.is_some()
        || options.if_unmodified_since.is_some()
}

/// The same request without conditions, which a first one has met.
pub(super) fn unconditional(options: &GetOptions) -> GetOptions {
    GetOptions {
        if_match: None,
        if_none_match: None,
        if_modified_since: None,
        if_unmodified_since: None,
        ..options.clone()
    }
}
