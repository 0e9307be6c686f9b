//! `bulla store put`.

use std::{future::Future, io::Read as _, sync::Arc};

use bulla::Opener;
use bulla_object_store::{Binding, EncryptedStore, sealing_error};
use bytes::Bytes;
use object_store::{Error, ObjectStore, ObjectStoreExt as _, PutMode, PutPayload, WriteMultipart};
use tokio::sync::mpsc;

use super::place::{Place, failure};
use crate::{
    Session,
    args::{Bind, PutObject},
    config, context,
    failure::{Failure, Outcome},
    input::{Input, Source},
    passphrases::Passphrases,
    progress::Progress,
    providers::{Keys, Provider},
};

/// The input is read, and sent, in parts of this size.
const PART: usize = 8 << 20;

/// How many parts are on their way at a time.
const PARTS: usize = 4;

/// All that can be wrong was found right, and nothing is written yet.
pub(crate) struct Prepared {
    place: Place,
    store: EncryptedStore<Arc<dyn ObjectStore>>,
    input: Input,
    force: bool,
}

pub(crate) fn prepare(args: PutObject, session: &Session) -> Outcome<Prepared> {
    let config = config::load(session.config.as_deref())?;
    let keys = Keys::choose_to_seal(config.as_ref(), &args.keys)?;
    let place = Place::find(&args.url, &args.store)?;
    if place.path.is_root() || args.url.ends_with('/') {
        return Err(Failure::usage("this names no object")
            .at(&place.name)
            .hint("a URL of an object ends in its name"));
    }
    let passphrases = Passphrases::new(&args.passphrases.files, &session.cleanup)?;
    let context = context::to_seal(args.context, args.required_context)?;
    let input = Source::choose(Some(args.input))?.open()?;
    let sealer = keys.sealer(&context, &passphrases, &session.runtime)?.into_sealer();
    // It reads nothing.
    let opener = Opener::new(Vec::<Provider>::new());
    let binding = match args.bind {
        Bind::Object => Binding::Object,
        Bind::Path => Binding::Path,
        Bind::Context => Binding::Context,
    };
    let store = EncryptedStore::builder(place.store(), sealer, opener)
        .binding(binding)
        .context(move |_| Ok(context.clone()));
    Ok(Prepared { store: store.build()?, place, input, force: args.force })
}

/// Seals and stores, or aborts the upload when it is told to stop.
pub(crate) async fn until<S: Future<Output = ()>>(prepared: Prepared, stop: S) -> Outcome<()> {
    let Prepared { place, store, input, force } = prepared;
    let mut progress = Progress::new(input.len, false);
    let mut parts = read(input);
    let told = |error: &Error| told(&place, error);
    let mut stop = std::pin::pin!(stop);
    if !force {
        expect_none(&store, &place).await?;
    }
    let Some(first) = parts.recv().await.transpose()? else { return Ok(()) };
    if first.len() < PART {
        let mode = if force { PutMode::Overwrite } else { PutMode::Create };
        let put = store.put_opts(&place.path, PutPayload::from_bytes(first), mode.into());
        return tokio::select! {
            biased;
            () = &mut stop => Err(Failure::interrupted()),
            done = put => done.map(drop).map_err(|error| told(&error)),
        };
    }
    let upload = store.put_multipart(&place.path).await.map_err(|error| told(&error))?;
    let mut upload = WriteMultipart::new_with_chunk_size(upload, PART);
    let mut next = Some(Ok(first));
    let outcome = loop {
        let part = match next.take() {
            Some(Ok(part)) => part,
            Some(Err(failure)) => break Err(failure),
            None => break Ok(()),
        };
        progress.advance(part.len());
        upload.put(part);
        tokio::select! {
            biased;
            () = &mut stop => break Err(Failure::interrupted()),
            sent = async {
                upload.wait_for_capacity(PARTS).await?;
                Ok(parts.recv().await)
            } => match sent {
                Ok(part) => next = part,
                Err(error) => break Err(told(&error)),
            },
        }
    };
    match outcome {
        Ok(()) if force => upload.finish().await.map(drop).map_err(|error| told(&error)),
        // The last look: parts are not completed under a condition.
        Ok(()) => match expect_none(&store, &place).await {
            Ok(()) => upload.finish().await.map(drop).map_err(|error| told(&error)),
            Err(failure) => abort(upload, failure).await,
        },
        Err(failure) => abort(upload, failure).await,
    }
}

async fn abort(upload: WriteMultipart, failure: Failure) -> Outcome<()> {
    // Whatever comes of that, it is not the reason.
    let _ = upload.abort().await;
    Err(failure)
}

async fn expect_none(store: &impl ObjectStore, place: &Place) -> Outcome<()> {
    match store.head(&place.path).await {
        Err(Error::NotFound { .. }) => Ok(()),
        Ok(_) => Err(exists(place)),
        Err(error) => Err(failure(&place.name, &error)),
    }
}

fn exists(place: &Place) -> Failure {
    Failure::other("exists already").at(&place.name).hint("--force replaces it")
}

fn told(place: &Place, error: &Error) -> Failure {
    match (sealing_error(error), error) {
        (Some(error), _) => Failure::from(error.clone()),
        (None, Error::AlreadyExists { .. }) => exists(place),
        (None, error) => failure(&place.name, error),
    }
}

/// Reads the input where it may block: parts of one size, and a last one that is shorter, if only by being
/// empty where there is nothing else.
fn read(mut input: Input) -> mpsc::Receiver<Outcome<Bytes>> {
    let (give, take) = mpsc::channel(1);
    tokio::task::spawn_blocking(move || {
        let mut first = true;
        loop {
            let mut part = Vec::with_capacity(PART);
            let read = (&mut input.file).take(PART as u64).read_to_end(&mut part);
            let part = read.map(|_| part).map_err(|error| Failure::io(&input.name, &error));
            let last = part.as_ref().map_or(true, |part| part.len() < PART);
            let empty = part.as_ref().is_ok_and(Vec::is_empty);
            let is_first = std::mem::replace(&mut first, false);
            if (is_first || !empty) && give.blocking_send(part.map(Bytes::from)).is_err() {
                return;
            }
            if last {
                return;
            }
        }
    });
    take
}
