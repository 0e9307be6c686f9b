//! The providers of one run, opened through the library's registry.

use std::{collections::BTreeMap, sync::Arc};

use bulla::{Registry, Result};
use bulla_local::{LocalScheme, Passphrase, Store};

use super::{NamedKey, Provider};

/// Connects to keys by their names, with the policy of each around its provider.
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
        let local = passphrases
            .into_iter()
            .fold(LocalScheme::new(store), |local, (key, given)| local.passphrases(key, given));
        let registry = Registry::builder().scheme("local", Arc::new(local));
        #[cfg(feature = "aws-kms")]
        let registry = registry.scheme("awskms", Arc::new(bulla_aws_kms::AwsKmsScheme));
        Self(registry.build())
    }

    /// The provider of a key, to seal with or to sign with.
    pub(crate) async fn connect(&self, key: &NamedKey) -> Result<Provider> {
        self.0.connect_with(&key.name, &key.uri, key.policy.clone()).await
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bulla::{ErrorKind, resilience::Policy};
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
        let provider = backends.connect(&key).await.unwrap();
        assert_eq!(provider.label(), "app");
        // The wrapper hides what it wraps; only its debug form shows the policy.
        let shown = format!("{provider:?}");
        assert!(shown.starts_with("Resilient") && shown.contains("deadline: 77s"), "{shown}");
        let again = backends.connect(&key).await.unwrap_err();
        assert_eq!(again.kind(), ErrorKind::AlreadyExists);
        let elsewhere = NamedKey {
            uri: "gcpkms://projects/p/locations/global/keyRings/r/cryptoKeys/x".parse().unwrap(),
            ..key
        };
        let error = backends.connect(&elsewhere).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
    }
}
