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
    /// The replicas of all keys in another region, if all are multi-Region keys.
    pub(crate) fn replicas(&self, region: &str) -> Option<Self> {
        let replica = |bound: &Arc<Bound>| bound.replica(region).map(Arc::new);
        let all = self.all.iter().map(replica).collect::<Option<Vec<_>>>()?;
        let same = |role: &Option<Arc<Bound>>| {
            let place =
                self.all.iter().position(|b| role.as_ref().is_some_and(|r| Arc::ptr_eq(b, r)));
            place.and_then(|place| all.get(place)).cloned()
        };
        let (sealing, signing) = (same(&self.sealing), same(&self.signing));
        Some(Self { all, sealing, signing })
    }

    /// Whether these are the same keys by name, in the same roles.
    pub(crate) fn has_names_of(&self, other: &Self) -> bool {
        let names = |keys: &Self| -> Vec<KeyName> {
            let named = keys.all.iter().map(|bound| bound.name.clone());
            named.chain(keys.sealing.iter().chain(&keys.signing).map(|b| b.name.clone())).collect()
        };
        names(self) == names(other)
    }

    /// The key of this name: by its ARN, or by that of another replica of a multi-Region key.
    pub(crate) fn find(&self, name: &KeyName) -> Option<&Arc<Bound>> {
        if let Some(bound) = self.all.iter().find(|bound| bound.name == *name) {
            return Some(bound);
        }
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
