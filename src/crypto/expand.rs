//! HKDF-Expand with SHA-256 under a key whose HMAC states are kept.

use hkdf::Hkdf;
use sha2::Sha256;

use crate::error::{Error, ErrorKind, Result};

/// The longest output that is asked for: 64 bytes, two blocks.
const MAX_LEN: usize = 64;

/// A key of 32 bytes, ready to be expanded many times (RFC 5869, section 2.3).
///
/// By RustCrypto in every build: it keeps the states behind HMAC's two pads, which AWS-LC's HKDF does
/// not, and for messages of a few blocks its HMAC takes half the time. Both libraries are held
/// against the same vectors.
#[derive(Clone)]
pub(crate) struct Expander(Hkdf<Sha256>);

impl Expander {
    pub(crate) fn new(key: &[u8; 32]) -> Result<Self> {
        Hkdf::from_prk(key).map(Self).map_err(|_| fault())
    }

    /// Fills `out`, of at most 64 bytes, from the concatenation of `info`.
    pub(crate) fn expand(&self, info: &[&[u8]], out: &mut [u8]) -> Result<()> {
        if out.len() > MAX_LEN {
            return Err(fault());
        }
        self.0.expand_multi_info(info, out).map_err(|_| fault())
    }
}

fn fault() -> Error {
    Error::new(ErrorKind::Internal, "HKDF-Expand failed in RustCrypto")
}
