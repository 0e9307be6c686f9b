//! One message for two providers, one of which goes away: AWS KMS, played by MiniStack, and a key
//! on this machine.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    reason = "helpers of tests are tests too"
)]

use std::{sync::Arc, time::Duration};

use bulla::{
    Context, CryptoProvider, ErrorKind, Opener, Sealer,
    envelope::{Rewrap, WritePolicy},
    resilience::{Policy, Resilient},
};
use bulla_aws_kms::AwsKms;
use bulla_local::{KeyType, Local, Protection, Store};
use bulla_testworld::{
    Counter, Ministack, Python,
    kms::{self, REGION},
};

#[tokio::test]
async fn two_recipients_outlast_one_cloud() {
    let Some(python) = Python::for_aws() else { return };
    let server = Ministack::start(&python, false);
    let counter = Counter::start(server.port());
    let key = kms::symmetric(&server.url()).await;
    let config = kms::config(&counter.url(), REGION, "test", "test");
    let provider = AwsKms::builder().kms_config(config).sealing_key(&key).build().await.unwrap();
    let deadline = Duration::from_secs(2);
    let policy = Policy::builder()
        .attempt_timeout(Duration::from_millis(500))
        .deadline(deadline)
        .backoff(Duration::from_millis(1), Duration::from_millis(10))
        .max_attempts(2)
        .breaker_threshold(2)
        .cool_down(Duration::from_millis(300));
    let aws = Resilient::new(Arc::new(provider), policy.build().unwrap());
    let dir = tempfile::tempdir().unwrap();
    let store = Store::at(dir.path().join("keys"));
    store.create_key("here", KeyType::Aes256, &Protection::None).unwrap();
    let local = Local::builder(store).sealing_key("here").build().unwrap();
    let (aws, local): (&dyn CryptoProvider, &dyn CryptoProvider) = (&aws, &local);
    let context = Context::new().with_key("tenant", "acme").unwrap();

    let sealer = Sealer::builder().recipient(aws).recipient(local);
    let both = sealer.build().unwrap().seal(b"before", &context).await.unwrap();
    assert_eq!(counter.count("GenerateDataKey"), 1);
    counter.set_down(true);
    let start = std::time::Instant::now();
    let opener = Opener::new([aws, local]);
    assert_eq!(&*opener.open(&both, &context).await.unwrap(), b"before");
    assert!(start.elapsed() < deadline, "{:?}", start.elapsed());
    let only_aws = Opener::new([aws]).open(&both, &context).await.unwrap_err();
    assert!(only_aws.is_retryable(), "{only_aws}");

    // Written while AWS is down, by those who accept that, and repaired when it is back.
    let strict = Sealer::builder().recipient(aws).recipient(local).build().unwrap();
    assert!(strict.seal(b"during", &context).await.unwrap_err().is_retryable());
    let sealer = Sealer::builder().recipient(aws).recipient(local);
    let lenient = sealer.write_policy(WritePolicy::AtLeast(1)).build().unwrap();
    let during = lenient.seal(b"during", &context).await.unwrap();
    let alone = Opener::new([aws]).open(&during, &context).await.unwrap_err();
    assert_eq!(alone.kind(), ErrorKind::NoRecipient);

    counter.set_down(false);
    tokio::time::sleep(Duration::from_millis(400)).await;
    let plan = Rewrap::new().add_recipient(aws);
    let repaired = opener.rewrap_value(&during, &plan).await.unwrap();
    assert_eq!(&*Opener::new([aws]).open(&repaired, &context).await.unwrap(), b"during");
    assert_eq!(&*Opener::new([local]).open(&repaired, &context).await.unwrap(), b"during");
}
