//! A KMS that is out.

use std::time::Duration;

use bulla::ErrorKind;
use bulla_object_store::{HeaderCache, sealing_error};
use object_store::{ObjectStoreExt, memory::InMemory};

use crate::world::*;

#[tokio::test(start_paused = true)]
async fn writes_fail_and_reads_are_served_within_the_caps() {
    let kms = Kms::new();
    let cache = HeaderCache::new(2, Duration::from_secs(60));
    let store =
        builder_with(Watched::new(InMemory::new()), &kms).header_cache(cache).build().unwrap();
    for name in ["a", "b", "c"] {
        store.put(&path(name), plaintext(3 * CHUNK).into()).await.unwrap();
    }
    // One by its beginning and one as a whole; the third was only looked at.
    store.get_range(&path("a"), 0..5).await.unwrap();
    read(&store, "b").await.unwrap();
    kms.fail(ErrorKind::Unavailable);
    store.inner().calls();

    let error = store.put(&path("d"), "x".into()).await.unwrap_err();
    assert!(sealing_error(&error).unwrap().is_retryable());
    assert!(store.put_multipart(&path("d")).await.is_err());
    assert!(store.inner().calls().is_empty(), "nothing of it reached the store");
    for name in ["a", "b"] {
        assert!(read(&store, name).await.unwrap() == plaintext(3 * CHUNK));
        assert!(
            store.get_range(&path(name), 9..70_000).await.unwrap()
                == plaintext(3 * CHUNK)[9..70_000]
        );
    }
    assert!(read(&store, "c").await.is_err());
    assert_eq!(store.head(&path("c")).await.unwrap().size, 3 * CHUNK as u64);
    store.copy(&path("a"), &path("copy")).await.unwrap();
    assert!(
        read(&store, "copy").await.is_err(),
        "that is another object, of which nothing is known"
    );

    tokio::time::advance(Duration::from_secs(61)).await;
    for name in ["a", "b"] {
        assert!(read(&store, name).await.is_err(), "its time is up");
        assert!(store.get_range(&path(name), 0..5).await.is_err());
    }
    kms.recover();
    assert!(read(&store, "a").await.is_ok() && read(&store, "copy").await.is_ok());
}

#[tokio::test]
async fn a_permission_that_was_taken_away_is_gone_when_the_cache_is_cleared() {
    let kms = Kms::new();
    let store = builder_with(InMemory::new(), &kms).build().unwrap();
    store.put(&path("a"), "x".into()).await.unwrap();
    store.get_range(&path("a"), 0..1).await.unwrap();
    kms.fail(ErrorKind::Denied);
    assert!(store.get_range(&path("a"), 0..1).await.is_ok());
    store.clear_header_cache();
    let error = store.get_range(&path("a"), 0..1).await.unwrap_err();
    assert!(matches!(error, object_store::Error::PermissionDenied { .. }));
}

/// The KMS goes away in the middle of an upload, which has its key.
#[tokio::test]
async fn an_upload_that_has_begun_ends() {
    let kms = Kms::new();
    let store = builder_with(InMemory::new(), &kms).build().unwrap();
    let mut upload = store.put_multipart(&path("a")).await.unwrap();
    kms.fail(ErrorKind::Unavailable);
    upload.put_part(plaintext(20 << 20).into()).await.unwrap();
    upload.complete().await.unwrap();
    kms.recover();
    assert!(read(&store, "a").await.unwrap() == plaintext(20 << 20));
}

/// Who gives up waiting for the KMS takes nobody along.
#[tokio::test(start_paused = true)]
async fn a_reader_who_gives_up_does_not_stop_the_others() {
    let kms = Kms::new();
    let store = builder_with(Watched::new(InMemory::new()), &kms).build().unwrap();
    store.put(&path("a"), plaintext(CHUNK).into()).await.unwrap();
    kms.take(Duration::from_secs(10));
    let location = path("a");
    let impatient = tokio::time::timeout(Duration::from_secs(1), store.get_range(&location, 0..1));
    let patient = store.get_range(&location, 1..2);
    let (impatient, patient) = tokio::join!(impatient, patient);
    assert!(impatient.is_err() && patient.is_ok());
}
