//! Tokens signed by routes: for payments by one key in two regions of AWS KMS, played by MiniStack, of which one or both
//! go away; for the rest by a key on this machine.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr, reason = "tests")]

use std::{sync::Arc, time::Duration};

use aws_sdk_kms::types::KeySpec;
use bulla::{
    SharedProvider,
    jwt::{Claims, KeySource, ProviderKeys, Signer, Verifier, decode_unverified},
    resilience::{Failover, Policy, Resilient},
};
use bulla_aws_kms::AwsKms;
use bulla_local::{KeyType, Local, Protection, Store};
use bulla_testworld::{
    Counter, Ministack, Python,
    kms::{self, OTHER_REGION, REGION},
};
use bulla_tokens::routes::{Routes, SignTokens, When};

async fn region(url: &str, region: &'static str, key: &str) -> SharedProvider {
    let config = kms::config(url, region, "test", "test");
    let builder = AwsKms::builder().label(region).kms_config(config).region(region);
    let policy = Policy::builder()
        .attempt_timeout(Duration::from_millis(500))
        .deadline(Duration::from_secs(2))
        .max_attempts(1)
        .breaker_threshold(2)
        .cool_down(Duration::from_millis(300));
    let provider = builder.signing_key(key).build().await.unwrap();
    Arc::new(Resilient::new(Arc::new(provider), policy.build().unwrap()))
}

fn signer(provider: SharedProvider) -> Signer<SharedProvider> {
    Signer::new(Arc::new(ProviderKeys::new(provider)))
}

fn claims(audience: &str) -> Claims {
    Claims::new().unwrap().with_issuer("https://id.example").with_audience(audience)
}

/// Which key signed a token that the keys of all routes verify.
async fn signed_by(routes: &Routes, audience: &str) -> bulla::Result<String> {
    let token = routes.sign_claims(&claims(audience)).await?;
    let rules = Verifier::builder().issuer("https://id.example").audience(audience).typ("JWT");
    let verified = rules.build()?.verify::<Claims>(&token, routes).await?;
    Ok(verified.header().kid().unwrap().to_owned())
}

#[tokio::test]
async fn a_route_is_signed_in_another_region_and_never_by_another_key() {
    let Some(python) = Python::for_aws() else { return };
    let server = Ministack::start(&python, false);
    let (here, there) = (Counter::start(server.port()), Counter::start(server.port()));
    let admin = kms::client(&server.url(), REGION);
    let key = kms::make(&admin, KeySpec::EccNistP256, true).await;
    admin.replicate_key().key_id(&key).replica_region(OTHER_REGION).send().await.unwrap();
    let regions =
        [region(&here.url(), REGION, &key).await, region(&there.url(), OTHER_REGION, &key).await];
    let payments = Failover::new("payments", regions).unwrap();

    let dir = tempfile::tempdir().unwrap();
    let store = Store::at(dir.path().join("keys"));
    store.create_key("rest", KeyType::P256, &Protection::None).unwrap();
    let rest = Local::builder(store).signing_key("rest").build().unwrap();

    let routes = Routes::builder()
        .route(When::any().audience("payments"), signer(Arc::new(payments)))
        .route(When::any(), signer(Arc::new(rest)))
        .build()
        .unwrap();
    let in_kms = signed_by(&routes, "payments").await.unwrap();
    let local = signed_by(&routes, "orders").await.unwrap();
    assert_ne!(in_kms, local);
    assert_eq!((here.count("Sign"), there.count("Sign")), (1, 0));

    here.set_down(true);
    for _ in 0..5 {
        assert_eq!(signed_by(&routes, "payments").await.unwrap(), in_kms);
    }
    assert_eq!(there.count("Sign"), 5);
    assert!(routes.keys(None).await.unwrap().find(&in_kms).is_some());

    // With both away there is no token for payments, and the rest go on.
    there.set_down(true);
    for _ in 0..3 {
        let error = signed_by(&routes, "payments").await.unwrap_err();
        assert!(error.is_retryable(), "{error}");
        assert_eq!(signed_by(&routes, "orders").await.unwrap(), local);
    }

    here.set_down(false);
    tokio::time::sleep(Duration::from_millis(400)).await;
    let before = here.count("Sign");
    let token = routes.sign_claims(&claims("payments")).await.unwrap();
    assert_eq!(here.count("Sign"), before + 1);
    let header = decode_unverified(&token).unwrap();
    assert_eq!(header.header()["kid"], *in_kms);
}
