//! Uploads in parts of any size.

use futures_util::{FutureExt, future::join_all};
use object_store::{
    MultipartUpload, ObjectStore, ObjectStoreExt, PutPayload, buffered::BufWriter, memory::InMemory,
};
use tokio::io::AsyncWriteExt;

use crate::world::*;

const MIB: usize = 1 << 20;
/// The shortest that may be set.
const PART: usize = 5 * MIB;

fn store() -> bulla_object_store::EncryptedStore<std::sync::Arc<Watched<InMemory>>> {
    builder(Watched::new(InMemory::new())).part_len(PART).build().unwrap()
}

fn parts(calls: &[Call]) -> Vec<usize> {
    let part = |call: &Call| match call {
        Call::Part(len) => Some(*len),
        _ => None,
    };
    calls.iter().filter_map(part).collect()
}

#[tokio::test]
async fn any_parts_make_the_object_that_one_put_makes() {
    let store = store();
    // The plaintext that fills a part exactly, and around it.
    let edge = PART / (CHUNK + 16) * CHUNK;
    let lengths = [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, edge - 1, edge, edge + 1, PART, 2 * PART + 7];
    for len in lengths {
        let plain = plaintext(len);
        store.put(&path("one"), plain.clone().into()).await.unwrap();
        for part in [CHUNK - 1, CHUNK, CHUNK + 1, 1_000_003, 5 * MIB + 1, 11 * MIB] {
            store.inner().calls();
            upload(&store, "a", &cut(&plain, part)).await.unwrap();
            let calls = store.inner().calls();
            assert!(read(&store, "a").await.unwrap() == plain, "{len} in parts of {part}");
            let sizes = |at: &'static str| store.inner().inner.head(Box::leak(Box::new(path(at))));
            assert_eq!(sizes("a").await.unwrap().size, sizes("one").await.unwrap().size);
            // All but the last are of one length, which is 5 MiB at least, and the last is not longer.
            let parts = parts(&calls);
            let (last, others) = parts.split_last().unwrap();
            let first = others.first().copied().unwrap_or(usize::MAX);
            assert!(first >= PART && *last <= first, "{parts:?}");
            assert!(others.iter().all(|len| *len == first), "{parts:?}");
            assert_eq!((calls.first(), calls.last()), (Some(&Call::Begin), Some(&Call::Complete)));
        }
    }
}

#[tokio::test]
async fn tiny_parts_are_collected() {
    let store = store();
    let plain = plaintext(200_000);
    upload(&store, "a", &cut(&plain, 7)).await.unwrap();
    assert_eq!(store.inner().calls().len(), 3, "begin, one part, complete");
    assert!(read(&store, "a").await.unwrap() == plain);
    let mut empty = store.put_multipart(&path("b")).await.unwrap();
    empty.put_part(PutPayload::default()).await.unwrap();
    empty.complete().await.unwrap();
    assert!(read(&store, "b").await.unwrap().is_empty());
}

#[tokio::test]
async fn there_are_no_more_parts_than_the_caller_had() {
    let store = builder(Watched::new(InMemory::new())).build().unwrap();
    let plain = plaintext(61 * MIB);
    for part in [8 * MIB, 10 * MIB, 20 * MIB + 3] {
        store.inner().calls();
        let pieces = cut(&plain, part);
        upload(&store, "a", &pieces).await.unwrap();
        assert!(parts(&store.inner().calls()).len() <= pieces.len());
        assert!(read(&store, "a").await.unwrap() == plain);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parts_may_be_waited_for_in_any_order() {
    let store = store();
    let plain = plaintext(23 * MIB + 5);
    let mut random = fastrand::Rng::with_seed(3);
    for _ in 0..3 {
        let mut upload = store.put_multipart(&path("a")).await.unwrap();
        let pieces = cut(&plain, 3 * MIB + 11);
        let mut running: Vec<_> =
            pieces.iter().map(|piece| upload.put_part(piece.clone().into())).collect();
        random.shuffle(&mut running);
        for part in running {
            part.await.unwrap();
        }
        upload.complete().await.unwrap();
        assert!(read(&store, "a").await.unwrap() == plain);
    }
    // All at once.
    let mut upload = store.put_multipart(&path("b")).await.unwrap();
    let running = cut(&plain, MIB).into_iter().map(|piece| upload.put_part(piece.into()));
    let running: Vec<_> = running.collect();
    assert!(join_all(running).await.iter().all(Result::is_ok));
    upload.complete().await.unwrap();
    assert!(read(&store, "b").await.unwrap() == plain);
}

#[tokio::test]
async fn through_a_buffered_writer() {
    let store = std::sync::Arc::new(encrypted(Local::new()));
    let plain = plaintext(25 * MIB + 1);
    let shared = std::sync::Arc::clone(&store) as std::sync::Arc<dyn ObjectStore>;
    let mut writer = BufWriter::new(shared, path("a"));
    for piece in cut(&plain, 333_333) {
        writer.write_all(&piece).await.unwrap();
    }
    writer.shutdown().await.unwrap();
    assert!(read(&*store, "a").await.unwrap() == plain);
}

/// As in a program with another executor: all is done where it is asked for.
#[test]
fn without_a_runtime() {
    let store = encrypted(InMemory::new());
    let plain = plaintext(12 * MIB);
    store.put(&path("a"), plain.clone().into()).now_or_never().unwrap().unwrap();
    upload(&store, "b", &cut(&plain, 3 * MIB)).now_or_never().unwrap().unwrap();
    for at in ["a", "b"] {
        assert!(read(&store, at).now_or_never().unwrap().unwrap() == plain);
        let got = store.get_range(&path(at), 5..70_000).now_or_never().unwrap().unwrap();
        assert!(got == plain[5..70_000]);
    }
}
