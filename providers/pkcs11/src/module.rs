//! PKCS #11 modules: each is loaded and initialised once in a process, for all providers.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError, RwLock, RwLockReadGuard,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use bulla::{Error, ErrorKind, Result};
use cryptoki::{
    context::{CInitializeArgs, CInitializeFlags, Pkcs11},
    error::{Error as Reported, RvError},
};
use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq as _;

use crate::error::fault;

/// How often a module is ended and begun anew at most while it serves: every provider over it logs in
/// again then.
const REINITIALIZE_EVERY: Duration = Duration::from_secs(1);

/// Modules are never unloaded: other code in the process may have them too.
static MODULES: Mutex<BTreeMap<PathBuf, Arc<Module>>> = Mutex::new(BTreeMap::new());

pub(crate) struct Module {
    pub(crate) context: Pkcs11,
    path: String,
    /// Read by who makes a call, written by who initialises.
    state: RwLock<State>,
    /// The last epoch in which somebody has logged in.
    served: AtomicU64,
    /// PINs that a token refused, by its serial number: trying again would lock it.
    refused: Mutex<Vec<(String, SecretString)>>,
}

/// How things stand with a module.
#[derive(Debug)]
pub(crate) struct State {
    /// Goes up with each C_Initialize: what was opened before is gone then.
    pub(crate) epoch: u64,
    /// Whether the last C_Initialize was ours, and not that of other code in the process.
    ours: bool,
    reinitialized: Option<Instant>,
}

impl Module {
    /// The module at this path, initialised. Blocks.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] if there is none, otherwise what it said.
    pub(crate) fn load(path: &Path) -> Result<Arc<Self>> {
        // A bare name is looked for by the system's loader.
        let found = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let mut modules = MODULES.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(module) = modules.get(&found) {
            return Ok(Arc::clone(module));
        }
        let path = format!("{:?}", found.display().to_string());
        let context = Pkcs11::new(&found).map_err(|e| fault(&e, &path).into_error())?;
        let state = State { epoch: 0, ours: false, reinitialized: None };
        let (state, served, refused) = (RwLock::new(state), AtomicU64::new(0), Mutex::default());
        let module = Arc::new(Self { context, path, state, served, refused });
        module.initialize()?;
        modules.insert(found, Arc::clone(&module));
        Ok(module)
    }

    /// For as long as calls are made.
    pub(crate) fn enter(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Initialises the module unless it is; that other code has done so is as good.
    pub(crate) fn initialize(&self) -> Result<()> {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        self.begin(&mut state)
    }

    /// Ends the module and begins anew, which is the one way in which some see a token that was taken
    /// out and put back. Does nothing if that has happened since `epoch`.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] if other code has initialised the module, and so may be within it
    /// now, or if this was done a moment ago.
    pub(crate) fn reinitialize(&self, epoch: u64) -> Result<()> {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        if state.epoch != epoch {
            return Ok(());
        }
        let lately = state.reinitialized.is_some_and(|at| at.elapsed() < REINITIALIZE_EVERY);
        let serves = self.served.load(Ordering::Relaxed) == epoch;
        if !state.ours || (lately && serves) {
            return Err(Error::new(ErrorKind::Unavailable, "the token is not there"));
        }
        state.reinitialized = Some(Instant::now());
        match self.context.clone().finalize() {
            Ok(()) | Err(Reported::Pkcs11(RvError::CryptokiNotInitialized, _)) => {}
            Err(error) => return Err(fault(&error, &self.path).into_error()),
        }
        self.begin(&mut state)
    }

    /// Remembers that there is a login in this epoch, which ends with the module.
    pub(crate) fn serves(&self, epoch: u64) {
        self.served.store(epoch, Ordering::Relaxed);
    }

    fn begin(&self, state: &mut State) -> Result<()> {
        match self.context.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
            Ok(()) => {
                state.epoch += 1;
                state.ours = true;
                Ok(())
            }
            Err(Reported::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => Ok(()),
            Err(error) => Err(fault(&error, &self.path).into_error()),
        }
    }

    /// Whether the token of this serial number has refused this PIN before.
    pub(crate) fn was_refused(&self, serial: &str, pin: &SecretString) -> bool {
        let refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        let is = |p: &SecretString| {
            bool::from(p.expose_secret().as_bytes().ct_eq(pin.expose_secret().as_bytes()))
        };
        refused.iter().any(|(s, p)| s == serial && is(p))
    }

    pub(crate) fn remember_refused(&self, serial: &str, pin: SecretString) {
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        refused.push((serial.to_owned(), pin));
    }
}

impl std::fmt::Debug for Module {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Module").field("path", &self.path).finish_non_exhaustive()
    }
}
