//! Access tokens (RFC 9068), and refresh tokens that are used once (RFC 6749, section 6; RFC 9700, section
//! 4.14).
//!
//! [`TokenIssuer`] is what a token endpoint calls once it knows who asks: it authenticates neither users nor
//! clients. Access tokens are signed by a ring or a provider's key; refresh tokens are random, and a
//! [`RefreshStore`] keeps their hashes.

mod builder;
mod grant;
mod issuing;
mod memory;
mod oauth;
mod refresh;
mod response;
mod scope;
mod status;

pub use self::{
    builder::TokenIssuerBuilder,
    grant::Grant,
    issuing::TokenIssuer,
    memory::MemoryRefreshTokens,
    oauth::{OAuthError, TokenError},
    refresh::{Kept, RefreshRecord, RefreshStore, TokenHash, Whose},
    response::{Introspection, TokenResponse},
    scope::Scope,
};
