//! What an audit comes to.

use std::collections::BTreeMap;

use bulla::KeyName;

use super::{Recipient, Row, State};

/// Objects by what they are, and by the keys that open them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Summary {
    /// How many objects there are.
    pub objects: u64,
    /// Their lengths in bytes, added.
    pub bytes: u64,
    /// How many are in each state.
    pub states: BTreeMap<State, u64>,
    /// How many each key opens, in each version.
    pub keys: BTreeMap<(KeyName, Option<String>), KeyTally>,
    /// How many have a data key that serves other objects too.
    pub shared: u64,
    /// How many were verified.
    pub verified: u64,
    /// How many could not be: no key opens them, or they are not authentic.
    pub not_verified: u64,
}

/// What one key opens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyTally {
    /// How many objects.
    pub objects: u64,
    /// Their lengths in bytes, added.
    pub bytes: u64,
    /// How many of them no other key opens: without this one they are lost.
    pub alone: u64,
}

impl Summary {
    /// Adds what was found of one more object.
    pub fn add(&mut self, row: &Row) {
        self.objects += 1;
        self.bytes = self.bytes.saturating_add(row.size);
        *self.states.entry(row.state).or_default() += 1;
        match &row.verified {
            None => {}
            Some(Ok(())) => self.verified += 1,
            Some(Err(_)) => self.not_verified += 1,
        }
        let Some(sealed) = &row.sealed else { return };
        self.shared += u64::from(sealed.shared);
        for Recipient { key, version, .. } in &sealed.recipients {
            let tally = self.keys.entry((key.clone(), version.clone())).or_default();
            tally.objects += 1;
            tally.bytes = tally.bytes.saturating_add(row.size);
            tally.alone += u64::from(sealed.recipients.len() == 1);
        }
    }

    /// How many objects are in a state.
    #[must_use]
    pub fn count(&self, state: State) -> u64 {
        self.states.get(&state).copied().unwrap_or_default()
    }
}
