//! SVIDs from a Workload API: SPIRE's agent's, ours, or anybody's who speaks it.
//!
//! ```no_run
//! use bulla_spiffe::workload::WorkloadApi;
//!
//! # async fn example() -> bulla::Result<()> {
//! let api = WorkloadApi::from_env()?; // SPIFFE_ENDPOINT_SOCKET; no I/O yet
//!
//! // A certificate and key that are replaced before they expire, and what to trust.
//! let source = api.x509_source().await?;
//!
//! // Tokens for other services, which are kept: a call for the first, and one in half of a life.
//! let tokens = api.jwt_svids();
//! let token = tokens.svid(["https://orders.example.org"]).await?;
//! let header = format!("Bearer {}", token.token());
//! # Ok(())
//! # }
//! ```
//!
//! # What is the crate `spiffe`'s, and what is added
//!
//! X.509-SVIDs and bundles are streams, which its [`X509Source`](spiffe::X509Source) and
//! [`JwtSource`](spiffe::JwtSource) follow: they are made here with a backoff from 1 to 30 seconds and a deadline for
//! the first update, after an endpoint that is missing or none has been refused. JWT-SVIDs are single calls, which it
//! makes anew each time: [`JwtSvids`] keeps what came.
//!
//! What a Workload API says is believed, since it comes over a socket whose place in the file system the owner of the
//! host has chosen. `tcp:` endpoints are accepted as the standard has them: they are neither private nor authenticated.

mod api;
mod bundles;
mod error;
mod jwt;

#[cfg(feature = "server")]
pub(crate) use self::error::x509_error;
pub use self::{
    api::WorkloadApi,
    bundles::WorkloadBundles,
    jwt::{JwtSvids, JwtSvidsBuilder},
};
