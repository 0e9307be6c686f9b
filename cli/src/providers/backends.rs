//! The providers of one run, opened through the library's registry.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use bulla::{Error, ErrorKind, KeyUri, OpenScheme, Registry, Result, SharedProvider};
use bulla_local::{Local, Passphrase, Store};

use super::{NamedKey, Provider};

/// Opens keys by their names, with the policy of each around its provider.
pub(crate) struct Backends(Registry);

impl Backends {
    /// The schemes of keys that this build has a provider for.
    pub(crate) const SCHEMES: &[&str] = &[
        "local",
        #[cfg(feature = "aws-kms")]
        "awskms",
    ];

    /// `passphrases` are those of local keys, by the keys' names in the store.
    pub(crate) fn new(store: Store, passphrases: BTreeMap<String, Vec<Passphrase>>) -> Self {
        let local = LocalScheme { store, passphrases };
        let registry = Registry::builder().scheme("local", Arc::new(local));
        #[cfg(feature = "aws-kms")]
        let registry = registry.scheme("awskms", Arc::new(bulla_aws_kms::AwsKmsScheme));
        Self(registry.build())
    }

    /// The provider of a key, to seal with or to sign with.
    pub(crate) async fn open(&self, key: &NamedKey) -> Result<Provider> {
        self.0.open_with(&key.name, &key.uri, key.policy.clone()).await
    }
}

/// The keys of the local store.
struct LocalScheme {
    store: Store,
    passphrases: BTreeMap<String, Vec<Passphrase>>,
}

#[async_trait]
impl OpenScheme for LocalScheme {
    async fn open(&self, uri: &KeyUri, name: &str) -> Result<SharedProvider> {
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

    fn opens_locally(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bulla::resilience::Policy;
    use bulla_local::{KeyType, Protection};

    use super::*;

    #[tokio::test]
    async fn a_provider_has_its_label_and_its_policy_around_it() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::at(dir.path().join("keys"));
        store.create_key("one", KeyType::Aes256, &Protection::None).unwrap();
        let key = NamedKey {
            name: "app".to_owned(),
            uri: "local:one".parse().unwrap(),
            policy: Policy::builder().deadline(Duration::from_secs(77)).build().unwrap(),
        };
        let backends = Backends::new(store, BTreeMap::new());
        let provider = backends.open(&key).await.unwrap();
        assert_eq!(provider.label(), "app");
        // The wrapper hides what it wraps; only its debug form shows the policy.
        let shown = format!("{provider:?}");
        assert!(shown.starts_with("Resilient") && shown.contains("deadline: 77s"), "{shown}");
        let again = backends.open(&key).await.unwrap_err();
        assert_eq!(again.kind(), ErrorKind::AlreadyExists);
        let elsewhere = NamedKey {
            uri: "gcpkms://projects/p/locations/global/keyRings/r/cryptoKeys/x".parse().unwrap(),
            ..key
        };
        let error = backends.open(&elsewhere).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
    }
}
