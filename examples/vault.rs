//! Seals and opens with a key in Vault or OpenBao, and signs if a second key is given.
//!
//! `cargo run -p bulla-examples --example vault -- openbao://orders openbao://tokens`
//!
//! Where the server is and how to log in is in the environment: `BAO_ADDR` and `BAO_TOKEN`, or `VAULT_ADDR`
//! and `VAULT_TOKEN` for `hashivault://`. A server to try it with, in memory:
//!
//! ```text
//! bao server -dev -dev-root-token-id=root
//! export BAO_ADDR=http://127.0.0.1:8200 BAO_TOKEN=root
//! bao secrets enable transit
//! bao write -f transit/keys/orders
//! bao write transit/keys/tokens type=ecdsa-p256
//! ```

#![allow(clippy::print_stdout, reason = "it is there to be read")]

use std::{env::args, sync::Arc};

use bulla::{
    Context, CryptoProviderExt as _, Error, ErrorKind, KeyUri, Opener, Registry, SharedProvider,
    SigningInput,
};
use bulla_vault::VaultScheme;

#[tokio::main]
async fn main() -> bulla::Result<()> {
    let mut uris = args().skip(1);
    let usage = || Error::new(ErrorKind::InvalidInput, "give the URI of a key: openbao://orders");
    let uri: KeyUri = uris.next().ok_or_else(usage)?.parse()?;
    // Behind timeouts, retries and a circuit breaker, as all that a registry opens.
    let registry = Registry::builder()
        .scheme("hashivault", Arc::new(VaultScheme::vault()))
        .scheme("openbao", Arc::new(VaultScheme::openbao()))
        .build();
    let vault = registry.connect("orders", &uri).await?;

    let context = Context::new().with_key("tenant", "acme")?.with_item("row", "7")?;
    let sealed = vault.seal(b"card number", &context).await?;
    let key = vault.sealing_key().map(ToString::to_string).unwrap_or_default();
    println!("sealed to {key}: {} bytes", sealed.len());
    let opened = Opener::new([Arc::clone(&vault)]).open(&sealed, &context).await?;
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
