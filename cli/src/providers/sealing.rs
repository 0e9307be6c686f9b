//! Sealing to keys, or to as many of them as must be.

use bulla::{
    Context, ErrorKind, Sealer,
    envelope::{DEFAULT_HEADER_LEN, MissingRecipient, WritePolicy},
};
use tokio::runtime::Handle;

use super::{Keys, Provider, make_default_key};
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
        let (write, header_len) = (self.write, self.header_len);
        let (mut providers, mut missing, mut failures) = (Vec::new(), Vec::new(), Vec::new());
        for (key, opened) in self.open(passphrases, runtime)? {
            match opened {
                Ok(provider) => providers.push(provider),
                Err(failure) if write != WritePolicy::All && is_outage(&failure) => {
                    missing.push(Missing { name: key.name, why: failure.message().to_owned() });
                    failures.push(failure);
                }
                Err(failure) => return Err(failure),
            }
        }
        if let (WritePolicy::AtLeast(least), Some(first)) = (write, failures.into_iter().next())
            && providers.len() < least
        {
            let (failed, all) = (missing.len(), missing.len() + providers.len());
            return Err(first.hint(format!(
                "{failed} of {all} recipients can't be had, and {least} must take part"
            )));
        }
        let header_len = header_len.unwrap_or_else(|| self::header_len(&providers, context));
        let builder = Sealer::builder().header_len(header_len).write_policy(write);
        let sealer = providers.into_iter().fold(builder, |b, provider| b.recipient(provider));
        Ok(Sealing { sealer: sealer.build()?, missing })
    }
}

impl Sealing {
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

/// Room for what these recipients and this context may need, and never less than usual.
fn header_len(providers: &[Provider], context: &Context) -> u16 {
    /// Lengths, scheme and version of a recipient, and the header's own fields.
    const FIXED: usize = 128;
    let recipients = providers.iter().map(|provider| {
        // A byte of the id may be three when encoded.
        let name = provider.sealing_key().map_or(0, |key| 3 * key.id().len());
        FIXED + name + provider.capabilities().max_wrapped_len
    });
    let needed = recipients.sum::<usize>() + context.key().encoded_len() + FIXED;
    let usual = usize::from(DEFAULT_HEADER_LEN);
    u16::try_from(needed.next_multiple_of(usual)).unwrap_or(u16::MAX)
}
