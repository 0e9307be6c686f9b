//! Makes a key on a PKCS #11 token, if there is none of that label, and seals with it.
//!
//! `BULLA_PKCS11_PIN=… cargo run -p bulla-examples --example hsm -- MODULE TOKEN LABEL`
//!
//! MODULE is the vendor's library, such as /usr/lib/softhsm/libsofthsm2.so.

#![allow(clippy::print_stdout, reason = "it is there to be read")]

use std::env::args;

use bulla::{Context, CryptoProvider as _, CryptoProviderExt as _, Error, ErrorKind, Result};
use bulla_pkcs11::{KeyType, Pkcs11};

#[tokio::main]
async fn main() -> Result<()> {
    let mut args = args().skip(1);
    let usage = || Error::new(ErrorKind::InvalidInput, "give MODULE TOKEN LABEL");
    let mut next = || args.next().ok_or_else(usage);
    let (module, token, label) = (next()?, next()?, next()?);

    let builder = Pkcs11::builder().module(module).token(token).sealing_key(label);
    match builder.clone().create_key(KeyType::Aes256).await {
        Ok(key) => println!("made {}", key.uri),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => println!("the key is there"),
        Err(error) => return Err(error),
    }
    let hsm = builder.build().await?;
    let context = Context::new().with_key("tenant", "acme")?;
    let sealed = hsm.seal(b"card number", &context).await?;
    let opened = hsm.open(&sealed, &context).await?;
    println!("sealed: {} bytes, and {} opened", sealed.len(), opened.len());
    hsm.close().await
}
