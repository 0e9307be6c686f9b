//! Providers of keys by the book.

use std::{sync::Arc, time::Duration};

use bulla::{
    EncryptionContext,
    resilience::{Policy, PolicyBuilder},
};
use bulla_azure_keyvault::{AzureKeyVault, AzureKeyVaultBuilder, Credential};
use bulla_testworld::azure::{Azure, Kind};

pub(crate) const VAULT: &str = "acme.vault.azure.net";
pub(crate) const HSM: &str = "acme.managedhsm.azure.net";

/// What seals and opens.
pub(crate) const WRAPS: [&str; 2] = ["wrapKey", "unwrapKey"];

/// What signs.
pub(crate) const SIGNS: [&str; 2] = ["sign", "verify"];

/// A builder for a vault, as the client that tokens are issued to.
pub(crate) fn builder(azure: &Azure, vault: &str) -> AzureKeyVaultBuilder {
    AzureKeyVault::builder()
        .vault(vault)
        .proxy(azure.proxy())
        .ca_file(azure.ca_file())
        .credential(Credential::client_secret(Azure::TENANT, Azure::CLIENT, Azure::SECRET))
}

/// A vault with the keys `orders` and `tokens`, and a provider of both.
pub(crate) async fn acme() -> (Azure, Arc<AzureKeyVault>) {
    let azure = Azure::start();
    azure.key(VAULT, "orders", Kind::Rsa(2048), &WRAPS);
    azure.key(VAULT, "tokens", Kind::P256, &SIGNS);
    let provider = builder(&azure, VAULT)
        .sealing_key("orders")
        .signing_key("tokens")
        .accept_public_key_wraps()
        .build()
        .await
        .unwrap();
    (azure, Arc::new(provider))
}

pub(crate) fn context() -> EncryptionContext {
    EncryptionContext::from_pairs([("tenant", "acme")]).unwrap()
}

/// Fast enough for tests.
pub(crate) fn quick() -> PolicyBuilder {
    Policy::builder()
        .attempt_timeout(Duration::from_secs(5))
        .deadline(Duration::from_secs(60))
        .max_attempts(4)
        .backoff(Duration::from_millis(1), Duration::from_millis(10))
}
