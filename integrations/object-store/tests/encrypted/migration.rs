//! Objects that were never sealed.

use std::sync::Arc;

use bulla::ErrorKind;
use bulla_object_store::{EncryptedStore, sealing_error};
use bytes::Bytes;
use futures_util::TryStreamExt;
use object_store::{GetOptions, GetRange, ObjectStore, ObjectStoreExt, memory::InMemory};

use crate::world::*;

fn plain_objects() -> Vec<Bytes> {
    let mut objects: Vec<Bytes> =
        [&b""[..], b"a", b"bull", b"bulld", b"Bulla", b"\0bulla"].map(Bytes::from_static).into();
    objects.extend([1095, 1096, 3 * CHUNK, 40 * CHUNK].map(plaintext));
    objects
}

#[tokio::test]
async fn they_are_an_error() {
    let store = in_memory();
    for plain in plain_objects() {
        store.inner().inner.put(&path("a"), plain.clone().into()).await.unwrap();
        for error in [
            read(&store, "a").await.unwrap_err(),
            store.get_range(&path("a"), 0..1).await.unwrap_err(),
            store.get_ranges(&path("a"), &[0..1]).await.unwrap_err(),
            store.head(&path("a")).await.map(drop).unwrap_err(),
        ] {
            assert_eq!(sealing_error(&error).unwrap().kind(), ErrorKind::Malformed, "{error}");
        }
        // They stay in listings.
        let listed: Vec<_> = store.list(None).try_collect().await.unwrap();
        assert_eq!(listed.len(), 1);
        if plain.len() < 1096 {
            assert_eq!(listed[0].size, plain.len() as u64, "no sealed object has this length");
        }
    }
}

#[tokio::test]
async fn they_are_read_as_they_are_while_a_store_is_migrated() {
    let memory = Watched::new(InMemory::new());
    let migrating = builder(Arc::clone(&memory)).allow_plaintext_reads().build().unwrap();
    let local = builder(Local::new()).allow_plaintext_reads().build().unwrap();
    for plain in plain_objects() {
        memory.inner.put(&path("a"), plain.clone().into()).await.unwrap();
        local.inner().put(&path("a"), plain.clone().into()).await.unwrap();
        for store in [&migrating as &dyn ObjectStore, &local] {
            let len = plain.len() as u64;
            let got = store.get(&path("a")).await.unwrap();
            assert_eq!((got.meta.size, got.range.clone()), (len, 0..len));
            assert!(got.bytes().await.unwrap() == plain);
            let streamed: Vec<_> =
                store.get(&path("a")).await.unwrap().into_stream().try_collect().await.unwrap();
            assert!(streamed.concat() == plain);
            assert_eq!(store.head(&path("a")).await.unwrap().size, len);
            let suffix = GetOptions::new().with_range(Some(GetRange::Suffix(3)));
            let got = store.get_opts(&path("a"), suffix).await.unwrap().bytes().await.unwrap();
            assert!(got == plain[plain.len().saturating_sub(3)..]);
            if plain.is_empty() {
                assert!(store.get_range(&path("a"), 0..1).await.is_err());
                continue;
            }
            assert!(
                store.get_range(&path("a"), 0..9).await.unwrap() == plain[..plain.len().min(9)]
            );
            let last = len - 1..len;
            let got = store.get_ranges(&path("a"), &[last, 0..1]).await.unwrap();
            assert!(got[0] == plain[plain.len() - 1..] && got[1] == plain[..1]);
        }
    }
}

#[tokio::test]
async fn a_get_and_a_put_migrate_one() {
    let kms = Kms::new();
    let inner = Arc::new(InMemory::new());
    let migrating = builder_with(Arc::clone(&inner), &kms).allow_plaintext_reads().build().unwrap();
    let strict = builder_with(Arc::clone(&inner), &kms).build().unwrap();
    let plain = plaintext(3 * CHUNK);
    inner.put(&path("a"), plain.clone().into()).await.unwrap();
    assert!(read(&strict, "a").await.is_err());
    // Its kind is known, and forgotten with the write.
    migrating.get_range(&path("a"), 0..1).await.unwrap();
    let got = read(&migrating, "a").await.unwrap();
    migrating.put(&path("a"), got.into()).await.unwrap();
    for store in [&migrating, &strict] {
        assert!(read(store, "a").await.unwrap() == plain);
        assert!(store.get_range(&path("a"), 5..9).await.unwrap() == plain[5..9]);
    }
}

/// What was sealed is never handed out as it is stored, whatever is done to it but for its first bytes.
#[tokio::test]
async fn what_was_sealed_is_not_read_as_plaintext() {
    let store: EncryptedStore<_> =
        builder(InMemory::new()).allow_plaintext_reads().build().unwrap();
    store.put(&path("a"), plaintext(CHUNK).into()).await.unwrap();
    let sealed = store.inner().get(&path("a")).await.unwrap().bytes().await.unwrap();
    for at in [5, 6, 7, 8, 9, 10, 500, 1023, 1024, HEAD] {
        let mut bad = sealed.to_vec();
        bad[at] ^= 1;
        store.inner().put(&path("a"), bad.into()).await.unwrap();
        assert!(read(&store, "a").await.is_err(), "{at}");
        assert!(store.get_range(&path("a"), 0..5).await.is_err(), "{at}");
    }
    for len in [5, 9, 10, 500, HEAD] {
        store.inner().put(&path("a"), sealed.slice(..len).into()).await.unwrap();
        assert!(read(&store, "a").await.is_err(), "{len}");
        assert!(store.get_range(&path("a"), 0..5).await.is_err(), "{len}");
    }
}

/// An object that was plain when its first bytes were read, and then sealed: nothing of either for the other.
#[tokio::test]
async fn one_that_is_sealed_while_it_is_read() {
    let memory = Watched::new(InMemory::new());
    let store = builder(Arc::clone(&memory)).allow_plaintext_reads().build().unwrap();
    let plain = plaintext(3 * CHUNK);
    memory.inner.put(&path("a"), plain.clone().into()).await.unwrap();
    assert!(store.get_range(&path("a"), 0..9).await.unwrap() == plain[..9]);
    let other = store.clone();
    store.put(&path("b"), plain.clone().into()).await.unwrap();
    memory.inner.copy(&path("b"), &path("a")).await.unwrap();
    assert!(other.get_range(&path("a"), 0..9).await.unwrap() == plain[..9]);
    assert!(read(&other, "a").await.unwrap() == plain);
}
