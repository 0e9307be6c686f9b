//! The one error type: what went wrong, where, and whether trying again can help.

mod kind;

use std::{borrow::Cow, error::Error as StdError, fmt, io, sync::Arc, time::Duration};

pub use kind::{ErrorKind, Operation};

/// The result of every fallible operation in this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error: a kind for programs, a message for operators, and nothing for an attacker.
///
/// Cheap to clone, so that one failed call can answer many waiters. The message and the source
/// never hold key material, plaintext or context values.
#[derive(Clone)]
pub struct Error(Box<Inner>);

#[derive(Clone)]
struct Inner {
    kind: ErrorKind,
    message: Cow<'static, str>,
    provider: Option<Arc<str>>,
    operation: Option<Operation>,
    retry_after: Option<Duration>,
    request_id: Option<Arc<str>>,
    source: Option<Arc<dyn StdError + Send + Sync + 'static>>,
}

impl Error {
    /// An error of `kind`; the message says what happened and what the operator can do.
    pub fn new(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Inner {
            kind,
            message: message.into(),
            provider: None,
            operation: None,
            retry_after: None,
            request_id: None,
            source: None,
        }))
    }

    /// The one error for whatever is not authentic.
    #[must_use]
    pub fn not_authentic() -> Self {
        Self::new(
            ErrorKind::NotAuthentic,
            "the data was altered, or the key or context is not the one that it was sealed with",
        )
    }

    pub(crate) fn invalid(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::InvalidInput, message)
    }

    pub(crate) fn malformed(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Malformed, message)
    }

    /// Names the provider, by the label that its owner gave it.
    #[must_use]
    pub fn with_provider(mut self, label: impl Into<Arc<str>>) -> Self {
        self.0.provider = Some(label.into());
        self
    }

    /// Names the operation.
    #[must_use]
    pub fn with_operation(mut self, operation: Operation) -> Self {
        self.0.operation = Some(operation);
        self
    }

    /// Keeps the underlying error. It must hold no secret: it is printed in logs.
    #[must_use]
    pub fn with_source(mut self, source: impl StdError + Send + Sync + 'static) -> Self {
        self.0.source = Some(Arc::new(source));
        self
    }

    /// How long the provider asked to wait.
    #[must_use]
    pub fn with_retry_after(mut self, wait: Duration) -> Self {
        self.0.retry_after = Some(wait);
        self
    }

    /// The provider's id of the request, for its support desk.
    #[must_use]
    pub fn with_request_id(mut self, id: impl Into<Arc<str>>) -> Self {
        self.0.request_id = Some(id.into());
        self
    }

    /// The same failure in other words, or as another kind: provider, operation, retry-after and
    /// request id stay, and this error becomes the source.
    #[must_use]
    pub fn told_as(self, kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        let Inner { provider, operation, retry_after, request_id, .. } = (*self.0).clone();
        let message = message.into();
        let source = Some(Arc::new(self) as _);
        Self(Box::new(Inner {
            kind,
            message,
            provider,
            operation,
            retry_after,
            request_id,
            source,
        }))
    }

    /// The kind, for a program to act on.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Whether the same call may succeed a little later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        self.0.kind.is_retryable()
    }

    /// The label of the provider that failed, if one did.
    #[must_use]
    pub fn provider(&self) -> Option<&str> {
        self.0.provider.as_deref()
    }

    /// The operation that failed, where it is known.
    #[must_use]
    pub fn operation(&self) -> Option<Operation> {
        self.0.operation
    }

    /// How long the provider asked to wait, if it said.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// The provider's id of the request, if it gave one.
    #[must_use]
    pub fn request_id(&self) -> Option<&str> {
        self.0.request_id.as_deref()
    }

    /// The message without kind, provider and operation.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Takes the [`Error`] back out of an [`io::Error`] that an adapter returned, or wraps a
    /// foreign one as [`ErrorKind::Io`].
    #[must_use]
    pub fn from_io(error: io::Error) -> Self {
        match error.downcast::<Self>() {
            Ok(inner) => inner,
            Err(error) => {
                Self::new(ErrorKind::Io, "the reader or writer failed").with_source(error)
            }
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { kind, message, provider, operation, retry_after, request_id, source } =
            &*self.0;
        match (provider, operation) {
            (Some(p), Some(o)) => write!(f, "{p}: {o}: ")?,
            (Some(p), None) => write!(f, "{p}: ")?,
            (None, Some(o)) => write!(f, "{o}: ")?,
            (None, None) => {}
        }
        write!(f, "{kind}: {message}")?;
        if let Some(source) = source.as_ref().filter(|_| *kind == ErrorKind::Io) {
            write!(f, ": {source}")?;
        }
        if let Some(wait) = retry_after {
            write!(f, " (retry after {:.1} s)", wait.as_secs_f64())?;
        }
        if let Some(id) = request_id {
            write!(f, " (request {id})")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { kind, message, provider, operation, retry_after, request_id, source } =
            &*self.0;
        f.debug_struct("Error")
            .field("kind", kind)
            .field("message", message)
            .field("provider", provider)
            .field("operation", operation)
            .field("retry_after", retry_after)
            .field("request_id", request_id)
            .field("source", source)
            .finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|s| s as _)
    }
}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        let kind = match error.kind() {
            ErrorKind::NotAuthentic
            | ErrorKind::Malformed
            | ErrorKind::ContextMismatch
            | ErrorKind::InvalidToken => io::ErrorKind::InvalidData,
            ErrorKind::InvalidInput => io::ErrorKind::InvalidInput,
            ErrorKind::Unsupported => io::ErrorKind::Unsupported,
            ErrorKind::NotFound => io::ErrorKind::NotFound,
            ErrorKind::AlreadyExists => io::ErrorKind::AlreadyExists,
            ErrorKind::Denied => io::ErrorKind::PermissionDenied,
            ErrorKind::Timeout => io::ErrorKind::TimedOut,
            _ => io::ErrorKind::Other,
        };
        Self::new(kind, error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_names_provider_operation_and_request() {
        let error = Error::new(ErrorKind::Throttled, "slow down")
            .with_provider("primary")
            .with_operation(Operation::UnwrapDataKey)
            .with_retry_after(Duration::from_millis(1500))
            .with_request_id("r-1");
        assert_eq!(
            error.to_string(),
            "primary: unwrap_data_key: throttled: slow down (retry after 1.5 s) (request r-1)"
        );
        assert!(error.is_retryable());
    }

    #[test]
    fn told_otherwise_it_keeps_the_facts() {
        let wait = Duration::from_secs(7);
        let error = Error::new(ErrorKind::Disabled, "the key is disabled")
            .with_provider("east")
            .with_operation(Operation::Sign)
            .with_retry_after(wait)
            .with_request_id("r-1");
        let told = error.told_as(ErrorKind::Unavailable, "left out");
        assert_eq!((told.kind(), told.message()), (ErrorKind::Unavailable, "left out"));
        assert_eq!((told.provider(), told.operation()), (Some("east"), Some(Operation::Sign)));
        assert_eq!((told.retry_after(), told.request_id()), (Some(wait), Some("r-1")));
        let source = told.source().and_then(|source| source.downcast_ref::<Error>()).unwrap();
        assert_eq!((source.kind(), source.request_id()), (ErrorKind::Disabled, Some("r-1")));
    }

    #[test]
    fn survives_a_trip_through_io_error() {
        let there: io::Error = Error::not_authentic().into();
        assert_eq!(there.kind(), io::ErrorKind::InvalidData);
        assert_eq!(Error::from_io(there).kind(), ErrorKind::NotAuthentic);
        let foreign = io::Error::from(io::ErrorKind::ConnectionReset);
        assert_eq!(Error::from_io(foreign).kind(), ErrorKind::Io);
    }

    #[test]
    fn is_small_and_shareable() {
        fn shareable<T: Clone + Send + Sync + 'static>() {}
        shareable::<Error>();
        assert_eq!(size_of::<Error>(), size_of::<usize>());
    }
}
