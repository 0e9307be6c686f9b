//! A rotation on its way through the objects.

use std::{future::Future, io, ops::Deref, pin::pin, time::Duration};

use bulla::CryptoProvider;
use futures_util::{StreamExt as _, stream::FuturesUnordered};
use object_store::{ObjectMeta, path::Path};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

use super::{
    Failure, Outcome, Reason, Report, Rotation, RunError,
    change::Done,
    checkpoint::{Checkpoint, check_place, digest},
};

/// After so many objects in a row that failed for want of the keys or the store, it is an outage.
const OUTAGE: usize = 12;

/// How long objects that are under way have when the run is to end.
const LAST_OBJECTS: Duration = Duration::from_secs(10);

impl<P> Rotation<P>
where
    P: Deref<Target: CryptoProvider> + Clone + Send + Sync,
{
    /// Goes through the objects, and tells of each what became of it. What fails with one object is told and
    /// counted, and the run goes on.
    ///
    /// When `stop` is ready, no object is begun any more, those under way have 10 seconds, and uploads that
    /// are not complete then are aborted. Dropped, the run leaves every object old or new, and has a task
    /// abort uploads if there is a runtime.
    ///
    /// # Errors
    /// The run did not look at everything: the [reason](Reason) says why. What it did stands, and the same
    /// run goes on from there.
    #[allow(clippy::future_not_send, reason = "it is Send where what it is given is")]
    pub async fn run<S, F>(&self, stop: S, mut tell: F) -> Result<Report, RunError>
    where
        S: Future<Output = ()>,
        F: FnMut(&Path, &Outcome),
    {
        let mut run = Run::default();
        let mut checkpoint = match self.load().await {
            Ok(checkpoint) => checkpoint,
            Err(reason) => return Err(RunError { report: run.report, reason }),
        };
        let mut listing = self.changes.store.list(self.prefix.as_ref());
        let mut working = FuturesUnordered::new();
        let (halt, halted) = watch::channel(false);
        let (mut stop, mut stopping, mut listed_all) = (pin!(stop), None, false);
        loop {
            if stopping.is_some() {
                halt.send_replace(true);
            }
            if working.is_empty() && (listed_all || stopping.is_some()) {
                break;
            }
            let more = !listed_all && stopping.is_none() && working.len() < self.concurrency;
            tokio::select! {
                biased;
                () = &mut stop, if stopping.is_none() => {
                    run.report.stopped = true;
                    stopping = Some(Instant::now() + LAST_OBJECTS);
                }
                () = until(stopping) => break,
                Some((location, done)) = working.next(), if !working.is_empty() => {
                    let Some(done) = done else { continue };
                    run.done(&location, done, checkpoint.as_mut(), &mut tell);
                    if run.reason.is_some() && stopping.is_none() {
                        stopping = Some(Instant::now() + LAST_OBJECTS);
                    }
                    if checkpoint.as_ref().is_some_and(Checkpoint::is_due)
                        && let Err(reason) = save(&mut checkpoint).await
                    {
                        run.reason.get_or_insert(reason);
                        stopping.get_or_insert(Instant::now() + LAST_OBJECTS);
                    }
                }
                listed = listing.next(), if more => match listed {
                    None => listed_all = true,
                    Some(Err(error)) => {
                        run.reason.get_or_insert(Reason::List(error));
                        stopping = Some(Instant::now() + LAST_OBJECTS);
                    }
                    Some(Ok(meta)) if knows(checkpoint.as_ref(), &meta) => {
                        run.report.add(&Outcome::Known);
                        tell(&meta.location, &Outcome::Known);
                    }
                    Some(Ok(meta)) => {
                        let halted = halted.clone();
                        working.push(async move {
                            let done = self.changes.object(&meta, halted).await;
                            (meta.location, done)
                        });
                    }
                },
            }
        }
        drop(working);
        self.changes.exchange.settle().await;
        if checkpoint.as_ref().is_some_and(|checkpoint| !checkpoint.is_saved())
            && let Err(reason) = save(&mut checkpoint).await
        {
            run.reason.get_or_insert(reason);
        }
        match run.reason {
            None => Ok(run.report),
            Some(reason) => Err(RunError { report: run.report, reason }),
        }
    }

    /// The checkpoint, if one is kept. A dry run reads it and writes none.
    async fn load(&self) -> Result<Option<Checkpoint>, Reason> {
        let Some(path) = self.checkpoint.clone() else { return Ok(None) };
        let plan = &self.changes.plan;
        let mut from: Vec<_> =
            plan.from.iter().map(|from| format!("from {}", from.name())).collect();
        from.sort_unstable();
        let (mut to, mut versions) = (Vec::new(), Vec::new());
        for provider in &plan.to {
            let Some(key) = provider.sealing_key() else { continue };
            let described = provider.describe_keys().await.into_iter();
            // Where none is told, is_current can't tell either.
            let version = described
                .filter_map(|(name, info)| Some((name, info.ok()?.version?)))
                .find_map(|(name, version)| (name == *key).then_some(version));
            to.push(format!("to {key}"));
            versions.push(format!("{key} {version:?}"));
        }
        to.sort_unstable();
        versions.sort_unstable();
        let store = self.changes.store.to_string();
        let prefix = self.prefix.as_ref().map(Path::as_ref).unwrap_or_default();
        let texts = [store.as_str(), prefix].into_iter().chain(from.iter().map(String::as_str));
        let texts: Vec<_> = texts.chain(to.iter().map(String::as_str)).collect();
        let plan = digest(&texts);
        let texts: Vec<_> = texts.into_iter().chain(versions.iter().map(String::as_str)).collect();
        let salt = digest(&texts);
        let place = path.clone();
        let loaded = tokio::task::spawn_blocking(move || {
            check_place(&place)?;
            Checkpoint::load(&place, plan, salt)
        });
        match loaded.await.unwrap_or_else(|error| Err(io::Error::other(error))) {
            Ok(Some(checkpoint)) => Ok(Some(checkpoint)),
            Ok(None) => Err(Reason::OtherPlan(path)),
            Err(source) => Err(Reason::Checkpoint { path, source }),
        }
    }
}

/// What has happened so far.
#[derive(Default)]
struct Run {
    report: Report,
    /// How many objects in a row failed for want of the keys, and of the store.
    keyless: usize,
    storeless: usize,
    /// Why it ends early, once it does.
    reason: Option<Reason>,
}

impl Run {
    fn done(
        &mut self,
        location: &Path,
        done: Done,
        checkpoint: Option<&mut Checkpoint>,
        tell: &mut impl FnMut(&Path, &Outcome),
    ) {
        let Done { outcome, settled } = done;
        if let (Some(checkpoint), Some(e_tag)) = (checkpoint, settled) {
            checkpoint.add(location, &e_tag);
        }
        self.report.add(&outcome);
        tell(location, &outcome);
        match outcome {
            Outcome::Failed(Failure::Unconditional) => {
                self.reason.get_or_insert(Reason::Unconditional);
            }
            Outcome::Failed(failure) => {
                match &failure {
                    Failure::Keys(error) if error.is_retryable() => self.keyless += 1,
                    Failure::Store(_) => self.storeless += 1,
                    Failure::Io(error) if is_full(error) => self.storeless += 1,
                    _ => return,
                }
                if self.keyless.max(self.storeless) >= OUTAGE {
                    self.reason.get_or_insert(Reason::Outage(failure));
                }
            }
            Outcome::Rewrapped { .. } => (self.keyless, self.storeless) = (0, 0),
            // The store answered; no key was asked.
            _ => self.storeless = 0,
        }
    }
}

/// Whether no other file could be written either.
fn is_full(error: &io::Error) -> bool {
    use io::ErrorKind as K;
    matches!(error.kind(), K::StorageFull | K::QuotaExceeded | K::ReadOnlyFilesystem)
}

fn knows(checkpoint: Option<&Checkpoint>, listed: &ObjectMeta) -> bool {
    checkpoint.is_some_and(|known| known.knows(&listed.location, listed.e_tag.as_deref()))
}

/// Where it may block.
async fn save(checkpoint: &mut Option<Checkpoint>) -> Result<(), Reason> {
    let Some(mut taken) = checkpoint.take() else { return Ok(()) };
    let path = taken.path().to_owned();
    let saved = tokio::task::spawn_blocking(move || taken.save().map(|()| taken)).await;
    match saved.unwrap_or_else(|error| Err(io::Error::other(error))) {
        Ok(saved) => {
            *checkpoint = Some(saved);
            Ok(())
        }
        Err(source) => Err(Reason::Checkpoint { path, source }),
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        None => std::future::pending().await,
        Some(deadline) => sleep_until(deadline).await,
    }
}
