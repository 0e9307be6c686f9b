//! What an audit says of objects of every kind.

use std::{collections::BTreeMap, sync::Arc};

use bulla::Opener;
use bulla_object_store::maintain::{Audit, AuditBuilder, Row, State, Summary};
use futures_util::TryStreamExt as _;
use object_store::ObjectStore;

use crate::{
    keys::Key,
    world::{World, provider, seal},
};

fn audit(world: &World) -> AuditBuilder {
    Audit::builder(Arc::clone(&world.store) as Arc<dyn ObjectStore>)
}

async fn rows(audit: AuditBuilder) -> BTreeMap<String, Row> {
    let rows: Vec<Row> = audit.build().unwrap().rows().try_collect().await.unwrap();
    rows.into_iter().map(|row| (row.location.to_string(), row)).collect()
}

async fn every_kind() -> World {
    let world = World::new();
    let sealed = seal(&[&world.old], &[7; 5000]).await;
    world.put_bytes("both", seal(&[&world.old, &world.new], b"text").await).await;
    world.put_bytes("sealed", sealed.clone()).await;
    world.put("empty-text", &world.old, b"").await;
    world.put_bytes("empty", "").await;
    world.put_bytes("plain", "hello").await;
    world.put_bytes("plain-like", "bull").await;
    world.put_bytes("short", sealed.slice(..300)).await;
    world.put_bytes("short-magic", "bulla").await;
    world.put_bytes("headless", sealed.slice(..1080)).await;
    // No message ends one byte behind its first chunk's tag.
    world.put_bytes("cut", sealed.slice(..1080 + 10)).await;
    let altered = |at: usize, byte: u8| {
        let mut bytes = sealed.to_vec();
        bytes[at] = byte;
        bytes
    };
    world.put_bytes("damaged", altered(7, 0x80)).await;
    world.put_bytes("future", altered(5, 9)).await;
    world.put_bytes("forged", altered(900, sealed[900] ^ 1)).await;
    world.put_bytes("direct", "bulld and so on").await;
    world
}

#[tokio::test]
async fn every_kind_of_object_is_told_by_one_request() {
    let world = every_kind().await;
    world.store.forget();
    let rows = rows(audit(&world)).await;
    let states: Vec<_> = rows.iter().map(|(name, row)| (name.as_str(), row.state)).collect();
    assert_eq!(
        states,
        [
            ("both", State::Sealed),
            ("cut", State::Damaged),
            ("damaged", State::Damaged),
            ("direct", State::Direct),
            ("empty", State::Plain),
            ("empty-text", State::Sealed),
            ("forged", State::Damaged),
            ("future", State::Unknown),
            ("headless", State::Short),
            ("plain", State::Plain),
            ("plain-like", State::Plain),
            ("sealed", State::Sealed),
            ("short", State::Short),
            ("short-magic", State::Short),
        ]
    );
    // One an object, but for the empty one, of at most 4 KiB; and nothing is written.
    let gets = world.store.gets.lock().unwrap().clone();
    assert_eq!(gets.len(), rows.len() - 1);
    assert!(gets.iter().all(|(_, asked)| asked.unwrap() <= 4096));
    assert_eq!(world.store.put_count(), 0);

    let both = rows["both"].sealed.as_ref().unwrap();
    let names: Vec<_> = both.recipients.iter().map(|r| r.key.to_string()).collect();
    assert_eq!(names, ["memory:old", "memory:new"]);
    assert_eq!((both.header_len, both.plaintext_len, both.shared), (1024, 4, false));
    assert_eq!(both.context_keys, ["tenant"]);
    assert_eq!(both.transform, None);
    assert!(rows["both"].verified.is_none());
    assert_eq!(rows["sealed"].size, 1080 + 5016);
}

#[tokio::test]
async fn the_summary_counts_what_each_key_opens() {
    let world = every_kind().await;
    let mut summary = Summary::default();
    for row in rows(audit(&world)).await.values() {
        summary.add(row);
    }
    assert_eq!(summary.objects, 14);
    assert_eq!(summary.count(State::Sealed), 3);
    assert_eq!(summary.count(State::Damaged), 3);
    let old = summary.keys[&(world.old.name(), None)];
    let new = summary.keys[&(world.new.name(), None)];
    assert_eq!((old.objects, old.alone), (3, 2));
    assert_eq!((new.objects, new.alone), (1, 0));
    assert_eq!(new.bytes, rows(audit(&world)).await["both"].size);
}

#[tokio::test]
async fn a_long_header_takes_a_second_request() {
    let world = World::new();
    let keys: Vec<_> = (0..8).map(|n| Key::new(&format!("{n}-{}", "x".repeat(900)))).collect();
    let sealed = seal(&keys.iter().collect::<Vec<_>>(), b"text").await;
    assert!(sealed.len() > 8000);
    world.put_bytes("long", sealed).await;
    world.store.forget();
    let rows = rows(audit(&world)).await;
    assert_eq!(rows["long"].sealed.as_ref().unwrap().recipients.len(), 8);
    assert_eq!(world.store.get_count(), 2);
}

#[tokio::test]
async fn only_keys_tell_whether_a_header_is_authentic() {
    let world = World::new();
    world.put("good", &world.old, b"text").await;
    world.put("other", &Key::new("other"), b"text").await;
    let mut forged = seal(&[&world.old], b"text").await.to_vec();
    forged[1020] ^= 1; // in the header's tag
    world.put_bytes("forged", forged).await;
    world.put_bytes("plain", "hello").await;

    let opener = Opener::new([provider(&world.old)]);
    let calls = world.old.calls();
    let rows = rows(audit(&world).verify(opener)).await;
    assert_eq!(world.old.calls() - calls, 2);
    assert!(matches!(rows["good"].verified, Some(Ok(()))));
    let kind = |name: &str| rows[name].verified.as_ref().unwrap().as_ref().unwrap_err().kind();
    assert_eq!(kind("forged"), bulla::ErrorKind::NotAuthentic);
    assert_eq!(kind("other"), bulla::ErrorKind::NoRecipient);
    assert!(rows["plain"].verified.is_none());
}

#[tokio::test]
async fn a_prefix_is_one_of_whole_segments() {
    let world = World::new();
    for path in ["a/1", "a/b/2", "ab/3"] {
        world.put(path, &world.old, b"text").await;
    }
    let below: Vec<_> = rows(audit(&world).prefix("a".into())).await.into_keys().collect();
    assert_eq!(below, ["a/1", "a/b/2"]);
    for wrong in [0, 1025] {
        assert!(audit(&world).concurrency(wrong).build().is_err());
    }
}
