//! Where a Workload API is.

use std::time::Duration;

use bulla::{Operation, Result};
use spiffe::{
    JwtSource, JwtSourceBuilder, WorkloadApiError, X509Source, X509SourceBuilder,
    transport::Endpoint, workload_api::endpoint,
};

use super::{
    JwtSvids, JwtSvidsBuilder,
    error::{api_error, jwt_error, x509_error},
};

const MIN_BACKOFF: Duration = Duration::from_secs(1);
const MAX_BACKOFF: Duration = Duration::from_secs(30);

/// A Workload API, by its endpoint. Cheap to clone; no I/O until something is asked of it.
#[derive(Clone, Debug)]
#[must_use]
pub struct WorkloadApi {
    endpoint: Endpoint,
    /// As it was written: the crate's sources parse it again.
    text: String,
    first_within: Duration,
}

impl WorkloadApi {
    /// The one that `SPIFFE_ENDPOINT_SOCKET` names (SPIFFE Workload Endpoint, section 4). There is no default.
    ///
    /// # Errors
    /// [`InvalidInput`](bulla::ErrorKind::InvalidInput) if it is unset, or names no endpoint.
    pub fn from_env() -> Result<Self> {
        let endpoint = endpoint::from_env().map_err(building)?;
        let text = std::env::var("SPIFFE_ENDPOINT_SOCKET").unwrap_or_default();
        Ok(Self::new(endpoint, text))
    }

    /// The one at `unix:///run/spire/agent.sock` or `tcp://127.0.0.1:8081`.
    ///
    /// # Errors
    /// [`InvalidInput`](bulla::ErrorKind::InvalidInput) if that is no endpoint. Paths are absolute.
    pub fn at(endpoint: impl Into<String>) -> Result<Self> {
        let text = endpoint.into();
        let endpoint = Endpoint::parse(&text).map_err(|error| building(error.into()))?;
        Ok(Self::new(endpoint, text))
    }

    /// Waits for so long, at most, until a source has its first update: 30 seconds otherwise. After that, a source
    /// tries for as long as it is kept.
    pub fn first_within(mut self, wait: Duration) -> Self {
        self.first_within = wait;
        self
    }

    /// X.509-SVIDs and the bundles of X.509, followed until the source is dropped.
    ///
    /// # Errors
    /// [`Timeout`](bulla::ErrorKind::Timeout) if none has come in time, since there is nobody there or no identity for
    /// this process; [`Unsupported`](bulla::ErrorKind::Unsupported) or
    /// [`InvalidInput`](bulla::ErrorKind::InvalidInput) if what is there is no Workload API. Needs tokio.
    pub async fn x509_source(&self) -> Result<X509Source> {
        let source = X509SourceBuilder::new()
            .endpoint(&self.text)
            .reconnect_backoff(MIN_BACKOFF, MAX_BACKOFF)
            .initial_sync_timeout(self.first_within);
        let built = source.build().await;
        built.map_err(|error| x509_error(error).with_operation(Operation::Build))
    }

    /// The keys that JWT-SVIDs are verified with, followed until the source is dropped. For tokens to send, see
    /// [`jwt_svids`](Self::jwt_svids).
    ///
    /// # Errors
    /// As for [`x509_source`](Self::x509_source).
    pub async fn jwt_bundles(&self) -> Result<JwtSource> {
        let source = JwtSourceBuilder::new()
            .endpoint(&self.text)
            .reconnect_backoff(MIN_BACKOFF, MAX_BACKOFF)
            .initial_sync_timeout(self.first_within);
        let built = source.build().await;
        built.map_err(|error| jwt_error(error).with_operation(Operation::Build))
    }

    /// JWT-SVIDs, which are kept.
    #[must_use]
    pub fn jwt_svids(&self) -> JwtSvids {
        self.jwt_svids_builder().build()
    }

    /// The same, to say how many.
    pub fn jwt_svids_builder(&self) -> JwtSvidsBuilder {
        JwtSvidsBuilder::new(self.endpoint.clone())
    }

    fn new(endpoint: Endpoint, text: String) -> Self {
        Self { endpoint, text, first_within: Duration::from_secs(30) }
    }
}

fn building(error: WorkloadApiError) -> bulla::Error {
    api_error(error).with_operation(Operation::Build)
}
