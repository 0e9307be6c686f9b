//! The provider over a store.

mod bound;
mod builder;
mod freshness;
mod ring;
mod seal;
mod sign;

use std::{fmt, sync::Arc, time::Instant};

use async_trait::async_trait;
use bulla::{
    CryptoProvider, Error, ErrorKind, KeyName, KeyVersion, Operation, Result, Wrapped,
    key::WrapAlgorithm,
    provider::{Availability, Capabilities, Health, KeyInfo, UnwrapPolicy},
};

pub use builder::LocalBuilder;
pub(crate) use sign::owned;

use crate::store::Store;
use bound::{Bound, Chosen, Secret};
use ring::Keys;

/// The largest payload of direct mode, in bytes. There is no need for a limit here: it is the one
/// that cloud services have, so that what works here works there.
const MAX_DIRECT_LEN: usize = 4096;

/// The provider: keys of a [`Store`], loaded into memory.
///
/// Changes that other processes make are noticed: before a key is used, its `state.json` is read
/// again if the last time was over a second ago. If that fails, sealing and signing fail with it,
/// since what is sealed now might never be opened. Opening goes on with what is in memory if the
/// store is out of reach ([`ErrorKind::Io`], [`ErrorKind::NotFound`]), until 60 seconds after the
/// last success: that long, a version disabled meanwhile may go on opening. With a store that is
/// damaged or open to others, opening fails at once. Until the state is read again,
/// [`availability`](CryptoProvider::availability) is [`Availability::Degraded`].
///
/// A record that names a version not known yet makes the state be read at once, but not more often
/// than once a second for each key.
///
/// # Security
/// Secrets are wiped when the provider is closed or dropped, once calls under way have ended.
///
/// [`public_keys`](bulla::Sign::public_keys) gives what belongs to the private keys, with one
/// exception: of a protected version that was not loaded (one that is neither current nor was signed
/// with), it gives what the file says, and whoever may write to the store may have changed that.
pub struct Local {
    label: Arc<str>,
    capabilities: Capabilities,
    sealing: Option<KeyName>,
    signing: Option<KeyName>,
    keys: Arc<Keys>,
}

impl Local {
    /// A provider over `store`; say which keys it uses.
    pub fn builder(store: Store) -> LocalBuilder {
        LocalBuilder::new(store)
    }

    /// Adds a version to the sealing key and seals with it from now on. Returns its version.
    ///
    /// If the version that is current then, perhaps made by another process, is protected, the new
    /// one is protected by the same passphrase. Calls under way end as they began; none fails.
    /// Blocks: files, and Argon2id for a protected key.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] if no sealing key is bound; [`ErrorKind::InvalidInput`] if the
    /// current version is protected by a passphrase that this provider was not given; otherwise as
    /// for [`Store::rotate`].
    pub fn rotate(&self) -> Result<KeyVersion> {
        let key = self.sealing.as_ref().ok_or_else(no_sealing_key);
        key.and_then(|key| self.rotate_key(key))
            .map_err(|e| e.with_provider(Arc::clone(&self.label)))
    }

    /// The same for the signing key.
    ///
    /// # Errors
    /// As for [`rotate`](Self::rotate).
    pub fn rotate_signing_key(&self) -> Result<KeyVersion> {
        let key = self.signing.as_ref().ok_or_else(no_signing_key);
        key.and_then(|key| self.rotate_key(key))
            .map_err(|e| e.with_provider(Arc::clone(&self.label)))
    }

    fn rotate_key(&self, key: &KeyName) -> Result<KeyVersion> {
        let ring = self.keys.ring()?;
        let record = self.keys.store().rotate_as_before(key.id(), &ring.passphrases)?;
        // It is done. If the state can't be read again now, the next call tries that too.
        let _ = self.keys.refresh(key);
        KeyVersion::parse(&record.current.to_string())
    }

    /// Reads the state of every key again, and with
    /// [`open_all`](LocalBuilder::open_all) takes up new keys. Versions that no passphrase opened
    /// are tried again when they are needed. Blocks on files.
    ///
    /// # Errors
    /// [`ErrorKind::Closed`] after closing; otherwise what was wrong with the store. The keys stay
    /// as they were.
    pub fn reload(&self) -> Result<()> {
        self.keys.reload().map_err(|e| e.with_provider(Arc::clone(&self.label)))
    }

    /// A key whose state was read within the last second.
    async fn fresh(&self, key: &KeyName) -> Result<Arc<Bound>> {
        let bound = self.keys.bound(key)?;
        if bound.freshness().claim() { self.refresh(key).await } else { Ok(bound) }
    }

    async fn refresh(&self, key: &KeyName) -> Result<Arc<Bound>> {
        let (keys, key) = (Arc::clone(&self.keys), key.clone());
        blocking(move || keys.refresh(&key)).await
    }

    async fn secret(&self, chosen: &Chosen) -> Result<Arc<Secret>> {
        if let Some(secret) = chosen.loaded() {
            return Ok(secret);
        }
        let (keys, chosen) = (Arc::clone(&self.keys), chosen.clone());
        blocking(move || keys.load(&chosen)).await
    }

    /// Names this provider and the operation in an error.
    fn tell<T>(&self, operation: Operation, result: Result<T>) -> Result<T> {
        result.map_err(|e| e.with_provider(Arc::clone(&self.label)).with_operation(operation))
    }
}

#[async_trait]
impl CryptoProvider for Local {
    fn label(&self) -> &str {
        &self.label
    }

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn sealing_key(&self) -> Option<&KeyName> {
        self.sealing.as_ref()
    }

    fn opens(&self, key: &KeyName) -> Option<UnwrapPolicy> {
        // A closed provider still claims its keys, so that the call that follows says `Closed`.
        self.keys.opens(key).then_some(UnwrapPolicy::authenticated(WrapAlgorithm::Native))
    }

    fn is_sealing_key(&self, key: &KeyName) -> bool {
        self.sealing.as_ref() == Some(key)
    }

    fn is_current(&self, wrapped: &Wrapped) -> bool {
        let version = wrapped.version.as_ref().map(KeyVersion::as_str);
        self.sealing.as_ref() == Some(&wrapped.key)
            && self.keys.bound(&wrapped.key).is_ok_and(|bound| {
                version == Some(bound.entry().state.current.to_string().as_str())
            })
    }

    fn availability(&self) -> Availability {
        if self.keys.is_closed() {
            Availability::Unavailable
        } else if self.keys.has_failed() {
            Availability::Degraded
        } else {
            Availability::Available
        }
    }

    async fn describe_keys(&self) -> Vec<(KeyName, Result<KeyInfo>)> {
        let keys = Arc::clone(&self.keys);
        let described = blocking(move || Ok(describe(&keys))).await.unwrap_or_else(|error| {
            let names = self.keys.names().into_keys();
            names.map(|name| (name, Err(error.clone()))).collect()
        });
        let tell = |(name, info)| (name, self.tell(Operation::DescribeKeys, info));
        described.into_iter().map(tell).collect()
    }

    async fn health(&self) -> Result<Health> {
        let bound: Vec<_> = self.sealing.iter().chain(&self.signing).cloned().collect();
        let keys = Arc::clone(&self.keys);
        let start = Instant::now();
        let readable = blocking(move || {
            let ring = keys.ring()?;
            keys.store().check()?;
            let failed = ring.keys.values().filter(|bound| bound.freshness().has_failed());
            let failed: Vec<_> = failed.map(|bound| bound.name().clone()).collect();
            bound.iter().chain(&failed).try_for_each(|key| keys.refresh(key).map(|_| ()))
        });
        self.tell(Operation::Health, readable.await)?;
        Ok(Health::new(start.elapsed()))
    }

    async fn close(&self) -> Result<()> {
        self.keys.close();
        Ok(())
    }
}

fn describe(keys: &Keys) -> Vec<(KeyName, Result<KeyInfo>)> {
    let info = |bound: &Bound| {
        let record = bound.entry().reread()?.record(None);
        let kind = record.key_type.as_str();
        let mut info = KeyInfo::new(bound.name().clone(), record.state(), kind);
        info.version = Some(KeyVersion::parse(&record.current.to_string())?);
        info.aliases = bound.alias().map(str::to_owned).into_iter().collect();
        Ok(info)
    };
    match keys.ring() {
        Ok(ring) => ring.keys.values().map(|b| (b.name().clone(), info(b))).collect(),
        Err(closed) => keys.names().into_keys().map(|name| (name, Err(closed.clone()))).collect(),
    }
}

/// Runs work that blocks, or takes the processor for long, off the async threads. Without a Tokio
/// runtime there is nothing to hold up: then it runs here.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    match tokio::runtime::Handle::try_current() {
        Err(_) => work(),
        Ok(runtime) => runtime.spawn_blocking(work).await.unwrap_or_else(|error| {
            // Without the panic's words: they may quote a secret.
            Err(if error.is_panic() {
                Error::new(ErrorKind::Internal, "a task of the local key store panicked")
            } else {
                Error::new(ErrorKind::Unavailable, "the async runtime is shutting down")
            })
        }),
    }
}

/// Versions have one spelling: no sign, no leading zeros.
fn parse_version(text: &str) -> Option<u32> {
    text.parse().ok().filter(|version: &u32| *version > 0 && version.to_string() == text)
}

fn no_sealing_key() -> Error {
    Error::new(
        ErrorKind::Unsupported,
        "no sealing key is bound; give one with `LocalBuilder::sealing_key`",
    )
}

fn no_signing_key() -> Error {
    Error::new(
        ErrorKind::Unsupported,
        "no signing key is bound; give one with `LocalBuilder::signing_key`",
    )
}

impl fmt::Debug for Local {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Local")
            .field("label", &self.label)
            .field("store", &self.keys.store().path())
            .field("sealing", &self.sealing)
            .field("signing", &self.signing)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_a_fault_and_a_shutdown_is_not() {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let panics = blocking(|| -> Result<()> { panic!("as the test wants it") });
        let error = runtime.block_on(panics).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Internal);
        assert!(!error.message().contains("as the test wants it"));

        let handle = runtime.handle().clone();
        runtime.shutdown_background();
        let error = handle.block_on(blocking(|| Ok(()))).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
    }
}
