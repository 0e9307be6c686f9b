//! What is asked of KMS, counted at the server.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    reason = "helpers of tests are tests too"
)]

mod world;

use std::sync::Arc;

use bulla::{
    Context, CryptoProvider, CryptoProviderExt, EncryptionContext, ErrorKind, Opener, Sealer,
    envelope::{BatchItem, CachePolicy},
    resilience::{BreakerState, Resilient},
};
use bulla_testworld::{Counter, Ministack, Python};
use tokio::io::AsyncReadExt as _;
use world::{builder, quick};

struct World {
    server: Ministack,
    counter: Counter,
    provider: bulla_aws_kms::AwsKms,
}

impl World {
    async fn new() -> Option<Self> {
        let server = Ministack::start(&Python::for_aws()?, false);
        let counter = Counter::start(server.port());
        let key = world::symmetric(&server.url()).await;
        let provider = builder(&counter.url()).sealing_key(&key).build().await.unwrap();
        assert_eq!((counter.count("DescribeKey"), counter.total()), (1, 1));
        Some(Self { server, counter, provider })
    }

    fn counts(&self) -> [usize; 3] {
        ["GenerateDataKey", "Encrypt", "Decrypt"].map(|operation| self.counter.count(operation))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_of_a_gibibyte_takes_one_call_each_way() {
    const LEN: u64 = 1 << 30;
    let Some(world) = World::new().await else { return };
    let context = Context::new().with_key("tenant", "acme").unwrap();
    let source = tokio::io::repeat(7).take(LEN);
    let sealed = world.provider.encrypt_reader(source, &context).await.unwrap();
    let mut opened = world.provider.decrypt_reader(sealed, &context).await.unwrap();
    let len = tokio::io::copy(&mut opened, &mut tokio::io::sink()).await.unwrap();
    assert_eq!(len, LEN);
    assert_eq!(world.counts(), [1, 0, 1]);
}

#[tokio::test]
async fn a_batch_of_ten_thousand_takes_one_call() {
    let Some(world) = World::new().await else { return };
    let rows: Vec<_> = (0..10_000)
        .map(|n| EncryptionContext::from_pairs([("row", n.to_string())]).unwrap())
        .collect();
    let items: Vec<_> =
        rows.iter().map(|item_context| BatchItem { plaintext: b"card", item_context }).collect();
    let sealer = Sealer::new(&world.provider).unwrap();
    let batch = sealer.seal_batch(&items, &EncryptionContext::new()).await.unwrap();
    assert_eq!(batch.items.len(), 10_000);
    assert_eq!(world.counts(), [1, 0, 0]);
    let last = batch.items.last().unwrap().as_ref().unwrap();
    let context = Context::new().with_item("row", "9999").unwrap();
    assert_eq!(&*world.provider.open(last, &context).await.unwrap(), b"card");
    assert_eq!(world.counts(), [1, 0, 1]);
}

/// Ten thousand values, each sealed and opened by itself, through caches on both sides.
#[tokio::test]
async fn a_cache_takes_one_call_for_ten_thousand_values() {
    let Some(world) = World::new().await else { return };
    let counter = &world.counter;
    let provider: Arc<dyn CryptoProvider> = Arc::new(world.provider);
    let sealer = Sealer::builder().recipient(Arc::clone(&provider)).cache(CachePolicy::default());
    let sealer = sealer.build().unwrap();
    let opener = Opener::builder().provider(provider).cache(CachePolicy::default()).build();
    for n in 0..10_000 {
        let context = Context::new().with_key("tenant", "acme").unwrap();
        let context = context.with_item("row", n.to_string()).unwrap();
        let sealed = sealer.seal(b"card", &context).await.unwrap();
        assert_eq!(&*opener.open(&sealed, &context).await.unwrap(), b"card");
    }
    assert_eq!((counter.count("GenerateDataKey"), counter.count("Decrypt")), (1, 1));
}

#[tokio::test]
async fn what_is_refused_here_is_not_asked_there() {
    let Some(world) = World::new().await else { return };
    let context = Context::new().with_key("tenant", "acme").unwrap();
    let sealed = world.provider.seal(b"secret", &context).await.unwrap();
    let wrong = Context::new().with_key("tenant", "evil").unwrap();
    assert!(world.provider.open(&sealed, &wrong).await.is_err());
    assert!(world.provider.open(b"no message", &context).await.is_err());
    assert!(world.provider.encrypt_direct(&[0; 4097], &context).await.is_err());
    assert_eq!(world.counts(), [1, 0, 0]);
}

/// `Resilient` is the only one that retries: an attempt of its own is one request.
#[tokio::test]
async fn attempts_do_not_multiply() {
    let Some(world) = World::new().await else { return };
    world.counter.set_down(true);
    // Takes the connection that was kept out of the pool.
    assert!(world.provider.health().await.is_err());
    let before = world.counter.total();
    let policy = quick().max_attempts(3).build().unwrap();
    let World { counter, provider, server } = world;
    let provider = Resilient::new(Arc::new(provider), policy);
    let error = provider.health().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    let sealed = provider.seal(b"x", &Context::new()).await;
    assert!(sealed.is_err());
    let attempts = usize::try_from(provider.snapshot().counters.attempts).unwrap();
    assert_eq!((attempts, counter.total() - before), (4, 4));
    assert_eq!(provider.snapshot().state, BreakerState::Closed);
    drop(server);
}
