//! Sealing to keys, or to as many of them as must be.

use bulla::{
    Context, ErrorKind, Sealer,
    envelope::{MissingRecipient, WritePolicy},
};
use tokio::runtime::Handle;

use super::{Keys, Provider, keys::connect_to_seal, make_default_key};
use crate::{
    failure::{Failure, Outcome},
    passphrases::Passphrases,
    say,
};

/// A sealer, and what it lacks already.
pub(crate) struct Sealing {
    pub(crate) sealer: Sealer<Provider>,
    missing: Vec<Missing>,
}

struct Missing {
    name: String,
    why: String,
}

impl Keys {
    /// A sealer to these keys.
    pub(crate) fn sealer(
        self,
        context: &Context,
        passphrases: &Passphrases,
        runtime: &Handle,
    ) -> Outcome<Sealing> {
        if let Some(name) = &self.combined {
            return Err(Failure::usage(format!(
                "the group `{name}` need not be complete, so it can't be combined with other keys"
            ))
            .hint("name it alone, or make another group of all these keys"));
        }
        if self.make_default {
            make_default_key()?;
        }
        let keys = &self.named.keys;
        let (mut providers, mut missing, mut failures) = (Vec::new(), Vec::new(), Vec::new());
        for (key, connected) in keys.iter().zip(connect_to_seal(keys, passphrases, runtime)?) {
            match connected {
                Ok(provider) => providers.push(provider),
                Err(failure) if self.named.write != WritePolicy::All && is_outage(&failure) => {
                    let why = failure.message().to_owned();
                    missing.push(Missing { name: key.name.clone(), why });
                    failures.push(failure);
                }
                Err(failure) => return Err(failure),
            }
        }
        if let (WritePolicy::AtLeast(least), Some(first)) =
            (self.named.write, failures.into_iter().next())
            && providers.len() < least
        {
            let (failed, all) = (missing.len(), missing.len() + providers.len());
            return Err(first.hint(format!(
                "{failed} of {all} recipients can't be had, and {least} must take part"
            )));
        }
        let sealer = self.named.sealer(providers).room_for(context);
        Ok(Sealing { sealer: sealer.build()?, missing })
    }
}

impl Sealing {
    /// The sealer, for more than one message. Says who can't open any of them.
    pub(crate) fn into_sealer(self) -> Sealer<Provider> {
        for Missing { name, why } in &self.missing {
            let why = Failure::message_of(why, name);
            say::note(&format!("not sealed to {name}: {why}"));
        }
        self.sealer
    }

    /// Says who can't open what was sealed, and how to mend that. `file` is what holds it.
    pub(crate) fn report_missing(self, missed: &[MissingRecipient], file: &str) {
        let missed = missed.iter().map(|missed| Missing {
            name: missed.provider.to_string(),
            why: missed.error.to_string(),
        });
        for Missing { name, why } in self.missing.into_iter().chain(missed) {
            let why = Failure::message_of(&why, &name);
            say::note(&format!("sealed, but not to {name}: {why}"));
            say::hint(&format!("when that is mended, add it: bulla rewrap {file} --add {name}"));
        }
    }
}

/// Whether a key can't be had, other than by a mistake of whoever runs this.
fn is_outage(failure: &Failure) -> bool {
    failure.kind().is_some_and(|kind| {
        !matches!(kind, ErrorKind::InvalidInput | ErrorKind::NotAuthentic | ErrorKind::Unsupported)
    })
}
