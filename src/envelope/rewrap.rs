//! Rewrap: other recipients for the same data key and the same body.

use std::ops::Deref;

use super::Opener;
use crate::{
    error::{Error, ErrorKind, Operation, Result},
    format::{Header, Preamble, split_tag, write},
    key::{DataKey, KeyName, Wrapped},
    provider::CryptoProvider,
};

/// Headers that have to grow grow to a multiple of this.
const GROWTH: usize = 1024;

/// Which recipients a message shall have: some added, some removed.
///
/// # Security
/// **Removal is no revocation.** A removed recipient keeps whatever it unwrapped before, and every
/// old copy of the header still opens. To revoke, seal anew: [`reseal`](Opener::reseal).
#[derive(Clone, Debug)]
pub struct Rewrap<P> {
    add: Vec<P>,
    remove: Vec<KeyName>,
    accept_cohort: bool,
}

impl<P> Default for Rewrap<P> {
    fn default() -> Self {
        Self { add: Vec::new(), remove: Vec::new(), accept_cohort: false }
    }
}

impl<P> Rewrap<P> {
    /// A plan that changes nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the provider's sealing key. If it is a recipient already, the data key is wrapped anew
    /// under its current version.
    #[must_use]
    pub fn add_recipient(mut self, provider: P) -> Self {
        self.add.push(provider);
        self
    }

    /// Removes a recipient. That is no revocation.
    #[must_use]
    pub fn remove_recipient(mut self, key: KeyName) -> Self {
        self.remove.push(key);
        self
    }

    /// Allows a recipient to be added to a message whose data key serves other messages too: it
    /// can then open **all of them**, not only this one.
    #[must_use]
    pub fn accept_whole_cohort(mut self) -> Self {
        self.accept_cohort = true;
        self
    }
}

/// The new preamble of a message whose recipients were changed.
#[derive(Clone, Debug)]
pub struct Rewrapped {
    preamble: Preamble,
    old_len: usize,
}

impl Rewrapped {
    /// The bytes that replace the old preamble: header, salt and commitment.
    #[must_use]
    pub fn as_bytes(&self) -> Vec<u8> {
        let Preamble { header, salt, commitment } = &self.preamble;
        [header.as_bytes(), &salt.0, commitment].concat()
    }

    /// Whether the new preamble is as long as the old one, so that it can be written over it. If not,
    /// the body must be copied behind it.
    #[must_use]
    pub fn fits_in_place(&self) -> bool {
        self.preamble.len() == self.old_len
    }

    /// The new header.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.preamble.header
    }
}

impl<P> Opener<P>
where
    P: Deref<Target: CryptoProvider> + Send + Sync,
{
    /// Changes the recipients of the message that `preamble` begins. Needs neither its body nor the
    /// pairs that are not stored.
    ///
    /// Each new wrap is unwrapped again and compared before an old one is dropped.
    ///
    /// # Errors
    /// As for [`open`](Self::open); [`NotFound`](ErrorKind::NotFound) if a key to remove is no
    /// recipient; [`InvalidInput`](ErrorKind::InvalidInput) if none would be left, more than 8, or
    /// if the data key is shared and a recipient would be added without
    /// [`accept_whole_cohort`](Rewrap::accept_whole_cohort).
    pub async fn rewrap(&self, preamble: &Preamble, plan: &Rewrap<P>) -> Result<Rewrapped> {
        self.rewrap_inner(preamble, plan).await.map_err(|e| match e.operation() {
            Some(_) => e,
            None => e.with_operation(Operation::Rewrap),
        })
    }

    async fn rewrap_inner(&self, preamble: &Preamble, plan: &Rewrap<P>) -> Result<Rewrapped> {
        let mut recipients = preamble.header.recipients.clone();
        for key in &plan.remove {
            let before = recipients.len();
            recipients.retain(|r| r.key != *key);
            if recipients.len() == before {
                return Err(Error::new(ErrorKind::NotFound, format!("{key} is no recipient")));
            }
        }
        let schedule = self.unwrap(preamble).await?;
        for provider in &plan.add {
            let wrapped = wrap_and_compare(&**provider, schedule.data_key(), preamble).await?;
            match recipients.iter_mut().find(|r| provider.is_sealing_key(&r.key)) {
                Some(place) => *place = wrapped,
                None if preamble.header.shared && !plan.accept_cohort => {
                    return Err(Error::invalid(
                        "this data key serves other messages, which a new recipient could open \
                         too; re-encrypt the message, or accept the whole cohort",
                    ));
                }
                None => recipients.push(wrapped),
            }
        }
        let &Preamble { ref header, salt, commitment } = preamble;
        let mut bytes = rewrite(header, &recipients)?;
        let (untagged, _) = split_tag(&mut bytes);
        let tag = schedule.header_tag(header.suite, untagged, &salt, &commitment)?;
        let (_, place) = split_tag(&mut bytes);
        *place = tag;
        let header = Header::parse(&bytes)?;
        Ok(Rewrapped { preamble: Preamble { header, salt, commitment }, old_len: preamble.len() })
    }

    /// Changes the recipients of a whole sealed value in memory.
    ///
    /// # Errors
    /// As for [`rewrap`](Self::rewrap).
    pub async fn rewrap_value(&self, sealed: &[u8], plan: &Rewrap<P>) -> Result<Vec<u8>> {
        let (preamble, chunks) = Preamble::split(sealed)?;
        let rewrapped = self.rewrap(&preamble, plan).await?;
        Ok([&rewrapped.as_bytes()[..], chunks].concat())
    }
}

/// Wraps for a recipient, and makes sure that it can unwrap what it wrapped.
async fn wrap_and_compare<C: CryptoProvider + ?Sized>(
    provider: &C,
    data_key: &DataKey,
    preamble: &Preamble,
) -> Result<Wrapped> {
    let context = &preamble.header.stored;
    let wrapped = provider.wrap_data_key(data_key, context).await?;
    let again = provider.unwrap_data_key(&wrapped, context).await?;
    if again.ct_eq(data_key) {
        return Ok(wrapped);
    }
    Err(Error::new(ErrorKind::Internal, "the provider unwrapped another key than it had wrapped")
        .with_provider(provider.label()))
}

/// The same header with other recipients: as long as before if they fit, compact if it was. Its tag
/// is still zero.
fn rewrite(old: &Header, recipients: &[Wrapped]) -> Result<Vec<u8>> {
    let write = |padded| write(old.suite, old.shared, &old.stored, recipients, padded, 0);
    let compact = write(None)?;
    let (needed, had) = (compact.len(), old.as_bytes().len());
    if !old.is_padded() || needed == had {
        return Ok(compact);
    }
    let len = if needed < had { had } else { needed.next_multiple_of(GROWTH) };
    write(Some(u16::try_from(len).unwrap_or(u16::MAX)))
}
