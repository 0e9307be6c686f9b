//! The messages of SPIFFE's Workload API (`workload.proto` of its standard), field by field.

use std::collections::HashMap;

use prost::{Message, bytes::Bytes};
use prost_types::Struct;

/// `X509SVIDRequest`, `X509BundlesRequest` and `JWTBundlesRequest`, which have no field.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub(crate) struct Nothing {}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct X509SvidResponse {
    #[prost(message, repeated, tag = "1")]
    pub(crate) svids: Vec<X509Svid>,
    #[prost(bytes = "bytes", repeated, tag = "2")]
    pub(crate) crl: Vec<Bytes>,
    #[prost(map = "string, bytes", tag = "3")]
    pub(crate) federated_bundles: HashMap<String, Bytes>,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct X509Svid {
    #[prost(string, tag = "1")]
    pub(crate) spiffe_id: String,
    /// Certificates in DER, one behind the other, the leaf first.
    #[prost(bytes = "bytes", tag = "2")]
    pub(crate) x509_svid: Bytes,
    /// PKCS#8 in DER.
    #[prost(bytes = "bytes", tag = "3")]
    pub(crate) x509_svid_key: Bytes,
    #[prost(bytes = "bytes", tag = "4")]
    pub(crate) bundle: Bytes,
    #[prost(string, tag = "5")]
    pub(crate) hint: String,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct X509BundlesResponse {
    #[prost(bytes = "bytes", repeated, tag = "1")]
    pub(crate) crl: Vec<Bytes>,
    #[prost(map = "string, bytes", tag = "2")]
    pub(crate) bundles: HashMap<String, Bytes>,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct JwtSvidRequest {
    #[prost(string, repeated, tag = "1")]
    pub(crate) audience: Vec<String>,
    #[prost(string, tag = "2")]
    pub(crate) spiffe_id: String,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct JwtSvidResponse {
    #[prost(message, repeated, tag = "1")]
    pub(crate) svids: Vec<JwtSvid>,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct JwtSvid {
    #[prost(string, tag = "1")]
    pub(crate) spiffe_id: String,
    #[prost(string, tag = "2")]
    pub(crate) svid: String,
    #[prost(string, tag = "3")]
    pub(crate) hint: String,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct JwtBundlesResponse {
    #[prost(map = "string, bytes", tag = "1")]
    pub(crate) bundles: HashMap<String, Bytes>,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct ValidateJwtSvidRequest {
    #[prost(string, tag = "1")]
    pub(crate) audience: String,
    #[prost(string, tag = "2")]
    pub(crate) svid: String,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ValidateJwtSvidResponse {
    #[prost(string, tag = "1")]
    pub(crate) spiffe_id: String,
    #[prost(message, optional, tag = "2")]
    pub(crate) claims: Option<Struct>,
}
