//! Parts in line: sealed in any order, handed to the store beneath in theirs, uploaded when somebody polls.

use std::{
    collections::{BTreeMap, HashMap},
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bulla::{Error, ErrorKind};
use object_store::{MultipartUpload, PutPayload, Result, UploadPart, path::Path};
use tokio::sync::Notify;

use crate::error::failed;

pub(super) struct Line {
    location: Path,
    state: Mutex<State>,
    /// Something has come to its turn, or has failed.
    moved: Notify,
}

struct State {
    /// Gone once the upload has ended.
    upload: Option<Box<dyn MultipartUpload>>,
    /// How many parts were cut off, handed over, and uploaded.
    cut: usize,
    handed: usize,
    uploaded: usize,
    /// Sealed, and not their turn yet.
    sealed: BTreeMap<usize, PutPayload>,
    /// Handed over, for who polls.
    uploads: HashMap<usize, UploadPart>,
    /// What sealing a part has failed with, for who waits for that part.
    failures: HashMap<usize, object_store::Error>,
    failed: bool,
}

impl Line {
    pub(super) fn new(location: Path, upload: Box<dyn MultipartUpload>) -> Arc<Self> {
        let state = State {
            upload: Some(upload),
            cut: 0,
            handed: 0,
            uploaded: 0,
            sealed: BTreeMap::new(),
            uploads: HashMap::new(),
            failures: HashMap::new(),
            failed: false,
        };
        Arc::new(Self { location, state: Mutex::new(state), moved: Notify::new() })
    }

    pub(super) fn location(&self) -> &Path {
        &self.location
    }

    /// A part is going to be sealed: its number.
    pub(super) fn expect(&self) -> usize {
        let mut state = self.lock();
        state.cut += 1;
        state.cut - 1
    }

    /// A part was sealed. Whatever has its turn now is handed over.
    pub(super) fn sealed(&self, number: usize, sealed: Result<PutPayload>) {
        let mut state = self.lock();
        match sealed {
            Ok(payload) => drop(state.sealed.insert(number, payload)),
            Err(error) => {
                state.failures.insert(number, error);
                state.failed = true;
            }
        }
        let State { upload, handed, sealed, uploads, failed, .. } = &mut *state;
        while let (Some(upload), false) = (upload.as_mut(), *failed) {
            let Some(payload) = sealed.remove(handed) else { break };
            uploads.insert(*handed, upload.put_part(payload));
            *handed += 1;
        }
        drop(state);
        self.moved.notify_waiters();
    }

    /// Uploads a part when it has its turn.
    pub(super) async fn upload(self: Arc<Self>, number: usize) -> Result<()> {
        let upload = self.turn(number).await?;
        let done = upload.await;
        let mut state = self.lock();
        match &done {
            Ok(()) => state.uploaded += 1,
            Err(_) => state.failed = true,
        }
        drop(state);
        if done.is_err() {
            self.moved.notify_waiters();
        }
        done
    }

    async fn turn(&self, number: usize) -> Result<UploadPart> {
        loop {
            let mut moved = pin!(self.moved.notified());
            moved.as_mut().enable();
            {
                let mut state = self.lock();
                if let Some(error) = state.failures.remove(&number) {
                    return Err(error);
                }
                if let Some(upload) = state.uploads.remove(&number) {
                    return Ok(upload);
                }
                if state.failed || state.upload.is_none() {
                    return Err(self.gone());
                }
            }
            moved.await;
        }
    }

    /// Gives the upload up, whatever is under way.
    pub(super) fn fail(&self) {
        self.lock().failed = true;
        self.moved.notify_waiters();
    }

    pub(super) fn has_failed(&self) -> bool {
        self.lock().failed
    }

    /// Whether nothing has failed.
    pub(super) fn check(&self) -> Result<()> {
        if self.has_failed() { Err(self.gone()) } else { Ok(()) }
    }

    /// Whether every part that was cut off was uploaded.
    pub(super) fn check_whole(&self) -> Result<()> {
        let state = self.lock();
        if state.failed {
            return Err(self.gone());
        }
        if state.uploaded == state.cut {
            return Ok(());
        }
        let text = format!(
            "{} of {} parts were uploaded: wait for each before the upload is completed",
            state.uploaded, state.cut
        );
        Err(failed(&self.location, Error::new(ErrorKind::InvalidInput, text)))
    }

    /// Ends the upload: what is beneath, for who completes it.
    pub(super) fn close(&self) -> Result<Box<dyn MultipartUpload>> {
        self.take().ok_or_else(|| self.gone())
    }

    /// Ends the upload: what is beneath, unless somebody has it already. What waits for a turn fails.
    pub(super) fn take(&self) -> Option<Box<dyn MultipartUpload>> {
        let mut state = self.lock();
        let upload = state.upload.take();
        state.sealed.clear();
        drop(state);
        self.moved.notify_waiters();
        upload
    }

    fn gone(&self) -> object_store::Error {
        let text = "the upload has ended, or another part of it has failed";
        failed(&self.location, Error::new(ErrorKind::Closed, text))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use futures_util::{FutureExt, future::ready};
    use object_store::PutResult;

    use super::*;

    #[derive(Debug)]
    struct Written(Arc<Mutex<Vec<usize>>>);

    #[async_trait]
    impl MultipartUpload for Written {
        fn put_part(&mut self, data: PutPayload) -> UploadPart {
            self.0.lock().unwrap().push(data.content_length());
            ready(Ok(())).boxed()
        }

        async fn complete(&mut self) -> Result<PutResult> {
            unreachable!("not asked for")
        }

        async fn abort(&mut self) -> Result<()> {
            unreachable!("not asked for")
        }
    }

    #[tokio::test]
    async fn parts_are_handed_over_in_their_order_whichever_is_sealed_first() {
        let written = Arc::<Mutex<Vec<usize>>>::default();
        let line = Line::new(Path::from("a"), Box::new(Written(Arc::clone(&written))));
        let numbers = [line.expect(), line.expect(), line.expect(), line.expect()];
        let payload = |number: usize| Ok(PutPayload::from(vec![0; number + 1]));
        for (number, handed) in [(2, 0), (1, 0), (0, 3), (3, 4)] {
            line.sealed(number, payload(number));
            assert_eq!(written.lock().unwrap().len(), handed);
        }
        assert_eq!(*written.lock().unwrap(), [1, 2, 3, 4]);
        assert!(line.check_whole().is_err());
        for number in numbers {
            Arc::clone(&line).upload(number).await.unwrap();
        }
        line.check_whole().unwrap();
    }

    #[tokio::test]
    async fn a_part_that_could_not_be_sealed_fails_the_others() {
        let written = Arc::<Mutex<Vec<usize>>>::default();
        let line = Line::new(Path::from("a"), Box::new(Written(Arc::clone(&written))));
        let (first, second) = (line.expect(), line.expect());
        line.sealed(second, Ok(vec![0].into()));
        let waits = Arc::clone(&line).upload(second);
        let fails = async {
            let error = failed(&Path::from("a"), Error::new(ErrorKind::Internal, "as asked"));
            line.sealed(first, Err(error));
        };
        let (waited, ()) = tokio::join!(waits, fails);
        assert!(waited.is_err() && Arc::clone(&line).upload(first).await.is_err());
        assert!(written.lock().unwrap().is_empty() && line.check_whole().is_err());
    }
}
