//! Messages whose plaintext was transformed: they open for who names that, and for nobody else.

use std::sync::{Arc, Mutex};

use super::*;
use crate::envelope::{BatchItem, CachePolicy, Renewal, Rewrap};

fn named() -> Context {
    context().with_transform(Transform::Zstd).unwrap()
}

#[tokio::test]
async fn only_who_names_the_transform_opens() {
    let fake = Fake::new("a");
    let sealed = fake.seal(b"packed", &named()).await.unwrap();
    let (head, _) = Preamble::split(&sealed).unwrap();
    assert_eq!(head.header().transform().unwrap(), Some(Transform::Zstd));
    let stored = head.header().stored_context().clone();
    assert_eq!(stored.get("bulla.transform"), Some("zstd"));
    assert_eq!(&*fake.open(&sealed, &named()).await.unwrap(), b"packed");
    // The split does not matter, and a header's own pairs will do, if the transform is named.
    let copied = Context::from_parts(stored.clone(), context().item().clone()).unwrap();
    let copied_and_named = copied.clone().with_transform(Transform::Zstd).unwrap();
    assert_eq!(&*fake.open(&sealed, &copied_and_named).await.unwrap(), b"packed");

    let asked = fake.calls().2;
    let opener = Opener::new([&fake]);
    for context in [&context(), &copied] {
        let error = fake.open(&sealed, context).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ContextMismatch);
        assert!(error.message().contains("bulla-pipeline"), "{error}");
        assert_eq!(
            kind(fake.decrypt_reader(&sealed[..], context).await),
            ErrorKind::ContextMismatch
        );
        let source = bytes::Bytes::from(sealed.clone());
        assert_eq!(kind(opener.range_reader(source, context).await), ErrorKind::ContextMismatch);
        let batch = opener.open_batch(&[(&sealed, context)]).await;
        assert_eq!(kind(batch.into_iter().next().unwrap()), ErrorKind::ContextMismatch);
    }
    let whatever = opener.open_with_stored_context(&sealed, context().item()).await;
    assert_eq!(kind(whatever), ErrorKind::Unsupported);
    let begun = opener.begin_with_stored_context(head, context().item()).await;
    assert_eq!(kind(begun), ErrorKind::Unsupported);
    assert_eq!(fake.calls().2, asked, "each was refused before a call");
}

#[tokio::test]
async fn a_transform_that_the_message_has_not_is_refused() {
    let fake = Fake::new("a");
    let sealed = fake.seal(b"plain", &context()).await.unwrap();
    let error = fake.open(&sealed, &named()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ContextMismatch);
    assert!(error.message().contains("not transformed"), "{error}");
    assert_eq!(fake.calls().2, 0);
}

/// Puts a header's length and count of pairs right after `bytes` and `pairs` came or went.
fn lengthen(sealed: &mut [u8], bytes: i16, pairs: i8) {
    let len = u16::from_be_bytes([sealed[8], sealed[9]]).checked_add_signed(bytes).unwrap();
    sealed[8..10].copy_from_slice(&len.to_be_bytes());
    sealed[10] = sealed[10].checked_add_signed(pairs).unwrap();
}

#[tokio::test]
async fn taking_the_pair_out_of_the_header_or_putting_it_in_does_not_open() {
    let fake = Fake::new("a");
    let pair = b"\x00\x0fbulla.transform\x00\x04zstd";
    let sealed = fake.seal(b"packed", &named()).await.unwrap();
    let at = sealed.windows(pair.len()).position(|window| window == pair).unwrap();
    let mut without = [&sealed[..at], &sealed[at + pair.len()..]].concat();
    lengthen(&mut without, -23, -1);
    assert_eq!(kind(fake.open(&without, &context()).await), ErrorKind::NotAuthentic);

    let sealed = fake.seal(b"plain", &context()).await.unwrap();
    let mut with = [&sealed[..11], pair, &sealed[11..]].concat();
    lengthen(&mut with, 23, 1);
    assert!(Preamble::split(&with).unwrap().0.header().transform().unwrap().is_some());
    assert_eq!(kind(fake.open(&with, &named()).await), ErrorKind::NotAuthentic);
}

#[tokio::test]
async fn a_cached_data_key_makes_no_difference() {
    let fake = Arc::new(Fake::new("a"));
    let policy = || CachePolicy::builder().build().unwrap();
    let sealer = Sealer::builder().recipient(Arc::clone(&fake)).cache(policy()).build().unwrap();
    let packed = sealer.seal(b"packed", &named()).await.unwrap();
    let plain = sealer.seal(b"plain", &context()).await.unwrap();
    assert_eq!(fake.calls().0, 2, "a cohort has one transform or none");
    let opener = Opener::builder().provider(Arc::clone(&fake)).cache(policy()).build();
    for _ in 0..2 {
        assert_eq!(&*opener.open(&packed, &named()).await.unwrap(), b"packed");
        assert_eq!(&*opener.open(&plain, &context()).await.unwrap(), b"plain");
    }
    assert_eq!(kind(opener.open(&packed, &context()).await), ErrorKind::ContextMismatch);
    assert_eq!(kind(opener.open(&plain, &named()).await), ErrorKind::ContextMismatch);
    assert_eq!(fake.calls().2, 2);
}

#[tokio::test]
async fn rewrap_and_renewal_keep_it() {
    let (old, new) = (Fake::new("a"), Fake::new("b"));
    let sealed = old.seal(b"packed", &named()).await.unwrap();
    let opener = Opener::new([&old, &new]);
    let plan = Rewrap::new().add_recipient(&new).remove_recipient(old.name.clone());
    let rewrapped = opener.rewrap_value(&sealed, &plan).await.unwrap();
    assert_eq!(&*new.open(&rewrapped, &named()).await.unwrap(), b"packed");
    assert_eq!(kind(new.open(&rewrapped, &context()).await), ErrorKind::ContextMismatch);

    let sealer = Sealer::new(&new).unwrap();
    let resealed = opener.reseal(&sealed, &named(), &sealer).await.unwrap();
    assert_eq!(&*new.open(&resealed, &named()).await.unwrap(), b"packed");
    assert_eq!(kind(opener.reseal(&sealed, &context(), &sealer).await), ErrorKind::ContextMismatch);
    let slot = Mutex::new(Vec::new());
    let write_back = |bytes: Vec<u8>| {
        *slot.lock().unwrap() = bytes;
        std::future::ready(Ok::<_, std::io::Error>(()))
    };
    let (plain, renewal) =
        opener.open_and_renew(&sealed, &named(), &sealer, write_back).await.unwrap();
    assert!(matches!(renewal, Renewal::Renewed));
    assert_eq!(&*plain, b"packed");
    let renewed = slot.into_inner().unwrap();
    assert_eq!(&*new.open(&renewed, &named()).await.unwrap(), b"packed");
}

#[tokio::test]
async fn batches_and_direct_messages_have_none() {
    let fake = Fake::new("a");
    let sealer = Sealer::new(&fake).unwrap();
    let none = EncryptionContext::new();
    let items = [BatchItem { plaintext: b"x", item_context: &none }];
    let batch = sealer.seal_batch(&items, named().key()).await.unwrap();
    assert_eq!(kind(batch.items.into_iter().next().unwrap()), ErrorKind::InvalidInput);
    assert_eq!(kind(fake.encrypt_direct(b"x", &named()).await), ErrorKind::InvalidInput);
    let direct = fake.encrypt_direct(b"x", &context()).await.unwrap();
    assert_eq!(kind(fake.decrypt_direct(&direct, &named()).await), ErrorKind::InvalidInput);
    assert_eq!(
        kind(fake.reencrypt_direct(&direct, &context(), &named()).await),
        ErrorKind::InvalidInput
    );
}
