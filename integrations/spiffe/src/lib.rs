//! SPIFFE identities for workloads, issued by keys that a KMS or an HSM holds.
//!
//! | for | there is |
//! |---|---|
//! | IDs and trust domains in their one spelling | [`spiffe_id`], [`trust_domain`] |
//! | issuing JWT-SVIDs | [`JwtSvidIssuer`] |
//! | verifying them | [`JwtSvidVerifier`], with the bundles of a [`BundleSet`] |
//! | bundle documents | [`Bundle`]; [`LocalBundle`] for those of one's own trust domain |
//! | the bundles of other trust domains | `federation`, with the feature of that name |
//! | issuing X.509-SVIDs | `authority` |
//! | a Workload API for the processes of a host | `server` |
//! | SVIDs and bundles from a Workload API | `workload` |
//! | TLS by SVIDs on both sides | `mtls` |
//!
//! The last four are modules, each with the feature of its name.
//!
//! # One authority, three ways
//!
//! The keys of one issuer are published as what each kind of verifier reads: as a SPIFFE bundle
//! ([`LocalBundle`], and with the feature `serve` a `BundleEndpoint`), as the set that workloads get
//! ([`Bundle::to_jwks`]), and for those that know nothing of SPIFFE by OpenID Connect discovery
//! (`bulla_oidc::serve::Publisher` with [`JwtSvidIssuer::keys`] and an issuer of that name).

#[cfg(feature = "authority")]
pub mod authority;
mod bundle;
#[cfg(feature = "serve")]
mod endpoint;
#[cfg(feature = "federation")]
pub mod federation;
mod id;
mod jwt_svid;
mod local;
#[cfg(feature = "mtls")]
pub mod mtls;
#[cfg(feature = "ring")]
mod numbered;
#[cfg(any(feature = "workload", all(unix, feature = "server")))]
#[cfg_attr(
    not(all(feature = "workload", feature = "server")),
    allow(dead_code, reason = "each of the two uses a part of it")
)]
mod renewed;
#[cfg(all(unix, feature = "server"))]
pub mod server;
mod set;
#[cfg(feature = "workload")]
pub mod workload;

pub use bundle::{Bundle, MAX_BUNDLE_KEYS, MAX_BUNDLE_LEN, SVID_ALGORITHMS};
#[cfg(feature = "serve")]
pub use endpoint::BundleEndpoint;
pub use id::{MAX_ID_LEN, SpiffeId, TrustDomain, spiffe_id, trust_domain};
pub use jwt_svid::{
    IssuedJwtSvid, JwtSvid, JwtSvidIssuer, JwtSvidIssuerBuilder, JwtSvidRequest, JwtSvidVerifier,
    JwtSvidVerifierBuilder,
};
pub use local::{LocalBundle, LocalBundleBuilder};
#[cfg(feature = "ring")]
pub use numbered::{refresh_hint, ring_policy};
pub use set::{BundleSet, BundleSource};
