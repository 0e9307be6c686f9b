//! Uploads that nobody goes on with.

use std::{
    future::Future,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::{runtime::Handle, task::JoinHandle};

/// What ends them, as tasks: a future that was dropped can't wait for it.
#[derive(Clone, Debug, Default)]
pub(super) struct Orphans(Arc<Mutex<Vec<JoinHandle<()>>>>);

impl Orphans {
    /// Has `end` run when the guard is dropped, unless it is [released](Guard::release). Needs a runtime
    /// then; without one, nothing can be done.
    pub(super) fn guard<F>(&self, end: F) -> Guard<F>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        Guard { end: Some(end), orphans: self.clone() }
    }

    /// Waits until all have ended.
    pub(super) async fn settle(&self) {
        let tasks = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        for task in tasks {
            let _ = task.await;
        }
    }

    fn adopt(&self, end: impl Future<Output = ()> + Send + 'static) {
        let Ok(runtime) = Handle::try_current() else { return };
        let mut tasks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tasks.retain(|task| !task.is_finished());
        tasks.push(runtime.spawn(end));
    }
}

/// Ends something when it is dropped.
#[must_use]
pub(super) struct Guard<F: Future<Output = ()> + Send + 'static> {
    end: Option<F>,
    orphans: Orphans,
}

impl<F: Future<Output = ()> + Send + 'static> Guard<F> {
    /// It has come to its own end.
    pub(super) fn release(mut self) {
        self.end = None;
    }
}

impl<F: Future<Output = ()> + Send + 'static> Drop for Guard<F> {
    fn drop(&mut self) {
        if let Some(end) = self.end.take() {
            self.orphans.adopt(end);
        }
    }
}
