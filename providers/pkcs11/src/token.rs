//! Making calls: off the async threads, over a bounded number of sessions, and anew when the token
//! was away.

use std::{
    sync::{Arc, PoisonError, RwLock},
    thread,
    time::Duration,
};

use bulla::{Error, ErrorKind, Result};
use cryptoki::{context::Pkcs11, session::Session};
use tokio::sync::Semaphore;

use crate::{
    error::{Fault, Lost},
    login::{self, Login},
    module::Module,
    pin::Pin,
    selection::TokenSelection,
};

/// How long a token is waited for that can't be read at first, with a try after each: together as long as
/// somebody waits for a command without a thought.
const WAITS: [Duration; 5] = [
    Duration::from_millis(20),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(200),
    Duration::from_millis(400),
];

/// One token, as one provider uses it.
pub(crate) struct Token {
    pub(crate) module: Arc<Module>,
    selection: TokenSelection,
    pin: Pin,
    /// Whether other code in the process uses the module, which must then not be ended.
    shared: bool,
    permits: Arc<Semaphore>,
    login: RwLock<State>,
}

#[derive(Default)]
struct State {
    login: Option<Login>,
    /// How many logins there were.
    generation: u64,
}

/// What a call is made with.
pub(crate) struct Work<'a> {
    pub(crate) context: &'a Pkcs11,
    pub(crate) session: &'a Session,
    pub(crate) login: &'a Login,
}

/// What is tried before a call fails because something is gone.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Remedy {
    Sessions,
    Module,
}

impl Token {
    pub(crate) fn new(
        module: Arc<Module>,
        selection: TokenSelection,
        pin: Pin,
        shared: bool,
        max_sessions: usize,
    ) -> Self {
        let permits = Arc::new(Semaphore::new(max_sessions));
        Self { module, selection, pin, shared, permits, login: RwLock::default() }
    }

    /// Logs in. SoftHSM writes the file of a token at each login of any process, and who reads it at that
    /// moment sees no token, or one without a PIN; so what is not there is looked for a few times more. A
    /// PIN that was refused is not among that.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub(crate) async fn open(self: &Arc<Self>) -> Result<()> {
        self.run_patiently(|_| Ok(())).await
    }

    /// As [`run`](Self::run), and a few times more if the token is not there.
    pub(crate) async fn run_patiently<T, F>(self: &Arc<Self>, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: Fn(&Work<'_>) -> Result<T, Fault> + Send + 'static,
    {
        self.block(move |token| {
            let mut outcome = token.call(&work);
            for wait in WAITS {
                if !matches!(outcome, Err(Fault::Lost(_))) {
                    break;
                }
                thread::sleep(wait);
                outcome = token.call(&work);
            }
            outcome
        })
        .await
    }

    /// Makes calls on a thread that may block. A caller who gives up does not end what has begun: the
    /// session stays taken until the token has answered.
    ///
    /// # Errors
    /// What the token said; [`ErrorKind::Closed`] after [`close`](Self::close).
    pub(crate) async fn run<T, F>(self: &Arc<Self>, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: Fn(&Work<'_>) -> Result<T, Fault> + Send + 'static,
    {
        self.block(move |token| token.call(&work)).await
    }

    async fn block<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T> {
        let permit = Arc::clone(&self.permits).acquire_owned().await.map_err(|_| closed())?;
        let token = Arc::clone(self);
        let done = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            work(&token).map_err(Fault::into_error)
        });
        done.await.unwrap_or_else(|_| {
            Err(Error::new(ErrorKind::Internal, "a call of the PKCS #11 module did not return"))
        })
    }

    /// Closes the sessions. Logging out is left to the module, which does it with the last session of
    /// the process: other providers may be logged in.
    pub(crate) fn close(&self) {
        self.permits.close();
        let state = self.module.enter();
        let mut own = self.login.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(login) = own.login.take() {
            let void = login.epoch != state.epoch;
            login.end(void);
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.permits.is_closed()
    }

    fn call<T>(&self, work: &impl Fn(&Work<'_>) -> Result<T, Fault>) -> Result<T, Fault> {
        let mut seen = 0;
        let mut outcome = self.attempt(work, &mut seen);
        // Nothing was done by a call that found something gone, so it is made again.
        for remedy in [Remedy::Sessions, Remedy::Module] {
            let Err(Fault::Lost(lost)) = outcome else { break };
            if remedy == Remedy::Module && self.shared {
                return Err(Fault::Lost(lost));
            }
            outcome = match self.reopen(seen, &lost, remedy) {
                Ok(()) => self.attempt(work, &mut seen),
                // A module that was begun anew a moment ago has nothing new to say.
                Err(_) if remedy == Remedy::Module => return Err(Fault::Lost(lost)),
                Err(fault) => Err(fault),
            };
        }
        outcome
    }

    fn attempt<T>(
        &self,
        work: &impl Fn(&Work<'_>) -> Result<T, Fault>,
        seen: &mut u64,
    ) -> Result<T, Fault> {
        let state = self.module.enter();
        let own = self.login.read().unwrap_or_else(PoisonError::into_inner);
        *seen = own.generation;
        let login = own.login.as_ref().filter(|login| login.epoch == state.epoch);
        let login = login.ok_or_else(|| {
            let error = Error::new(ErrorKind::Unavailable, "the token is not logged in to");
            Fault::Lost(Lost { error, handles_are_void: true })
        })?;
        let context = &self.module.context;
        let session = login.take(context)?;
        let outcome = work(&Work { context, session: &session, login });
        match &outcome {
            Ok(_) => login.give_back(session),
            Err(Fault::Final(error)) if error.kind() == ErrorKind::NotAuthentic => {
                login.give_back(session);
            }
            Err(Fault::Lost(Lost { handles_are_void: true, .. })) => {}
            // Something may be left unfinished in it.
            Err(_) => drop(session.close()),
        }
        outcome
    }

    /// Opens all anew, unless another call has since the one that failed.
    fn reopen(&self, seen: u64, lost: &Lost, remedy: Remedy) -> Result<(), Fault> {
        let before = self.module.enter().epoch;
        match remedy {
            Remedy::Sessions => self.module.initialize()?,
            Remedy::Module => self.module.reinitialize(before)?,
        }
        let state = self.module.enter();
        let mut own = self.login.write().unwrap_or_else(PoisonError::into_inner);
        let current = own.login.as_ref().is_some_and(|login| login.epoch == state.epoch);
        if current && own.generation != seen {
            return Ok(());
        }
        if self.is_closed() {
            return Err(closed().into());
        }
        if let Some(login) = own.login.take() {
            let void = lost.handles_are_void || login.epoch != state.epoch;
            login.end(void);
        }
        let generation = own.generation + 1;
        own.login = Some(self.log_in(state.epoch, generation)?);
        own.generation = generation;
        self.module.serves(state.epoch);
        Ok(())
    }

    fn log_in(&self, epoch: u64, generation: u64) -> Result<Login, Fault> {
        let (slot, info) = self.selection.find(&self.module.context)?;
        let session =
            login::open(&self.module.context, slot, info.label(), info.write_protected())?;
        match self.pin.log_in(&session, &info, &self.module, generation > 1) {
            Ok(()) => Ok(Login::new(slot, &info, epoch, session)),
            Err(fault) => {
                drop(session.close());
                Err(match fault {
                    // There is no other way to find out than to try anew.
                    Fault::Doubtful(error) => Fault::lost(error),
                    other => other,
                })
            }
        }
    }
}

fn closed() -> Error {
    Error::new(ErrorKind::Closed, "the provider was closed; build another one")
}
