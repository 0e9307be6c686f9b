//! One object, from its listing to what became of it.

use std::{ops::Deref, sync::Arc};

use bulla::{CryptoProvider, Opener};
use bytes::Bytes;
use object_store::{ObjectMeta, ObjectStore};

use super::{
    Exchange, Failure, Outcome, Replaced, Replacement, State,
    head::{self, Head, Read, Unread},
    pace::Pace,
    plan::{Due, Plan},
};

/// What one request reads: small objects come whole.
const FIRST: u64 = 16 << 10;

/// How often an object is tried that somebody else replaces meanwhile.
const ATTEMPTS: usize = 4;

/// How objects are changed.
#[derive(Debug)]
pub(super) struct Changes<P> {
    pub(super) store: Arc<dyn ObjectStore>,
    pub(super) opener: Opener<P>,
    pub(super) plan: Plan<P>,
    pub(super) exchange: Arc<dyn Exchange>,
    pub(super) objects_pace: Option<Pace>,
    pub(super) bytes_pace: Option<Pace>,
    pub(super) dry_run: bool,
    pub(super) resize: bool,
}

/// Whether no object is begun any more.
pub(super) type Halted = tokio::sync::watch::Receiver<bool>;

/// What became of an object, and the ETag under which nothing is left to be done to it.
pub(super) struct Done {
    pub(super) outcome: Outcome,
    pub(super) settled: Option<String>,
}

impl<P> Changes<P>
where
    P: Deref<Target: CryptoProvider> + Clone + Send + Sync,
{
    /// `None` if the run was halted before the object's turn came.
    pub(super) async fn object(&self, listed: &ObjectMeta, mut halted: Halted) -> Option<Done> {
        admit(self.objects_pace.as_ref(), 1, &mut halted).await?;
        let mut done = self.attempt(listed, &mut halted).await?;
        for _ in 1..ATTEMPTS {
            if !matches!(done.outcome, Outcome::Failed(Failure::Changed)) {
                break;
            }
            done = self.attempt(listed, &mut halted).await?;
        }
        Some(done)
    }

    async fn attempt(&self, listed: &ObjectMeta, halted: &mut Halted) -> Option<Done> {
        let unsettled = |outcome| Some(Done { outcome, settled: None });
        let read = match head::read(&*self.store, listed, FIRST).await {
            Ok(read) => read,
            Err(Unread::Gone) => return unsettled(Outcome::NotSealed(State::Gone)),
            Err(Unread::Changed) => return unsettled(Outcome::Failed(Failure::Changed)),
            Err(Unread::Store(error)) => return unsettled(Outcome::Failed(Failure::Store(error))),
        };
        let settled = read.meta.e_tag.clone();
        match &read.head {
            Head::Other(state @ (State::Plain | State::Direct), _) => {
                Some(Done { outcome: Outcome::NotSealed(*state), settled })
            }
            Head::Other(state, why) => {
                unsettled(Outcome::Failed(Failure::State(*state, why.clone())))
            }
            Head::Sealed(preamble) => match self.plan.due(preamble.header()) {
                Due::Current => Some(Done { outcome: Outcome::Current, settled }),
                Due::Other => Some(Done { outcome: Outcome::Other, settled }),
                Due::Now(_) if self.dry_run => unsettled(Outcome::Due),
                Due::Now(change) => match self.rewrap(&read, preamble, &change, halted).await? {
                    Ok(Replaced { e_tag, through }) => {
                        Some(Done { outcome: Outcome::Rewrapped { through }, settled: e_tag })
                    }
                    Err(Failure::State(State::Gone, _)) => {
                        unsettled(Outcome::NotSealed(State::Gone))
                    }
                    Err(failure) => unsettled(Outcome::Failed(failure)),
                },
            },
        }
    }

    async fn rewrap(
        &self,
        read: &Read,
        preamble: &bulla::format::Preamble,
        change: &bulla::envelope::Rewrap<P>,
        halted: &mut Halted,
    ) -> Option<Result<Replaced, Failure>> {
        admit(self.bytes_pace.as_ref(), read.meta.size, halted).await?;
        let rewrapped = match self.opener.rewrap(preamble, change).await {
            Ok(rewrapped) => rewrapped,
            Err(error) => return Some(Err(Failure::Keys(error))),
        };
        let new_head = Bytes::from(rewrapped.as_bytes());
        if !rewrapped.fits_in_place() && !self.resize {
            let (from, to) = (preamble.len(), new_head.len());
            return Some(Err(Failure::Resized { from, to }));
        }
        let (old_head, body) =
            (read.start.slice(..preamble.len()), read.start.slice(preamble.len()..));
        let replacement = Replacement {
            old: read.meta.clone(),
            attributes: read.attributes.clone(),
            old_head,
            new_head,
            body,
        };
        Some(self.exchange.exchange(&replacement).await)
    }
}

/// Waits for an object's turn: `None` if the run is halted before it comes.
async fn admit(pace: Option<&Pace>, units: u64, halted: &mut Halted) -> Option<()> {
    let Some(pace) = pace else { return Some(()) };
    tokio::select! {
        biased;
        _ = halted.wait_for(|halted| *halted) => None,
        () = pace.admit(units) => Some(()),
    }
}
