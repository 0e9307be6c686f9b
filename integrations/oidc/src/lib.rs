//! Keys that an issuer publishes, for verifying its tokens with [`bulla::jwt::Verifier`].
//!
//! [`RemoteKeys`] fetches a JWK set (RFC 7517) from an address, or finds the address in the issuer's
//! metadata (OpenID Connect Discovery 1.0, section 4; RFC 8414), keeps it, and renews it.
//!
//! ```no_run
//! use bulla::jwt::{Claims, Verified, Verifier};
//! use bulla_oidc::RemoteKeys;
//!
//! # async fn example(token: &str) -> bulla::Result<()> {
//! let keys = RemoteKeys::discover("https://id.example").build()?; // no I/O yet
//! keys.refresh().await?; // optional: at the start, rather than with the first token
//!
//! let verifier =
//!     Verifier::builder().issuer("https://id.example").audience("orders").typ("at+jwt").build()?;
//! let verified: Verified<Claims> = verifier.verify(token, &keys).await?;
//! # Ok(())
//! # }
//! ```
//!
//! Issuers whose RSA keys state no `alg` are common: name what is accepted with
//! [`VerifierBuilder::algorithms`](bulla::jwt::VerifierBuilder::algorithms). What the metadata says of
//! algorithms is not read.
//!
//! # Whom it asks
//!
//! The address that was configured, or the one in the metadata of the issuer that was configured, and
//! never one out of a token. `https` only, but for loopback addresses and `localhost`. No redirects,
//! cookies, credentials or compression; a proxy if one was named. TLS is rustls with AWS-LC, and trusts
//! what the platform trusts and [certificates that were given](RemoteKeysBuilder::root_certificate).
//! [`AddressPolicy`] judges what a name or a number leads to before it is connected to.
//!
//! # What it reads
//!
//! Of an answer, 64 KiB of headers, informational responses before it included, and 256 KiB of keys or
//! 64 KiB of metadata, with 64 KiB for what they are framed in; 1 MiB of a connection, TLS included. A
//! request takes 10 seconds at most, however slowly its answer comes, and a fetch makes one, or two where
//! metadata have to be read.
//!
//! # How long keys are kept
//!
//! | time | default | what |
//! |---|---|---|
//! | time to live | `max-age` less `Age`, 5 minutes at least and 24 hours at most; 1 hour if the answer states none | keys are fresh |
//! | its last tenth to fifth | | the next use begins a renewal, and nobody waits for it |
//! | stale | 4 hours more | keys are used if they can't be renewed, and only then |
//! | cooldown | 30 s | unknown ids cause one fetch in it, also if that fails, and the same id one in four of it |
//!
//! `no-store` and `no-cache` are the lower bound. `s-maxage` is for shared caches and not read. A
//! renewal asks with `If-None-Match` where there is an `ETag`.
//!
//! # Errors
//!
//! A source never speaks of the token. What it says is
//! [`Unavailable`](bulla::ErrorKind::Unavailable), [`Timeout`](bulla::ErrorKind::Timeout) or
//! [`Throttled`](bulla::ErrorKind::Throttled) (429, with the wait of `Retry-After`) where trying
//! again can help; [`Denied`](bulla::ErrorKind::Denied) (401, 403),
//! [`NotFound`](bulla::ErrorKind::NotFound) (404, 410),
//! [`InvalidInput`](bulla::ErrorKind::InvalidInput) (a redirect: configure where it leads; or an address
//! that the policy does not admit) or
//! [`Unsupported`](bulla::ErrorKind::Unsupported) (any other status under 500) where it can't; and
//! [`Damaged`](bulla::ErrorKind::Damaged) for an answer that is too large, or a document that is malformed, another
//! issuer's, or without a key to verify with.

mod address;
mod bounded;
mod builder;
#[cfg(feature = "client")]
pub mod client;
mod connect;
#[cfg(feature = "documents")]
pub mod documents;
mod fetch;
mod freshness;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
mod http;
mod keys;
mod metadata;
mod network;
mod observe;
mod origin;
mod policy;
#[cfg(feature = "serve")]
pub mod serve;
mod state;
mod tls;

pub use builder::RemoteKeysBuilder;
pub use keys::RemoteKeys;
pub use network::AddressPolicy;
