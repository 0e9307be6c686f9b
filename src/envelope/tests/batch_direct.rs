//! Batches and direct messages.

use super::*;
use crate::{
    CryptoProvider as _, Encrypt as _, Operation, envelope::BatchItem, format::DirectMessage,
    provider::UnwrapPolicy,
};

fn row(n: usize) -> EncryptionContext {
    EncryptionContext::from_pairs([("row", n.to_string())]).unwrap()
}

fn tenant() -> EncryptionContext {
    EncryptionContext::from_pairs([("tenant", "acme")]).unwrap()
}

#[tokio::test]
async fn a_batch_costs_one_call_and_each_item_opens_alone() {
    let fake = Fake::new("a");
    let sealer = Sealer::new(&fake).unwrap();
    let rows: Vec<_> = (0..100).map(row).collect();
    let values: Vec<_> = (0..100).map(|n| vec![n as u8; n]).collect();
    let items: Vec<_> = rows
        .iter()
        .zip(&values)
        .map(|(item_context, plaintext)| BatchItem { plaintext, item_context })
        .collect();
    let sealed = sealer.seal_batch(&items, &tenant()).await.unwrap().items;
    assert_eq!(fake.calls(), (1, 0, 0));
    for (n, sealed) in sealed.iter().enumerate() {
        let sealed = sealed.as_ref().unwrap();
        let (head, _) = Preamble::split(sealed).unwrap();
        assert!(head.header().is_data_key_shared());
        let context = Context::from_parts(tenant(), row(n)).unwrap();
        assert_eq!(&*fake.open(sealed, &context).await.unwrap(), values[n]);
        // Swapped with its neighbour's place, it does not open.
        let other = Context::from_parts(tenant(), row(n + 1)).unwrap();
        assert_eq!(kind(fake.open(sealed, &other).await), ErrorKind::NotAuthentic);
    }
}

#[tokio::test]
async fn batches_mix_and_failures_stand_where_they_belong() {
    let fake = Fake::new("a");
    let sealer = Sealer::new(&fake).unwrap();
    assert!(sealer.seal_batch(&[], &tenant()).await.unwrap().items.is_empty());
    assert_eq!(fake.calls(), (0, 0, 0), "an empty batch costs nothing");

    let clash = EncryptionContext::from_pairs([("tenant", "x")]).unwrap();
    let (one, two) = (row(1), row(2));
    let items = [
        BatchItem { plaintext: b"", item_context: &one },
        BatchItem { plaintext: b"x", item_context: &clash },
        BatchItem { plaintext: b"y", item_context: &two },
    ];
    let sealed = sealer.seal_batch(&items, &tenant()).await.unwrap().items;
    assert_eq!(kind(sealed[1].clone()), ErrorKind::InvalidInput);
    let first = sealed[0].clone().unwrap();
    let third = sealed[2].clone().unwrap();

    let alone = fake.seal(b"alone", &context()).await.unwrap();
    let context = |n| Context::from_parts(tenant(), row(n)).unwrap();
    let (c1, c2, c7) = (context(1), context(2), context(7));
    let before = fake.calls().2;
    let opened = Opener::new([&fake])
        .open_batch(&[(&first, &c1), (b"junk", &c1), (&third, &c2), (&alone, &c7), (&third, &c1)])
        .await;
    assert_eq!(&**opened[0].as_ref().unwrap(), b"");
    assert_eq!(opened[1].as_ref().unwrap_err().kind(), ErrorKind::Malformed);
    assert_eq!(&**opened[2].as_ref().unwrap(), b"y");
    assert_eq!(&**opened[3].as_ref().unwrap(), b"alone");
    assert_eq!(opened[4].as_ref().unwrap_err().kind(), ErrorKind::NotAuthentic);
    assert_eq!(fake.calls().2 - before, 2, "one call for each data key");
}

#[tokio::test]
async fn a_key_that_fails_is_asked_once_for_a_batch() {
    let fake = Fake::new("a");
    let contexts: Vec<_> = (0..100).map(row).collect();
    let items: Vec<_> =
        contexts.iter().map(|item_context| BatchItem { plaintext: b"v", item_context }).collect();
    let sealer = Sealer::new(&fake).unwrap();
    let sealed = sealer.seal_batch(&items, &tenant()).await.unwrap().items;
    let sealed: Vec<_> = sealed.into_iter().map(Result::unwrap).collect();
    let contexts: Vec<_> =
        (0..100).map(|n| Context::from_parts(tenant(), row(n)).unwrap()).collect();
    let items: Vec<_> = sealed.iter().map(Vec::as_slice).zip(&contexts).collect();
    for kind in [ErrorKind::Unavailable, ErrorKind::Denied] {
        fake.fail(kind);
        let before = fake.calls().2;
        let opened = Opener::new([&fake]).open_batch(&items).await;
        assert!(opened.iter().all(|one| one.as_ref().unwrap_err().kind() == kind));
        assert_eq!(fake.calls().2 - before, 1);
    }
}

#[tokio::test]
async fn a_known_data_key_does_not_skip_the_header_check() {
    let fake = Fake::new("a");
    let sealer = Sealer::new(&fake).unwrap();
    let (one, two) = (row(1), row(2));
    let items = [
        BatchItem { plaintext: b"1", item_context: &one },
        BatchItem { plaintext: b"2", item_context: &two },
    ];
    let sealed = sealer.seal_batch(&items, &tenant()).await.unwrap().items;
    let good = sealed[0].clone().unwrap();
    let mut bad = sealed[1].clone().unwrap();
    bad[7] = 0; // the flag that says that the data key is shared
    let (c1, c2) = (
        Context::from_parts(tenant(), row(1)).unwrap(),
        Context::from_parts(tenant(), row(2)).unwrap(),
    );
    let opened = Opener::new([&fake]).open_batch(&[(&good, &c1), (&bad, &c2)]).await;
    assert!(opened[0].is_ok());
    assert_eq!(opened[1].as_ref().unwrap_err().kind(), ErrorKind::NotAuthentic);
}

#[tokio::test]
async fn direct_messages_are_bound_to_everything() {
    let fake = Fake::new("a");
    let sealed = fake.encrypt_direct(b"pin 1234", &context()).await.unwrap();
    assert_eq!(&*fake.decrypt_direct(&sealed, &context()).await.unwrap(), b"pin 1234");
    let wrong_item = Context::from_parts(tenant(), row(8)).unwrap();
    assert_eq!(kind(fake.decrypt_direct(&sealed, &wrong_item).await), ErrorKind::NotAuthentic);
    let wrong_key = Context::new().with_key("tenant", "evil").unwrap();
    assert_eq!(kind(fake.decrypt_direct(&sealed, &wrong_key).await), ErrorKind::ContextMismatch);
    for at in 0..sealed.len() {
        let mut bad = sealed.clone();
        bad[at] ^= 1;
        assert!(fake.decrypt_direct(&bad, &context()).await.is_err(), "flipped {at}");
        assert!(fake.decrypt_direct(&sealed[..at], &context()).await.is_err(), "cut at {at}");
    }
    let longer = [&sealed[..], b"\0"].concat();
    assert_eq!(kind(fake.decrypt_direct(&longer, &context()).await), ErrorKind::Malformed);
    let big = vec![0; 4097];
    assert_eq!(kind(fake.encrypt_direct(&big, &context()).await), ErrorKind::InvalidInput);
}

#[tokio::test]
async fn direct_messages_move_to_another_context() {
    let fake = Fake::new("a");
    let sealed = fake.encrypt_direct(b"pin 1234", &context()).await.unwrap();
    let to = Context::new().with_key("tenant", "other").unwrap();
    let moved = fake.reencrypt_direct(&sealed, &context(), &to).await.unwrap();
    assert_eq!(&*fake.decrypt_direct(&moved, &to).await.unwrap(), b"pin 1234");
    let stored = DirectMessage::parse(&moved).unwrap().stored_context().clone();
    assert_eq!(&stored, to.key(), "what is stored is the new one");
    assert_eq!(kind(fake.decrypt_direct(&moved, &context()).await), ErrorKind::ContextMismatch);
    let wrong_item = Context::from_parts(tenant(), row(8)).unwrap();
    let again = fake.reencrypt_direct(&sealed, &wrong_item, &to).await;
    assert_eq!(kind(again), ErrorKind::NotAuthentic);
    let again = Fake::new("b").reencrypt_direct(&sealed, &context(), &to).await.unwrap_err();
    assert_eq!(again.kind(), ErrorKind::NoRecipient);
    assert_eq!(again.operation(), Some(Operation::Reencrypt));
    let own = EncryptionContext::from_ordered([Ok(("bulla.z".into(), "1".into()))]).unwrap();
    let again = fake.reencrypt_direct(&sealed, &context(), &Context::from(own)).await;
    assert_eq!(kind(again), ErrorKind::InvalidInput);
}

#[tokio::test]
async fn direct_messages_are_taken_apart_without_a_key() {
    let fake = Fake::new("a");
    let sealed = fake.encrypt_direct(b"pin 1234", &context()).await.unwrap();
    let message = DirectMessage::parse(&sealed).unwrap();
    assert_eq!(Some(&message.wrapped().key), fake.sealing_key());
    assert_eq!(message.stored_context(), context().key());
    assert!(DirectMessage::begins(&sealed) && !DirectMessage::begins(&sealed[..4]));
    for cut in 0..sealed.len() {
        assert!(DirectMessage::parse(&sealed[..cut]).is_err(), "cut at {cut}");
    }
    let mut later = sealed;
    later[5] = 2;
    assert_eq!(kind(DirectMessage::parse(&later)), ErrorKind::Unsupported);
}

#[tokio::test]
async fn neither_mode_opens_the_other() {
    let fake = Fake::new("a");
    let plain = Context::from(tenant());
    let direct = fake.encrypt_direct(&[7; 32], &plain).await.unwrap();
    let sealed = fake.seal(&[7; 32], &plain).await.unwrap();
    for (error, advice) in [
        (fake.open(&direct, &plain).await.unwrap_err(), "`decrypt_direct`"),
        (fake.decrypt_direct(&sealed, &plain).await.unwrap_err(), "`open`"),
    ] {
        assert_eq!(error.kind(), ErrorKind::Malformed);
        assert!(error.message().contains(advice), "{error}");
    }
    // The provider's own bytes, out of their frames.
    let (_, wrapped) = fake.generate_data_key(&tenant()).await.unwrap();
    assert_eq!(kind(fake.decrypt(&wrapped, &tenant()).await), ErrorKind::NotAuthentic);
    let payload = fake.encrypt(&[7; 32], &tenant()).await.unwrap();
    assert_eq!(kind(fake.unwrap_data_key(&payload, &tenant()).await), ErrorKind::NotAuthentic);
}

#[tokio::test]
async fn a_key_that_binds_nothing_is_no_key_for_direct_messages() {
    // Its provider offers direct mode, by another key: the frame must not choose this one.
    let mut rsa = Fake::new("a");
    rsa.policy = UnwrapPolicy::public_key(WrapAlgorithm::RsaOaep256, true);
    let (_, wrapped) = rsa.generate_data_key(&tenant()).await.unwrap();
    let name = b"a";
    let frame = [
        &b"bulld\x01"[..],
        &tenant().encode(),
        &[4],
        b"fake",
        &[0, 1],
        name,
        &u32::try_from(wrapped.blob.len()).unwrap().to_be_bytes(),
        &wrapped.blob,
    ]
    .concat();
    let opened = rsa.decrypt_direct(&frame, &Context::from(tenant())).await;
    assert_eq!(kind(opened), ErrorKind::Unsupported);
    let aes = Fake::new("a");
    assert_eq!(
        kind(aes.decrypt_direct(&frame, &Context::from(tenant())).await),
        ErrorKind::NotAuthentic
    );
}

#[tokio::test]
async fn pairs_of_the_librarys_own_do_not_come_in_by_the_back_door() {
    let fake = Fake::new("a");
    let stored = EncryptionContext::from_ordered([Ok(("bulla.z".into(), "1".into()))]).unwrap();
    let context = Context::from(stored);
    assert_eq!(kind(fake.seal(b"x", &context).await), ErrorKind::InvalidInput);
    assert_eq!(kind(fake.encrypt_direct(b"x", &context).await), ErrorKind::InvalidInput);
}

#[tokio::test]
async fn debug_output_shows_neither_plaintext_nor_values() {
    let fake = Fake::new("a");
    let item = row(7);
    let batch = format!("{:?}", BatchItem { plaintext: b"4111", item_context: &item });
    assert!(!batch.contains("52") && !batch.contains("4111"), "{batch}");
    let sealed = fake.seal(b"x", &context()).await.unwrap();
    let (head, _) = Preamble::split(&sealed).unwrap();
    let text = format!("{head:?}");
    assert!(text.contains("tenant") && !text.contains("acme"), "{text}");
    assert!(!text.contains("97, 99, 109, 101"), "{text}");
}
