//! Who the provider is: what the application said, and the SDK's credentials that come of it.

use std::{fmt, path::PathBuf, sync::Arc, time::Duration};

use azure_core::{
    credentials::{Secret, TokenCredential},
    http::{ClientOptions, RetryOptions, Transport as SdkTransport},
};
use azure_identity::{
    ClientAssertionCredentialOptions, ClientSecretCredential, ClientSecretCredentialOptions,
    DeveloperToolsCredential, ManagedIdentityCredential, ManagedIdentityCredentialOptions,
    UserAssignedId, WorkloadIdentityCredential, WorkloadIdentityCredentialOptions,
};
use bulla::Result;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::{net::TcpStream, time::timeout};

use crate::{
    cloud::Cloud,
    environment::{self, Environment},
    error,
    transport::Network,
};

/// The metadata service answers at once where there is one.
const METADATA: (&str, u16) = ("169.254.169.254", 80);
const PROBE: Duration = Duration::from_secs(1);

/// How a provider proves who it is. Tokens are had by `azure_identity`.
#[derive(Clone)]
pub struct Credential(pub(crate) Kind);

#[derive(Clone)]
pub(crate) enum Kind {
    /// A secret of an application.
    ClientSecret { tenant: String, client: String, secret: Arc<SecretString> },
    /// A token of a Kubernetes service account, which is read anew each time.
    WorkloadIdentity { tenant: String, client: String, file: PathBuf },
    /// The identity of the machine, or one that is assigned to it.
    ManagedIdentity { client: Option<String> },
    /// Whoever has logged in with `az` or `azd`.
    DeveloperTools,
    /// The identity of the machine where it has one, or else whoever has logged in.
    Here { client: Option<String> },
    /// One of the application's.
    Given(Arc<dyn TokenCredential>),
}

impl Credential {
    /// A secret of an application that is registered in a tenant.
    #[must_use]
    pub fn client_secret(
        tenant: impl Into<String>,
        client: impl Into<String>,
        secret: impl Into<String>,
    ) -> Self {
        let secret = Arc::new(SecretString::from(secret.into()));
        Self(Kind::ClientSecret { tenant: tenant.into(), client: client.into(), secret })
    }

    /// A federated token in a file, such as that of a Kubernetes service account. It is read at each
    /// login.
    #[must_use]
    pub fn workload_identity(
        tenant: impl Into<String>,
        client: impl Into<String>,
        file: impl Into<PathBuf>,
    ) -> Self {
        let (tenant, client) = (tenant.into(), client.into());
        Self(Kind::WorkloadIdentity { tenant, client, file: file.into() })
    }

    /// The identity of the machine or the app that this runs in.
    #[must_use]
    pub fn managed_identity() -> Self {
        Self(Kind::ManagedIdentity { client: None })
    }

    /// An identity that is assigned to the machine or the app, by its client id.
    #[must_use]
    pub fn user_assigned_identity(client: impl Into<String>) -> Self {
        Self(Kind::ManagedIdentity { client: Some(client.into()) })
    }

    /// Whoever has logged in with the Azure CLI (`az login`) or `azd`. Not for services.
    #[must_use]
    pub fn developer_tools() -> Self {
        Self(Kind::DeveloperTools)
    }

    /// One of `azure_identity` that the application has made, or its own.
    ///
    /// What it caches is its own affair: if it goes on answering with a token that a vault has refused,
    /// calls are refused until that token expires.
    #[must_use]
    pub fn token_credential(credential: Arc<dyn TokenCredential>) -> Self {
        Self(Kind::Given(credential))
    }
}

/// Makes the SDK's credentials, again and again.
#[derive(Debug)]
pub(crate) struct Source {
    credential: Credential,
    network: Network,
    cloud: Cloud,
}

impl Source {
    /// By what was given, or by the environment.
    pub(crate) fn new(given: Option<Credential>, network: &Network, cloud: &Cloud) -> Result<Self> {
        let credential = match given {
            Some(credential) => credential,
            None => Environment::new(&environment::process).credential()?,
        };
        Ok(Self { credential, network: network.clone(), cloud: cloud.clone() })
    }

    /// A credential that remembers nothing.
    pub(crate) async fn credential(&self) -> Result<Arc<dyn TokenCredential>> {
        let kind = match &self.credential.0 {
            Kind::Given(given) => return Ok(Arc::clone(given)),
            Kind::Here { client } if has_metadata_service().await => {
                Kind::ManagedIdentity { client: client.clone() }
            }
            Kind::Here { .. } => Kind::DeveloperTools,
            other => other.clone(),
        };
        self.make(kind).map_err(|error| error::of_credentials(&error))
    }

    fn make(&self, kind: Kind) -> azure_core::Result<Arc<dyn TokenCredential>> {
        let client_options = self.options();
        Ok(match kind {
            Kind::ClientSecret { tenant, client, secret } => {
                let secret = Secret::new(secret.expose_secret().to_owned());
                let options = ClientSecretCredentialOptions { client_options };
                ClientSecretCredential::new(&tenant, client, secret, Some(options))?
            }
            Kind::WorkloadIdentity { tenant, client, file } => {
                let credential_options = ClientAssertionCredentialOptions { client_options };
                let options = WorkloadIdentityCredentialOptions {
                    credential_options,
                    client_id: Some(client),
                    tenant_id: Some(tenant),
                    token_file_path: Some(file),
                };
                WorkloadIdentityCredential::new(Some(options))?
            }
            Kind::ManagedIdentity { client } => {
                let user_assigned_id = client.map(UserAssignedId::ClientId);
                let options = ManagedIdentityCredentialOptions { user_assigned_id, client_options };
                ManagedIdentityCredential::new(Some(options))?
            }
            Kind::DeveloperTools | Kind::Here { .. } => DeveloperToolsCredential::new(None)?,
            Kind::Given(given) => given,
        })
    }

    fn options(&self) -> ClientOptions {
        // Whoever sets that says who issues tokens, for a cloud that is not known here.
        let elsewhere = environment::process("AZURE_AUTHORITY_HOST").is_some();
        ClientOptions {
            transport: Some(SdkTransport::new(Arc::new(self.network.to_issuer()))),
            retry: RetryOptions::none(),
            cloud: (!elsewhere).then(|| Arc::clone(&self.cloud.issuer)),
            ..ClientOptions::default()
        }
    }
}

/// Whether this machine is one of Azure's. Elsewhere a connection to that address would wait for long.
async fn has_metadata_service() -> bool {
    matches!(timeout(PROBE, TcpStream::connect(METADATA)).await, Ok(Ok(_)))
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match &self.0 {
            Kind::ClientSecret { .. } => "ClientSecret",
            Kind::WorkloadIdentity { .. } => "WorkloadIdentity",
            Kind::ManagedIdentity { .. } => "ManagedIdentity",
            Kind::DeveloperTools => "DeveloperTools",
            Kind::Here { .. } => "Here",
            Kind::Given(_) => "Given",
        };
        f.debug_tuple("Credential").field(&kind).finish()
    }
}
