//! A service that logs in to Vault or OpenBao with AppRole, seals with one key of the transit engine, and
//! signs tokens with another, whose rotations show as new ids in its set of keys.
//!
//! `cargo run -p bulla-examples --example approle -- https://vault.example.com:8200 ROLE_ID SECRET_FILE`
//!
//! SECRET_FILE has a response-wrapping token for the secret id (`bao write -wrap-ttl=5m -f
//! auth/approle/role/ROLE/secret-id`), so that what lies about is good once. The keys are `orders`, of
//! type aes256-gcm96, and `tokens`, of type ecdsa-p256; `policy.hcl` in the crate is what the role needs.

#![allow(clippy::print_stdout, reason = "it is there to be read")]

use std::{env::args, sync::Arc};

use bulla::{
    Context, CryptoProvider, CryptoProviderExt as _, Error, ErrorKind, Result,
    jwt::{Claims, ProviderKeys, Signer, Verified, Verifier},
    resilience::{Policy, Resilient},
};
use bulla_vault::{Auth, Secret, Vault};

#[tokio::main]
async fn main() -> Result<()> {
    let mut args = args().skip(1);
    let usage = || Error::new(ErrorKind::InvalidInput, "give ADDRESS ROLE_ID SECRET_FILE");
    let mut next = || args.next().ok_or_else(usage);
    let (address, role_id, secret) = (next()?, next()?, next()?);

    let vault = Vault::builder()
        .label("vault")
        .address(address)
        .auth(Auth::app_role(role_id, Secret::file(secret).wrapped()))
        .sealing_key("orders")
        .signing_key("tokens")
        .build()
        .await?;
    // Timeouts, retries under a budget, and a circuit breaker.
    let vault: Arc<dyn CryptoProvider> =
        Arc::new(Resilient::new(Arc::new(vault), Policy::default()));

    let context = Context::new().with_key("tenant", "acme")?.with_item("row", "7")?;
    let sealed = vault.seal(b"card number", &context).await?;
    let opened = vault.open(&sealed, &context).await?;
    println!("sealed to orders: {} bytes, and {} opened", sealed.len(), opened.len());

    let keys = Arc::new(ProviderKeys::new(Arc::clone(&vault)));
    let claims = Claims::new()?.with_issuer("https://id.example").with_audience("orders");
    let token = Signer::new(Arc::clone(&keys)).sign(&claims.with_subject("ada")).await?;
    let verifier =
        Verifier::builder().issuer("https://id.example").audience("orders").typ("JWT").build()?;
    let verified: Verified<Claims> = verifier.verify(&token, &*keys).await?;
    let set = keys.jwk_set().await?;
    println!(
        "signed for {}; {} key(s) to publish",
        verified.claims().subject().unwrap_or_default(),
        set.iter().count()
    );
    // Ends the token that was logged in for.
    vault.close().await
}
