//! The providers of one run, opened through the library's registry.

use std::{collections::BTreeMap, sync::Arc};

use bulla::{Registry, Result};
use bulla_local::{LocalScheme, Passphrase, Store};

use super::{NamedKey, Provider};

/// The kind of keys that every build has a provider for.
const ALWAYS: &str = "local";

/// The kinds whose providers are features: the scheme, the feature, and whether this build has it.
const FEATURES: &[(&str, &str, bool)] = &[("awskms", "aws-kms", cfg!(feature = "aws-kms"))];

/// What to say of keys that this build has no provider for.
pub(super) fn missing(scheme: &str) -> Option<String> {
    missing_among(FEATURES, scheme)
}

fn missing_among(features: &[(&str, &str, bool)], scheme: &str) -> Option<String> {
    match features.iter().find(|(name, ..)| *name == scheme) {
        _ if scheme == ALWAYS => None,
        Some((_, _, true)) => None,
        Some((_, feature, false)) => Some(format!(
            "this build of bulla has no provider for `{scheme}` keys; build it with `--features \
             {feature}`"
        )),
        None => {
            let others = features.iter().map(|(name, ..)| *name);
            let all: Vec<_> = std::iter::once(ALWAYS).chain(others).collect();
            Some(format!(
                "this version of bulla has no provider for `{scheme}` keys; it has providers for {}",
                all.join(", ")
            ))
        }
    }
}

/// Connects to keys by their names, with the policy of each around its provider.
pub(crate) struct Backends(Registry);

impl Backends {
    /// `passphrases` are those of local keys, by the keys' names in the store.
    pub(crate) fn new(store: Store, passphrases: BTreeMap<String, Vec<Passphrase>>) -> Self {
        let local = passphrases
            .into_iter()
            .fold(LocalScheme::new(store), |local, (key, given)| local.passphrases(key, given));
        let registry = Registry::builder().scheme(ALWAYS, Arc::new(local));
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

    #[test]
    fn who_lacks_a_provider_is_told_the_feature_that_brings_it() {
        let features = [("akms", "a-kms", true), ("bkms", "b-kms", false)];
        let missing = |scheme| missing_among(&features, scheme);
        assert_eq!(missing("local"), None);
        assert_eq!(missing("akms"), None);
        let built = missing("bkms").unwrap();
        assert!(built.ends_with("for `bkms` keys; build it with `--features b-kms`"), "{built}");
        let unknown = missing("ckms").unwrap();
        assert!(unknown.ends_with("it has providers for local, akms, bkms"), "{unknown}");
    }

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
