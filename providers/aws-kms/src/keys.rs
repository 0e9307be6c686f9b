//! The keys that a provider is bound to.

use std::sync::Arc;

use bulla::{Error, ErrorKind, KeyName, Result};

use crate::{
    arn::{KeyArn, SCHEME},
    bound::Bound,
    metadata::Purpose,
};

#[derive(Debug, Default)]
pub(crate) struct Keys {
    pub(crate) all: Vec<Arc<Bound>>,
    pub(crate) sealing: Option<Arc<Bound>>,
    pub(crate) signing: Option<Arc<Bound>>,
}

impl Keys {
    /// The key of this name: by its ARN, or by that of another replica of a multi-Region key.
    pub(crate) fn find(&self, name: &KeyName) -> Option<&Arc<Bound>> {
        let arn = KeyArn::parse(Some(name.id()).filter(|_| name.scheme() == SCHEME)?)?;
        self.all.iter().find(|bound| bound.arn.is_same_key(&arn))
    }

    /// The key of this name, if it opens.
    pub(crate) fn opening(&self, name: &KeyName) -> Option<&Arc<Bound>> {
        self.find(name).filter(|bound| bound.purpose == Purpose::Seal)
    }

    pub(crate) fn sealing(&self) -> Result<&Bound> {
        self.sealing.as_deref().ok_or_else(|| {
            Error::new(
                ErrorKind::Unsupported,
                "no sealing key is bound; give one with `AwsKmsBuilder::sealing_key`",
            )
        })
    }

    pub(crate) fn signing(&self) -> Result<&Bound> {
        self.signing.as_deref().ok_or_else(|| {
            Error::new(
                ErrorKind::Unsupported,
                "no signing key is bound; give one with `AwsKmsBuilder::signing_key`",
            )
        })
    }
}
