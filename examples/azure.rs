//! Seals and opens with a key in Azure Key Vault or a Managed HSM, and signs if a second key is given.
//!
//! `cargo run -p bulla-examples --example azure -- azurekeyvault://acme/orders azurekeyvault://acme/tokens`
//!
//! Who this is, the environment says, or `az login`. Keys to try it with:
//!
//! ```text
//! az keyvault key create --vault-name acme --name orders --kty RSA --ops wrapKey unwrapKey
//! az keyvault key create --vault-name acme --name tokens --kty EC --curve P-256 --ops sign verify
//! ```

#![allow(clippy::print_stdout, reason = "it is there to be read")]

use std::{env::args, sync::Arc};

use bulla::{
    Context, CryptoProviderExt as _, Error, ErrorKind, KeyUri, Registry, SharedProvider,
    SigningInput, resilience::Policy,
};
use bulla_azure_keyvault::AzureKeyVaultScheme;

#[tokio::main]
async fn main() -> bulla::Result<()> {
    let mut uris = args().skip(1);
    let usage = || {
        Error::new(ErrorKind::InvalidInput, "give the URI of a key: azurekeyvault://acme/orders")
    };
    let uri: KeyUri = uris.next().ok_or_else(usage)?.parse()?;
    let scheme = Arc::new(AzureKeyVaultScheme::default());
    let registry = Registry::builder().scheme("azurekeyvault", scheme).build();
    // Whoever has the public half can seal to an RSA key. Here it is known who did.
    let policy = Policy::default();
    let vault = registry.connect_accepting_public_key_wraps("orders", &uri, policy).await?;

    let context = Context::new().with_key("tenant", "acme")?.with_item("row", "7")?;
    let sealed = vault.seal(b"card number", &context).await?;
    let key = vault.sealing_key().map(ToString::to_string).unwrap_or_default();
    println!("sealed to {key}: {} bytes", sealed.len());
    let opened = vault.open(&sealed, &context).await?;
    println!("opened: {} bytes", opened.len());

    let Some(uri) = uris.next() else { return Ok(()) };
    sign(&registry.connect("tokens", &uri.parse()?).await?).await
}

/// With every algorithm of the key, by its latest version.
async fn sign(vault: &SharedProvider) -> bulla::Result<()> {
    let keys = vault.public_keys().await?;
    println!("{} versions of the key verify", keys.len());
    for key in keys.iter().filter(|key| key.current) {
        for algorithm in &key.algorithms {
            let input = SigningInput::new(*algorithm, b"message");
            let signature = vault.sign(key, &input).await?;
            bulla::signing::verify(key, &input, &signature)?;
            println!("signed with {algorithm}: {} bytes", signature.as_bytes().len());
        }
    }
    Ok(())
}
