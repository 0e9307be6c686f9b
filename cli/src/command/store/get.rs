//! `bulla store get` and `bulla store cat`.

use std::{io::IsTerminal as _, ops::Range, path::PathBuf, sync::Arc};

use async_trait::async_trait;
use bulla::{
    Context, EncryptionContext, ErrorKind,
    format::Opening,
    stream::{DecryptStream, ReadAt, read_preamble_at},
};
use bytes::Bytes;
use futures_util::StreamExt as _;
use object_store::{GetOptions, GetRange, ObjectMeta, ObjectStore, ObjectStoreExt as _};

use super::place::{Place, failure, one_line};
use crate::{
    Session,
    args::{Bind, CatObject, GetObject, OpenObject},
    config, context,
    failure::{Failure, Outcome},
    input::Source,
    opening::{explain, is_elsewhere},
    output::{Plan, Target},
    passphrases::Passphrases,
    plaintext::{Out, copy_range},
    progress::Progress,
    providers::{Keys, Openers},
    range::ByteRange,
    say,
};

/// The pair of an object's id, as encrypted stores write it.
const OBJECT: &str = "object";

/// The pair of an object's name, as they bind it.
const LOCATION: &str = "location";

pub(super) fn run(args: GetObject, session: &Session) -> Outcome<()> {
    let GetObject { url, output, range, opening, store, force } = args;
    let place = Place::find(&url, &store)?;
    let named = output.is_some();
    let output = match (output, place.path.filename()) {
        (Some(output), _) => output,
        // A part must not take the name of the whole.
        (None, _) if range.is_some() => PathBuf::from("-"),
        (None, Some(name)) => PathBuf::from(name),
        (None, None) => return Err(Failure::usage("this names no object").at(&place.name)),
    };
    let plan = Plan::new(Target::named(output), force, None)?;
    let name = plan.name().to_owned();
    let is_file = plan.is_file();
    copy(&place, range, opening, plan, session)?;
    if is_file && !named && std::io::stderr().is_terminal() {
        say::note(&format!("wrote {name}"));
    }
    Ok(())
}

pub(super) fn cat(args: CatObject, session: &Session) -> Outcome<()> {
    let CatObject { url, range, opening, store } = args;
    let place = Place::find(&url, &store)?;
    copy(&place, range, opening, Plan::new(Target::Stdout, false, None)?, session)
}

fn copy(
    place: &Place,
    range: Option<ByteRange>,
    args: OpenObject,
    plan: Plan,
    session: &Session,
) -> Outcome<()> {
    let OpenObject { keys, context, bind, passphrases } = args;
    let config = config::load(session.config.as_deref())?;
    let keys = Keys::choose(config.as_ref(), &keys)?;
    let given = context::to_open(context)?;
    let passphrases = Passphrases::new(&passphrases.files, &session.cleanup)?;
    let wait = &session.runtime;
    let object = wait.block_on(Object::find(place))?;
    let told = |error: bulla::Error| object.told(error, &place.name);
    let head = wait.block_on(read_preamble_at(&object)).map_err(told)?;
    let context = bound(&given, head.header().stored_context(), bind, place)?;
    let elsewhere = is_elsewhere(head.header());
    let Openers { opener, unopened } = keys.opener(head.header(), &passphrases, wait)?;
    let head_len = head.len() as u64;
    let opened = wait.block_on(opener.begin(head, &Context::from(context))).map_err(|error| {
        let failure = Failure::from(error).at(&place.name);
        explain(failure, &Source::Stdin, passphrases.used(), elsewhere, unopened)
    })?;
    let mut out = Out::open(plan, session, not_text)?;
    match range {
        None => whole(opened, &object, head_len, &place.name, &mut out, session)?,
        Some(range) => copy_range(opened, object.clone(), range, told, &mut out, session)?,
    }
    out.finish()
}

/// All pairs that the object must have been sealed under.
fn bound(
    given: &EncryptionContext,
    stored: &EncryptionContext,
    bind: Bind,
    place: &Place,
) -> Outcome<EncryptionContext> {
    let mut all = given.clone();
    match bind {
        Bind::Object => {
            if let (Some(id), None) = (stored.get(OBJECT), given.get(OBJECT)) {
                all.insert(OBJECT, id)?;
            }
        }
        Bind::Path => all.insert(LOCATION, place.path.as_ref())?,
        Bind::Context => {}
    }
    Ok(all)
}

fn whole(
    opened: Opening,
    object: &Object,
    head_len: u64,
    name: &str,
    out: &mut Out,
    session: &Session,
) -> Outcome<()> {
    let wait = &session.runtime;
    let mut progress = Progress::new(Some(object.meta.size - head_len), out.is_on_terminal());
    let body = object.get(GetRange::Offset(head_len));
    let body = wait.block_on(body).map_err(|error| failure(name, &error))?.into_stream();
    let mut plain = DecryptStream::new(opened, Bytes::new(), body);
    while let Some(piece) = wait.block_on(plain.next()) {
        let piece = piece.map_err(|error| object.told(error, name))?;
        out.write(&piece)?;
        progress.advance(piece.len());
    }
    Ok(())
}

/// An object, of which nothing else is read if it is replaced.
#[derive(Clone)]
struct Object {
    store: Arc<dyn ObjectStore>,
    meta: ObjectMeta,
}

impl Object {
    async fn find(place: &Place) -> Outcome<Self> {
        let store = place.store();
        let meta = store.head(&place.path).await;
        let meta = meta.map_err(|error| failure(&place.name, &error))?;
        Ok(Self { store, meta })
    }

    async fn get(&self, range: GetRange) -> object_store::Result<object_store::GetResult> {
        let options = GetOptions::new()
            .with_range(Some(range))
            .with_if_match(self.meta.e_tag.clone())
            .with_version(self.meta.version.clone());
        self.store.get_opts(&self.meta.location, options).await
    }

    /// Tells the library's errors from the store's, which came through it.
    fn told(&self, error: bulla::Error, name: &str) -> Failure {
        let source = std::error::Error::source(&error);
        match source.and_then(|source| source.downcast_ref::<object_store::Error>()) {
            Some(object_store::Error::Precondition { .. }) => {
                Failure::other("somebody else replaced it while it was read").at(name)
            }
            Some(store) => failure(name, store),
            None if error.kind() == ErrorKind::Io => Failure::other(one_line(&error)).at(name),
            None => Failure::from(error).at(name),
        }
    }
}

#[async_trait]
impl ReadAt for Object {
    async fn size(&self) -> bulla::Result<u64> {
        Ok(self.meta.size)
    }

    async fn read_at(&self, range: Range<u64>) -> bulla::Result<Bytes> {
        let range = range.start.min(self.meta.size)..range.end.min(self.meta.size);
        if range.is_empty() {
            return Ok(Bytes::new());
        }
        let failed = |error: object_store::Error| {
            bulla::Error::new(ErrorKind::Io, "the store failed").with_source(error)
        };
        let result = self.get(GetRange::Bounded(range)).await.map_err(failed)?;
        result.bytes().await.map_err(failed)
    }
}

fn not_text() -> Failure {
    Failure::usage("the object is not plain text, and not for a terminal")
        .hint("name a file with `bulla store get -o`, or redirect the output")
}
