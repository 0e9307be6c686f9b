//! From what the application said to a provider whose keys were looked at.

use std::{
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use bulla::{Error, ErrorKind, Operation, Result};
use rustls::ClientConfig;
use zeroize::Zeroizing;

use crate::{
    address::Address,
    auth::Method,
    body,
    bound::{Bound, Keys, Places, SCHEME},
    capabilities,
    client::Transit,
    environment::{self, Environment},
    http::Http,
    login::{Desk, namespace_header},
    provider::Vault,
    server::{Server, Shared},
    session::Session,
    settings::VaultBuilder,
    tls::{self, Identity},
};

/// The most bytes of a file with certificates or a key.
const MAX_PEM_LEN: u64 = 1024 * 1024;

/// The longest realm, and the longest name of a key.
const MAX_REALM_LEN: usize = 64;
const MAX_KEY_LEN: usize = 128;

impl VaultBuilder {
    /// Logs in and looks at every key. Takes a tokio runtime.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] if no key is bound, no address or no way to log in is known, or something
    /// given is not well-formed; [`ErrorKind::Denied`] if logging in is refused, or looking at a key, with
    /// what to grant; [`ErrorKind::NotFound`] for a key that is not there: none is made;
    /// [`ErrorKind::Unsupported`] for a key of the wrong kind; [`ErrorKind::Disabled`] for one that is
    /// soft-deleted; otherwise why the server could not be asked.
    pub async fn build(self) -> Result<Vault> {
        let label: Arc<str> = self.label.as_deref().unwrap_or(SCHEME).into();
        let connected = async {
            self.check_keys()?;
            let server = Arc::new(self.server(&Shared::default()).await?);
            self.bind(Arc::clone(&label), &server).await
        };
        connected.await.map_err(|e| e.with_provider(label).with_operation(Operation::Build))
    }

    /// The same over a server that others have connected to, if there is one.
    pub(crate) async fn build_on(self, shared: &Shared) -> Result<Vault> {
        let label: Arc<str> = self.label.as_deref().unwrap_or(SCHEME).into();
        let connected = async {
            self.check_keys()?;
            let server = shared.get(self.namespace.as_deref(), self.server(shared)).await?;
            self.bind(Arc::clone(&label), &server).await
        };
        connected.await.map_err(|e| e.with_provider(label).with_operation(Operation::Build))
    }

    fn check_keys(&self) -> Result<()> {
        if self.keys.is_empty() {
            let message = "no key is bound; give a sealing key, a signing key, or keys to open";
            return Err(Error::new(ErrorKind::InvalidInput, message));
        }
        body::path("mount", &self.mount)?;
        self.keys.iter().try_for_each(|(key, _)| check("key", key, MAX_KEY_LEN))
    }

    /// Logs in.
    async fn server(&self, shared: &Shared) -> Result<Server> {
        let environment = Environment::new(self.family, &environment::process);
        let address = match &self.address {
            Some(address) => Address::parse(address)?,
            None => Address::parse(&environment.address()?)?,
        };
        let namespace = self.namespace.clone().or_else(|| environment.namespace());
        let namespace = match namespace.as_deref().unwrap_or_default().trim_matches('/') {
            "" => String::new(),
            other => body::path("namespace", other)?.to_owned(),
        };
        let realm = self.realm.clone().or_else(|| environment.realm());
        if let Some(realm) = &realm {
            check("realm", realm, MAX_REALM_LEN)?;
        }
        let auth = match &self.auth {
            Some(auth) => auth.clone(),
            None => shared.auth(|| environment.auth())?,
        };
        let tls = self.tls(&address, &environment, &auth.method)?;
        let http = Http::new(address, tls)?;
        let header = namespace_header(&namespace)?;
        let desk = Desk::new(http.clone(), auth, header.clone())?;
        let (realm, cluster) = match realm {
            Some(realm) => (realm, None),
            None => {
                let cluster = desk.cluster().await?;
                (cluster.clone(), Some(cluster))
            }
        };
        let session = Arc::new(Session::new(desk, cluster));
        session.begin().await?;
        Ok(Server::new(http, namespace, header, realm, session))
    }

    /// Looks at the keys.
    async fn bind(self, label: Arc<str>, server: &Arc<Server>) -> Result<Vault> {
        let transit = Transit::new(server.enter());
        let mount = body::path("mount", &self.mount)?;
        let mut keys = Keys::default();
        for (key, role) in &self.keys {
            let places = Places::new(server.http.address(), mount, key)?;
            let described = transit.describe(&places).await?;
            let bound = Bound::new(&server.realm, &server.namespace, mount, places, &described)?;
            keys.add(bound, *role)?;
        }
        let capabilities = capabilities::of(&keys, self.algorithm)?;
        let server_data_keys = self.server_data_keys;
        Ok(Vault { label, capabilities, keys, transit, server_data_keys })
    }

    fn tls(
        &self,
        address: &Address,
        environment: &Environment<'_>,
        method: &Method,
    ) -> Result<ClientConfig> {
        let ca = match &self.ca_file {
            Some(path) => Some(path.clone()),
            None => environment.ca_file()?,
        };
        let identity = match &self.client_certificate {
            Some(paths) => Some(paths.clone()),
            None => environment.client_certificate()?,
        };
        if matches!(method, Method::Certificate { .. })
            && (identity.is_none() || !address.is_https())
        {
            let message = "logging in by a certificate takes https and a client certificate";
            return Err(Error::new(ErrorKind::InvalidInput, message));
        }
        if !address.is_https() {
            return tls::none();
        }
        let ca = ca.map(|path| read(&path)).transpose()?;
        let identity = identity.map(|(chain, key): (PathBuf, PathBuf)| {
            let chain = read(&chain)?.to_vec();
            Ok::<_, Error>(Identity { chain, key: read(&key)? })
        });
        tls::config(ca.as_deref().map(Vec::as_slice), identity.transpose()?.as_ref())
    }
}

fn check(what: &str, text: &str, max: usize) -> Result<()> {
    match body::is_segment(text) && text.len() <= max {
        true => Ok(()),
        false => Err(Error::new(
            ErrorKind::InvalidInput,
            format!("the {what} is not 1 to {max} of [A-Za-z0-9._-], nor \".\" or \"..\""),
        )),
    }
}

/// Into memory of a fixed size, which is wiped.
fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>> {
    let cannot = |why: String| {
        let message = format!("{:?} can't be read: {why}", path.display().to_string());
        Error::new(ErrorKind::InvalidInput, message)
    };
    let file = File::open(path).map_err(|e| cannot(e.kind().to_string()))?;
    let len = file.metadata().map_err(|e| cannot(e.kind().to_string()))?.len();
    if len > MAX_PEM_LEN {
        return Err(cannot("it is too long".to_owned()));
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(len).unwrap_or(0) + 1));
    let read = file.take(MAX_PEM_LEN).read_to_end(&mut bytes);
    read.map_err(|e| cannot(e.kind().to_string()))?;
    Ok(bytes)
}
