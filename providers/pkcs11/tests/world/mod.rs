//! Providers of keys on SoftHSM.

use bulla_pkcs11::{Pkcs11, Pkcs11Builder};
use bulla_testworld::SoftHsm;

pub(crate) fn builder(hsm: &SoftHsm) -> Pkcs11Builder {
    Pkcs11::builder().module(&hsm.module).token("t").pin(SoftHsm::PIN)
}
