//! Keys of a registry that are in a local store.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use bulla::{Error, ErrorKind, KeyUri, Result, SharedProvider, registry::Connect};

use crate::{Local, Passphrase, Store};

/// Connects to `local:` URIs for a [`Registry`](bulla::Registry): to keys of one store.
///
/// ```
/// use std::sync::Arc;
/// use bulla_local::{LocalScheme, Store};
///
/// # fn example() -> bulla::Result<()> {
/// let local = LocalScheme::new(Store::at(Store::default_path()?));
/// let registry = bulla::Registry::builder().scheme("local", Arc::new(local)).build();
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct LocalScheme {
    store: Store,
    passphrases: BTreeMap<String, Vec<Passphrase>>,
}

impl LocalScheme {
    /// The keys of this store.
    #[must_use]
    pub const fn new(store: Store) -> Self {
        Self { store, passphrases: BTreeMap::new() }
    }

    /// Passphrases to try for the key of that name.
    #[must_use]
    pub fn passphrases(
        mut self,
        key: impl Into<String>,
        given: impl IntoIterator<Item = Passphrase>,
    ) -> Self {
        self.passphrases.entry(key.into()).or_default().extend(given);
        self
    }
}

#[async_trait]
impl Connect for LocalScheme {
    async fn connect(&self, uri: &KeyUri, name: &str) -> Result<SharedProvider> {
        let KeyUri::Local(local) = uri else {
            return Err(Error::new(ErrorKind::InvalidInput, "this is no key of the local store"));
        };
        let key = local.name().to_owned();
        let given = self.passphrases.get(&key).cloned().unwrap_or_default();
        let builder = Local::builder(self.store.clone()).label(name);
        let builder = given.into_iter().fold(builder, |builder, p| builder.passphrase(p));
        let store = self.store.clone();
        // Files, and a passphrase takes the processor for a while.
        let build = move || match store.key(&key)?.key_type.seals() {
            true => builder.sealing_key(key).build(),
            false => builder.signing_key(key).build(),
        };
        let built = tokio::task::spawn_blocking(build).await;
        let local = built.map_err(|e| Error::new(ErrorKind::Internal, e.to_string()))??;
        Ok(Arc::new(local))
    }

    fn connects_locally(&self) -> bool {
        true
    }
}
