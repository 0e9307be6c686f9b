//! What the application says: which keys, in which vault, and who it is.

use std::path::PathBuf;

use bulla::{SigningAlgorithm, key::AzureKeyVaultUri, provider::Role};

use crate::{credential::Credential, provider::AzureKeyVault};

/// Binds keys of one vault to an [`AzureKeyVault`] provider.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct AzureKeyVaultBuilder {
    pub(crate) label: Option<String>,
    pub(crate) vault: Option<String>,
    pub(crate) keys: Vec<(String, Role)>,
    pub(crate) algorithm: Option<SigningAlgorithm>,
    pub(crate) credential: Option<Credential>,
    pub(crate) proxy: Option<String>,
    pub(crate) ca_file: Option<PathBuf>,
    pub(crate) accepts_public_key_wraps: bool,
}

impl AzureKeyVault {
    /// A provider that finds who it is in the environment, unless it is told.
    pub fn builder() -> AzureKeyVaultBuilder {
        AzureKeyVaultBuilder::default()
    }
}

impl AzureKeyVaultBuilder {
    /// The name in errors, logs and metrics. `azurekeyvault` if none is given.
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// The vault: its name in the public cloud, or its whole host elsewhere and for a Managed HSM, such as
    /// `acme.managedhsm.azure.net`. Hosts of others are refused.
    pub fn vault(mut self, vault: impl Into<String>) -> Self {
        self.vault = Some(vault.into());
        self
    }

    /// The key that new data is sealed to, as `KEY`, or as `KEY/VERSION` to stay with a version: an RSA key,
    /// or a symmetric one of 256 bits on a Managed HSM. All its versions may open too, what is sealed to an
    /// RSA key if [`accept_public_key_wraps`](Self::accept_public_key_wraps) says so.
    pub fn sealing_key(self, key: impl Into<String>) -> Self {
        self.key(key, Role::Sealing)
    }

    /// The key that signs, as `KEY` or `KEY/VERSION`.
    pub fn signing_key(self, key: impl Into<String>) -> Self {
        self.key(key, Role::Signing)
    }

    /// One more key: one to open with, or one to verify with.
    pub fn also_open(self, key: impl Into<String>) -> Self {
        self.key(key, Role::Opening)
    }

    /// Vault, key and version of a key URI. The key becomes the sealing or the signing key, by the
    /// operations that its owner limits it to.
    pub fn uri(mut self, uri: &AzureKeyVaultUri) -> Self {
        self.vault = Some(uri.host().to_owned());
        let key = match uri.version() {
            Some(version) => format!("{}/{version}", uri.key()),
            None => uri.key().to_owned(),
        };
        self.key(key, Role::Either)
    }

    /// The one algorithm that an RSA signing key is used with. Without it, all six are.
    pub fn signing_algorithm(mut self, algorithm: SigningAlgorithm) -> Self {
        self.algorithm = Some(algorithm);
        self
    }

    /// Who the provider is. Without it, what the environment says.
    pub fn credential(mut self, credential: Credential) -> Self {
        self.credential = Some(credential);
        self
    }

    /// Opens what was sealed to RSA keys.
    ///
    /// # Security
    /// Key Vault gives the public half of a key to whoever may read it, and wrapping takes nothing more. So
    /// what opens proves that its reader was meant, and not who sealed it: anybody with the public key can
    /// put another message in the place of one. Say this if senders are many and unknown, or if what is
    /// sealed is signed as well; seal to a Managed HSM's symmetric key otherwise.
    pub fn accept_public_key_wraps(mut self) -> Self {
        self.accepts_public_key_wraps = true;
        self
    }

    /// The URL of a proxy for all requests but those to the machine's own metadata service. Without it, what
    /// `HTTPS_PROXY` and `NO_PROXY` say. TLS goes through it from end to end.
    pub fn proxy(mut self, url: impl Into<String>) -> Self {
        self.proxy = Some(url.into());
        self
    }

    /// A PEM file with the certification authorities to trust, and no others: for networks whose proxy looks
    /// into TLS. Without it, those of the platform.
    pub fn ca_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.ca_file = Some(path.into());
        self
    }

    fn key(mut self, key: impl Into<String>, role: Role) -> Self {
        self.keys.push((key.into(), role));
        self
    }
}
