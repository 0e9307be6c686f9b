//! What the application says: which keys, and where.

use std::path::PathBuf;

use bulla::{key::GcpKmsUri, provider::Role};
use google_cloud_auth::credentials::Credentials;

use crate::{
    credentials::{Origin, Renewing, Source},
    provider::GcpKms,
};

/// Binds keys of Cloud KMS to a [`GcpKms`] provider.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct GcpKmsBuilder {
    pub(crate) label: Option<String>,
    pub(crate) keys: Vec<(String, Role)>,
    pub(crate) endpoint: Option<String>,
    pub(crate) universe: Option<String>,
    pub(crate) origin: Origin,
    /// Credentials that others have from the same origin.
    pub(crate) shared: Option<Renewing>,
}

impl GcpKms {
    /// A provider by Application Default Credentials: the file that `GOOGLE_APPLICATION_CREDENTIALS` names,
    /// that of `gcloud auth application-default login`, or the metadata server.
    pub fn builder() -> GcpKmsBuilder {
        GcpKmsBuilder::default()
    }
}

impl GcpKmsBuilder {
    /// The name in errors, logs and metrics. `gcpkms` if none is given.
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// The key that new data is sealed to: its resource name, `projects/…/cryptoKeys/…`, which seals by its
    /// primary version, or that of one of its versions. It opens what any of its versions sealed.
    pub fn sealing_key(self, key: impl Into<String>) -> Self {
        self.key(key, Role::Sealing)
    }

    /// The key that signs: its resource name, for the newest of its versions that is enabled, or that of one
    /// of its versions.
    pub fn signing_key(self, key: impl Into<String>) -> Self {
        self.key(key, Role::Signing)
    }

    /// One more key: one to open with, or one to verify with.
    pub fn also_open(self, key: impl Into<String>) -> Self {
        self.key(key, Role::Opening)
    }

    /// Key, version and endpoint of a key URI. The key becomes the sealing or the signing key, whichever it
    /// can be.
    pub fn uri(mut self, uri: &GcpKmsUri) -> Self {
        self.endpoint = uri.endpoint().map(str::to_owned).or(self.endpoint);
        let version = uri.version().map(|version| format!("/cryptoKeyVersions/{version}"));
        self.key(uri.resource_name() + &version.unwrap_or_default(), Role::Either)
    }

    /// The URL to call instead of `https://cloudkms.googleapis.com`: a regional one
    /// (`https://cloudkms.europe-west3.rep.googleapis.com`), or that of Private Service Connect. `http` for
    /// loopback addresses only: KMS is sent data keys and returns them.
    pub fn endpoint(mut self, url: impl Into<String>) -> Self {
        self.endpoint = Some(url.into());
        self
    }

    /// The universe, for clouds of Google's that are not `googleapis.com`. `GOOGLE_CLOUD_UNIVERSE_DOMAIN` goes
    /// before it; the credentials must be of the same one.
    pub fn universe_domain(mut self, domain: impl Into<String>) -> Self {
        self.universe = Some(domain.into());
        self
    }

    /// A file with credentials as Google writes them, instead of the default ones: of a service account, a
    /// user, an impersonated service account or a workload identity federation. It is read when the provider is
    /// built, and again when its credentials are refused.
    ///
    /// # Security
    /// Such a file says where credentials are sent to. Take it from whoever you would take a password from.
    pub fn credentials_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.origin.source = Source::File(path.into());
        self
    }

    /// Credentials that the application has made with `google-cloud-auth`.
    pub fn credentials(mut self, credentials: Credentials) -> Self {
        self.origin.source = Source::Given(credentials);
        self
    }

    /// The project that pays for requests and whose quota they are of, instead of the one that has the
    /// credentials. `GOOGLE_CLOUD_QUOTA_PROJECT` goes before it for the default credentials; for
    /// [`credentials`](Self::credentials) it is said there.
    pub fn quota_project(mut self, project: impl Into<String>) -> Self {
        self.origin.quota_project = Some(project.into());
        self
    }

    fn key(mut self, key: impl Into<String>, role: Role) -> Self {
        self.keys.push((key.into(), role));
        self
    }
}
