//! The providers of this build, and the registry that they stand in.

use std::{collections::BTreeMap, sync::Arc};

use bulla::Registry;
use bulla_config::Key;
use bulla_local::{LocalScheme, Passphrase, Store};

use super::Provider;

/// The kind of keys that every build has a provider for.
const ALWAYS: &str = "local";

/// The kinds whose providers are features: the scheme, the feature, and whether this build has it.
const FEATURES: &[(&str, &str, bool)] = &[
    ("awskms", "aws-kms", cfg!(feature = "aws-kms")),
    ("gcpkms", "gcp-kms", cfg!(feature = "gcp-kms")),
    ("azurekeyvault", "azure-keyvault", cfg!(feature = "azure-keyvault")),
    ("hashivault", "vault", cfg!(feature = "vault")),
    ("openbao", "vault", cfg!(feature = "vault")),
    ("pkcs11", "pkcs11", cfg!(feature = "pkcs11")),
];

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

/// A registry for keys of the schemes of this build. `passphrases` are those of local keys, by the keys' names in the
/// store.
pub(crate) fn registry(store: Store, passphrases: BTreeMap<String, Vec<Passphrase>>) -> Registry {
    let local = passphrases
        .into_iter()
        .fold(LocalScheme::new(store), |local, (key, given)| local.passphrases(key, given));
    let registry = Registry::builder().scheme(ALWAYS, Arc::new(local));
    #[cfg(feature = "aws-kms")]
    let registry = registry.scheme("awskms", Arc::new(bulla_aws_kms::AwsKmsScheme));
    #[cfg(feature = "gcp-kms")]
    let registry = registry.scheme("gcpkms", Arc::new(bulla_gcp_kms::GcpKmsScheme::default()));
    #[cfg(feature = "azure-keyvault")]
    let registry = registry
        .scheme("azurekeyvault", Arc::new(bulla_azure_keyvault::AzureKeyVaultScheme::default()));
    #[cfg(feature = "vault")]
    let registry = registry
        .scheme("hashivault", Arc::new(bulla_vault::VaultScheme::vault()))
        .scheme("openbao", Arc::new(bulla_vault::VaultScheme::openbao()));
    #[cfg(feature = "pkcs11")]
    let registry = registry.scheme("pkcs11", Arc::new(bulla_pkcs11::Pkcs11Scheme));
    registry.build()
}

/// The provider of one key, behind its policy.
pub(crate) async fn connect(registry: &Registry, key: &Key) -> bulla::Result<Provider> {
    key.connect(registry).await
}

#[cfg(test)]
mod tests {
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
}
