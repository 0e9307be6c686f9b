//! The last look at a request before it goes out.

use std::fmt;

use aws_sdk_kms::{
    config::{
        ConfigBag, Intercept, RuntimeComponents, interceptors::BeforeTransmitInterceptorContextMut,
    },
    error::BoxError,
};
use aws_smithy_types::body::SdkBody;
use http_body_util::BodyExt as _;

use crate::builder::check_endpoint;

/// Refuses plain HTTP to other machines, wherever the endpoint came from (environment, profile, a
/// configuration that was handed in), and hides the body from the SDK's own logs, which at the level
/// TRACE would print it with data key, payload and context.
#[derive(Debug)]
pub(crate) struct Transmit;

impl Intercept for Transmit {
    fn name(&self) -> &'static str {
        "bulla"
    }

    fn modify_before_transmit(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let request = context.request_mut();
        // The path of the request is KMS's: what is before it counts.
        if request.uri().starts_with("http://") && check_endpoint(request.uri()).is_err() {
            return Err(Box::new(PlainHttp));
        }
        let body = std::mem::replace(request.body_mut(), SdkBody::taken());
        *request.body_mut() = SdkBody::from_body_1_x(body.map_frame(|frame| frame));
        Ok(())
    }
}

/// Why a request was not sent.
#[derive(Debug)]
pub(crate) struct PlainHttp;

impl fmt::Display for PlainHttp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("http to an address that is not loopback")
    }
}

impl std::error::Error for PlainHttp {}
