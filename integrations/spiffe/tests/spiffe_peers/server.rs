//! This crate's Workload API, before the clients of others.

use std::{sync::Arc, time::Duration};

use bulla::{Sign, jwt::ProviderKeys};
use bulla_local::{KeyType, Local, Protection, Store};
use bulla_spiffe::{
    Bundle, BundleSet, JwtSvidIssuer, SpiffeId,
    authority::{CaPolicy, X509Authority},
    server::{Entry, WorkloadServer, WorkloadSocket},
    spiffe_id,
};
use bulla_testworld::{GoSpiffe, Python};
use tempfile::TempDir;
use tokio::sync::oneshot;

use crate::{
    federation::domain,
    served::{SOCKET, Served},
};

const ID: &str = "spiffe://ours.test/workload";

#[tokio::test(flavor = "multi_thread")]
async fn the_clients_in_go_and_in_python_are_served() {
    let (Some(go), Some(python)) = (GoSpiffe::find(), Python::for_spiffe()) else { return };
    let ours = Ours::start(Entry::new(id()).anybody()).await;
    let endpoint = ours.endpoint();
    tokio::task::block_in_place(|| {
        let served = Served { endpoint: &endpoint, id: ID };
        let found = served.by_go(&go);
        assert_eq!(found["x509"][0]["chain"], 1, "{found}");
        let by_python = served.by_python(&python);
        assert_eq!(by_python["x509"][0]["serial"], found["x509"][0]["serial"], "issued once");
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn the_python_client_is_served_at_any_spelling_of_the_socket() {
    let Some(python) = Python::for_spiffe() else { return };
    let ours = Ours::start(Entry::new(id()).anybody()).await;
    let path = ours.dir.path().join("api.sock");
    for endpoint in [format!("unix:{}", path.display()), format!("unix://{}", path.display())] {
        let served = Served { endpoint: &endpoint, id: ID };
        tokio::task::block_in_place(|| served.by_python(&python));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_watch_are_told_of_each_rotation() {
    let (Some(go), Some(python)) = (GoSpiffe::find(), Python::for_spiffe()) else { return };
    let ours = Ours::start(Entry::new(id()).anybody()).await;
    let endpoint = ours.endpoint();
    let served = Served { endpoint: &endpoint, id: ID };
    let (mut in_go, mut in_python) =
        (served.watched_by_go(&go, 2), served.watched_by_python(&python, 2));
    let serials = |in_go: &mut crate::served::Watch, in_python: &mut crate::served::Watch| {
        tokio::task::block_in_place(|| (in_go.serial(), in_python.serial()))
    };
    let before = serials(&mut in_go, &mut in_python);
    assert_eq!(before.0, before.1);
    let next = authority(ours.key(), Some(&ours.authority)).await;
    ours.server.set_authority(Arc::new(next)).unwrap();
    let after = serials(&mut in_go, &mut in_python);
    assert_eq!(after.0, after.1);
    assert_ne!(after.0, before.0);
    tokio::task::block_in_place(|| (in_go.end(), in_python.end()));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_fits_no_entry_is_refused() {
    let Some(go) = GoSpiffe::find() else { return };
    let ours = Ours::start(Entry::new(id()).executable("/bin/true")).await;
    let mut command = go.command("workload");
    command.args(["fetch", "-audience", "orders"]).env(SOCKET, ours.endpoint());
    let refusal = tokio::task::block_in_place(|| go.refusal(&mut command));
    assert!(refusal.contains("PermissionDenied"), "{refusal}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_go_program_has_an_entry_of_its_own() {
    let Some(go) = GoSpiffe::find() else { return };
    let other = spiffe_id("spiffe://ours.test/other").unwrap();
    let program = go.program("workload");
    let ours = Ours::start(Entry::new(id()).executable(program)).await;
    let entries = [
        Entry::new(id()).executable(go.program("workload")).hint("first"),
        Entry::new(other).executable("/bin/true"),
    ];
    ours.server.set_entries(entries).unwrap();
    let endpoint = ours.endpoint();
    let found = tokio::task::block_in_place(|| Served { endpoint: &endpoint, id: ID }.by_go(&go));
    assert_eq!(found["x509"].as_array().unwrap().len(), 1, "{found}");
    assert_eq!(
        (&found["x509"][0]["hint"], &found["jwt"][0]["hint"]),
        (&"first".into(), &"first".into())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn federated_bundles_are_told() {
    let Some(go) = GoSpiffe::find() else { return };
    let theirs = go.trust_domain("spiffe://domain.test/workload");
    let federated = domain("domain.test");
    let bundles = BundleSet::new();
    let document = theirs.bundle().to_string();
    bundles.insert(Bundle::from_json(federated.clone(), document).unwrap());
    let entry = Entry::new(id()).anybody().federates_with(federated);
    let ours = Ours::start_with(entry, bundles).await;
    let endpoint = ours.endpoint();
    let found = tokio::task::block_in_place(|| Served { endpoint: &endpoint, id: ID }.by_go(&go));
    assert_eq!(found["x509_bundles"]["domain.test"], 1, "{found}");
    assert_eq!(found["jwt_bundles"]["domain.test"], serde_json::json!(["key-1"]), "{found}");
}

/// A server at a socket, of one key for certificates and another one for tokens.
struct Ours {
    server: WorkloadServer,
    authority: X509Authority,
    dir: TempDir,
    stop: Option<oneshot::Sender<()>>,
}

impl Ours {
    async fn start(entry: Entry) -> Self {
        Self::start_with(entry, BundleSet::new()).await
    }

    async fn start_with(entry: Entry, bundles: BundleSet) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let authority = authority(local(&dir, "x509"), None).await;
        let keys = Arc::new(ProviderKeys::new(local(&dir, "jwt")));
        let issuer = JwtSvidIssuer::builder(domain("ours.test"), keys).build().await.unwrap();
        let again = X509Authority::builder(domain("ours.test"), local(&dir, "x509") as _);
        let served = again.with_certificates(authority.certificates()).await.unwrap();
        let server = WorkloadServer::builder(Arc::new(served)).jwt(Arc::new(issuer));
        let server = server.bundles(bundles).entry(entry).build().unwrap();
        let socket = WorkloadSocket::bind(dir.path().join("api.sock"), 0o666).unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = server.clone();
        tokio::spawn(async move { serving.serve(socket, async { drop(stopped.await) }).await });
        Self { server, authority, dir, stop: Some(stop) }
    }

    fn endpoint(&self) -> String {
        format!("unix://{}/api.sock", self.dir.path().display())
    }

    /// Another key.
    fn key(&self) -> Arc<Local> {
        local(&self.dir, "next")
    }
}

impl Drop for Ours {
    fn drop(&mut self) {
        drop(self.stop.take());
    }
}

/// An authority with a root of its own, which trusts that of the one before too.
async fn authority(key: Arc<Local>, before: Option<&X509Authority>) -> X509Authority {
    let mut builder = X509Authority::builder(domain("ours.test"), key as Arc<dyn Sign>);
    for root in before.iter().flat_map(|before| before.roots()) {
        builder = builder.also_trust(root);
    }
    builder.life(Duration::from_secs(600)).self_signed(CaPolicy::root()).await.unwrap()
}

fn local(dir: &TempDir, name: &str) -> Arc<Local> {
    let store = Store::at(dir.path().join(name));
    if !store.exists() {
        store.create_key("id", KeyType::P256, &Protection::None).unwrap();
    }
    Arc::new(Local::builder(store).signing_key("id").build().unwrap())
}

fn id() -> SpiffeId {
    spiffe_id(ID).unwrap()
}
