//! Objects that are replaced while they are read: an error or all of the new one, never a mixture.

use std::sync::Arc;

use bulla_object_store::EncryptedStore;
use bytes::Bytes;
use futures_util::TryStreamExt;
use object_store::{Error, GetOptions, GetRange, ObjectStore, ObjectStoreExt, memory::InMemory};

use crate::world::*;

type Store = EncryptedStore<Arc<Watched<InMemory>>>;

const LEN: usize = 40 * CHUNK + 77;

/// Two objects of one length, and a store that has the first.
async fn two() -> (Store, Bytes, Bytes, Bytes) {
    let store = in_memory();
    let (old, new) = (plaintext(LEN), Bytes::from(vec![7; LEN]));
    store.put(&path("b"), new.clone().into()).await.unwrap();
    let sealed = store.inner().inner.get(&path("b")).await.unwrap().bytes().await.unwrap();
    store.put(&path("a"), old.clone().into()).await.unwrap();
    (store, old, new, sealed)
}

/// Replaces the object before the `n`th read from now on.
fn replace_before(store: &Store, nth: usize, sealed: &Bytes) {
    let (inner, sealed, mut count) = (store.inner().inner.clone(), sealed.clone(), 0);
    store.inner().before(move |call| {
        if matches!(call, Call::Get(_)) {
            count += 1;
        }
        if count == nth {
            count += 1; // once
            let at = path("a");
            let put = inner.put(&at, sealed.clone().into());
            futures_util::FutureExt::now_or_never(put).unwrap().unwrap();
        }
        Ok(())
    });
}

#[tokio::test]
async fn between_header_and_chunks() {
    let (store, _, _, sealed) = two().await;
    replace_before(&store, 2, &sealed);
    let error = store.get_range(&path("a"), 0..10).await.unwrap_err();
    assert!(matches!(error, Error::Precondition { .. }), "{error:?}");
    // It was never kept as if it were the other's.
    store.inner().leave_alone();
    assert_eq!(store.get_range(&path("a"), 0..10).await.unwrap(), [7; 10][..]);
}

#[tokio::test]
async fn where_the_header_was_known() {
    for long in [false, true] {
        let (store, old, _, sealed) = two().await;
        let end = if long { 30 * CHUNK as u64 } else { 10 };
        let got = store.get_range(&path("a"), 0..end).await.unwrap();
        assert!(got == old[..end as usize]);
        replace_before(&store, 1, &sealed);
        store.inner().calls();
        // Its header is read again, once, and all that is handed out is the new one's.
        let got = store.get_range(&path("a"), 0..end).await.unwrap();
        assert!(got.iter().all(|byte| *byte == 7));
        assert_eq!(store.inner().calls().len(), 3);
        let got = store.get_range(&path("a"), 5..end).await.unwrap();
        assert!(got.iter().all(|byte| *byte == 7));
        assert_eq!(store.inner().calls().len(), 1);
    }
}

/// A length that was known is no reason to refuse a range of what is there now.
#[tokio::test]
async fn by_one_of_another_length() {
    let store = in_memory();
    let (short, long) = (plaintext(100), plaintext(3 * CHUNK));
    store.put(&path("long"), long.clone().into()).await.unwrap();
    store.put(&path("a"), short.clone().into()).await.unwrap();
    store.get_range(&path("a"), 0..10).await.unwrap();
    assert!(store.get_range(&path("a"), 100..101).await.is_err());
    assert!(store.get_ranges(&path("a"), &[100..101]).await.is_err());
    store.get_range(&path("a"), 0..10).await.unwrap();
    store.inner().inner.copy(&path("long"), &path("a")).await.unwrap();
    let got = store.get_range(&path("a"), 70_000..70_009).await.unwrap();
    assert!(got == long[70_000..70_009]);
    store.get_range(&path("long"), 0..10).await.unwrap();
    store.put(&path("b"), short.into()).await.unwrap();
    store.inner().inner.copy(&path("b"), &path("a")).await.unwrap();
    let got = store.get_ranges(&path("a"), &[0..1000]).await.unwrap();
    assert_eq!(got[0].len(), 100);
    store.inner().inner.delete(&path("a")).await.unwrap();
    for error in [
        store.get_range(&path("a"), 200..201).await.unwrap_err(),
        store.get_ranges(&path("a"), &[200..201]).await.unwrap_err(),
        store.get_range(&path("a"), 0..1).await.unwrap_err(),
    ] {
        assert!(matches!(error, Error::NotFound { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn again_and_again() {
    let (store, _, _, sealed) = two().await;
    store.get_range(&path("a"), 0..10).await.unwrap();
    let (inner, sealed) = (store.inner().inner.clone(), sealed);
    store.inner().before(move |_| {
        let at = path("a");
        let put = inner.put(&at, sealed.clone().into());
        futures_util::FutureExt::now_or_never(put).unwrap().map(drop)
    });
    store.inner().calls();
    let error = store.get_range(&path("a"), 0..10).await.unwrap_err();
    assert!(matches!(error, Error::Precondition { .. }), "{error:?}");
    assert!(store.inner().calls().len() <= 3, "it does not try for ever");
    let error = store.get_ranges(&path("a"), &[0..10]).await.unwrap_err();
    assert!(matches!(error, Error::Precondition { .. }), "{error:?}");
}

#[tokio::test]
async fn between_ranges_of_one_call() {
    for nth in 1..6 {
        let (store, old, new, sealed) = two().await;
        store.get_range(&path("a"), 0..10).await.unwrap();
        replace_before(&store, nth, &sealed);
        // Too far apart to be fetched together.
        let ranges =
            [0..10, 20 * CHUNK as u64..20 * CHUNK as u64 + 10, LEN as u64 - 10..LEN as u64];
        match store.get_ranges(&path("a"), &ranges).await {
            Ok(got) => {
                let of = |plain: &Bytes| {
                    let at =
                        |range: &std::ops::Range<u64>| range.start as usize..range.end as usize;
                    ranges.iter().zip(&got).all(|(range, got)| *got == plain[at(range)])
                };
                assert!(of(&old) || of(&new), "a mixture");
            }
            Err(error) => assert!(matches!(error, Error::Precondition { .. }), "{error:?}"),
        }
    }
}

#[tokio::test]
async fn a_stream_goes_on_with_what_it_began_with() {
    let (store, old, _, sealed) = two().await;
    store.inner().in_pieces(10_000);
    let mut stream = store.get(&path("a")).await.unwrap().into_stream();
    let mut got = stream.try_next().await.unwrap().unwrap().to_vec();
    store.inner().inner.put(&path("a"), sealed.into()).await.unwrap();
    while let Some(bytes) = stream.try_next().await.unwrap() {
        got.extend_from_slice(&bytes);
    }
    assert!(got == old, "one request, one object");
}

#[tokio::test]
async fn a_file_that_is_written_over_while_it_is_read() {
    let store = encrypted(Local::new());
    let plain = plaintext(LEN);
    store.put(&path("b"), vec![7; LEN].into()).await.unwrap();
    store.put(&path("a"), plain.clone().into()).await.unwrap();
    let dir = store.inner().dir.path();
    let mut stream = store.get(&path("a")).await.unwrap().into_stream();
    let mut got = stream.try_next().await.unwrap().unwrap().to_vec();
    // In place, as no store does it.
    std::fs::copy(dir.join("b"), dir.join("a")).unwrap();
    let failed = loop {
        match stream.try_next().await {
            Ok(Some(bytes)) => got.extend_from_slice(&bytes),
            Ok(None) => break false,
            Err(_) => break true,
        }
    };
    assert!(failed || got.len() == LEN);
    assert!(got == plain[..got.len()], "a mixture");
}

#[tokio::test]
async fn conditions_of_the_caller_are_met_by_the_object_that_is_read() {
    let (store, _, _, sealed) = two().await;
    let old = store.head(&path("a")).await.unwrap();
    store.get_range(&path("a"), 0..10).await.unwrap();
    let range = |options: GetOptions| {
        let options = options.with_range(Some(GetRange::Bounded(0..10)));
        let store = store.clone();
        async move { store.get_opts(&path("a"), options).await?.bytes().await }
    };
    let tag = old.e_tag.clone().unwrap();
    let matching = || GetOptions::new().with_if_match(Some(tag.clone()));
    let other = || GetOptions::new().with_if_none_match(Some(tag.clone()));
    assert!(range(matching()).await.is_ok());
    assert!(range(GetOptions::new().with_if_match(Some(format!("\"x\", {tag}")))).await.is_ok());
    assert!(matches!(range(other()).await, Err(Error::NotModified { .. })));
    let since = GetOptions::new().with_if_modified_since(Some(old.last_modified));
    assert!(matches!(range(since).await, Err(Error::NotModified { .. })));
    let since = GetOptions::new().with_if_unmodified_since(Some(old.last_modified));
    assert!(range(since).await.is_ok());

    store.inner().inner.put(&path("a"), sealed.into()).await.unwrap();
    assert_eq!(range(other()).await.unwrap(), [7; 10][..], "what was known is another's");
    assert!(matches!(range(matching()).await, Err(Error::Precondition { .. })));
    let any = GetOptions::new().with_if_match(Some("*"));
    assert_eq!(range(any).await.unwrap(), [7; 10][..]);
    store.delete(&path("a")).await.unwrap();
    assert!(matches!(range(GetOptions::new()).await, Err(Error::NotFound { .. })));
}
