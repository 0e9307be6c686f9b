//! What is told to the outside. ARCHITECTURE.md, "Observability", has the table.

use std::{sync::Arc, time::Duration};

use bulla::{Error, Operation, Result};
use metrics::Counter;

use crate::fetch::Changed;

/// Which document was asked for.
#[derive(Clone, Copy)]
pub(crate) enum Document {
    Keys,
    Metadata,
}

/// How a verifier got its keys.
pub(crate) struct Uses {
    /// At hand and fresh.
    pub(crate) hit: Counter,
    /// After a fetch that it waited for.
    pub(crate) fetched: Counter,
    /// At hand and past their time to live.
    pub(crate) stale: Counter,
    /// At hand, without the key that was asked for, and nobody was asked.
    pub(crate) unknown: Counter,
    /// Not at all.
    pub(crate) failed: Counter,
}

pub(crate) struct Telemetry {
    provider: Arc<str>,
    pub(crate) uses: Uses,
}

impl Telemetry {
    pub(crate) fn new(provider: Arc<str>) -> Self {
        let counter = |result| {
            metrics::counter!(
                "bulla_issuer_keys_total",
                "provider" => Arc::clone(&provider),
                "result" => result,
            )
        };
        let uses = Uses {
            hit: counter("hit"),
            fetched: counter("fetched"),
            stale: counter("stale"),
            unknown: counter("unknown"),
            failed: counter("failed"),
        };
        Self { provider, uses }
    }

    pub(crate) fn provider(&self) -> &str {
        &self.provider
    }

    /// Says in an error whose it is.
    pub(crate) fn name(&self, error: Error) -> Error {
        error.with_provider(Arc::clone(&self.provider)).with_operation(Operation::PublicKeys)
    }

    /// A question to the server ended.
    pub(crate) fn fetched<T>(&self, document: Document, result: &Result<(T, Changed)>) {
        let document = match document {
            Document::Keys => "jwks",
            Document::Metadata => "metadata",
        };
        let outcome = match result {
            Ok((_, Changed::Yes)) => "ok",
            Ok((_, Changed::No)) => "not_modified",
            Err(error) => error.kind().as_str(),
        };
        metrics::counter!(
            "bulla_issuer_fetches_total",
            "provider" => Arc::clone(&self.provider),
            "document" => document,
            "outcome" => outcome,
        )
        .increment(1);
    }

    /// Keys, or an address, could not be renewed; `age` is that of those at hand, if there are any.
    pub(crate) fn not_renewed(&self, what: &'static str, error: &Error, age: Option<Duration>) {
        tracing::warn!(
            provider = self.provider(),
            what,
            outcome = error.kind().as_str(),
            age_seconds = age.map(|age| age.as_secs()),
            "issuer's keys not renewed"
        );
    }

    /// Keys were renewed after failures.
    pub(crate) fn recovered(&self) {
        tracing::info!(provider = self.provider(), "issuer's keys renewed");
    }
}
