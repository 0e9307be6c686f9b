//! A token that was logged in to, and its sessions.

use std::{
    mem,
    sync::{Mutex, PoisonError},
};

use bulla::{Error, ErrorKind, Result};
use cryptoki::{
    context::Pkcs11,
    object::{Attribute, ObjectHandle},
    session::Session,
    slot::{Slot, TokenInfo},
};

use crate::{
    error::{Fault, fault},
    object::ObjectId,
};

/// What one login has opened. Gone as a whole when any of it turns out to be gone.
pub(crate) struct Login {
    pub(crate) slot: Slot,
    pub(crate) label: String,
    pub(crate) write_protected: bool,
    /// The state of the module that this belongs to.
    pub(crate) epoch: u64,
    /// Logging in lasts until the last session is closed, so one is never used and never closed.
    anchor: Mutex<Session>,
    idle: Mutex<Vec<Session>>,
    /// Looking keys up costs more than using them.
    handles: Mutex<Vec<(ObjectId, ObjectHandle)>>,
}

impl Login {
    pub(crate) fn new(slot: Slot, info: &TokenInfo, epoch: u64, anchor: Session) -> Self {
        let (label, write_protected) = (info.label().to_owned(), info.write_protected());
        let (idle, handles) = (Mutex::default(), Mutex::default());
        let anchor = Mutex::new(anchor);
        Self { slot, label, write_protected, epoch, anchor, idle, handles }
    }

    /// A session that nobody else has.
    pub(crate) fn take(&self, context: &Pkcs11) -> Result<Session, Fault> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        match idle {
            Some(session) => Ok(session),
            None => self.open(context),
        }
    }

    /// A new session.
    pub(crate) fn open(&self, context: &Pkcs11) -> Result<Session, Fault> {
        open(context, self.slot, &self.label, self.write_protected)
    }

    pub(crate) fn give_back(&self, session: Session) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(session);
    }

    /// The handle of a key, looked up once.
    ///
    /// # Errors
    /// [`Fault::Lost`] if the key is not there: some modules go on without the keys of a token that
    /// was out.
    pub(crate) fn handle(
        &self,
        context: &Pkcs11,
        session: &Session,
        key: &ObjectId,
    ) -> Result<ObjectHandle, Fault> {
        let mut handles = self.handles.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, handle)) = handles.iter().find(|(known, _)| known == key) {
            return Ok(*handle);
        }
        let what = key.describe();
        let template =
            [Attribute::Token(true), Attribute::Class(key.class), Attribute::Id(key.id.clone())];
        let found = session.find_objects(&template).map_err(|e| fault(&e, &what))?;
        match found.as_slice() {
            [handle] => {
                handles.push((key.clone(), *handle));
                Ok(*handle)
            }
            [] => {
                // Some modules show a token that is out as if it were empty.
                let info = context.get_token_info(self.slot);
                let (kind, how) = match info.is_ok_and(|info| info.token_initialized()) {
                    true => (ErrorKind::NotFound, "is not on"),
                    false => (ErrorKind::Unavailable, "can't be reached on"),
                };
                let message = format!("{what} {how} token {:?} any more", self.label);
                Err(Fault::lost(Error::new(kind, message)))
            }
            several => Err(ambiguous(several.len(), &what).into()),
        }
    }

    /// Closes what is open, or leaves it alone where the handles may be somebody else's by now.
    pub(crate) fn end(self, handles_are_void: bool) {
        if handles_are_void {
            return;
        }
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        for session in mem::take(&mut *idle) {
            drop(session.close());
        }
        drop(idle);
        drop(self.anchor.into_inner().unwrap_or_else(PoisonError::into_inner).close());
    }
}

/// A session that may write, unless the token can't be written to: AWS CloudHSM, by its documentation, has no
/// others. It closes nothing when it is dropped, since by then its handle may be another's.
pub(crate) fn open(
    context: &Pkcs11,
    slot: Slot,
    label: &str,
    write_protected: bool,
) -> Result<Session, Fault> {
    let opened = match write_protected {
        true => context.open_ro_session_no_drop(slot),
        false => context.open_rw_session_no_drop(slot),
    };
    opened.map_err(|e| fault(&e, &format!("token {label:?}")))
}

/// Several objects where there must be one.
pub(crate) fn ambiguous(count: usize, what: &str) -> Error {
    let message = format!(
        "{count} keys are {what}; name one by an id (CKA_ID) of its own, or by label and id"
    );
    Error::new(ErrorKind::InvalidInput, message)
}
