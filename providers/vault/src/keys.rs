//! The keys that a provider is bound to.

use std::sync::Arc;

use bulla::{Error, ErrorKind, KeyName, Result};

use crate::bound::Bound;

#[derive(Debug, Default)]
pub(crate) struct Keys {
    pub(crate) all: Vec<Arc<Bound>>,
    pub(crate) sealing: Option<Arc<Bound>>,
    pub(crate) signing: Option<Arc<Bound>>,
}

impl Keys {
    pub(crate) fn find(&self, name: &KeyName) -> Option<&Arc<Bound>> {
        self.all.iter().find(|bound| bound.name == *name)
    }

    /// The key of this name, if it opens.
    pub(crate) fn opening(&self, name: &KeyName) -> Option<&Arc<Bound>> {
        self.find(name).filter(|bound| bound.seals())
    }

    pub(crate) fn sealing(&self) -> Result<&Bound> {
        self.sealing.as_deref().ok_or_else(|| {
            Error::new(
                ErrorKind::Unsupported,
                "no sealing key is bound; give one with `VaultBuilder::sealing_key`",
            )
        })
    }

    pub(crate) fn signing(&self) -> Result<&Bound> {
        self.signing.as_deref().ok_or_else(|| {
            Error::new(
                ErrorKind::Unsupported,
                "no signing key is bound; give one with `VaultBuilder::signing_key`",
            )
        })
    }
}
