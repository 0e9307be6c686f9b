//! A store that fails in the middle, and callers who give up.

use std::{sync::Arc, time::Duration};

use bulla_object_store::EncryptedStore;
use futures_util::{FutureExt, TryStreamExt, future::join_all};
use object_store::{MultipartUpload, ObjectStore, ObjectStoreExt, memory::InMemory};

use crate::world::*;

type Store = EncryptedStore<Arc<Watched<InMemory>>>;

const MIB: usize = 1 << 20;

fn store() -> Store {
    builder(Watched::new(InMemory::new())).part_len(5 * MIB).build().unwrap()
}

/// Lets the `nth` of some requests fail, once.
fn fail_the(store: &Store, nth: usize, which: fn(&Call) -> bool) {
    let mut count = 0;
    store.inner().before(move |call| {
        count += usize::from(which(call));
        if which(call) && count == nth + 1 { Err(broken()) } else { Ok(()) }
    });
}

fn is_part(call: &Call) -> bool {
    matches!(call, Call::Part(_))
}

async fn nothing_is_there(store: &Store) {
    store.inner().leave_alone();
    assert!(read(store, "a").await.is_err());
    let listed: Vec<_> = store.list(None).try_collect().await.unwrap();
    assert!(listed.is_empty());
    for _ in 0..100 {
        if store.inner().open_uploads() == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("an upload was left behind");
}

#[tokio::test]
async fn one_part_that_fails_fails_the_object() {
    let plain = plaintext(23 * MIB);
    for piece in [2 * MIB, 5 * MIB, 9 * MIB] {
        let pieces = cut(&plain, piece);
        let whole = store();
        upload(&whole, "a", &pieces).await.unwrap();
        let parts = whole.inner().calls().iter().filter(|call| is_part(call)).count();
        assert!(parts >= 3);
        for nth in 0..parts {
            // Somebody who goes on, whatever happens.
            let store = store();
            fail_the(&store, nth, is_part);
            let mut upload = store.put_multipart(&path("a")).await.unwrap();
            let mut failed = 0;
            for piece in &pieces {
                failed += usize::from(upload.put_part(piece.clone().into()).await.is_err());
            }
            assert_eq!(failed > 0, nth + 1 < parts, "the last part is sent by `complete`");
            assert!(upload.complete().await.is_err(), "part {nth} of {parts}");
            nothing_is_there(&store).await;
            assert!(upload.complete().await.is_err(), "it stays failed");
            upload.abort().await.unwrap();
        }
    }
}

#[tokio::test]
async fn who_stops_at_an_error_leaves_nothing_behind() {
    let plain = plaintext(23 * MIB);
    for abort in [false, true] {
        let store = store();
        fail_the(&store, 1, is_part);
        let mut upload = store.put_multipart(&path("a")).await.unwrap();
        let pieces = cut(&plain, 5 * MIB);
        let mut failed = false;
        for piece in pieces {
            failed |= upload.put_part(piece.into()).await.is_err();
            if failed {
                break;
            }
        }
        assert!(failed);
        if abort {
            upload.abort().await.unwrap();
        }
        drop(upload);
        nothing_is_there(&store).await;
    }
}

#[tokio::test]
async fn an_end_that_fails_leaves_nothing_behind() {
    for which in [is_part as fn(&Call) -> bool, |call: &Call| *call == Call::Complete] {
        let store = store();
        fail_the(&store, 0, which);
        let mut upload = store.put_multipart(&path("a")).await.unwrap();
        upload.put_part(plaintext(MIB).into()).await.unwrap();
        assert!(upload.complete().await.is_err());
        nothing_is_there(&store).await;
    }
    let store = store();
    fail_the(&store, 0, |call| matches!(call, Call::Put(_)));
    assert!(store.put(&path("a"), "x".into()).await.is_err());
    nothing_is_there(&store).await;
}

#[tokio::test]
async fn a_part_that_nobody_waited_for_is_missed() {
    let store = store();
    let mut upload = store.put_multipart(&path("a")).await.unwrap();
    upload.put_part(plaintext(6 * MIB).into()).await.unwrap();
    drop(upload.put_part(plaintext(6 * MIB).into()));
    upload.put_part(plaintext(6 * MIB).into()).await.unwrap();
    assert!(upload.complete().await.is_err());
    nothing_is_there(&store).await;
}

#[tokio::test]
async fn an_upload_that_was_aborted_takes_nothing_more() {
    let store = store();
    let mut upload = store.put_multipart(&path("a")).await.unwrap();
    upload.put_part(plaintext(6 * MIB).into()).await.unwrap();
    let late = upload.put_part(plaintext(6 * MIB).into());
    upload.abort().await.unwrap();
    assert!(late.await.is_err());
    assert!(upload.put_part(plaintext(1).into()).await.is_err());
    assert!(upload.complete().await.is_err());
    nothing_is_there(&store).await;
    // A completed one neither.
    let mut upload = store.put_multipart(&path("b")).await.unwrap();
    upload.complete().await.unwrap();
    assert!(upload.complete().await.is_err());
    assert!(upload.put_part(plaintext(1).into()).await.is_err());
    upload.abort().await.unwrap();
    assert!(read(&store, "b").await.unwrap().is_empty());
}

/// Dropped at every point at which it waits.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn futures_that_are_dropped_leave_no_object() {
    for polls in 0..12 {
        let store = store();
        store.inner().before(|_| Ok(()));
        let whole = async {
            let mut upload = store.put_multipart(&path("a")).await?;
            tokio::task::yield_now().await;
            for piece in cut(&plaintext(12 * MIB), 6 * MIB) {
                upload.put_part(piece.into()).await?;
                tokio::task::yield_now().await;
            }
            upload.complete().await
        };
        let mut whole = Box::pin(whole);
        let mut done = false;
        for _ in 0..polls {
            if (&mut whole).now_or_never().is_some() {
                done = true;
                break;
            }
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
        drop(whole);
        match read(&store, "a").await {
            Ok(got) => assert!(done && got == plaintext(12 * MIB), "{polls}"),
            Err(error) => {
                assert!(!done && matches!(error, object_store::Error::NotFound { .. }), "{polls}");
            }
        }
        // The same for one put, and for reads.
        let location = path("b");
        let mut put = Box::pin(store.put(&location, plaintext(12 * MIB).into()));
        let mut put_done = false;
        for _ in 0..polls {
            put_done = put_done || (&mut put).now_or_never().is_some();
            if put_done {
                break;
            }
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
        drop(put);
        assert_eq!(read(&store, "b").await.is_ok(), put_done);
    }
}

#[tokio::test]
async fn a_read_that_fails_half_way_is_an_error() {
    let store = store();
    store.put(&path("a"), plaintext(10 * MIB).into()).await.unwrap();
    fail_the(&store, 1, |call| matches!(call, Call::Get(_)));
    assert!(store.get_range(&path("a"), 0..1).await.is_err(), "the chunks after the header");
    store.inner().leave_alone();
    assert!(store.get_range(&path("a"), 0..1).await.is_ok());
    fail_the(&store, 1, |call| matches!(call, Call::Get(_)));
    let far = [0..1, 5 << 20..(5 << 20) + 1, 9 << 20..(9 << 20) + 1];
    assert!(store.get_ranges(&path("a"), &far).await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_at_once() {
    let store = Arc::new(encrypted(Local::new()));
    let one = |n: usize| {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            let name = format!("{}", n % 8);
            let mut random = fastrand::Rng::with_seed(n as u64);
            for _ in 0..6 {
                let len = random.usize(..3 * MIB);
                match random.u8(..4) {
                    0 => drop(
                        store.put(&path(&name), vec![len as u8; len + 1].into()).await.unwrap(),
                    ),
                    1 => {
                        let piece = bytes::Bytes::from(vec![len as u8; len + 1]);
                        upload(&*store, &name, &[piece]).await.unwrap();
                    }
                    2 => match read(&*store, &name).await {
                        Ok(got) => assert!(got.iter().all(|byte| *byte == got[0])),
                        Err(error) => assert!(is_gone(&error), "{error:?}"),
                    },
                    _ => match store.get_ranges(&path(&name), &[0..1, 0..9]).await {
                        Ok(got) => assert!(got[1].iter().all(|byte| *byte == got[0][0])),
                        Err(error) => assert!(is_gone(&error), "{error:?}"),
                    },
                }
            }
        })
    };
    for done in join_all((0..24).map(one)).await {
        done.unwrap();
    }
}

fn is_gone(error: &object_store::Error) -> bool {
    matches!(error, object_store::Error::NotFound { .. } | object_store::Error::Precondition { .. })
}
