//! A service whose keys are configuration: a local key on a developer's machine, a KMS in production.
//!
//! ```sh
//! bulla keys create orders
//! BULLA_CONFIG=examples/service/development.toml cargo run -p bulla-examples --example service
//! ```
//!
//! In production it is given `production.toml` beside that file, or, where one key is enough, its URI in
//! `BULLA_KEY`.

use std::sync::Arc;

use bulla::{Context, Plaintext, Registry, Result};
use bulla_aws_kms::AwsKmsScheme;
use bulla_config::Config;
use bulla_local::{LocalScheme, Store};

/// Seals and opens, with whatever keys there are.
pub async fn service(config: &Config, local: LocalScheme) -> Result<Plaintext> {
    let schemes = Registry::builder().scheme("local", Arc::new(local));
    let schemes = schemes.scheme("awskms", Arc::new(AwsKmsScheme));
    let registry = config.connect_all(schemes).await?;
    let sealer = config.default_sealer(&registry)?.build()?;

    let context = Context::new().with_key("tenant", "acme")?.with_item("row", "7")?;
    let sealed = sealer.seal(b"card number", &context).await?;
    config.opener(&registry).open(&sealed, &context).await
}

#[tokio::main]
#[allow(
    dead_code,
    clippy::print_stdout,
    reason = "the tests call `service` alone; it is a program"
)]
async fn main() -> Result<()> {
    let config = Config::from_env()?;
    let local = LocalScheme::new(Store::at(Store::default_path()?));
    let opened = service(&config, local).await?;
    println!("sealed and opened {} bytes by {}", opened.len(), config.origin());
    Ok(())
}
