//! Google's credentials, and what to do when they have died.
//!
//! The SDK keeps one token for all calls and renews it by a task of its own. That task ends for good at the
//! first refusal, and with the runtime that it was begun on. So credentials that have ended are made anew,
//! from what they were made from: a key that was replaced in its file comes into use, and a permission that
//! was missing may be there by now.

use std::{
    fmt,
    fs::File,
    io::Read as _,
    panic::AssertUnwindSafe,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use bulla::{Error, ErrorKind, Result};
use futures_util::FutureExt as _;
use google_cloud_auth::{
    build_errors::Error as BuildError,
    credentials::{
        Builder, CacheableResource, Credentials, CredentialsProvider, external_account,
        external_account_authorized_user, impersonated, service_account, user_account,
    },
    errors::CredentialsError,
};
use http::{Extensions, HeaderMap};
use serde_json::Value;

/// The most bytes of a file with credentials: 2.4 KB is usual.
const MAX_FILE_LEN: u64 = 64 * 1024;

/// The waits between two times that credentials are made anew: doubled from time to time, since whoever
/// refuses may count.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LAST_WAIT: Duration = Duration::from_secs(60);

/// How long a request may be under way with the token of credentials that were replaced meanwhile.
const RECENT: Duration = Duration::from_secs(5);

/// Where credentials come from.
#[derive(Clone, Debug, Default)]
pub(crate) enum Source {
    /// Application Default Credentials: `GOOGLE_APPLICATION_CREDENTIALS`, the file that gcloud writes, the
    /// metadata server.
    #[default]
    Default,
    File(PathBuf),
    /// The application has made them.
    Given(Credentials),
}

/// All that makes credentials.
#[derive(Clone, Debug, Default)]
pub(crate) struct Origin {
    pub(crate) source: Source,
    pub(crate) quota_project: Option<String>,
}

impl Origin {
    fn make(&self) -> Result<Credentials> {
        let project = self.quota_project.as_deref();
        match &self.source {
            Source::Given(credentials) => Ok(credentials.clone()),
            Source::File(path) => from_file(path, project),
            Source::Default => {
                let builder = Builder::default();
                let builder = match project {
                    Some(project) => builder.with_quota_project_id(project),
                    None => builder,
                };
                builder.build().map_err(|error| not_made(&error))
            }
        }
    }
}

/// Credentials that are made anew when they have died.
#[derive(Clone)]
pub(crate) struct Renewing(Arc<Inner>);

struct Inner {
    origin: Origin,
    current: ArcSwap<Credentials>,
    last: Mutex<Last>,
}

/// When credentials were made last, and how long they stay as they are.
#[derive(Clone, Copy)]
struct Last {
    at: Instant,
    wait: Duration,
}

impl Renewing {
    /// Takes a tokio runtime.
    ///
    /// # Errors
    /// [`ErrorKind::Denied`] or [`ErrorKind::InvalidInput`] if there are none, or none that can be read.
    pub(crate) fn new(origin: Origin) -> Result<Self> {
        let current = ArcSwap::from_pointee(origin.make()?);
        let last = Mutex::new(Last { at: Instant::now(), wait: Duration::ZERO });
        Ok(Self(Arc::new(Inner { origin, current, last })))
    }

    /// Makes them anew because their token is not accepted. Whether there are others now than a moment ago.
    pub(crate) fn renew(&self) -> bool {
        let current = self.0.current.load_full();
        self.replace(&current) || self.are_recent()
    }

    /// Whether they were made so lately that the token in question may be that of those before.
    fn are_recent(&self) -> bool {
        let last = *self.0.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.wait != Duration::ZERO && last.at.elapsed() < RECENT
    }

    /// Puts others in the place of those that have died, unless somebody has done so already, or did a
    /// moment ago and to no avail.
    fn replace(&self, dead: &Arc<Credentials>) -> bool {
        if matches!(self.0.origin.source, Source::Given(_)) {
            return false;
        }
        let mut last = self.0.last.lock().unwrap_or_else(PoisonError::into_inner);
        if !Arc::ptr_eq(&self.0.current.load(), dead) {
            return true;
        }
        let age = last.at.elapsed();
        if age < last.wait {
            return false;
        }
        let Ok(made) = self.0.origin.make() else { return false };
        self.0.current.store(Arc::new(made));
        let wait = match age > 2 * LAST_WAIT {
            true => FIRST_WAIT,
            false => (2 * last.wait).clamp(FIRST_WAIT, LAST_WAIT),
        };
        *last = Last { at: Instant::now(), wait };
        tracing::debug!("Google credentials were made anew");
        true
    }
}

impl CredentialsProvider for Renewing {
    async fn headers(
        &self,
        extensions: Extensions,
    ) -> Result<CacheableResource<HeaderMap>, CredentialsError> {
        let current = self.0.current.load_full();
        match headers(&current, extensions.clone()).await {
            Err(error) if !error.is_transient() && self.replace(&current) => {
                headers(&self.0.current.load_full(), extensions).await
            }
            answer => answer,
        }
    }

    async fn universe_domain(&self) -> Option<String> {
        self.0.current.load_full().universe_domain().await
    }
}

/// The SDK panics where the task that renews the token has ended with its runtime.
async fn headers(
    credentials: &Credentials,
    extensions: Extensions,
) -> Result<CacheableResource<HeaderMap>, CredentialsError> {
    let answer = AssertUnwindSafe(credentials.headers(extensions)).catch_unwind().await;
    answer.unwrap_or_else(|_| Err(CredentialsError::from_msg(false, "their task has ended")))
}

impl fmt::Debug for Renewing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Renewing(..)")
    }
}

/// What a file says, by the `type` that it has.
fn from_file(path: &Path, project: Option<&str>) -> Result<Credentials> {
    let json: Value =
        serde_json::from_slice(&read(path)?).map_err(|_| bad_file(path, "is no JSON"))?;
    let kind = json.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
    macro_rules! build {
        ($builder:expr) => {{
            let builder = $builder;
            match project {
                Some(project) => builder.with_quota_project_id(project).build(),
                None => builder.build(),
            }
        }};
    }
    let made = match kind.as_str() {
        "service_account" => build!(service_account::Builder::new(json)),
        "authorized_user" => build!(user_account::Builder::new(json)),
        "external_account" => build!(external_account::Builder::new(json)),
        "external_account_authorized_user" => {
            build!(external_account_authorized_user::Builder::new(json))
        }
        "impersonated_service_account" => build!(impersonated::Builder::new(json)),
        _ => return Err(bad_file(path, "has credentials of a type that is not known here")),
    };
    made.map_err(|error| not_made(&error))
}

fn read(path: &Path) -> Result<zeroize::Zeroizing<Vec<u8>>> {
    let file = File::open(path).map_err(|error| bad_file(path, &error.kind().to_string()))?;
    let len = file.metadata().map_or(0, |metadata| metadata.len().min(MAX_FILE_LEN));
    let mut bytes =
        zeroize::Zeroizing::new(Vec::with_capacity(usize::try_from(len).unwrap_or(0) + 1));
    let read = file.take(MAX_FILE_LEN + 1).read_to_end(&mut bytes);
    read.map_err(|error| bad_file(path, &error.kind().to_string()))?;
    match bytes.len() as u64 > MAX_FILE_LEN {
        true => Err(bad_file(path, "is too long")),
        false => Ok(bytes),
    }
}

fn bad_file(path: &Path, what: &str) -> Error {
    let message = format!("the credentials {:?} can't be used: {what}", path.display().to_string());
    Error::new(ErrorKind::InvalidInput, message)
}

fn not_made(error: &BuildError) -> Error {
    let message = if error.is_loading() {
        "the file that GOOGLE_APPLICATION_CREDENTIALS names can't be read"
    } else if error.is_unknown_type() || error.is_not_supported() {
        "these Google credentials are of a type that is not known here"
    } else {
        "these Google credentials are not well-formed; make and download them anew"
    };
    Error::new(ErrorKind::InvalidInput, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(text: &str) -> ErrorKind {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("credentials.json");
        std::fs::write(&path, text).unwrap();
        let origin = Origin { source: Source::File(path), quota_project: None };
        let error = Renewing::new(origin).unwrap_err();
        assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
        error.kind()
    }

    #[tokio::test]
    async fn a_file_that_is_of_no_use_is_told() {
        for text in [
            "",
            "hunter2",
            "{}",
            r#"{"type":"hunter2"}"#,
            r#"{"type":"service_account","private_key":"hunter2"}"#,
            r#"{"type":"authorized_user","refresh_token":"hunter2"}"#,
            &" ".repeat(70_000),
        ] {
            assert_eq!(kind(text), ErrorKind::InvalidInput, "{text:.40}");
        }
        let origin = Origin { source: Source::File("/no/such/file".into()), quota_project: None };
        assert_eq!(Renewing::new(origin).unwrap_err().kind(), ErrorKind::InvalidInput);
    }

    /// Refuses, and counts how often.
    #[derive(Debug)]
    struct Refusing;

    impl CredentialsProvider for Refusing {
        async fn headers(
            &self,
            _: Extensions,
        ) -> Result<CacheableResource<HeaderMap>, CredentialsError> {
            Err(CredentialsError::from_msg(false, "refused"))
        }

        async fn universe_domain(&self) -> Option<String> {
            None
        }
    }

    #[tokio::test]
    async fn those_that_the_application_made_stay() {
        let source = Source::Given(Credentials::from(Refusing));
        let renewing = Renewing::new(Origin { source, quota_project: None }).unwrap();
        assert!(!renewing.renew());
        let headers = CredentialsProvider::headers(&renewing, Extensions::new()).await;
        assert!(!headers.unwrap_err().is_transient());
    }

    #[test]
    fn others_are_not_made_at_every_call() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("credentials.json");
        let text = r#"{"type":"authorized_user","client_id":"a","client_secret":"b",
            "refresh_token":"c","token_uri":"http://127.0.0.1:1/"}"#;
        std::fs::write(&path, text).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let origin = Origin { source: Source::File(path), quota_project: None };
            let renewing = Renewing::new(origin).unwrap();
            let first = renewing.0.current.load_full();
            assert!(renewing.replace(&first));
            // Whoever found the first ones dead a moment later has the second ones.
            assert!(renewing.replace(&first));
            let second = renewing.0.current.load_full();
            assert!(!Arc::ptr_eq(&first, &second));
            assert!(!renewing.replace(&second));
        });
    }
}
