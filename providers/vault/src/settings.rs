//! What the application says: which keys, where, and how to log in.

use std::path::PathBuf;

use bulla::{SigningAlgorithm, key::VaultUri, provider::Role};

use crate::{auth::Auth, environment::Family, provider::Vault};

/// Binds keys of one transit engine to a [`Vault`] provider.
#[derive(Clone, Debug)]
#[must_use]
pub struct VaultBuilder {
    pub(crate) family: Family,
    pub(crate) label: Option<String>,
    pub(crate) address: Option<String>,
    pub(crate) namespace: Option<String>,
    pub(crate) mount: String,
    pub(crate) realm: Option<String>,
    pub(crate) auth: Option<Auth>,
    pub(crate) ca_file: Option<PathBuf>,
    pub(crate) client_certificate: Option<(PathBuf, PathBuf)>,
    pub(crate) keys: Vec<(String, Role)>,
    pub(crate) algorithm: Option<SigningAlgorithm>,
    pub(crate) server_data_keys: bool,
}

impl Vault {
    /// A provider that finds what it is not told in the environment variables of Vault's command:
    /// `VAULT_ADDR`, `VAULT_TOKEN`, `VAULT_NAMESPACE`, `VAULT_CACERT`, `VAULT_CLIENT_CERT` and
    /// `VAULT_CLIENT_KEY`.
    pub fn builder() -> VaultBuilder {
        VaultBuilder::new(Family::Vault)
    }

    /// The same with those of OpenBao's: `BAO_ADDR` and so on, or `VAULT_ADDR` and so on where none of them
    /// is set.
    pub fn openbao() -> VaultBuilder {
        VaultBuilder::new(Family::OpenBao)
    }
}

impl VaultBuilder {
    pub(crate) fn new(family: Family) -> Self {
        Self {
            family,
            label: None,
            address: None,
            namespace: None,
            mount: "transit".to_owned(),
            realm: None,
            auth: None,
            ca_file: None,
            client_certificate: None,
            keys: Vec::new(),
            algorithm: None,
            server_data_keys: false,
        }
    }

    /// The name in errors, logs and metrics. `transit` if none is given.
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// The URL of the server, or of an agent. `http` for this host only.
    pub fn address(mut self, url: impl Into<String>) -> Self {
        self.address = Some(url.into());
        self
    }

    /// The namespace of keys and login. Without it, that of the environment, or the root.
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = Some(namespace.into());
        self
    }

    /// The path at which the engine is mounted. `transit` if none is given.
    pub fn mount(mut self, mount: impl Into<String>) -> Self {
        self.mount = mount.into();
        self
    }

    /// What keys are named by beside namespace, mount and key: 1 to 64 of `[A-Za-z0-9._-]`. Without it, the
    /// id of the cluster, which the server is asked for. Give one where several clusters have the same
    /// keys (performance replication, a key that was exported and imported), or where asking is not let.
    ///
    /// # Security
    /// Whoever says the same realm of two servers says that their keys of one name are the same: a record of
    /// the one is then sent to the other.
    pub fn realm(mut self, realm: impl Into<String>) -> Self {
        self.realm = Some(realm.into());
        self
    }

    /// How to log in. Without it, what the environment says.
    pub fn auth(mut self, auth: Auth) -> Self {
        self.auth = Some(auth);
        self
    }

    /// A PEM file with the certification authorities to trust, and no others. Without it, those of the
    /// platform.
    pub fn ca_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.ca_file = Some(path.into());
        self
    }

    /// PEM files with the certificate to show, its chain behind it, and its key. They are read when the
    /// provider is built.
    pub fn client_certificate(
        mut self,
        chain: impl Into<PathBuf>,
        key: impl Into<PathBuf>,
    ) -> Self {
        self.client_certificate = Some((chain.into(), key.into()));
        self
    }

    /// The key that new data is sealed to. It may open too.
    pub fn sealing_key(self, key: impl Into<String>) -> Self {
        self.key(key, Role::Sealing)
    }

    /// The key that signs.
    pub fn signing_key(self, key: impl Into<String>) -> Self {
        self.key(key, Role::Signing)
    }

    /// One more key: one to open with, or one to verify with.
    pub fn also_open(self, key: impl Into<String>) -> Self {
        self.key(key, Role::Opening)
    }

    /// Key, mount and namespace of a key URI. The key becomes the sealing or the signing key, whichever it
    /// can be.
    pub fn uri(mut self, uri: &VaultUri) -> Self {
        uri.mount().clone_into(&mut self.mount);
        self.namespace = uri.namespace().map(str::to_owned).or(self.namespace);
        self.key(uri.key(), Role::Either)
    }

    /// The one algorithm that an RSA signing key is used with. Without it, all six are.
    pub fn signing_algorithm(mut self, algorithm: SigningAlgorithm) -> Self {
        self.algorithm = Some(algorithm);
        self
    }

    /// Has the server make data keys, by `datakey/plaintext`, where its random numbers are to be used (those
    /// of an HSM, say). It takes that right beside the others. Without it, they are drawn on this machine.
    pub fn server_data_keys(mut self) -> Self {
        self.server_data_keys = true;
        self
    }

    fn key(mut self, key: impl Into<String>, role: Role) -> Self {
        self.keys.push((key.into(), role));
        self
    }
}
