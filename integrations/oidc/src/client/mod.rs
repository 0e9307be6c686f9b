//! Tokens from an authorization server, for a client that has a key and no secret (RFC 7523).
//!
//! ```no_run
//! use std::sync::Arc;
//!
//! use bulla::jwt::{ProviderKeys, Signer};
//! use bulla_oidc::client::TokenClient;
//!
//! # async fn example(vault: bulla::SharedProvider) -> bulla::Result<()> {
//! let signer = Signer::new(Arc::new(ProviderKeys::new(vault)));
//! let client = TokenClient::builder("https://id.example/token", "orders", signer)
//!     .audience("https://id.example")
//!     .scope("billing:read")
//!     .build()?;
//! let token = client.token().await?; // one request, and none until it is about to expire
//! let header = format!("Bearer {}", token.expose());
//! # Ok(())
//! # }
//! ```

mod answer;
mod assertion;
mod builder;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
mod token;

pub use self::{
    answer::TokenRefused,
    assertion::SignAssertion,
    builder::TokenClientBuilder,
    token::{AccessToken, TokenClient},
};
