//! A server that was logged in to. Providers that one scheme connects share it: a session, and its
//! connections, for all their keys.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc, OnceLock, Weak,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use bulla::Result;
use http::HeaderValue;
use tokio::sync::Mutex;

use crate::{auth::Auth, http::Http, session::Session};

#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) http: Http,
    /// Without slashes around it; empty for the root.
    pub(crate) namespace: String,
    /// The same in a header.
    pub(crate) header: Option<HeaderValue>,
    pub(crate) realm: String,
    pub(crate) session: Arc<Session>,
    /// Providers that have not been closed.
    users: AtomicUsize,
}

impl Server {
    pub(crate) fn new(
        http: Http,
        namespace: String,
        header: Option<HeaderValue>,
        realm: String,
        session: Arc<Session>,
    ) -> Self {
        Self { http, namespace, header, realm, session, users: AtomicUsize::new(0) }
    }

    /// One more provider uses it.
    pub(crate) fn enter(self: &Arc<Self>) -> Use {
        self.users.fetch_add(1, SeqCst);
        Use { server: Arc::clone(self), left: AtomicUsize::new(0) }
    }
}

/// One provider's use of a server.
#[derive(Debug)]
pub(crate) struct Use {
    pub(crate) server: Arc<Server>,
    /// How often it was left, of which the first counts.
    left: AtomicUsize,
}

impl Use {
    pub(crate) fn has_left(&self) -> bool {
        self.left.load(SeqCst) > 0
    }

    /// Ends the session with its last user.
    pub(crate) async fn leave(&self) -> Result<()> {
        match self.count() {
            true => self.server.session.close().await,
            false => Ok(()),
        }
    }

    /// Whether that was the last one.
    fn count(&self) -> bool {
        self.left.fetch_add(1, SeqCst) == 0 && self.server.users.fetch_sub(1, SeqCst) == 1
    }
}

/// Its token is left to expire.
impl Drop for Use {
    fn drop(&mut self) {
        self.count();
    }
}

/// What the keys of one scheme share.
#[derive(Clone, Default)]
pub(crate) struct Shared {
    /// How to log in, as the environment says: a wrapping token of it is good once.
    auth: Arc<OnceLock<Auth>>,
    /// The servers that were connected to, by the namespace that was asked for.
    servers: Arc<Mutex<BTreeMap<Option<String>, Weak<Server>>>>,
}

impl Shared {
    pub(crate) fn auth(&self, find: impl FnOnce() -> Result<Auth>) -> Result<Auth> {
        if let Some(auth) = self.auth.get() {
            return Ok(auth.clone());
        }
        let found = find()?;
        Ok(self.auth.get_or_init(|| found).clone())
    }

    /// The one at hand, or another one. Who comes meanwhile waits for it, so that there is one login.
    pub(crate) async fn get(
        &self,
        namespace: Option<&str>,
        connect: impl Future<Output = Result<Server>> + Send,
    ) -> Result<Arc<Server>> {
        let mut servers = self.servers.lock().await;
        let known = servers.get(&namespace.map(str::to_owned)).and_then(Weak::upgrade);
        if let Some(known) = known.filter(|known| known.session.check_open().is_ok()) {
            return Ok(known);
        }
        let server = Arc::new(connect.await?);
        servers.insert(namespace.map(str::to_owned), Arc::downgrade(&server));
        Ok(server)
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shared")
    }
}
