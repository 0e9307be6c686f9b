//! Sealing whole objects.

use std::sync::Arc;

use bulla::{
    Sealer, SharedProvider,
    stream::{RunSealer, SealRun},
};
use bytes::{Buf, Bytes};
use futures_util::{StreamExt, TryStreamExt, stream};
use object_store::{ObjectStore, PutOptions, PutPayload, PutResult, Result, path::Path};

use crate::{
    binding::Binding,
    error::failed,
    offload::{INLINE, Work},
    pieces::Pieces,
    store::Shared,
};

/// The most bytes of plaintext in a run that one thread seals: 1 MiB, whole chunks of either suite.
pub(crate) const RUN_LEN: usize = 1 << 20;

/// The least: 256 KiB.
const LEAST_RUN: usize = 256 << 10;

impl<S: ObjectStore> Shared<S> {
    pub(crate) async fn put(
        &self,
        location: &Path,
        payload: PutPayload,
        opts: PutOptions,
    ) -> Result<PutResult> {
        let sealed = self.seal(location, payload).await?;
        let put = self.inner.put_opts(location, sealed.clone().into(), opts).await;
        self.headers.forget(location);
        self.spare.put_back(sealed);
        put
    }

    /// Seals a payload, on several threads if it is long. What the store's client may send again is the
    /// result: the same bytes.
    async fn seal(&self, location: &Path, payload: PutPayload) -> Result<Bytes> {
        let context = self.bound.to_seal(location).map_err(|error| failed(location, error))?;
        let mut plaintext = Pieces::from(payload);
        let len = plaintext.len();
        if len <= INLINE && self.bound.binding != Binding::Object && has_cache(&self.sealer) {
            let plaintext = plaintext.copy_to_bytes(len);
            let sealed = self.sealer.seal_padded(&plaintext, &context).await;
            return Ok(sealed.map_err(|error| failed(location, error))?.into());
        }
        let sealing = self.sealer.begin(&context).await.map_err(|error| failed(location, error))?;
        let (preamble, runs) = RunSealer::new(sealing);
        if len <= INLINE {
            return seal_short(preamble, runs, plaintext)
                .map(Bytes::from)
                .map_err(|error| failed(location, error));
        }
        let location = Arc::new(location.clone());
        let cut = cut_all(runs, plaintext, self.width).map_err(|error| failed(&location, error))?;
        let sealed_len: usize = cut.iter().map(|(run, _)| run.sealed_len()).sum();
        // One object in one piece, which no store has to copy together. Each run has its part of it.
        let mut object = self.spare.take(preamble.len() + sealed_len);
        let mut rest = object.split_off(preamble.len());
        object.copy_from_slice(&preamble);
        let seal = |(run, plaintext): (SealRun, Pieces)| {
            let (location, mut room) = (Arc::clone(&location), rest.split_to(run.sealed_len()));
            Work::begin(plaintext.len(), move || {
                run.seal(plaintext, &mut room).map_err(|error| failed(&location, error))?;
                Ok(room)
            })
        };
        let mut sealed = stream::iter(cut).map(seal).buffered(self.width);
        while let Some(run) = sealed.try_next().await? {
            object.unsplit(run);
        }
        Ok(object.freeze())
    }
}

fn has_cache(sealer: &Sealer<SharedProvider>) -> bool {
    sealer.cache_stats().is_some()
}

/// A message in one piece.
fn seal_short(preamble: Vec<u8>, runs: RunSealer, plaintext: Pieces) -> bulla::Result<Vec<u8>> {
    let run = runs.cut_last(plaintext.len())?;
    let mut object = preamble;
    let start = object.len();
    object.resize(start + run.sealed_len(), 0);
    run.seal(plaintext, object.get_mut(start..).unwrap_or_default())?;
    Ok(object)
}

/// Cuts a whole plaintext into runs for so many threads. The last may be empty.
fn cut_all(
    mut runs: RunSealer,
    mut plaintext: Pieces,
    width: usize,
) -> bulla::Result<Vec<(SealRun, Pieces)>> {
    // So that as many threads have work as there are, also for little.
    let run_len = (plaintext.len() / width.max(1)).clamp(LEAST_RUN, RUN_LEN);
    let run_len = run_len - run_len % LEAST_RUN;
    let mut cut = Vec::with_capacity(plaintext.len() / run_len + 1);
    while plaintext.len() >= run_len {
        cut.push((runs.cut(run_len)?, plaintext.split_to(run_len)));
    }
    cut.push((runs.cut_last(plaintext.len())?, plaintext));
    Ok(cut)
}

pub(crate) fn seal_run(run: SealRun, plaintext: Pieces) -> bulla::Result<Bytes> {
    let mut sealed = vec![0; run.sealed_len()];
    run.seal(plaintext, &mut sealed)?;
    Ok(sealed.into())
}
