//! No plain HTTP to other machines: the last look at a request before it goes out.

use std::{fmt, sync::OnceLock};

use aws_sdk_kms::{
    config::{
        ConfigBag, Intercept, RuntimeComponents, interceptors::BeforeTransmitInterceptorContextRef,
    },
    error::BoxError,
};

use crate::endpoint::Endpoint;

/// Refuses plain HTTP to other machines, wherever the endpoint came from: environment, profile, a
/// configuration that was handed in.
#[derive(Debug)]
pub(crate) struct NoPlainHttp {
    /// The address that was judged good: a client has one.
    good: OnceLock<String>,
}

impl NoPlainHttp {
    /// An endpoint that was given was judged when it was parsed, and is not judged again.
    pub(crate) fn but_for(judged: Option<&Endpoint>) -> Self {
        let good = OnceLock::new();
        if let Some(endpoint) = judged {
            // KMS's requests have no path of their own.
            good.get_or_init(|| format!("{}/", endpoint.as_str()));
        }
        Self { good }
    }
}

impl Intercept for NoPlainHttp {
    fn name(&self) -> &'static str {
        "bulla"
    }

    fn read_before_transmit(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let uri = context.request().uri();
        if uri.starts_with("https://") || self.good.get().is_some_and(|good| good == uri) {
            return Ok(());
        }
        Endpoint::parse(uri).map_err(|_| PlainHttp)?;
        self.good.get_or_init(|| uri.to_owned());
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
