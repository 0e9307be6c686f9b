//! A Workload API without a socket: for a process that issues to itself.

use std::{sync::Arc, time::Duration};

use bulla::{Error, ErrorKind, Operation, Result};
use hyper_util::rt::TokioIo;
use spiffe::{
    WorkloadApiClient, WorkloadApiError, X509Source, X509SourceBuilder, transport::Endpoint,
};
use tokio::sync::watch;
use tonic::transport::Endpoint as Channel;
use tower::service_fn;

use super::{Entry, Peer, WorkloadServer, serve, service::Service};

/// Bytes that one side may be ahead of the other.
const BUFFER_LEN: usize = 64 * 1024;

/// It is a call to the authority.
const WITHIN: Duration = Duration::from_secs(30);

impl WorkloadServer {
    /// A source of X.509-SVIDs of one entry, for this process, in memory: what
    /// the module `mtls` takes where there is no agent. What the entry says of users and executables does not
    /// matter here.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) for an id that is not the trust domain's;
    /// [`Timeout`](ErrorKind::Timeout) if the authority has issued none within 30 seconds. Needs tokio.
    pub async fn x509_source(&self, entry: Entry) -> Result<X509Source> {
        let failed = |error: Error| error.with_operation(Operation::Build);
        entry.check_id(self.state.served.borrow().authority.trust_domain()).map_err(failed)?;
        let (server, entry) = (self.clone(), Arc::new(entry));
        let endpoint = Endpoint::parse("unix:///in/this/process").map_err(|error| {
            Error::new(ErrorKind::Internal, "an endpoint is not read").with_source(error)
        })?;
        let connect = move || {
            let (server, entry, endpoint) = (server.clone(), Arc::clone(&entry), endpoint.clone());
            let client = async move { Ok(server.client(entry, endpoint)) };
            Box::pin(client)
                as std::pin::Pin<Box<dyn Future<Output = Result<_, WorkloadApiError>> + Send>>
        };
        let source = X509SourceBuilder::new()
            .client_factory(Arc::new(connect))
            .reconnect_backoff(Duration::from_secs(1), Duration::from_secs(30))
            .initial_sync_timeout(WITHIN);
        source.build().await.map_err(|error| failed(crate::workload::x509_error(error)))
    }

    fn client(&self, entry: Arc<Entry>, endpoint: Endpoint) -> WorkloadApiClient {
        let server = self.clone();
        let connector = service_fn(move |_| {
            let (ours, theirs) = tokio::io::duplex(BUFFER_LEN);
            let peer = Peer::Ourselves(Arc::clone(&entry));
            let state = Arc::clone(&server.state);
            tokio::spawn(async move {
                // It is never told to stop: it ends with the client.
                let (_stopping, stopped) = watch::channel(false);
                let service = Service::new(state, peer, stopped.clone());
                serve::converse(ours, service, stopped).await;
            });
            async move { Ok::<_, std::io::Error>(TokioIo::new(theirs)) }
        });
        let channel =
            Channel::from_static("http://localhost").connect_with_connector_lazy(connector);
        WorkloadApiClient::new_with_channel(endpoint, channel)
    }
}
