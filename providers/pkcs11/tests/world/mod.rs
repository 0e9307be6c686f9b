//! Providers of keys on SoftHSM.

#![allow(dead_code, reason = "each test needs a part of it")]

use bulla_pkcs11::{Pkcs11, Pkcs11Builder};
use bulla_testworld::{SoftHsm, tokens};
use cryptoki::{
    context::{CInitializeArgs, CInitializeFlags, Pkcs11 as Context},
    session::SessionState,
};

pub(crate) fn builder(hsm: &SoftHsm) -> Pkcs11Builder {
    Pkcs11::builder().module(&hsm.module).token("t").pin(SoftHsm::PIN)
}

/// Keys on the token, made in a way that leaves nobody logged in.
pub(crate) fn make_keys(hsm: &SoftHsm) {
    let (context, session) = tokens::session(hsm);
    tokens::aes(&session, "k", &[1], true);
    tokens::pairs(&session);
    drop(session);
    // The provider is to be the one who has initialised the library, and so may begin it anew.
    context.finalize().unwrap();
}

/// How many sessions are open can't be asked of SoftHSM. A login lasts until the last one is closed.
pub(crate) fn is_logged_in(hsm: &SoftHsm) -> bool {
    let context = Context::new(&hsm.module).unwrap();
    drop(context.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)));
    let slot = context.get_slots_with_token().unwrap().remove(0);
    let session = context.open_ro_session(slot).unwrap();
    matches!(session.get_session_info().unwrap().session_state(), SessionState::RoUser)
}
