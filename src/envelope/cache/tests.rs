//! Limits, cohorts, single flight and outages, in virtual time.

use std::{collections::HashSet, sync::Arc, time::Duration};

use futures_util::future::join_all;
use tokio::time::{advance, sleep};

use super::*;
use crate::{
    CryptoProviderExt as _,
    context::{Context, EncryptionContext},
    envelope::{
        BatchItem, Opener, Sealer, WritePolicy,
        tests::{context, kind},
    },
    error::ErrorKind,
    format::{Preamble, Suite},
    key::Wrapped,
    testing::Fake,
};

const MINUTE: Duration = Duration::from_secs(60);

fn fake(id: &str) -> Arc<Fake> {
    Arc::new(Fake::new(id))
}

fn sealer(fake: &Arc<Fake>, policy: CachePolicy) -> Sealer<Arc<Fake>> {
    Sealer::builder().recipient(Arc::clone(fake)).cache(policy).build().unwrap()
}

fn row(n: usize) -> Context {
    Context::new().with_key("tenant", "acme").unwrap().with_item("row", n.to_string()).unwrap()
}

fn wraps(sealed: &[u8]) -> Vec<Wrapped> {
    Preamble::split(sealed).unwrap().0.header.recipients
}

fn is_shared(sealed: &[u8]) -> bool {
    Preamble::split(sealed).unwrap().0.header.is_data_key_shared()
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_seals_are_one_call_and_open_each_in_its_own_place() {
    let fake = fake("a");
    let sealer = sealer(&fake, CachePolicy::default());
    let opener =
        Opener::builder().provider(Arc::clone(&fake)).cache(CachePolicy::default()).build();
    let mut salts = HashSet::new();
    let mut before = None;
    for n in 0..10_000 {
        let sealed = sealer.seal(b"value", &row(n)).await.unwrap();
        assert!(is_shared(&sealed), "the header says that the data key serves others");
        assert!(salts.insert(Preamble::split(&sealed).unwrap().0.salt.0));
        if n % 1000 == 0 {
            assert_eq!(&*opener.open(&sealed, &row(n)).await.unwrap(), b"value");
            assert_eq!(kind(opener.open(&sealed, &row(n + 1)).await), ErrorKind::NotAuthentic);
            if let Some(before) = before.replace(sealed) {
                assert_eq!(kind(opener.open(&before, &row(n)).await), ErrorKind::NotAuthentic);
            }
        }
    }
    assert_eq!(fake.calls(), (1, 0, 1));
    let stats = sealer.cache_stats().unwrap();
    assert_eq!((stats.hits, stats.misses, stats.renewals, stats.held), (9_999, 1, 0, 1));
    let stats = opener.cache_stats().unwrap();
    assert_eq!((stats.hits, stats.misses, stats.held), (28, 1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_hundred_misses_at_once_are_one_call() {
    let fake = fake("a");
    *fake.takes.lock().unwrap() = Duration::from_millis(80);
    let sealer = sealer(&fake, CachePolicy::default());
    let sealed = join_all((0..100).map(|n| {
        let sealer = sealer.clone();
        async move { sealer.seal(b"v", &row(n)).await.unwrap() }
    }))
    .await;
    assert_eq!(fake.calls().0, 1);
    assert_eq!(sealer.cache_stats().unwrap().misses, 100);

    let opener =
        Opener::builder().provider(Arc::clone(&fake)).cache(CachePolicy::default()).build();
    let opened = join_all(sealed.iter().enumerate().map(|(n, sealed)| {
        let opener = opener.clone();
        async move { opener.open(sealed, &row(n)).await }
    }));
    assert!(opened.await.iter().all(Result::is_ok));
    assert_eq!(fake.calls().2, 1);

    // An error is everybody's as well, and is not kept.
    fake.fail(ErrorKind::Unavailable);
    opener.clear_cache();
    let failed = join_all(sealed.iter().take(10).enumerate().map(|(n, sealed)| {
        let opener = opener.clone();
        async move { kind(opener.open(sealed, &row(n)).await) }
    }));
    assert_eq!(failed.await, [ErrorKind::Unavailable; 10]);
    assert_eq!(fake.calls().2, 2);
    fake.recover();
    opener.open(&sealed[0], &row(0)).await.unwrap();
    assert_eq!(fake.calls().2, 3);
}

#[tokio::test(start_paused = true)]
async fn one_forged_header_fails_nobody_who_waits_for_the_same_call() {
    let fake = fake("a");
    let sealer = sealer(&fake, CachePolicy::default());
    let good = sealer.seal(b"v", &context()).await.unwrap();
    let mut forged = good.clone();
    let tag = Preamble::split(&good).unwrap().0.header.as_bytes().len() - 1;
    forged[tag] ^= 1;
    *fake.takes.lock().unwrap() = Duration::from_millis(80);
    let opener =
        Opener::builder().provider(Arc::clone(&fake)).cache(CachePolicy::default()).build();
    let context = context();
    let (first, second) =
        tokio::join!(opener.open(&forged, &context), opener.open(&good, &context));
    assert_eq!(kind(first), ErrorKind::NotAuthentic);
    assert_eq!(&*second.unwrap(), b"v");
    assert_eq!(fake.calls().2, 1);
}

#[tokio::test(start_paused = true)]
async fn a_caller_who_gives_up_stalls_nobody() {
    let fake = fake("a");
    *fake.takes.lock().unwrap() = Duration::from_millis(80);
    let sealer = sealer(&fake, CachePolicy::default());
    let first = tokio::spawn({
        let sealer = sealer.clone();
        async move { sealer.seal(b"v", &row(1)).await }
    });
    sleep(Duration::from_millis(10)).await;
    let second = tokio::spawn({
        let sealer = sealer.clone();
        async move { sealer.seal(b"v", &row(2)).await }
    });
    sleep(Duration::from_millis(10)).await;
    first.abort();
    second.await.unwrap().unwrap();
    assert_eq!(fake.calls().0, 1);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_shared_beyond_a_cohort() {
    let (a, b) = (fake("a"), fake("b"));
    let one = sealer(&a, CachePolicy::default());
    let two = Sealer::builder()
        .recipient(Arc::clone(&a))
        .recipient(Arc::clone(&b))
        .cache(CachePolicy::default())
        .build()
        .unwrap();
    let other_suite = Sealer::builder()
        .recipient(Arc::clone(&a))
        .suite(Suite::Cobblestone256)
        .cache(CachePolicy::default())
        .build()
        .unwrap();
    // Two sets of recipients, two suites: same context, another data key.
    let mut seen = HashSet::new();
    for sealer in [&one, &two, &other_suite] {
        let sealed = sealer.seal(b"v", &context()).await.unwrap();
        assert!(seen.insert(wraps(&sealed)[0].blob.clone()));
    }
    // Key contexts: {"a":"bc"} against {"ab":"c"} against {}.
    for (key, value) in [("a", "bc"), ("ab", "c"), ("", "")] {
        let context = match key {
            "" => Context::new(),
            key => Context::new().with_key(key, value).unwrap(),
        };
        let sealed = one.seal(b"v", &context).await.unwrap();
        assert!(seen.insert(wraps(&sealed)[0].blob.clone()), "{key}");
    }
    // A stream has its own, and says that nobody shares it.
    for _ in 0..2 {
        let begun = one.begin(&context()).await.unwrap();
        assert!(seen.insert(wraps(&begun.bytes)[0].blob.clone()));
        assert!(!is_shared(&begun.bytes));
    }
    // What opens with one provider is not known to an opener without it.
    let sealed = one.seal(b"v", &context()).await.unwrap();
    let opener = Opener::builder().provider(a).cache(CachePolicy::default()).build();
    opener.open(&sealed, &context()).await.unwrap();
    let stranger = Opener::builder().provider(b).cache(CachePolicy::default()).build();
    assert_eq!(kind(stranger.open(&sealed, &context()).await), ErrorKind::NoRecipient);
}

#[tokio::test(start_paused = true)]
async fn limits_on_messages_and_bytes_are_never_overrun() {
    let fake = fake("a");
    *fake.takes.lock().unwrap() = Duration::from_millis(5);
    let policy = CachePolicy::builder().max_messages(7).max_bytes(1000).build().unwrap();
    let sealer = sealer(&fake, policy);
    let sizes = (0..200).map(|n| (n * 37) % 400);
    let sealed = join_all(sizes.map(|len| {
        let sealer = sealer.clone();
        async move { (len as u64, sealer.seal(&vec![7; len], &context()).await.unwrap()) }
    }))
    .await;
    let mut used = std::collections::HashMap::<Vec<u8>, (u64, u64)>::new();
    for (len, sealed) in &sealed {
        let used = used.entry(wraps(sealed)[0].blob.clone()).or_default();
        *used = (used.0 + 1, used.1 + len);
    }
    assert!(used.values().all(|&(messages, bytes)| messages <= 7 && bytes <= 1000), "{used:?}");

    // What no lease can hold gets a data key of its own.
    let large = sealer.seal(&[7; 1001], &context()).await.unwrap();
    assert!(!is_shared(&large));
}

#[tokio::test(start_paused = true)]
async fn a_batch_takes_as_much_as_it_has() {
    let fake = fake("a");
    let policy = CachePolicy::builder().max_messages(10).build().unwrap();
    let sealer = sealer(&fake, policy);
    let none = EncryptionContext::new();
    let items = vec![BatchItem { plaintext: b"v", item_context: &none }; 6];
    for calls in [1, 2] {
        let batch = sealer.seal_batch(&items, context().key()).await.unwrap();
        assert!(batch.items.iter().all(Result::is_ok));
        assert_eq!(fake.calls().0, calls, "6 of 10, and then 6 are too many");
    }
    sealer.seal_batch(&items[..4], context().key()).await.unwrap();
    assert_eq!(fake.calls().0, 2, "the 4 that were left");
    let many = vec![items[0]; 11];
    let batch = sealer.seal_batch(&many, context().key()).await.unwrap();
    assert_eq!(fake.calls().0, 3, "a batch over the limit has a data key of its own");
    assert!(is_shared(batch.items[0].as_ref().unwrap()));
}

#[tokio::test(start_paused = true)]
async fn age_is_hard_while_the_kms_is_down() {
    let fake = fake("a");
    let sealer = sealer(&fake, CachePolicy::default());
    let opener =
        Opener::builder().provider(Arc::clone(&fake)).cache(CachePolicy::default()).build();
    let sealed = sealer.seal(b"v", &row(0)).await.unwrap();
    opener.open(&sealed, &row(0)).await.unwrap();
    fake.fail(ErrorKind::Unavailable);
    for n in 0..299 {
        sealer.seal(b"v", &row(n)).await.unwrap();
        opener.open(&sealed, &row(0)).await.unwrap();
        advance(Duration::from_secs(1)).await;
    }
    advance(Duration::from_secs(1)).await;
    assert_eq!(kind(sealer.seal(b"v", &row(1)).await), ErrorKind::Unavailable);
    assert_eq!(kind(opener.open(&sealed, &row(0)).await), ErrorKind::Unavailable);
    // Background renewals were tried, but not at every use.
    let stats = sealer.cache_stats().unwrap();
    assert!((2..=5).contains(&stats.renewals), "{stats:?}");
    assert_eq!((stats.held, opener.cache_stats().unwrap().held), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn stale_reads_have_their_own_cap_and_end_when_the_kms_refuses() {
    let fake = fake("a");
    let policy = CachePolicy::builder().stale_reads(10 * MINUTE).build().unwrap();
    let opener = Opener::builder().provider(Arc::clone(&fake)).cache(policy).build();
    let sealer = sealer(&fake, policy);
    let sealed = sealer.seal(b"v", &context()).await.unwrap();
    opener.open(&sealed, &context()).await.unwrap();
    fake.fail(ErrorKind::Timeout);
    advance(14 * MINUTE).await;
    opener.open(&sealed, &context()).await.unwrap();
    assert_eq!(opener.cache_stats().unwrap().stale, 1);
    assert_eq!(kind(sealer.seal(b"v", &context()).await), ErrorKind::Timeout, "reads only");
    advance(MINUTE).await;
    assert_eq!(kind(opener.open(&sealed, &context()).await), ErrorKind::Timeout);

    // A refusal is an answer, not an outage: what was cached goes at once.
    fake.recover();
    opener.open(&sealed, &context()).await.unwrap();
    fake.fail(ErrorKind::Denied);
    advance(6 * MINUTE).await;
    assert_eq!(kind(opener.open(&sealed, &context()).await), ErrorKind::Denied);
    assert_eq!(opener.cache_stats().unwrap().held, 0);
    fake.fail(ErrorKind::Timeout);
    assert_eq!(kind(opener.open(&sealed, &context()).await), ErrorKind::Timeout);
}

#[tokio::test(start_paused = true)]
async fn a_busy_writer_never_waits_again() {
    let fake = fake("a");
    let sealer = sealer(&fake, CachePolicy::default());
    sealer.seal(b"v", &row(0)).await.unwrap();
    *fake.takes.lock().unwrap() = Duration::from_millis(300);
    for n in 0..3600 {
        let before = tokio::time::Instant::now();
        sealer.seal(b"v", &row(n)).await.unwrap();
        assert_eq!(before.elapsed(), Duration::ZERO, "second {n}");
        sleep(Duration::from_secs(1)).await;
    }
    let stats = sealer.cache_stats().unwrap();
    assert_eq!((stats.misses, stats.hits), (1, 3600));
    assert_eq!(stats.renewals + 1, fake.calls().0 as u64);
    assert_eq!(stats.renewals, 14, "an hour, a key each 4 minutes or so");
}

#[tokio::test(start_paused = true)]
async fn keys_are_dropped_when_their_time_is_up_and_not_when_somebody_asks() {
    let fake = fake("a");
    let sealer = sealer(&fake, CachePolicy::default());
    let opener =
        Opener::builder().provider(Arc::clone(&fake)).cache(CachePolicy::default()).build();
    let held = || (sealer.cache_stats().unwrap().held, opener.cache_stats().unwrap().held);
    for n in 0..3 {
        let context = Context::new().with_key("n", n.to_string()).unwrap();
        let sealed = sealer.seal(b"v", &context).await.unwrap();
        opener.open(&sealed, &context).await.unwrap();
        sleep(MINUTE).await;
    }
    assert_eq!(held(), (3, 3));
    sleep(3 * MINUTE).await;
    assert_eq!(held(), (2, 2));
    sleep(2 * MINUTE).await;
    assert_eq!(held(), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn the_least_used_makes_room_and_clearing_forgets_what_is_on_its_way() {
    let fake = fake("a");
    let sealer = sealer(&fake, CachePolicy::builder().capacity(2).build().unwrap());
    let of = |n: u32| Context::new().with_key("n", n.to_string()).unwrap();
    for n in [1, 2, 1, 3, 1] {
        sealer.seal(b"v", &of(n)).await.unwrap();
    }
    assert_eq!((fake.calls().0, sealer.cache_stats().unwrap().held), (3, 2));
    sealer.seal(b"v", &of(2)).await.unwrap();
    assert_eq!(fake.calls().0, 4, "2 made room for 3");

    *fake.takes.lock().unwrap() = Duration::from_millis(80);
    let waiting = tokio::spawn({
        let sealer = sealer.clone();
        async move { sealer.seal(b"v", &of(9)).await }
    });
    sleep(Duration::from_millis(10)).await;
    sealer.clear_cache();
    waiting.await.unwrap().unwrap();
    assert_eq!(sealer.cache_stats().unwrap().held, 0);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_lacks_a_recipient_is_soon_replaced() {
    let (a, b) = (fake("a"), fake("b"));
    let sealer = Sealer::builder()
        .recipient(Arc::clone(&a))
        .recipient(Arc::clone(&b))
        .write_policy(WritePolicy::AtLeast(1))
        .cache(CachePolicy::default())
        .build()
        .unwrap();
    b.fail(ErrorKind::Unavailable);
    let missing = sealer.seal_and_report(b"v", &context()).await.unwrap().1;
    assert_eq!(missing.len(), 1);
    b.recover();
    sleep(MINUTE / 2).await;
    let missing = sealer.seal_and_report(b"v", &context()).await.unwrap().1;
    assert_eq!(missing.len(), 1, "told of each message that lacks it");
    sleep(MINUTE / 60).await;
    assert!(sealer.seal_and_report(b"v", &context()).await.unwrap().1.is_empty());
}

#[test]
fn without_a_runtime_it_says_so() {
    let sealer = sealer(&fake("a"), CachePolicy::default());
    let sealed = futures_util::FutureExt::now_or_never(sealer.seal(b"v", &context()));
    assert_eq!(kind(sealed.unwrap()), ErrorKind::InvalidInput);
}

#[test]
fn a_runtime_that_ends_takes_no_slot_with_it() {
    let fake = fake("a");
    let sealer = sealer(&fake, CachePolicy::default());
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    *fake.takes.lock().unwrap() = MINUTE;
    runtime().block_on(async {
        let context = context();
        let given_up = sealer.seal(b"v", &context);
        assert!(tokio::time::timeout(Duration::from_millis(5), given_up).await.is_err());
    });
    *fake.takes.lock().unwrap() = Duration::ZERO;
    runtime().block_on(async { sealer.seal(b"v", &context()).await.unwrap() });
    assert_eq!(sealer.cache_stats().unwrap().held, 1);
}

/// The same message with zeros between its recipients and its tag: it unwraps, and its tag is wrong.
#[tokio::test(start_paused = true)]
async fn what_is_familiar_is_judged_as_what_is_parsed() {
    let fake = fake("a");
    let sealer = sealer(&fake, CachePolicy::default());
    let plain = Opener::new([Arc::clone(&fake)]);
    let warm = Opener::builder().provider(Arc::clone(&fake)).cache(CachePolicy::default()).build();
    // The fast way is for what can't be padded. One wrap in 256 ends in a zero and is not of that kind;
    // a message of a data key is sealed under a wrap of its own only by a sealer of its own.
    let mut good = sealer.seal(b"value", &row(7)).await.unwrap();
    while Preamble::split(&good).unwrap().0.header.untagged().last() == Some(&0) {
        let sealer = self::sealer(&fake, CachePolicy::default());
        good = sealer.seal(b"value", &row(7)).await.unwrap();
    }
    assert_eq!(&*warm.open(&good, &row(7)).await.unwrap(), b"value");
    let calls = fake.calls().2;
    assert_eq!(&*warm.open(&good, &row(7)).await.unwrap(), b"value");
    assert_eq!(fake.calls().2, calls);

    let mut damaged: Vec<Vec<u8>> = (0..good.len()).map(|len| good[..len].to_vec()).collect();
    damaged.extend((0..good.len()).flat_map(|at| {
        [1, 0x80, 0xff].map(|bits| {
            let mut bad = good.clone();
            bad[at] ^= bits;
            bad
        })
    }));
    damaged.push([&good[..], b"\0"].concat());
    damaged.extend((1..4).map(|zeros| padded(&good, zeros)));
    for bad in &damaged {
        let told = |result: crate::Result<_>| result.map(drop).unwrap_err().to_string();
        assert_eq!(
            told(warm.open(bad, &row(7)).await),
            told(plain.open(bad, &row(7)).await),
            "{bad:02x?}"
        );
    }
    let elsewhere = Context::new().with_key("tenant", "evil").unwrap();
    for context in [elsewhere, row(8), Context::new()] {
        let (warm, plain) = (warm.open(&good, &context).await, plain.open(&good, &context).await);
        assert_eq!(kind(warm), kind(plain));
    }
    assert_eq!(&*warm.open(&good, &row(7)).await.unwrap(), b"value");
}

fn padded(sealed: &[u8], zeros: usize) -> Vec<u8> {
    let len = Preamble::split(sealed).unwrap().0.header.as_bytes().len();
    let (header, behind) = sealed.split_at(len);
    let (untagged, tag) = header.split_at(len - 32);
    let mut forged = [untagged, &vec![0; zeros], tag, behind].concat();
    forged[8..10].copy_from_slice(&u16::try_from(len + zeros).unwrap().to_be_bytes());
    forged
}

#[tokio::test(start_paused = true)]
async fn forged_headers_take_no_room_in_the_cache() {
    let (a, b) = (fake("a"), fake("b"));
    let both =
        Sealer::builder().recipient(Arc::clone(&a)).recipient(Arc::clone(&b)).build().unwrap();
    let victim = both.seal(b"victim", &context()).await.unwrap();
    let policy = CachePolicy::builder().capacity(2).build().unwrap();
    let opener = Opener::builder().provider(Arc::clone(&a)).cache(policy).build();
    opener.open(&victim, &context()).await.unwrap();
    let other = both.seal(b"other", &context()).await.unwrap();
    // Padding is no part of what is unwrapped, so these are found, and cost no call.
    for zeros in 1..50 {
        let result = opener.open(&padded(&other, zeros), &context()).await;
        assert_eq!(kind(result), ErrorKind::NotAuthentic);
    }
    // Recipients in another order are: each order is a call, and is not kept.
    let swapped = |sealed: &[u8]| {
        let header = Preamble::split(sealed).unwrap().0.header;
        let mut recipients = header.recipients.clone();
        recipients.reverse();
        let mut forged =
            crate::format::write(header.suite, false, &header.stored, &recipients, None, 0)
                .unwrap();
        forged.extend_from_slice(&sealed[header.as_bytes().len()..]);
        forged
    };
    for _ in 0..50 {
        let forged = swapped(&both.seal(b"x", &context()).await.unwrap());
        assert_eq!(kind(opener.open(&forged, &context()).await), ErrorKind::NotAuthentic);
    }
    assert_eq!(opener.cache_stats().unwrap().held, 1);
    let calls = a.calls().2;
    assert_eq!(&*opener.open(&victim, &context()).await.unwrap(), b"victim");
    assert_eq!(a.calls().2, calls, "the victim's key is still there");
}

#[tokio::test(start_paused = true)]
async fn any_capacity_is_a_capacity() {
    let fake = fake("a");
    let policy = CachePolicy::builder().capacity(usize::MAX).build().unwrap();
    let sealer = sealer(&fake, policy);
    let opener = Opener::builder().provider(Arc::clone(&fake)).cache(policy).build();
    let sealed = sealer.seal(b"v", &row(1)).await.unwrap();
    assert_eq!(&*opener.open(&sealed, &row(1)).await.unwrap(), b"v");
}

#[tokio::test(start_paused = true)]
async fn what_was_asked_for_before_a_clear_is_not_kept() {
    let fake = fake("a");
    let sealed = fake.seal(b"v", &context()).await.unwrap();
    *fake.takes.lock().unwrap() = Duration::from_millis(80);
    let opener =
        Opener::builder().provider(Arc::clone(&fake)).cache(CachePolicy::default()).build();
    let waiting = tokio::spawn({
        let (opener, sealed) = (opener.clone(), sealed.clone());
        async move { opener.open(&sealed, &context()).await }
    });
    advance(Duration::from_millis(10)).await;
    tokio::task::yield_now().await;
    opener.clear_cache();
    assert_eq!(&*waiting.await.unwrap().unwrap(), b"v");
    assert_eq!(opener.cache_stats().unwrap().held, 0);
}
