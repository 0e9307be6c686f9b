//! What is issued.

use std::time::SystemTime;

use spiffe::SpiffeId;

/// A certificate that was issued, with what leads from it to a root that peers have. Its private key is whoever's
/// asked.
#[derive(Clone, Debug)]
pub struct IssuedX509Svid {
    pub(super) id: SpiffeId,
    pub(super) chain: Vec<Vec<u8>>,
    pub(super) not_before: SystemTime,
    pub(super) not_after: SystemTime,
    pub(super) serial: Vec<u8>,
}

impl IssuedX509Svid {
    /// Whose it is.
    #[must_use]
    pub fn id(&self) -> &SpiffeId {
        &self.id
    }

    /// The certificate, and the authorities below the root that stand behind it, each in DER.
    #[must_use]
    pub fn chain(&self) -> &[Vec<u8>] {
        &self.chain
    }

    /// The same in one, as the Workload API has it.
    #[must_use]
    pub fn chain_der(&self) -> Vec<u8> {
        self.chain.concat()
    }

    /// Since when it is valid: a little before it was issued.
    #[must_use]
    pub fn not_before(&self) -> SystemTime {
        self.not_before
    }

    /// Until when.
    #[must_use]
    pub fn not_after(&self) -> SystemTime {
        self.not_after
    }

    /// Its serial number, big-endian.
    #[must_use]
    pub fn serial(&self) -> &[u8] {
        &self.serial
    }
}
