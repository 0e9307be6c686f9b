use std::{env, ffi::CString, fs, path::PathBuf, process::Command, ptr::NonNull};

use cryptoki::{
    context::{CInitializeArgs, CInitializeFlags, Pkcs11 as Context},
    session::{Session, UserType},
    types::AuthPin,
};

use crate::softhsm::{root, test_again};

/// Names the directory of the child's database.
const DATABASE: &str = "BULLA_PKCS11_NSS";

/// The software token of NSS with a database of its own, labelled `t`, in a process of its own. It does what
/// SoftHSM does not: RSA-OAEP with SHA-256.
#[derive(Debug)]
pub struct Nss {
    /// The PKCS #11 library.
    pub module: PathBuf,
    database: PathBuf,
}

impl Nss {
    /// The user's PIN.
    pub const PIN: &str = "1234";

    /// As [`SoftHsm::in_child`](crate::SoftHsm::in_child).
    ///
    /// # Panics
    /// As there.
    #[must_use]
    pub fn in_child(test: &str) -> Option<Self> {
        let root = root()?;
        // Below a directory that is named after the machine.
        let machines = fs::read_dir(root.join("usr/lib")).unwrap();
        let libraries = machines.flatten().map(|entry| entry.path());
        let libraries = libraries.into_iter().find(|dir| dir.join("libsoftokn3.so").exists());
        let libraries = libraries.expect("libnss3 is not among the packages");
        let module = libraries.join("libsoftokn3.so");
        if let Some(database) = env::var_os(DATABASE) {
            return Some(Self { module, database: database.into() });
        }
        let dir = tempfile::tempdir().unwrap();
        let mut child = Command::new(env::current_exe().unwrap());
        child.env("LD_LIBRARY_PATH", &libraries).env(DATABASE, dir.path());
        // Otherwise each use of a key takes a key derivation of 10,000 rounds.
        child.env("NSS_MAX_MP_PBE_ITERATION_COUNT", "1");
        test_again(&mut child, test);
        None
    }

    /// Sets the token up, and gives a session in which keys can be made.
    ///
    /// # Panics
    /// If it fails, or is done twice.
    #[must_use]
    pub fn session(&self) -> (Context, Session) {
        let context = Context::new(&self.module).unwrap();
        initialize(
            &context,
            &format!(
                "configdir='sql:{}' dbTokenDescription='t' cryptoTokenDescription='crypto'",
                self.database.display()
            ),
        );
        let slots = context.get_slots_with_token().unwrap();
        let slot = slots.into_iter().find(|s| context.get_token_info(*s).unwrap().label() == "t");
        let session = context.open_rw_session(slot.unwrap()).unwrap();
        session.login(UserType::So, Some(&AuthPin::from(""))).unwrap();
        session.init_pin(&AuthPin::from(Self::PIN)).unwrap();
        session.logout().unwrap();
        session.login(UserType::User, Some(&AuthPin::from(Self::PIN))).unwrap();
        (context, session)
    }
}

/// NSS takes its configuration as the reserved argument of C_Initialize, and from nowhere else.
#[allow(unsafe_code, reason = "the crate has no safe way to hand the reserved argument over")]
fn initialize(context: &Context, parameters: &str) {
    let parameters = CString::new(parameters).unwrap();
    let flags = CInitializeFlags::OS_LOCKING_OK;
    let pointer = NonNull::new(parameters.as_ptr().cast_mut().cast()).unwrap();
    // SAFETY: NSS reads a string that ends with a zero byte, which lives until after the call, and keeps none
    // of it.
    let arguments = unsafe { CInitializeArgs::new_with_reserved(flags, pointer) };
    context.initialize(arguments).unwrap();
}
