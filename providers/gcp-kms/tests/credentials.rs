//! Where tokens come from, and what happens when they have died.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    reason = "helpers of tests are tests too"
)]

mod world;

use std::time::{Duration, Instant};

use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der},
    rsa::{KeyPair, KeySize},
    signature::KeyPair as _,
};
use bulla::{CryptoProvider as _, DataKeys as _, ErrorKind, Result, registry::Connect as _};
use bulla_gcp_kms::{GcpKms, GcpKmsBuilder, GcpKmsScheme};
use bulla_testworld::CloudKms;
use pem_rfc7468::{LineEnding, encode_string};
use serde_json::{Value, json};
use world::context;

struct World {
    kms: CloudKms,
    key: String,
    dir: tempfile::TempDir,
}

impl World {
    fn new() -> Option<Self> {
        let kms = CloudKms::start()?;
        let key = kms.sealing_key("orders");
        Some(Self { kms, key, dir: tempfile::tempdir().unwrap() })
    }

    fn write(&self, credentials: &Value) {
        std::fs::write(self.dir.path().join("c.json"), credentials.to_string()).unwrap();
    }

    fn builder(&self) -> GcpKmsBuilder {
        let file = self.dir.path().join("c.json");
        GcpKms::builder().endpoint(self.kms.url()).credentials_file(file).sealing_key(&self.key)
    }

    /// A user's, as gcloud writes them.
    fn user(&self, refresh: &str) -> Value {
        json!({"type": "authorized_user", "client_id": "c", "client_secret": "s",
            "refresh_token": refresh, "token_uri": format!("{}/oauth/token", self.kms.url())})
    }

    /// Calls until one succeeds.
    async fn until_it_serves(&self, kms: &GcpKms) {
        let start = Instant::now();
        while let Err(error) = kms.generate_data_key(&context()).await {
            assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
            assert!(start.elapsed() < Duration::from_secs(60), "{error}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

async fn serves(kms: &GcpKms) -> Result<()> {
    let (_, wrapped) = kms.generate_data_key(&context()).await?;
    kms.unwrap_data_key(&wrapped, &context()).await.map(drop)
}

/// Public half and private half, in PEM.
fn pair() -> (String, String) {
    let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
    let private: Pkcs8V1Der<'_> = pair.as_der().unwrap();
    let public: PublicKeyX509Der<'_> = pair.public_key().as_der().unwrap();
    let pem = |label, der| encode_string(label, LineEnding::LF, der).unwrap();
    (pem("PUBLIC KEY", public.as_ref()), pem("PRIVATE KEY", private.as_ref()))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_account_signs_its_own_tokens() {
    let Some(world) = World::new() else { return };
    let email = "app@p.iam.gserviceaccount.com";
    let ((public, private), (_, stranger)) = (pair(), pair());
    world.kms.principal(&json!({"email": email, "publicKey": public}));
    let account = |private: &str| {
        json!({"type": "service_account", "project_id": "p", "client_email": email,
            "client_id": "1", "private_key_id": "k", "private_key": private,
            "token_uri": format!("{}/oauth/token", world.kms.url())})
    };
    world.write(&account(&private));
    let kms = world.builder().build().await.unwrap();
    serves(&kms).await.unwrap();
    assert_eq!(world.kms.tokens_given(), 0);

    // A key that was revoked, and then replaced in its file under a running provider.
    world.write(&account(&stranger));
    let error = world.builder().build().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
    let kms = {
        world.write(&account(&private));
        let kms = world.builder().build().await.unwrap();
        world.kms.ok("POST", "/control/forget", &json!({}));
        let error = kms.generate_data_key(&context()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
        kms
    };
    let (public, private) = pair();
    world.kms.principal(&json!({"email": email, "publicKey": public}));
    world.write(&account(&private));
    world.until_it_serves(&kms).await;
    serves(&kms).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workload_exchanges_its_token() {
    let Some(world) = World::new() else { return };
    let subject = world.dir.path().join("token");
    std::fs::write(&subject, "workload").unwrap();
    world.kms.principal(&json!({"subject": "workload"}));
    world.write(&json!({"type": "external_account",
        "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/a/providers/b",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": format!("{}/sts/token", world.kms.url()),
        "credential_source": {"file": subject.display().to_string()}}));
    let kms = world.builder().build().await.unwrap();
    serves(&kms).await.unwrap();
    assert_eq!(world.kms.tokens_given(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_token_serves_all_and_is_replaced_when_it_is_not_taken() {
    let Some(world) = World::new() else { return };
    world.kms.principal(&json!({"subject": "refresh"}));
    world.write(&world.user("refresh"));
    let kms = world.builder().build().await.unwrap();
    for _ in 0..32 {
        serves(&kms).await.unwrap();
    }
    assert_eq!(world.kms.tokens_given(), 1);
    world.kms.ok("POST", "/control/revoke", &json!({}));
    let calls = (0..64).map(|_| serves(&kms));
    for answer in futures_util::future::join_all(calls).await {
        answer.unwrap();
    }
    assert_eq!(world.kms.tokens_given(), 2);
}

/// All keys of a registry.
#[tokio::test(flavor = "multi_thread")]
async fn keys_of_one_scheme_share_a_token() {
    let Some(world) = World::new() else { return };
    world.kms.principal(&json!({"subject": "refresh"}));
    world.write(&world.user("refresh"));
    let builder = GcpKms::builder().credentials_file(world.dir.path().join("c.json"));
    let scheme = GcpKmsScheme::new(builder);
    for name in ["one", "two", "three"] {
        let uri = format!("gcpkms://{}?endpoint={}", world.kms.sealing_key(name), world.kms.url());
        let kms = scheme.connect(&uri.parse().unwrap(), name).await.unwrap();
        assert_eq!(kms.label(), name);
        kms.generate_data_key(&context()).await.unwrap();
    }
    assert_eq!(world.kms.tokens_given(), 1);
    let other = "local:x".parse().unwrap();
    assert_eq!(scheme.connect(&other, "x").await.unwrap_err().kind(), ErrorKind::InvalidInput);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_does_not_last_for_ever() {
    let Some(world) = World::new() else { return };
    world.write(&world.user("refresh"));
    let error = world.builder().build().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
    assert!(error.message().contains("no token could be had"), "{error}");
    world.kms.principal(&json!({"subject": "refresh", "lifetime": 1}));
    let kms = world.builder().build().await.unwrap();
    serves(&kms).await.unwrap();
    // The user withdraws it, and gives another one. Renewed after ten seconds, it is refused.
    world.kms.ok("POST", "/control/forget", &json!({}));
    let start = Instant::now();
    while serves(&kms).await.is_ok() {
        assert!(start.elapsed() < Duration::from_secs(60));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    world.kms.principal(&json!({"subject": "other"}));
    world.write(&world.user("other"));
    world.until_it_serves(&kms).await;
}

/// The SDK's task ends with the runtime on which it was begun.
#[test]
fn a_provider_outlives_the_runtime_that_it_was_built_on() {
    let Some(world) = World::new() else { return };
    world.kms.principal(&json!({"subject": "refresh", "lifetime": 1}));
    world.write(&world.user("refresh"));
    let runtime = || tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let first = runtime();
    let kms = first.block_on(async {
        let kms = world.builder().build().await.unwrap();
        serves(&kms).await.unwrap();
        kms
    });
    drop(first);
    std::thread::sleep(Duration::from_millis(1500));
    runtime().block_on(async {
        serves(&kms).await.unwrap();
        kms.health().await.unwrap();
    });
}
