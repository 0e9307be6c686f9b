//! Verifies a token: `cargo run -p bulla-examples --example tokens -- JWKS TOKEN`. Prints the subject.

use std::fs;

use bulla::{
    Error, Result,
    jwt::{Claims, JwkSet, Verified, Verifier},
};

/// The subject of a token that is for us.
pub fn subject(jwks: &str, token: &str) -> Result<String> {
    let keys = JwkSet::from_json(jwks)?;
    let verifier =
        Verifier::builder().issuer("https://id.example").audience("orders").typ("JWT").build()?;
    let verified: Verified<Claims> = verifier.verify_with(token.trim_end(), &keys)?;
    Ok(verified.claims().subject().unwrap_or("nobody").to_owned())
}

#[allow(
    dead_code,
    clippy::print_stdout,
    reason = "the tests call `subject` alone; it is a program"
)]
fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let mut next = || fs::read_to_string(args.next().unwrap_or_default()).map_err(Error::from_io);
    let (jwks, token) = (next()?, next()?);
    println!("{}", subject(&jwks, &token)?);
    Ok(())
}
