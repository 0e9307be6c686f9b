//! What is to become of an object, by its header.

use std::ops::Deref;

use bulla::{CryptoProvider, KeyName, envelope::Rewrap, format::Header};

/// Which recipients objects shall have.
#[derive(Clone, Debug)]
pub(super) struct Plan<P> {
    pub(super) from: Vec<From<P>>,
    pub(super) to: Vec<P>,
    pub(super) accept_cohort: bool,
}

/// A key that objects shall be sealed to no more.
#[derive(Clone, Debug)]
pub(super) enum From<P> {
    /// As its name is shown.
    Shown(String),
    /// The sealing key of a provider, by whatever name.
    Provider(P),
}

/// What the header asks for.
pub(super) enum Due<P> {
    Now(Rewrap<P>),
    /// It is as it shall be.
    Current,
    /// It is sealed to none of the keys that are to be replaced.
    Other,
}

impl<P> Plan<P>
where
    P: Deref<Target: CryptoProvider> + Clone + Send + Sync,
{
    pub(super) fn due(&self, header: &Header) -> Due<P> {
        let is_from = |key: &KeyName| self.from.iter().any(|from| from.is(key));
        let is_to = |key: &KeyName| self.to.iter().any(|to| to.is_sealing_key(key));
        let recipients = header.recipients();
        let concerned = self.from.is_empty() || recipients.iter().any(|r| is_from(&r.key));
        let lacks =
            |to: &&P| !recipients.iter().any(|r| to.is_sealing_key(&r.key) && to.is_current(r));
        let add: Vec<_> = self.to.iter().filter(lacks).cloned().collect();
        // A key that is among both is renewed.
        let remove: Vec<_> = recipients
            .iter()
            .map(|recipient| &recipient.key)
            .filter(|key| is_from(key) && !is_to(key))
            .cloned()
            .collect();
        if add.is_empty() && remove.is_empty() {
            return if concerned || !self.to.is_empty() { Due::Current } else { Due::Other };
        }
        if !concerned {
            return Due::Other;
        }
        let change = match self.accept_cohort {
            true => Rewrap::new().accept_whole_cohort(),
            false => Rewrap::new(),
        };
        let change = add.into_iter().fold(change, Rewrap::add_recipient);
        Due::Now(remove.into_iter().fold(change, Rewrap::remove_recipient))
    }
}

impl<P> From<P>
where
    P: Deref<Target: CryptoProvider>,
{
    fn is(&self, key: &KeyName) -> bool {
        match self {
            Self::Shown(text) => key.to_string() == *text,
            Self::Provider(provider) => provider.is_sealing_key(key),
        }
    }

    /// What it is told by in a checkpoint.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Shown(text) => text.clone(),
            Self::Provider(provider) => {
                provider.sealing_key().map(KeyName::to_string).unwrap_or_default()
            }
        }
    }
}
