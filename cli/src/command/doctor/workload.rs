//! The Workload API of this host, if the environment names one.

use std::{env, time::Duration};

use bulla_spiffe::workload::WorkloadApi;

use super::report::{Check, Subject};
use crate::{
    Session,
    failure::{Failure, Outcome},
};

/// How long is waited for an identity. Whoever has none is refused again and again until then.
const WAIT: Duration = Duration::from_secs(5);

/// Asks it for an X.509-SVID, as this process; nothing, if `SPIFFE_ENDPOINT_SOCKET` is not set.
pub(super) fn check(session: &Session) -> Option<Check> {
    let endpoint = env::var_os("SPIFFE_ENDPOINT_SOCKET")?;
    let endpoint = endpoint.to_string_lossy();
    let found = session.runtime.block_on(identity());
    let told = |failure: Failure| {
        let advice = "an entry of the server has to fit this user, group and executable";
        Check::failed(Subject::WorkloadApi, &failure.at(&endpoint).hint(advice))
    };
    Some(found.map_or_else(told, |identity| {
        Check::ok(Subject::WorkloadApi, format!("{endpoint}: {identity}"))
    }))
}

async fn identity() -> Outcome<String> {
    let source = WorkloadApi::from_env()?.first_within(WAIT).x509_source().await?;
    let described = source.x509_context().map(|context| {
        let id = context.default_svid().map(|svid| svid.spiffe_id().to_string());
        let domains = context.bundle_set().iter().map(|(domain, _)| domain.to_string());
        let domains: Vec<_> = domains.collect();
        format!("{}, trusts {}", id.unwrap_or_else(|| "no identity".to_owned()), domains.join(", "))
    });
    source.shutdown().await;
    described.map_err(|error| Failure::other(error.to_string()))
}
