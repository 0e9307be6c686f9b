//! From what the application said to a provider whose keys were looked at.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read as _},
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use bulla::{
    Error, ErrorKind, Operation, Result,
    provider::{Bindings, BoundKey as _},
};

use crate::{
    bound::Bound,
    capabilities,
    client::KeyVault,
    cloud::Cloud,
    credential::Source,
    id::{KeyId, SCHEME},
    metadata::Wrapping,
    provider::AzureKeyVault,
    settings::AzureKeyVaultBuilder,
    tls,
    tokens::Tokens,
    transport::Network,
};

/// The most bytes of a file with certificates.
const MAX_PEM_LEN: u64 = 1024 * 1024;

impl AzureKeyVaultBuilder {
    /// Asks the vault for every key, one request each and one more for the first. Takes a tokio runtime.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] if no vault or no key is given, or one is not well-formed, or what the
    /// environment says of credentials is incomplete; [`ErrorKind::Denied`] if there are no credentials, or
    /// they are refused, or the vault does not let them look at a key; [`ErrorKind::NotFound`],
    /// [`ErrorKind::Disabled`] or [`ErrorKind::PendingDeletion`] for a key that can't be used;
    /// [`ErrorKind::Unsupported`] for one of the wrong kind; otherwise why the vault could not be asked.
    pub async fn build(self) -> Result<AzureKeyVault> {
        self.build_on(&Shared::default()).await
    }

    /// The same with the tokens and connections of others, if there are any for the same audience.
    pub(crate) async fn build_on(self, shared: &Shared) -> Result<AzureKeyVault> {
        let label: Arc<str> = self.label.as_deref().unwrap_or(SCHEME).into();
        let built = self.connect(Arc::clone(&label), shared).await;
        built.map_err(|e| e.with_provider(label).with_operation(Operation::Build))
    }

    async fn connect(self, label: Arc<str>, shared: &Shared) -> Result<AzureKeyVault> {
        let vault = self.vault.as_deref().ok_or_else(|| invalid("no vault is given"))?;
        let mut wanted = Vec::new();
        let mut cloud = None;
        for (key, role) in &self.keys {
            let (id, uri) = KeyId::parse(vault, key)?;
            cloud = Some(Cloud::of(uri.host(), uri.is_managed_hsm()));
            wanted.push((id, *role));
        }
        let none = "no key is bound; give a sealing key, a signing key, or keys to open";
        let cloud = cloud.ok_or_else(|| invalid(none))?;

        let (network, tokens) = shared.get(&cloud.scope, || {
            let ca = self.ca_file.as_deref().map(read).transpose()?;
            let network = Network::new(tls::config(ca.as_deref())?, self.proxy.as_deref())?;
            let source = Source::new(self.credential, &network, &cloud)?;
            Ok((network, Tokens::new(cloud.scope.clone(), source)))
        })?;
        let vault = KeyVault::new(&cloud, tokens, &network)?;

        let mut keys: Bindings<Bound> = Bindings::default();
        for (id, role) in wanted {
            let described = vault.describe(&id, id.pinned.as_ref()).await?;
            let bound = Bound::new(id, described, role)?;
            if bound.wrapping() == Some(Wrapping::KeyWrap) && !cloud.is_managed_hsm {
                let message =
                    format!("key {} is symmetric, which only Managed HSMs have", bound.name);
                return Err(Error::new(ErrorKind::Unsupported, message));
            }
            if let Some(known) =
                keys.find(&bound.name).filter(|known| known.seals() != bound.seals())
            {
                let message = format!("key {} is bound both to seal and to sign", known.name);
                return Err(Error::new(ErrorKind::InvalidInput, message));
            }
            keys.add(bound, role)?;
        }
        let capabilities = capabilities::of(&keys, self.algorithm)?;
        Ok(AzureKeyVault::new(label, capabilities, keys, self.accepts_public_key_wraps, vault))
    }
}

/// What the providers of one scheme have in common: a login and connections for each audience.
#[derive(Debug, Default)]
pub(crate) struct Shared(Mutex<BTreeMap<String, (Network, Tokens)>>);

impl Shared {
    fn get(
        &self,
        scope: &str,
        make: impl FnOnce() -> Result<(Network, Tokens)>,
    ) -> Result<(Network, Tokens)> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = all.get(scope) {
            return Ok(known.clone());
        }
        let made = make()?;
        all.insert(scope.to_owned(), made.clone());
        Ok(made)
    }
}

fn read(path: &Path) -> Result<Vec<u8>> {
    let cannot = |error: &io::Error| {
        let path = path.display().to_string();
        Error::new(ErrorKind::InvalidInput, format!("{path:?} can't be read: {}", error.kind()))
    };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|e| cannot(&e))?;
    file.take(MAX_PEM_LEN).read_to_end(&mut bytes).map_err(|e| cannot(&e))?;
    Ok(bytes)
}

fn invalid(message: &'static str) -> Error {
    Error::new(ErrorKind::InvalidInput, message)
}
