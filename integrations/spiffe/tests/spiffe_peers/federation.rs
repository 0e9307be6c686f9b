//! Bundle endpoints: this crate's before go-spiffe, and go-spiffe's before this crate.

use std::{fs, path::Path, sync::Arc, time::Duration};

use bulla::jwt::{InvalidToken, ProviderKeys};
use bulla_local::{KeyType, Local, Protection, Store};
use bulla_spiffe::{
    Bundle, BundleSet, JwtSvidIssuer, JwtSvidRequest, JwtSvidVerifier, LocalBundle,
    federation::{FederatedDomain, Federation, FederationPolicy},
    spiffe_id, trust_domain,
};
use bulla_testworld::{GoSpiffe, write};
use serde_json::json;

use crate::{
    bundle_of, endpoint,
    honest::{roots, unix_now},
};

const WORKLOAD: &str = "spiffe://domain.test/workload";
const ENDPOINT: &str = "spiffe://domain.test/endpoint";

/// A trust domain of this crate: one key of tokens, and one root, which a Go program made for it.
pub(crate) struct Ours {
    pub(crate) issuer: JwtSvidIssuer,
    pub(crate) bundle: Arc<LocalBundle>,
    pub(crate) url: String,
    pub(crate) roots: String,
}

impl Ours {
    /// Serves its bundle, by both profiles.
    pub(crate) async fn new(go: &GoSpiffe, dir: &Path) -> Self {
        let ca = go.trust_domain("spiffe://ours.test/workload");
        let (chain, key) = ca.svid("spiffe://ours.test/endpoint");
        let parsed = Bundle::from_json(domain("ours.test"), ca.bundle().to_string()).unwrap();
        let issuer = issuer(dir, "one").await;
        let bundle = LocalBundle::builder(domain("ours.test")).keys(issuer.keys()).sequence(7);
        let bundle = bundle.x509_authorities(parsed.x509_authorities().iter().cloned(), 0);
        let bundle = Arc::new(bundle.build().unwrap());
        let url = endpoint::serve(Arc::clone(&bundle) as _, &chain, &key).await;
        Self { issuer, bundle, url, roots: roots(&ca.bundle()) }
    }

    pub(crate) async fn token(&self) -> String {
        let request =
            JwtSvidRequest::new(spiffe_id("spiffe://ours.test/workload").unwrap(), "orders");
        self.issuer.issue(&request).await.unwrap().into_token()
    }

    /// Its bundle document, in a file.
    pub(crate) async fn document(&self, dir: &Path) -> std::path::PathBuf {
        let document = bundle_of(&*self.bundle).await.to_json().unwrap();
        write(dir, "ours.json", document)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn go_spiffe_fetches_our_bundle_by_both_profiles() {
    let Some(go) = GoSpiffe::find() else { return };
    let dir = tempfile::tempdir().unwrap();
    let ours = Ours::new(&go, dir.path()).await;
    let known = ours.document(dir.path()).await;
    let roots = write(dir.path(), "roots.pem", &ours.roots);
    let ask = |what: &str, by_web: bool| {
        let mut command = go.command("bundles");
        command.args([what, "-url", &ours.url, "-trust-domain", "ours.test"]);
        if by_web {
            command.arg("-roots").arg(&roots);
        } else {
            command.args(["-id", "spiffe://ours.test/endpoint"]).arg("-bundle").arg(&known);
        }
        command
    };
    let run = async |mut command: std::process::Command| {
        let go = go.clone();
        tokio::task::spawn_blocking(move || go.run(&mut command)).await.unwrap()
    };
    let by_web = run(ask("fetch", true)).await;
    assert_eq!(by_web, run(ask("fetch", false)).await);
    assert_eq!((&by_web[0]["sequence"], &by_web[0]["x509"]), (&7.into(), &1.into()), "{by_web:?}");
    assert_eq!(by_web[0]["refresh_hint"], 300);

    // Another root, and go-spiffe's watch has it.
    let mut watch = ask("watch", false);
    watch.args(["-updates", "2", "-every", "100ms"]);
    let (said, ()) = tokio::join!(run(watch), async {
        tokio::time::sleep(Duration::from_millis(700)).await;
        let other = go.trust_domain("spiffe://ours.test/other").bundle().to_string();
        let other = Bundle::from_json(domain("ours.test"), other).unwrap();
        let old = bundle_of(&*ours.bundle).await.x509_authorities().to_vec();
        let both = old.into_iter().chain(other.x509_authorities().iter().cloned());
        ours.bundle.set_x509_authorities(both, 1);
    });
    assert_eq!((&said[1]["sequence"], &said[1]["x509"]), (&8.into(), &2.into()), "{said:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn bundles_of_go_spiffe_are_fetched_by_both_profiles_and_renewed() {
    let Some(go) = GoSpiffe::find() else { return };
    for by_web in [true, false] {
        let theirs = go.trust_domain(WORKLOAD);
        let dir = tempfile::tempdir().unwrap();
        let (chain, key) = theirs.svid(ENDPOINT);
        let document = write(dir.path(), "bundle.json", theirs.bundle().to_string());
        let chain = write(dir.path(), "chain.pem", chain);
        let key = write(dir.path(), "key.pem", key);
        let server = go.serve("bundles", |command| {
            command.args(["-trust-domain", "domain.test"]).arg("-bundle").arg(&document);
            command.arg("-chain").arg(&chain).arg("-key").arg(&key);
        });
        let url = format!("https://localhost:{}/", server.port());
        let of = domain("domain.test");
        let known = Bundle::from_json(of.clone(), theirs.bundle().to_string()).unwrap();
        let federated = if by_web {
            let roots = roots(&theirs.bundle());
            FederatedDomain::https_web(of.clone(), &url).unwrap().root_certificate(roots)
        } else {
            let endpoint = spiffe_id(ENDPOINT).unwrap();
            FederatedDomain::https_spiffe(of.clone(), &url, endpoint, Some(known)).unwrap()
        };
        let bundles = BundleSet::new();
        let federation = Federation::new(bundles.clone(), FederationPolicy::default()).unwrap();
        federation.add(federated).unwrap();
        federation.refresh(&of).await.unwrap();
        let verifier =
            JwtSvidVerifier::builder(bundles.clone()).audience("orders").build().unwrap();
        let claims = json!({"sub": WORKLOAD, "aud": ["orders"], "exp": unix_now() + 300});
        let token = || theirs.token(&json!({"typ": "JWT"}), &claims);
        verifier.verify(&token()).await.unwrap();

        // A new key, which is known after the next look.
        let older = theirs.bundle().to_string();
        theirs.rotate_key();
        let error = verifier.verify(&token()).await.unwrap_err();
        assert_eq!(InvalidToken::of(&error), Some(InvalidToken::UnknownKey));
        let put = |text: String| fs::rename(write(dir.path(), "next", text), &document).unwrap();
        put(theirs.bundle().to_string());
        federation.refresh(&of).await.unwrap();
        verifier.verify(&token()).await.unwrap();

        // An old bundle again is no news.
        put(older);
        federation.refresh(&of).await.unwrap_err();
        verifier.verify(&token()).await.unwrap();
        assert!(federation.remove(&of));
        verifier.verify(&token()).await.unwrap_err();
    }
}

async fn issuer(dir: &Path, name: &str) -> JwtSvidIssuer {
    let store = Store::at(dir.join(name));
    store.create_key("id", KeyType::P256, &Protection::None).unwrap();
    let local = Arc::new(Local::builder(store).signing_key("id").build().unwrap());
    let keys = Arc::new(ProviderKeys::new(local));
    JwtSvidIssuer::builder(domain("ours.test"), keys).build().await.unwrap()
}

pub(crate) fn domain(name: &str) -> bulla_spiffe::TrustDomain {
    trust_domain(name).unwrap()
}
