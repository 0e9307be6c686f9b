//! JWT-SVIDs as a workload keeps them.

use std::{
    sync::{Arc, Mutex, atomic::Ordering::SeqCst},
    time::{Duration, SystemTime},
};

use bulla::ErrorKind;
use bulla_spiffe::{BundleSet, JwtSvidVerifier, workload::WorkloadApi};
use futures_util::future::join_all;

use crate::world::{Running, Tokens, entry, eventually, id, uid};

async fn running(tokens: &Tokens) -> Running {
    let issuer = Arc::clone(&tokens.issuer);
    Running::with(|builder| {
        let builder = builder.jwt(issuer).entry(entry("orders").anybody());
        builder.entry(entry("billing").anybody())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_kept_costs_no_call() {
    let tokens = Tokens::new().await;
    let running = running(&tokens).await;
    let svids = running.api().jwt_svids();
    let first = svids.svid(["reports"]).await.unwrap();
    let calls = tokens.key.calls();
    // With the server gone, there is nobody to call.
    running.stop().await.unwrap();
    for _ in 0..1000 {
        assert!(Arc::ptr_eq(&svids.svid(["reports"]).await.unwrap(), &first));
    }
    assert_eq!(tokens.key.calls(), calls);
    let error = svids.svid(["others"]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_who_want_the_same_are_one_call() {
    let tokens = Tokens::new().await;
    let running = running(&tokens).await;
    let svids = running.api().jwt_svids();
    let all = join_all((0..100).map(|_| svids.svid(["reports"]))).await;
    let first = all[0].as_ref().unwrap();
    assert!(all.iter().all(|svid| Arc::ptr_eq(svid.as_ref().unwrap(), first)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_kept_by_id_and_audiences_in_any_order() {
    let tokens = Tokens::new().await;
    let running = running(&tokens).await;
    let svids = running.api().jwt_svids();
    let one = svids.svid(["a", "b"]).await.unwrap();
    assert!(Arc::ptr_eq(&svids.svid(["b", "a", "b"]).await.unwrap(), &one));
    assert!(!Arc::ptr_eq(&svids.svid(["a"]).await.unwrap(), &one));
    let billing = svids.svid_of(&id("billing"), ["a", "b"]).await.unwrap();
    assert_eq!(*billing.spiffe_id(), id("billing"));
    assert_eq!(*one.spiffe_id(), id("orders"));
    svids.forget(&one);
    assert!(!Arc::ptr_eq(&svids.svid(["a", "b"]).await.unwrap(), &one));
    for bad in [vec![], vec![String::new()], vec!["a".repeat(3000)], vec!["a".to_owned(); 17]] {
        let error = svids.svid(bad).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }
    let stranger = svids.svid_of(&id("stranger"), ["a"]).await.unwrap_err();
    assert_eq!(stranger.kind(), ErrorKind::Denied);
}

#[tokio::test(flavor = "multi_thread")]
async fn few_are_kept_if_few_may_be() {
    let tokens = Tokens::new().await;
    let running = running(&tokens).await;
    let svids = running.api().jwt_svids_builder().capacity(2).build();
    let first = svids.svid(["a"]).await.unwrap();
    svids.svid(["b"]).await.unwrap();
    svids.svid(["c"]).await.unwrap();
    assert!(!Arc::ptr_eq(&svids.svid(["a"]).await.unwrap(), &first));
}

/// A clock that tests move.
#[derive(Clone)]
struct Clock(Arc<Mutex<SystemTime>>);

impl Clock {
    fn new() -> Self {
        Self(Arc::new(Mutex::new(SystemTime::now())))
    }

    fn forward(&self, by: Duration) {
        *self.0.lock().unwrap() += by;
    }

    fn tells(&self) -> impl Fn() -> SystemTime + Send + Sync + 'static + use<> {
        let this = self.clone();
        move || *this.0.lock().unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_renewed_at_half_of_its_life_and_nobody_waits() {
    let tokens = Tokens::new().await;
    // The server has no token that is older than the asking, or it would give out the same one.
    let clock = Clock::new();
    let tells = clock.tells();
    let running = Running::with(|builder| {
        builder.jwt(Arc::clone(&tokens.issuer)).entry(entry("orders").anybody()).clock(tells)
    })
    .await;
    let svids = running.api().jwt_svids_builder().clock(clock.tells()).build();
    let first = svids.svid(["reports"]).await.unwrap();
    clock.forward(Duration::from_secs(148));
    assert!(Arc::ptr_eq(&svids.svid(["reports"]).await.unwrap(), &first));
    assert_eq!(tokens.key.calls(), 1);
    clock.forward(Duration::from_secs(4));
    // The use that begins the renewal has the old one.
    assert!(Arc::ptr_eq(&svids.svid(["reports"]).await.unwrap(), &first));
    eventually("the next token", || tokens.key.calls() == 2).await;
    let renewed = async || !Arc::ptr_eq(&svids.svid(["reports"]).await.unwrap(), &first);
    let mut seen = false;
    for _ in 0..100 {
        seen = renewed().await;
        if seen {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(seen);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_that_fails_leaves_the_old_token_until_it_expires() {
    let tokens = Tokens::new().await;
    let clock = Clock::new();
    let running = running(&tokens).await;
    let svids = running.api().jwt_svids_builder().clock(clock.tells()).build();
    let first = svids.svid(["reports"]).await.unwrap();
    running.stop().await.unwrap();
    clock.forward(Duration::from_secs(200));
    for _ in 0..3 {
        assert!(Arc::ptr_eq(&svids.svid(["reports"]).await.unwrap(), &first));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    clock.forward(Duration::from_secs(101));
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let error = svids.svid(["reports"]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    // An agent that comes back is found.
    running.start();
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let error = svids.svid(["reports"]).await.unwrap_err();
    // Its clock is not ours: what it issues has expired here.
    assert_eq!(error.kind(), ErrorKind::Damaged);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_was_started_anew_is_asked_anew() {
    let tokens = Tokens::new().await;
    let running = running(&tokens).await;
    let svids = running.api().jwt_svids();
    svids.svid(["a"]).await.unwrap();
    running.stop().await.unwrap();
    running.start();
    svids.svid(["b"]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_waits_for_its_first_update_and_no_longer() {
    let running = Running::with(|builder| builder.entry(entry("x").uid(uid() + 1))).await;
    let api = running.api().first_within(Duration::from_millis(1500));
    let error = api.x509_source().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    // Whoever is registered late is served late.
    let (api, server) = (running.api(), running.server.clone());
    let (source, ()) = tokio::join!(api.x509_source(), async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        server.set_entries([entry("late").anybody()]).unwrap();
    });
    assert_eq!(*source.unwrap().svid().unwrap().spiffe_id(), id("late"));
    let nobody = WorkloadApi::at("unix:///nowhere/at/all").unwrap();
    let nobody = nobody.first_within(Duration::from_millis(200)).x509_source().await.unwrap_err();
    assert_eq!(nobody.kind(), ErrorKind::Timeout);
}

#[tokio::test(flavor = "multi_thread")]
async fn bundles_of_jwt_keys_are_followed() {
    let tokens = Tokens::new().await;
    let running = running(&tokens).await;
    let source = running.api().jwt_bundles().await.unwrap();
    assert_eq!(source.bundle_set().unwrap().len(), 1);
    tokens.key.cut.store(true, SeqCst);
}

/// Tokens are verified with what the Workload API says, as long as somebody follows it.
#[tokio::test(flavor = "multi_thread")]
async fn a_verifier_has_its_bundles_from_the_workload_api() {
    let tokens = Tokens::new().await;
    let running = running(&tokens).await;
    let bundles = BundleSet::new();
    let verifier = JwtSvidVerifier::builder(bundles.clone()).audience("reports").build().unwrap();
    let svid = running.api().jwt_svids().svid(["reports"]).await.unwrap();
    assert!(verifier.verify(svid.token()).await.is_err(), "no trust domain is known yet");

    let kept = running.api().keep_bundles(bundles.clone()).await.unwrap();
    let verified = verifier.verify(svid.token()).await.unwrap();
    assert_eq!(verified.id(), svid.spiffe_id());
    // The last ones stay while it is away.
    running.stop().await.unwrap();
    verifier.verify(svid.token()).await.unwrap();
    drop(kept);
    assert_eq!(bundles.trust_domains().len(), 0);
    let error = verifier.verify(svid.token()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotAuthentic);
}

#[test]
fn an_endpoint_is_named_or_there_is_none() {
    for bad in ["", "/run/api.sock", "unix://host/api.sock", "unix:api.sock", "http://localhost"] {
        assert_eq!(WorkloadApi::at(bad).unwrap_err().kind(), ErrorKind::InvalidInput, "{bad}");
    }
    let _ = WorkloadApi::at("unix:///run/api.sock").unwrap();
    if std::env::var_os("SPIFFE_ENDPOINT_SOCKET").is_none() {
        let error = WorkloadApi::from_env().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains("SPIFFE_ENDPOINT_SOCKET"), "{error}");
    }
}
