//! How many requests reach the store beneath, and which.

use std::time::Duration;

use bulla_object_store::HeaderCache;
use futures_util::{TryStreamExt, future::join_all};
use object_store::{
    GetOptions, GetRange, ObjectStore, ObjectStoreExt,
    memory::InMemory,
    throttle::{ThrottleConfig, ThrottledStore},
};

use crate::world::*;

const C: u64 = CHUNK as u64 + 16;
const H: u64 = HEAD as u64;

#[tokio::test]
async fn a_put_and_a_whole_read_are_one_request() {
    let kms = Kms::new();
    let store = builder_with(Watched::new(InMemory::new()), &kms).build().unwrap();
    for len in [0, 100, 40 * CHUNK] {
        store.put(&path("a"), plaintext(len).into()).await.unwrap();
        let sealed = HEAD + len + 16 * (len / CHUNK + 1);
        assert_eq!(store.inner().calls(), [Call::Put(sealed)]);
        assert_eq!(kms.calls(), (1, 0));
        read(&store, "a").await.unwrap();
        assert_eq!(store.inner().calls(), [Call::Get(None)]);
        assert_eq!(kms.calls(), (0, 1));
        read(&store, "a").await.unwrap();
        assert_eq!(store.inner().calls(), [Call::Get(None)]);
        assert_eq!(kms.calls(), (0, 0), "its keys are known");
    }
}

#[tokio::test]
async fn a_range_is_the_header_once_and_exactly_the_chunks() {
    let kms = Kms::new();
    let store = builder_with(Watched::new(InMemory::new()), &kms).build().unwrap();
    store.put(&path("a"), plaintext(30 * CHUNK + 100).into()).await.unwrap();
    store.inner().calls();
    let at = path("a");
    let range = |range: std::ops::Range<u64>| store.get_range(&at, range);
    range(CHUNK as u64 - 1..CHUNK as u64 + 1).await.unwrap();
    assert_eq!(store.inner().calls(), [Call::Get(Some(0..H)), Call::Get(Some(H..H + 2 * C))]);
    range(5 * CHUNK as u64..5 * CHUNK as u64 + 1).await.unwrap();
    assert_eq!(store.inner().calls(), [Call::Get(Some(H + 5 * C..H + 6 * C))]);
    // Over 1 MiB it is streamed: the same.
    range(2..20 * CHUNK as u64).await.unwrap();
    assert_eq!(store.inner().calls(), [Call::Get(Some(H..H + 20 * C))]);
    // To the end and beyond.
    range(30 * CHUNK as u64 + 50..40 * CHUNK as u64).await.unwrap();
    assert_eq!(store.inner().calls(), [Call::Get(Some(H + 30 * C..H + 30 * C + 116))]);
    let suffix = |len| GetOptions::new().with_range(Some(GetRange::Suffix(len)));
    store.get_opts(&path("a"), suffix(10)).await.unwrap();
    assert_eq!(store.inner().calls(), [Call::Get(Some(H + 30 * C..H + 30 * C + 116))]);
    // Which bytes a long suffix is depends on the end, which comes first.
    store.get_opts(&path("a"), suffix(20 * CHUNK as u64)).await.unwrap();
    let (last, end) = (H + 30 * C, H + 30 * C + 116);
    let calls = [Call::Get(Some(last..end)), Call::Get(Some(H + 10 * C..end))];
    assert_eq!(store.inner().calls(), calls);
    assert_eq!(kms.calls(), (1, 1));
}

#[tokio::test]
async fn an_end_at_a_full_chunk_is_read_with_the_empty_one_behind() {
    let store = in_memory();
    store.put(&path("a"), plaintext(2 * CHUNK).into()).await.unwrap();
    store.inner().calls();
    store.get_range(&path("a"), CHUNK as u64..2 * CHUNK as u64).await.unwrap();
    let end = H + 2 * C + 16;
    assert_eq!(store.inner().calls(), [Call::Get(Some(0..H)), Call::Get(Some(H + C..end))]);
    store.get_range(&path("a"), CHUNK as u64..2 * CHUNK as u64 - 1).await.unwrap();
    assert_eq!(store.inner().calls(), [Call::Get(Some(H + C..H + 2 * C))]);
}

/// As a reader of Parquet does it: the length, the footer, and two columns.
#[tokio::test]
async fn a_footer_and_two_columns_cost_one_request_more_than_plain() {
    let size = 64 * CHUNK as u64 + 3000;
    let plain = Watched::new(InMemory::new());
    let kms = Kms::new();
    let sealed = builder_with(Watched::new(InMemory::new()), &kms).build().unwrap();
    let columns = [1_000_000..1_400_000, 3_900_000..4_000_000];

    plain.inner.put(&path("a"), plaintext(size as usize).into()).await.unwrap();
    sealed.put(&path("a"), plaintext(size as usize).into()).await.unwrap();
    let _ = (kms.calls(), sealed.inner().calls());
    for head in [false, true] {
        sealed.clear_header_cache();
        if head {
            assert_eq!(sealed.head(&path("a")).await.unwrap().size, size);
            assert_eq!(kms.calls(), (0, 0), "a length is told without the KMS");
        }
        let footer = sealed.get_range(&path("a"), size - 8..size).await.unwrap();
        assert!(footer == plaintext(size as usize)[size as usize - 8..]);
        sealed.get_range(&path("a"), size - 3000..size - 8).await.unwrap();
        sealed.get_ranges(&path("a"), &columns).await.unwrap();
        // Footer twice and a request for each column; and the header, or `head` itself.
        assert_eq!(sealed.inner().calls().len(), 4 + 1);
        assert_eq!(kms.calls(), (0, 1));
    }
}

#[tokio::test]
async fn there_are_never_more_requests_for_ranges_than_plain() {
    let len = 200 * CHUNK;
    let sealed = in_memory();
    sealed.put(&path("a"), plaintext(len).into()).await.unwrap();
    sealed.get_range(&path("a"), 0..1).await.unwrap();
    sealed.inner().calls();
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..50 {
        let ranges: Vec<_> = (0..random.usize(1..12))
            .map(|_| {
                let start = random.u64(..len as u64 - 1);
                start..(start + 1 + random.u64(..400_000)).min(len as u64)
            })
            .collect();
        let plain = std::sync::atomic::AtomicUsize::new(0);
        let fetch = |range: std::ops::Range<u64>| {
            plain.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            async move { Ok::<_, ()>(plaintext((range.end - range.start) as usize)) }
        };
        object_store::coalesce_ranges(&ranges, fetch, 1 << 20).await.unwrap();
        sealed.get_ranges(&path("a"), &ranges).await.unwrap();
        assert!(sealed.inner().calls().len() <= plain.into_inner(), "{ranges:?}");
    }
}

#[tokio::test]
async fn many_first_readers_read_one_header_and_ask_the_kms_once() {
    let kms = Kms::new();
    let wait_get_per_call = Duration::from_millis(20);
    let slow = ThrottleConfig { wait_get_per_call, ..ThrottleConfig::default() };
    let slow = Watched::new(ThrottledStore::new(InMemory::new(), slow));
    let store = builder_with(slow, &kms).build().unwrap();
    store.put(&path("a"), plaintext(30 * CHUNK).into()).await.unwrap();
    let _ = (store.inner().calls(), kms.calls());
    kms.take(Duration::from_millis(20));
    let location = path("a");
    let reads = (0..20).map(|n| store.get_range(&location, n * 1000..n * 1000 + 10));
    assert!(join_all(reads).await.iter().all(Result::is_ok));
    let headers =
        store.inner().calls().iter().filter(|call| **call == Call::Get(Some(0..H))).count();
    assert_eq!((headers, kms.calls()), (1, (0, 1)));
}

#[tokio::test]
async fn listings_deletes_and_copies_are_one_request() {
    let store = in_memory();
    for n in 0..10 {
        store.put(&path(&format!("dir/{n}")), plaintext(n).into()).await.unwrap();
    }
    store.inner().calls();
    let listed: Vec<_> = store.list(None).try_collect().await.unwrap();
    assert_eq!(listed.iter().map(|meta| meta.size).sum::<u64>(), 45);
    let listed = store.list_with_delimiter(Some(&path("dir"))).await.unwrap();
    assert_eq!(listed.objects.iter().map(|meta| meta.size).sum::<u64>(), 45);
    let listed = store.list_with_offset(None, &path("dir/7"));
    let listed: Vec<_> = listed.try_collect().await.unwrap();
    assert_eq!(listed.iter().map(|meta| meta.size).sum::<u64>(), 17);
    assert_eq!(store.inner().calls(), [Call::List, Call::List, Call::List]);
    store.copy(&path("dir/1"), &path("b")).await.unwrap();
    store.rename(&path("b"), &path("c")).await.unwrap();
    store.delete(&path("c")).await.unwrap();
    assert_eq!(store.inner().calls(), [Call::Copy, Call::Rename, Call::Delete]);
}

#[tokio::test(start_paused = true)]
async fn headers_are_kept_within_their_limits() {
    let kms = Kms::new();
    let cache = HeaderCache::new(3, Duration::from_secs(60));
    let store =
        builder_with(Watched::new(InMemory::new()), &kms).header_cache(cache).build().unwrap();
    let names = ["a", "b", "c", "d"];
    for name in names {
        store.put(&path(name), plaintext(10).into()).await.unwrap();
        store.get_range(&path(name), 0..1).await.unwrap();
    }
    assert_eq!(store.cached_headers(), 3);
    let _ = (store.inner().calls(), kms.calls());
    store.get_range(&path("d"), 0..1).await.unwrap();
    assert_eq!((store.inner().calls().len(), kms.calls()), (1, (0, 0)));
    store.get_range(&path("a"), 0..1).await.unwrap();
    assert_eq!((store.inner().calls().len(), kms.calls()), (2, (0, 1)), "it made room");
    // They go when their time is up, and not with the next use.
    tokio::time::sleep(Duration::from_secs(61)).await;
    assert_eq!(store.cached_headers(), 0);
    store.get_range(&path("a"), 0..1).await.unwrap();
    assert_eq!((store.inner().calls().len(), kms.calls()), (2, (0, 1)));

    let off = builder_with(Watched::new(InMemory::new()), &kms).header_cache(HeaderCache::off());
    let off = off.build().unwrap();
    off.put(&path("a"), plaintext(10).into()).await.unwrap();
    off.inner().calls();
    for _ in 0..2 {
        off.get_range(&path("a"), 0..1).await.unwrap();
        assert_eq!(off.inner().calls().len(), 2);
    }
}
