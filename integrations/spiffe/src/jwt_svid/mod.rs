//! JWT-SVIDs: issued and verified.

mod builder;
mod issuer;
mod request;
mod svid;
mod verifier;

pub use self::{
    builder::JwtSvidIssuerBuilder,
    issuer::JwtSvidIssuer,
    request::JwtSvidRequest,
    svid::{IssuedJwtSvid, JwtSvid},
    verifier::{JwtSvidVerifier, JwtSvidVerifierBuilder},
};
