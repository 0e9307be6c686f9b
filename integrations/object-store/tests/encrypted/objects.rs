//! Objects of every length, in one piece.

use bulla::{
    Context, ErrorKind, Opener, Sealer, SharedProvider, envelope::CachePolicy, format::Suite,
};
use bulla_object_store::{Binding, sealing_error};
use bytes::Bytes;
use futures_util::TryStreamExt;
use object_store::{
    GetOptions, GetRange, ObjectStore, ObjectStoreExt, PutPayload, memory::InMemory,
};
use std::sync::Arc;

use crate::world::*;

const MIB: usize = 1 << 20;

fn lengths() -> Vec<usize> {
    let chunks = [0, 1, 2, 16, 17].map(|n| n * CHUNK);
    let near = chunks.iter().flat_map(|at| [at.saturating_sub(1), *at, at + 1]);
    near.chain([3 * MIB + 12_345]).collect()
}

#[tokio::test]
async fn whole_objects_of_every_length() {
    for pieces in [None, Some(1000), Some(CHUNK + 16), Some(MIB)] {
        let store = in_memory();
        if let Some(len) = pieces {
            store.inner().in_pieces(len);
        }
        for len in lengths() {
            let plain = plaintext(len);
            store.put(&path("a"), plain.clone().into()).await.unwrap();
            let got = store.get(&path("a")).await.unwrap();
            assert_eq!((got.meta.size, got.range.clone()), (len as u64, 0..len as u64));
            assert!(got.bytes().await.unwrap() == plain, "{len} in pieces of {pieces:?}");
            assert_eq!(store.head(&path("a")).await.unwrap().size, len as u64);
            let listed: Vec<_> = store.list(None).try_collect().await.unwrap();
            assert_eq!(listed[0].size, len as u64);
        }
    }
}

#[tokio::test]
async fn payloads_in_odd_pieces_and_files() {
    let store = encrypted(Local::new());
    for len in lengths() {
        let plain = plaintext(len);
        for piece in [7_001, CHUNK - 1, MIB + 1] {
            let payload: PutPayload = cut(&plain, piece).into_iter().collect();
            store.put(&path("a"), payload).await.unwrap();
            assert!(read(&store, "a").await.unwrap() == plain, "{len} in pieces of {piece}");
        }
    }
}

#[tokio::test]
async fn ranges_of_every_kind() {
    let store = in_memory();
    let files = encrypted(Local::new());
    for len in [1, 100, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, 20 * CHUNK + 77] {
        let plain = plaintext(len);
        store.put(&path("a"), plain.clone().into()).await.unwrap();
        files.put(&path("a"), plain.clone().into()).await.unwrap();
        let at = [0, 1, 99, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, len - 1, len, len + 1];
        let bounded = at.iter().flat_map(|start| at.iter().map(|end| (*start, *end)));
        let bounded = bounded.filter(|(start, end)| start < end);
        let bounded = bounded.map(|(start, end)| GetRange::Bounded(start as u64..end as u64));
        let offsets = at.iter().map(|at| GetRange::Offset(*at as u64));
        let suffixes = at.iter().map(|at| GetRange::Suffix(*at as u64));
        for range in bounded.chain(offsets).chain(suffixes) {
            let wanted = range.as_range(len as u64);
            let options = GetOptions::new().with_range(Some(range.clone()));
            let a = store.get_opts(&path("a"), options.clone()).await;
            let b = files.get_opts(&path("a"), options).await;
            let Ok(wanted) = wanted else {
                assert!(a.is_err() && b.is_err(), "{range:?} of {len}");
                continue;
            };
            for got in [a.unwrap(), b.unwrap()] {
                assert_eq!((got.meta.size, &got.range), (len as u64, &wanted));
                let bytes = got.bytes().await.unwrap();
                let wanted = wanted.start as usize..wanted.end as usize;
                assert!(bytes == plain[wanted], "{range:?} of {len}");
            }
        }
    }
}

#[tokio::test]
async fn many_ranges_at_once() {
    let store = in_memory();
    let plain = plaintext(60 * CHUNK + 5);
    store.put(&path("a"), plain.clone().into()).await.unwrap();
    let mut random = fastrand::Rng::with_seed(1);
    for count in [0, 1, 2, 5, 40] {
        let ranges: Vec<_> = (0..count)
            .map(|_| {
                let start = random.u64(..plain.len() as u64);
                start..start + 1 + random.u64(..3 * CHUNK as u64)
            })
            .collect();
        let got = store.get_ranges(&path("a"), &ranges).await.unwrap();
        assert_eq!(got.len(), count);
        for (range, got) in ranges.iter().zip(got) {
            let end = (range.end as usize).min(plain.len());
            assert!(got == plain[range.start as usize..end], "{range:?}");
        }
    }
    let len = plain.len() as u64;
    for bad in [len..len + 1, 5..5] {
        assert!(store.get_ranges(&path("a"), &[0..1, bad]).await.is_err());
    }
}

#[tokio::test]
async fn both_suites_and_other_lengths_of_headers() {
    let kms = Kms::new();
    let provider: SharedProvider = kms.clone();
    let inner = Arc::new(InMemory::new());
    let with = |suite, header_len| {
        let sealer = Sealer::builder().recipient(provider.clone()).suite(suite);
        let sealer = sealer.header_len(header_len).build().unwrap();
        let opener = Opener::new([provider.clone()]);
        bulla_object_store::EncryptedStore::new(Arc::clone(&inner), sealer, opener)
    };
    let plain = plaintext(5 * CHUNK + 1);
    for suite in [Suite::Aes256Gcm64KiB, Suite::Cobblestone256] {
        for header_len in [400, 1024, 5000, u16::MAX] {
            let writer = with(suite, header_len);
            writer.put(&path("a"), plain.clone().into()).await.unwrap();
            let listed: Vec<_> = writer.list(None).try_collect().await.unwrap();
            assert_eq!(listed[0].size, plain.len() as u64);
            // Whoever pads to another length reads it too, and `head` is right; listings are not.
            let reader = with(Suite::Aes256Gcm64KiB, 1024);
            assert_eq!(reader.head(&path("a")).await.unwrap().size, plain.len() as u64);
            assert!(read(&reader, "a").await.unwrap() == plain);
            for reader in [&reader, &with(Suite::Cobblestone256, 300)] {
                let range = 70_000..200_001;
                let got = reader.get_range(&path("a"), range).await.unwrap();
                assert!(got == plain[70_000..200_001]);
            }
        }
    }
}

#[tokio::test]
async fn where_data_keys_are_shared() {
    for binding in [Binding::Object, Binding::Path, Binding::Context] {
        let kms = Kms::new();
        let provider: SharedProvider = kms.clone();
        let sealer = Sealer::builder().recipient(provider.clone()).cache(CachePolicy::default());
        let opener = Opener::builder().provider(provider).cache(CachePolicy::default()).build();
        let store = bulla_object_store::EncryptedStore::builder(
            InMemory::new(),
            sealer.build().unwrap(),
            opener,
        );
        let tenant = |_: &object_store::path::Path| Context::new().with_key("tenant", "acme");
        let store = store.binding(binding).context(tenant).build().unwrap();
        for n in 0..10 {
            store.put(&path(&format!("{n}")), plaintext(100 + n).into()).await.unwrap();
        }
        let listed: Vec<_> = store.list(None).try_collect().await.unwrap();
        assert_eq!(listed.iter().map(|meta| meta.size).sum::<u64>(), 1045);
        for n in 0..10 {
            assert!(read(&store, &format!("{n}")).await.unwrap() == plaintext(100 + n));
        }
        let expected = if binding == Binding::Object { (10, 10) } else { (1, 1) };
        assert_eq!(kms.calls(), expected, "{binding:?}");
        // A long one has its own.
        store.put(&path("long"), plaintext(MIB).into()).await.unwrap();
        assert_eq!(kms.calls(), (1, 0));
        assert!(read(&store, "long").await.unwrap() == plaintext(MIB));
    }
}

#[tokio::test]
async fn errors_are_the_stores_or_say_what_sealing_failed_with() {
    let kms = Kms::new();
    let store = builder_with(InMemory::new(), &kms).build().unwrap();
    let error = read(&store, "a").await.unwrap_err();
    assert!(
        matches!(error, object_store::Error::NotFound { .. }) && sealing_error(&error).is_none()
    );
    let error = store.get_range(&path("a"), 0..1).await.unwrap_err();
    assert!(matches!(error, object_store::Error::NotFound { .. }));
    let error = store.get_ranges(&path("a"), &[0..1]).await.unwrap_err();
    assert!(matches!(error, object_store::Error::NotFound { .. }));

    store.put(&path("a"), Bytes::from("x").into()).await.unwrap();
    for (kind, denied) in [
        (ErrorKind::Unavailable, false),
        (ErrorKind::NotFound, false),
        (ErrorKind::Denied, true),
        (ErrorKind::Disabled, false),
    ] {
        kms.fail(kind);
        store.clear_header_cache();
        for error in [
            read(&store, "a").await.unwrap_err(),
            store.get_range(&path("a"), 0..1).await.unwrap_err(),
            store.put(&path("b"), "x".into()).await.unwrap_err(),
            store.put_multipart(&path("b")).await.map(drop).unwrap_err(),
        ] {
            assert_eq!(sealing_error(&error).unwrap().kind(), kind, "{error}");
            let is_denied = matches!(error, object_store::Error::PermissionDenied { .. });
            let is_generic = matches!(error, object_store::Error::Generic { .. });
            assert!(if denied { is_denied } else { is_generic }, "{error:?}");
        }
    }
    kms.recover();
    let other = builder(InMemory::new()).build().unwrap();
    let raw = store.inner().get(&path("a")).await.unwrap().bytes().await.unwrap();
    other.inner().put(&path("a"), raw.into()).await.unwrap();
    let error = read(&other, "a").await.unwrap_err();
    assert_eq!(sealing_error(&error).unwrap().kind(), ErrorKind::NotAuthentic);
}

#[tokio::test]
async fn settings_are_checked() {
    let built = |len| builder(InMemory::new()).part_len(len).build();
    assert!(built(5 << 20).is_ok() && built(4000 << 20).is_ok());
    for bad in [0, (5 << 20) - 1, (4000 << 20) + 1] {
        assert_eq!(built(bad).unwrap_err().kind(), ErrorKind::InvalidInput);
    }
    let day = bulla_object_store::HeaderCache::LONGEST;
    for (entries, age, good) in [(100_000, day, true), (100_001, day, false), (1, day + day, false)]
    {
        let cache = bulla_object_store::HeaderCache::new(entries, age);
        assert_eq!(builder(InMemory::new()).header_cache(cache).build().is_ok(), good);
    }
    let store = encrypted(InMemory::new());
    assert_eq!(store.to_string(), "EncryptedStore(InMemory)");
    assert!(format!("{store:?}").starts_with("EncryptedStore"));
}
