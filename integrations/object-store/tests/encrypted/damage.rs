//! Whatever is altered in the store beneath is found out.

use std::sync::Arc;

use bulla::ErrorKind;
use bulla_object_store::{EncryptedStore, sealing_error};
use bytes::Bytes;
use futures_util::TryStreamExt;
use object_store::{GetOptions, GetRange, ObjectStore, ObjectStoreExt, memory::InMemory};

use crate::world::*;

async fn store_with(plain: &Bytes) -> (EncryptedStore<Arc<Watched<InMemory>>>, Bytes) {
    let store = in_memory();
    store.put(&path("a"), plain.clone().into()).await.unwrap();
    let sealed = store.inner().inner.get(&path("a")).await.unwrap().bytes().await.unwrap();
    (store, sealed)
}

async fn replace(store: &EncryptedStore<Arc<Watched<InMemory>>>, sealed: impl Into<Bytes>) {
    store.inner().inner.put(&path("a"), sealed.into().into()).await.unwrap();
}

fn is_not_authentic(error: &object_store::Error) -> bool {
    let kind = sealing_error(error).map(bulla::Error::kind);
    matches!(kind, Some(ErrorKind::NotAuthentic | ErrorKind::Malformed))
}

/// What every way to read says, headers known or not.
async fn refused(store: &EncryptedStore<Arc<Watched<InMemory>>>, ranges: &[std::ops::Range<u64>]) {
    let error = read(store, "a").await.unwrap_err();
    assert!(is_not_authentic(&error), "{error:?}");
    for range in ranges {
        let error = store.get_range(&path("a"), range.clone()).await.unwrap_err();
        assert!(is_not_authentic(&error), "{range:?}: {error:?}");
        let error = store.get_ranges(&path("a"), std::slice::from_ref(range)).await.unwrap_err();
        assert!(is_not_authentic(&error), "{range:?}: {error:?}");
    }
}

#[tokio::test]
async fn a_bit_in_any_region() {
    let plain = plaintext(2 * CHUNK + 500);
    let (store, sealed) = store_with(&plain).await;
    let (chunk, all) = (CHUNK + 16, 0..plain.len() as u64);
    // Every field of the header has its own tests; here is one of each region.
    let header = [5, 9, 12, 100, 200, 600, 1023, 1024, 1050, HEAD - 1];
    for at in header {
        let mut bad = sealed.to_vec();
        bad[at] ^= 1;
        replace(&store, bad).await;
        for known in [false, true] {
            if !known {
                store.clear_header_cache();
            }
            let error = read(&store, "a").await.unwrap_err();
            assert!(sealing_error(&error).is_some(), "{at}: {error:?}");
            let error = store.get_range(&path("a"), 0..5).await.unwrap_err();
            assert!(sealing_error(&error).is_some(), "{at}: {error:?}");
        }
    }
    let chunks = [
        (HEAD, 0..1_u64),
        (HEAD + chunk - 1, 5..6),
        (HEAD + chunk, CHUNK as u64..CHUNK as u64 + 1),
        (HEAD + 2 * chunk, 2 * CHUNK as u64 + 7..2 * CHUNK as u64 + 8),
        (sealed.len() - 1, all.end - 1..all.end),
    ];
    for (at, range) in chunks {
        let mut bad = sealed.to_vec();
        bad[at] ^= 0x80;
        replace(&store, bad).await;
        refused(&store, &[range, all.clone()]).await;
    }
    replace(&store, sealed).await;
    assert!(read(&store, "a").await.unwrap() == plain);
}

#[tokio::test]
async fn an_object_that_was_cut() {
    let plain = plaintext(3 * CHUNK);
    let (store, sealed) = store_with(&plain).await;
    let chunk = CHUNK + 16;
    let end = plain.len() as u64;
    for len in [
        sealed.len() - 1,
        sealed.len() - 16,
        HEAD + 2 * chunk + 100,
        HEAD + 2 * chunk,
        HEAD + 16,
        HEAD,
        HEAD - 1,
        1000,
        11,
        6,
    ] {
        replace(&store, sealed.slice(..len)).await;
        let error = read(&store, "a").await.unwrap_err();
        assert!(is_not_authentic(&error), "{len}: {error:?}");
        // Its end, wherever that is said to be now.
        for range in [GetRange::Suffix(1), GetRange::Suffix(end), GetRange::Bounded(0..end)] {
            let options = GetOptions::new().with_range(Some(range));
            assert!(store.get_opts(&path("a"), options).await.is_err(), "{len}");
        }
        assert!(store.get_range(&path("a"), end - 1..end).await.is_err());
    }
    // What was not cut off can be read, where it tells nothing of the end.
    replace(&store, sealed.slice(..HEAD + 2 * chunk + 100)).await;
    assert!(store.get_range(&path("a"), 0..10).await.unwrap() == plain[..10]);
}

#[tokio::test]
async fn what_is_cut_off_a_stream_is_an_error_at_its_end() {
    let plain = plaintext(40 * CHUNK + 9);
    for files in [false, true] {
        let memory = in_memory();
        let local = encrypted(Local::new());
        let store: &dyn ObjectStore = if files { &local } else { &memory };
        store.put(&path("a"), plain.clone().into()).await.unwrap();
        if files {
            let file = local.inner().dir.path().join("a");
            let sealed = std::fs::read(&file).unwrap();
            std::fs::write(&file, &sealed[..HEAD + 30 * (CHUNK + 16) + 200]).unwrap();
        } else {
            let sealed = memory.inner().inner.get(&path("a")).await.unwrap().bytes().await.unwrap();
            replace(&memory, sealed.slice(..HEAD + 30 * (CHUNK + 16) + 200)).await;
        }
        let mut stream = store.get(&path("a")).await.unwrap().into_stream();
        let mut got = Vec::new();
        let error = loop {
            match stream.try_next().await {
                Ok(Some(bytes)) => got.extend_from_slice(&bytes),
                Ok(None) => panic!("it ended as if it were whole"),
                Err(error) => break error,
            }
        };
        assert!(is_not_authentic(&error));
        assert!(
            got.len() <= 30 * CHUNK && got == plain[..got.len()],
            "authentic as far as it went"
        );
        assert!(stream.try_next().await.unwrap().is_none(), "nothing behind an error");
    }
}

#[tokio::test]
async fn a_store_that_sends_less_or_more_than_it_says() {
    use futures_util::{StreamExt, stream};
    use object_store::{GetResultPayload, Result};

    /// Says that the object is whole, and sends what it likes.
    #[derive(Debug)]
    struct Liar(InMemory, Vec<u8>, bool);
    impl std::fmt::Display for Liar {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("Liar")
        }
    }
    #[async_trait::async_trait]
    impl ObjectStore for Liar {
        async fn put_opts(
            &self,
            at: &object_store::path::Path,
            payload: object_store::PutPayload,
            opts: object_store::PutOptions,
        ) -> Result<object_store::PutResult> {
            self.0.put_opts(at, payload, opts).await
        }
        async fn put_multipart_opts(
            &self,
            at: &object_store::path::Path,
            opts: object_store::PutMultipartOptions,
        ) -> Result<Box<dyn object_store::MultipartUpload>> {
            self.0.put_multipart_opts(at, opts).await
        }
        async fn get_opts(
            &self,
            at: &object_store::path::Path,
            options: GetOptions,
        ) -> Result<object_store::GetResult> {
            let mut result = self.0.get_opts(at, options).await?;
            let body = Bytes::from(self.1.clone());
            result.payload = GetResultPayload::Stream(match self.2 {
                true => stream::repeat_with(move || Ok(body.clone())).boxed(),
                false => stream::iter([Ok(body)]).boxed(),
            });
            Ok(result)
        }
        fn delete_stream(
            &self,
            locations: stream::BoxStream<'static, Result<object_store::path::Path>>,
        ) -> stream::BoxStream<'static, Result<object_store::path::Path>> {
            self.0.delete_stream(locations)
        }
        fn list(
            &self,
            prefix: Option<&object_store::path::Path>,
        ) -> stream::BoxStream<'static, Result<object_store::ObjectMeta>> {
            self.0.list(prefix)
        }
        async fn list_with_delimiter(
            &self,
            prefix: Option<&object_store::path::Path>,
        ) -> Result<object_store::ListResult> {
            self.0.list_with_delimiter(prefix).await
        }
        async fn copy_opts(
            &self,
            from: &object_store::path::Path,
            to: &object_store::path::Path,
            options: object_store::CopyOptions,
        ) -> Result<()> {
            self.0.copy_opts(from, to, options).await
        }
    }

    let kms = Kms::new();
    let honest = builder_with(InMemory::new(), &kms).build().unwrap();
    for chunks in [3, 10] {
        honest.put(&path("a"), plaintext(chunks * CHUNK).into()).await.unwrap();
        let sealed = honest.inner().get(&path("a")).await.unwrap().bytes().await.unwrap();
        let ends = [0, HEAD, HEAD + 100, HEAD + 2 * (CHUNK + 16), sealed.len() - 16];
        for (end, endless) in ends.into_iter().flat_map(|end| [(end, false), (end.max(1), true)]) {
            let inner = Liar(honest.inner().clone(), sealed[..end].to_vec(), endless);
            let store = builder_with(inner, &kms).build().unwrap();
            let whole = async { store.get(&path("a")).await?.bytes().await };
            assert!(whole.await.is_err(), "{end} of {chunks}, {endless}");
            assert!(store.get_range(&path("a"), 0..5).await.is_err());
            assert!(store.get_ranges(&path("a"), &[0..5]).await.is_err());
        }
    }
}

#[tokio::test]
async fn an_object_that_was_extended() {
    let plain = plaintext(CHUNK + 100);
    let (store, sealed) = store_with(&plain).await;
    for more in [1, 16, 17, CHUNK + 16, 3 * CHUNK] {
        replace(&store, [&sealed[..], &vec![0; more]].concat()).await;
        assert!(is_not_authentic(&read(&store, "a").await.unwrap_err()), "{more}");
        let options = GetOptions::new().with_range(Some(GetRange::Suffix(1)));
        assert!(store.get_opts(&path("a"), options).await.is_err(), "{more}");
    }
}

#[tokio::test]
async fn chunks_of_other_places_and_objects() {
    let plain = plaintext(4 * CHUNK + 3);
    let (store, one) = store_with(&plain).await;
    store.put(&path("b"), plain.clone().into()).await.unwrap();
    let two = store.inner().inner.get(&path("b")).await.unwrap().bytes().await.unwrap();
    let place = |n: usize| HEAD + n * (CHUNK + 16)..HEAD + (n + 1) * (CHUNK + 16);
    let mut swapped = one.to_vec();
    swapped[place(0)].copy_from_slice(&one[place(1)]);
    swapped[place(1)].copy_from_slice(&one[place(0)]);
    let mut spliced = one.to_vec();
    spliced[place(2)].copy_from_slice(&two[place(2)]);
    let mut header = two.to_vec();
    header[..HEAD].copy_from_slice(&one[..HEAD]);
    let dropped = [&one[..place(1).start], &one[place(2).start..]].concat();
    let doubled = [&one[..place(1).end], &one[place(1).start..]].concat();
    for (bad, at) in [(swapped, 0), (spliced, 2), (header, 0), (dropped, 1), (doubled, 2)] {
        replace(&store, bad).await;
        let start = at * CHUNK as u64;
        refused(&store, &[start..start + 1]).await;
    }
    // All of another object is one: what is bound to an id can be swapped, and says so.
    replace(&store, two).await;
    assert!(read(&store, "a").await.unwrap() == plain);
}
