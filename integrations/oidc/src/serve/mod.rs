//! Serving: keys and metadata of an issuer, and resources that take its tokens.
//!
//! [`Publisher`] is an issuer's side: an [`axum::Router`] with its key set and its metadata. [`BearerLayer`] is
//! a resource server's: a [`tower`](https://docs.rs/tower) layer that lets requests with a good token pass, and
//! puts the token's claims into them.
//!
//! ```
//! use std::sync::Arc;
//!
//! use axum::{Router, routing::get};
//! use bulla::jwt::{Claims, KeySource, Verifier};
//! use bulla_oidc::serve::{Bearer, BearerLayer, Publisher};
//!
//! # fn example(keys: Arc<dyn KeySource>) -> bulla::Result<Router> {
//! let issuer = Publisher::builder("https://id.example", Arc::clone(&keys)).build()?.router();
//!
//! let verifier =
//!     Verifier::builder().issuer("https://id.example").audience("orders").typ("at+jwt").build()?;
//! let orders = Router::new()
//!     .route("/orders", get(|token: Bearer<Claims>| async move {
//!         format!("of {}", token.claims().subject().unwrap_or_default())
//!     }))
//!     .layer(BearerLayer::<Claims>::new(verifier, keys).scope("orders:read"));
//! # Ok(issuer.merge(orders))
//! # }
//! ```

mod bearer;
mod document;
mod publisher;

pub use self::{
    bearer::{Bearer, BearerLayer, BearerService},
    document::Document,
    publisher::{Publisher, PublisherBuilder},
};
