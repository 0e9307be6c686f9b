//! Seals and opens with a key in AWS KMS, and signs if a second key is given.
//!
//! `cargo run -p bulla-examples --example aws -- awskms:///alias/orders awskms:///alias/tokens`
//!
//! Region and credentials are those of the AWS CLI; the URI can name a region, a profile and an
//! endpoint.

#![allow(clippy::print_stdout, reason = "it is there to be read")]

use std::{env::args, sync::Arc};

use bulla::{
    Context, CryptoProviderExt as _, Error, ErrorKind, KeyUri, Registry, Sign as _, SigningInput,
};
use bulla_aws_kms::{AwsKms, AwsKmsScheme};

#[tokio::main]
async fn main() -> bulla::Result<()> {
    let mut uris = args().skip(1);
    let usage = || Error::new(ErrorKind::InvalidInput, "give the URI of a key: awskms:///alias/x");
    let uri: KeyUri = uris.next().ok_or_else(usage)?.parse()?;
    let registry = Registry::builder().scheme("awskms", Arc::new(AwsKmsScheme)).build();
    // Behind timeouts, retries and a circuit breaker, as all that a registry opens.
    let kms = registry.connect("orders", &uri).await?;

    let context = Context::new().with_key("tenant", "acme")?.with_item("row", "7")?;
    let sealed = kms.seal(b"card number", &context).await?;
    let opened = kms.open(&sealed, &context).await?;
    let key = kms.sealing_key().map(ToString::to_string).unwrap_or_default();
    println!("sealed to {key}: {} bytes, and {} opened", sealed.len(), opened.len());

    let Some(uri) = uris.next() else { return Ok(()) };
    // The provider itself has none of these, and can check signatures besides.
    let KeyUri::AwsKms(uri) = uri.parse()? else { return Err(usage()) };
    let signer = AwsKms::builder().uri(&uri).build().await?;
    let keys = signer.public_keys().await?;
    let key = keys.iter().find(|key| key.current).ok_or_else(usage)?;
    for algorithm in &key.algorithms {
        let input = SigningInput::new(*algorithm, b"message");
        let signature = signer.sign(key, &input).await?;
        signer.verify(key, &input, &signature)?;
        println!("signed with {algorithm}: {} bytes", signature.as_bytes().len());
    }
    Ok(())
}
