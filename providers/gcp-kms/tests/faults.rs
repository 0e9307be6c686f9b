//! A service by the book that does what none should: damaged answers, answers about something else, answers
//! that don't end; and what the wrapper makes of faults that pass.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    reason = "helpers of tests are tests too"
)]

mod world;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bulla::{
    Context, CryptoProviderExt as _, DataKeys as _, Encrypt as _, ErrorKind, Opener, Sealer,
    SharedProvider, Sign as _, SigningAlgorithm, SigningInput,
    envelope::WritePolicy,
    resilience::{BreakerState, Failover, Resilient},
};
use bulla_gcp_kms::GcpKms;
use bulla_testworld::{CloudKms, Counter};
use serde_json::{Value, json};
use world::{builder, context, quick, token};

struct World {
    kms: CloudKms,
    seals: String,
    provider: GcpKms,
}

impl World {
    async fn new() -> Option<Self> {
        let kms = CloudKms::start()?;
        let seals = kms.sealing_key("orders");
        let signs = kms.signing_key("tokens", "EC_SIGN_P256_SHA256");
        let provider = builder(&kms).sealing_key(&seals).signing_key(&signs).build().await.unwrap();
        Some(Self { kms, seals, provider })
    }

    /// One answer with these members.
    fn next(&self, method: &str, members: &Value) {
        self.kms.faults(&json!([{"method": method, "times": 1, "set": members}]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_damaged_on_its_way_is_an_outage() {
    let Some(world) = World::new().await else { return };
    let provider = &world.provider;
    let (_, wrapped) = provider.generate_data_key(&context()).await.unwrap();
    let other = world.seals.replace("orders", "other");
    for members in [
        json!({"ciphertextCrc32c": "1"}),
        json!({"ciphertextCrc32c": null}),
        json!({"ciphertext": "AAAA"}),
        json!({"ciphertext": null}),
        json!({"verifiedPlaintextCrc32c": null}),
        json!({"verifiedAdditionalAuthenticatedDataCrc32c": null}),
        json!({"name": format!("{other}/cryptoKeyVersions/1")}),
        json!({"name": &world.seals}),
        json!({"name": null}),
        json!({"ciphertext": 7}),
    ] {
        world.next("Encrypt", &members);
        let error = provider.generate_data_key(&context()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{members}: {error}");
    }
    for members in [
        json!({"plaintextCrc32c": "1"}),
        json!({"plaintextCrc32c": null}),
        json!({"plaintext": "AAAA"}),
        json!({"plaintext": null}),
    ] {
        world.next("Decrypt", &members);
        let error = provider.unwrap_data_key(&wrapped, &context()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{members}: {error}");
    }
    // A plaintext that is whole, and no data key.
    world.next("Decrypt", &json!({"plaintext": null, "plaintextCrc32c": "0"}));
    let error = provider.unwrap_data_key(&wrapped, &context()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotAuthentic);
    provider.unwrap_data_key(&wrapped, &context()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn signatures_and_public_keys_are_looked_at() {
    let Some(world) = World::new().await else { return };
    let provider = &world.provider;
    for members in [
        json!({"pemCrc32c": "1"}),
        json!({"pemCrc32c": null}),
        json!({"pem": "-----BEGIN PUBLIC KEY-----"}),
        json!({"pem": "", "pemCrc32c": "0"}),
        json!({"name": null}),
    ] {
        world.next("GetPublicKey", &members);
        let error = provider.public_keys().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{members}: {error}");
    }
    let key = provider.public_keys().await.unwrap().remove(0);
    let input = SigningInput::new(SigningAlgorithm::Es256, b"x");
    for members in [
        json!({"signatureCrc32c": "1"}),
        json!({"signatureCrc32c": null}),
        json!({"signature": "MAA="}),
        // Whole, and none of that key: half a signature, with its own checksum.
        json!({"signature": "MAMCAQE=", "signatureCrc32c": "2362453034"}),
        json!({"verifiedDigestCrc32c": null}),
        json!({"name": null}),
        json!({"name": world.seals.replace("orders", "tokens") + "/cryptoKeyVersions/2"}),
    ] {
        world.next("AsymmetricSign", &members);
        let error = provider.sign(&key, &input).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{members}: {error}");
    }
    provider.sign(&key, &input).await.unwrap();
    for members in [json!({"name": null}), json!({"name": world.seals.replace("orders", "other")})]
    {
        world.next("GetCryptoKey", &members);
        let built = builder(&world.kms).sealing_key(&world.seals).build().await;
        assert_eq!(built.unwrap_err().kind(), ErrorKind::Unavailable, "{members}");
    }
    // Pages without an end.
    world.kms.reset();
    world.kms.faults(&json!([
        {"method": "ListCryptoKeyVersions", "times": 1000, "set": {"nextPageToken": "0"}}]));
    let error = provider.public_keys().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(world.kms.count("ListCryptoKeyVersions") <= 102);
}

/// KMS answers a request that was damaged on its way as it does a forged ciphertext.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_was_damaged_is_no_forgery() {
    let Some(world) = World::new().await else { return };
    let (_, wrapped) = world.provider.generate_data_key(&context()).await.unwrap();
    let refusal =
        json!({"error": {"code": 400, "message": "checksum", "status": "INVALID_ARGUMENT"}});
    let fault = |times: u64| json!([{"method": "Decrypt", "times": times, "status": 400, "body": refusal.to_string()}]);
    world.kms.faults(&fault(1));
    world.provider.unwrap_data_key(&wrapped, &context()).await.unwrap();
    world.kms.faults(&fault(2));
    let error = world.provider.unwrap_data_key(&wrapped, &context()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotAuthentic);
    // An outage in the second answer is one.
    world.kms.faults(&json!([
        {"method": "Decrypt", "times": 1, "status": 400, "body": refusal.to_string()},
        {"method": "Decrypt", "times": 1, "status": 503, "body": "{}"}]));
    let error = world.provider.unwrap_data_key(&wrapped, &context()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_are_not_the_services_say_nothing_of_keys() {
    let Some(world) = World::new().await else { return };
    let (_, wrapped) = world.provider.generate_data_key(&context()).await.unwrap();
    let elsewhere = CloudKms::start().unwrap();
    for (status, kind) in [
        (301, ErrorKind::Unavailable),
        (302, ErrorKind::Unavailable),
        (307, ErrorKind::Unavailable),
        (308, ErrorKind::Unavailable),
        (400, ErrorKind::Unavailable),
        (403, ErrorKind::Unavailable),
        (404, ErrorKind::Unavailable),
        (429, ErrorKind::Throttled),
        (502, ErrorKind::Unavailable),
        (504, ErrorKind::Timeout),
        (200, ErrorKind::Unavailable),
    ] {
        let headers =
            json!({"Location": elsewhere.url() + "/v1/x:decrypt", "Content-Type": "text/html"});
        let page =
            json!([{"times": 1, "status": status, "headers": headers, "body": "<html>no</html>"}]);
        world.kms.faults(&page);
        let error = world.provider.unwrap_data_key(&wrapped, &context()).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{status}: {error}");
        world.kms.faults(&page);
        let error = world.provider.generate_data_key(&context()).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{status}: {error}");
    }
    // No data key went there.
    assert_eq!(elsewhere.total(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_does_not_come_or_end_is_given_up() {
    let Some(world) = World::new().await else { return };
    let provider: SharedProvider = Arc::new(world.provider);
    let policy = quick().max_attempts(1).breaker_threshold(100).build().unwrap();
    let resilient = Resilient::new(Arc::clone(&provider), policy);
    for fault in [json!({"hang": true}), json!({"delay": 4000}), json!({"endless": true})] {
        let mut fault = fault;
        fault["times"] = json!(1);
        world.kms.faults(&json!([fault]));
        let start = Instant::now();
        let error = resilient.generate_data_key(&context()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout, "{fault}: {error}");
        assert!(start.elapsed() < Duration::from_secs(15));
    }
    for fault in [json!({"truncate": true, "times": 1}), json!({"close": true, "times": 1})] {
        world.kms.faults(&json!([fault]));
        let error = resilient.generate_data_key(&context()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{fault}: {error}");
    }
    resilient.generate_data_key(&context()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn quotas_and_outages_pass_behind_the_wrapper() {
    let Some(world) = World::new().await else { return };
    let error = |code: u16, status: &str, details: Value| {
        json!({"error": {"code": code, "message": "m", "status": status, "details": details}})
            .to_string()
    };
    let reason = |reason: &str| {
        json!([{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason,
            "domain": "googleapis.com", "metadata": {}}])
    };
    let busy = error(429, "RESOURCE_EXHAUSTED", reason("RATE_LIMIT_EXCEEDED"));
    world.kms.faults(&json!([
        {"method": "Encrypt", "times": 1, "status": 429, "headers": {"Retry-After": "7"}, "body": &busy}]));
    let told = world.provider.generate_data_key(&context()).await.unwrap_err();
    assert_eq!(told.kind(), ErrorKind::Throttled);
    assert_eq!(told.retry_after(), Some(Duration::from_secs(7)));
    let over = error(429, "RESOURCE_EXHAUSTED", reason("RESOURCE_QUOTA_EXCEEDED"));
    world.kms.faults(&json!([{"times": 1, "status": 429, "body": over}]));
    let told = world.provider.generate_data_key(&context()).await.unwrap_err();
    assert_eq!(told.kind(), ErrorKind::QuotaExceeded);

    let provider: SharedProvider = Arc::new(world.provider);
    let resilient = Resilient::new(provider, quick().build().unwrap());
    let out = error(503, "UNAVAILABLE", json!([]));
    for (fault, requests) in [
        (json!({"status": 429, "body": &busy, "times": 2}), 3),
        (json!({"status": 503, "body": &out, "times": 1}), 2),
        (json!({"status": 500, "body": error(500, "INTERNAL", json!([])), "times": 1}), 2),
        (json!({"close": true, "times": 1}), 2),
        (json!({"truncate": true, "times": 1}), 2),
        (json!({"set": {"ciphertextCrc32c": "1"}, "times": 1}), 2),
    ] {
        world.kms.faults(&json!([fault]));
        world.kms.reset();
        resilient.generate_data_key(&context()).await.unwrap();
        assert_eq!(world.kms.count("Encrypt"), requests, "{fault}");
    }
    // What is refused is not tried again, and opens no breaker.
    let denied = error(403, "PERMISSION_DENIED", reason("IAM_PERMISSION_DENIED"));
    world.kms.faults(&json!([{"times": 10, "status": 403, "body": denied}]));
    world.kms.reset();
    for _ in 0..10 {
        let told = resilient.generate_data_key(&context()).await.unwrap_err();
        assert_eq!(told.kind(), ErrorKind::Denied);
    }
    assert_eq!((world.kms.total(), resilient.snapshot().state), (10, BreakerState::Closed));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_breaker_keeps_calls_from_a_service_that_is_down() {
    let Some(world) = World::new().await else { return };
    let counter = Counter::start(world.kms.port());
    let provider = builder(&world.kms).endpoint(counter.url()).sealing_key(&world.seals);
    let provider: SharedProvider = Arc::new(provider.build().await.unwrap());
    let policy = quick().max_attempts(1).breaker_threshold(3).build().unwrap();
    let resilient = Resilient::new(provider, policy);
    resilient.generate_data_key(&context()).await.unwrap();
    assert_eq!(counter.count("encrypt"), 1);
    counter.set_down(true);
    for _ in 0..3 {
        let error = resilient.generate_data_key(&context()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    }
    let before = counter.total();
    for _ in 0..1000 {
        let error = resilient.generate_data_key(&context()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::CircuitOpen);
    }
    assert_eq!(counter.total(), before);
}

/// One key by several endpoints: the global one, and a regional one that is down.
#[tokio::test(flavor = "multi_thread")]
async fn another_endpoint_stands_in() {
    let Some(world) = World::new().await else { return };
    let counter = Counter::start(world.kms.port());
    let mut members: Vec<SharedProvider> = Vec::new();
    for (label, url) in [("regional", counter.url()), ("global", world.kms.url())] {
        let one = builder(&world.kms).endpoint(url).label(label).sealing_key(&world.seals);
        let one = one.build().await.unwrap();
        let policy = quick().max_attempts(1).breaker_threshold(2).build().unwrap();
        members.push(Arc::new(Resilient::new(Arc::new(one), policy)));
    }
    let both = Failover::new("gcp", members).unwrap();
    let context = Context::new().with_key("tenant", "acme").unwrap();
    let sealed = both.seal(b"secret", &context).await.unwrap();
    counter.set_down(true);
    for _ in 0..20 {
        assert_eq!(&*both.open(&sealed, &context).await.unwrap(), b"secret");
    }
    // Two that opened the breaker, and none after them.
    assert!(counter.count("decrypt") <= 2, "{}", counter.count("decrypt"));
}

/// Keys of two locations share nothing, so a message has both for recipients.
#[tokio::test(flavor = "multi_thread")]
async fn another_location_stands_in() {
    let (Some(here), Some(there)) = (CloudKms::start(), CloudKms::start()) else { return };
    let mut providers = Vec::new();
    let counter = Counter::start(here.port());
    for (kms, url, location) in
        [(&here, counter.url(), "europe-west3"), (&there, there.url(), "europe-west1")]
    {
        let location = format!("projects/p/locations/{location}");
        let algorithm = "GOOGLE_SYMMETRIC_ENCRYPTION";
        let key = kms.key(&location, "orders", "ENCRYPT_DECRYPT", algorithm, "SOFTWARE");
        let one = builder(kms).endpoint(url).sealing_key(key).build().await.unwrap();
        let policy = quick().max_attempts(1).build().unwrap();
        providers.push(Resilient::new(Arc::new(one), policy));
    }
    let context = Context::new().with_key("tenant", "acme").unwrap();
    let sealer = Sealer::builder()
        .recipient(&providers[0])
        .recipient(&providers[1])
        .write_policy(WritePolicy::AtLeast(1))
        .build()
        .unwrap();
    let both = sealer.seal(b"secret", &context).await.unwrap();
    counter.set_down(true);
    let opener = Opener::new(&providers);
    assert_eq!(&*opener.open(&both, &context).await.unwrap(), b"secret");
    let one = sealer.seal(b"secret", &context).await.unwrap();
    assert_eq!(&*opener.open(&one, &context).await.unwrap(), b"secret");
}

/// A future that is dropped half-way leaves nothing behind that blocks.
#[tokio::test(flavor = "multi_thread")]
async fn calls_can_be_dropped() {
    let Some(world) = World::new().await else { return };
    world.kms.faults(&json!([{"times": 64, "delay": 200}]));
    let context = context();
    for wait in 0..64 {
        let call = world.provider.generate_data_key(&context);
        drop(tokio::time::timeout(Duration::from_millis(wait % 8), call).await);
    }
    world.kms.faults(&json!([]));
    world.provider.encrypt(b"x", &context).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_not_taken_is_told() {
    let Some(world) = World::new().await else { return };
    let built =
        builder(&world.kms).credentials(token("nobody")).sealing_key(&world.seals).build().await;
    let error = built.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied);
    assert!(error.message().contains("does not accept the token"), "{error}");
}
