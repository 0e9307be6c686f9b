//! An encrypted store for programs that speak version 0.13 of `object_store`: that version's own suite, each function
//! on a fresh store, and what a suite does not ask.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
#![allow(clippy::cast_possible_truncation, reason = "small numbers of test data")]

mod world;

use std::sync::Arc;

use bulla::ErrorKind;
use bulla_object_store::compat::{V0_13, sealing_error};
use futures_util::{StreamExt, TryStreamExt, stream};
use object_store::memory::InMemory;
use object_store_0_13::{Attribute, Error, ObjectStore, ObjectStoreExt, PutOptions, path::Path};

use crate::world::{CHUNK, Kms, Local, Watched, broken, builder_with, encrypted, plaintext, suite};

suite! {
    object_store_0_13:
    memory: V0_13::new(encrypted(InMemory::new())), true, true;
    files: V0_13::new(encrypted(Local::new())), false, true;
    // Without encryption: local files come as files there, and not as streams.
    plain_files: V0_13::new(Local::new()), false, true;
}

#[tokio::test]
async fn ranges_and_names_are_those_of_the_object() {
    let store = V0_13::new(encrypted(InMemory::new()));
    let plain = plaintext(3 * CHUNK + 7);
    for name in ["a b/ü", "100%/x%2Fy", "..%2e"] {
        let at = Path::from(name);
        store.put(&at, plain.clone().into()).await.unwrap();
        let len = plain.len() as u64;
        let ranges = [1..2, 70_000..140_000, len - 5..len];
        let got = store.get_ranges(&at, &ranges).await.unwrap();
        for (range, got) in ranges.iter().zip(got) {
            assert_eq!(got, plain.slice(range.start as usize..range.end as usize));
        }
        let listed: Vec<_> = store.list(None).try_collect().await.unwrap();
        assert!(listed.iter().map(|meta| &meta.location).eq([&at]));
        assert_eq!(listed[0].size, len);
        store.delete(&at).await.unwrap();
    }
}

#[tokio::test]
async fn attributes_arrive_beneath() {
    let store = V0_13::new(encrypted(InMemory::new()));
    let kept = [
        (Attribute::ContentType, "text/csv"),
        (Attribute::CacheControl, "no-store"),
        (Attribute::Metadata("owner".into()), "ann"),
    ];
    let options =
        PutOptions { attributes: kept.clone().into_iter().collect(), ..Default::default() };
    store.put_opts(&Path::from("a"), "x".into(), options).await.unwrap();
    let beneath = store.inner().inner();
    let got = object_store::ObjectStoreExt::get(beneath, &"a".into()).await.unwrap();
    assert_eq!(
        got.attributes.get(&object_store::Attribute::ContentType).unwrap().as_ref(),
        "text/csv"
    );
    let got = store.get(&Path::from("a")).await.unwrap();
    assert_eq!(got.attributes, kept.into_iter().collect());
}

#[tokio::test]
async fn what_sealing_failed_with_is_found() {
    let kms = Kms::new();
    let store = V0_13::new(builder_with(InMemory::new(), &kms).build().unwrap());
    let at = Path::from("a");
    store.put(&at, plaintext(CHUNK).into()).await.unwrap();
    let beneath = store.inner().inner();
    let sealed = object_store::ObjectStoreExt::get(beneath, &"a".into()).await.unwrap();
    let mut sealed = sealed.bytes().await.unwrap().to_vec();
    *sealed.last_mut().unwrap() ^= 1;
    object_store::ObjectStoreExt::put(beneath, &"a".into(), sealed.into()).await.unwrap();
    let error = store.get(&at).await.unwrap().bytes().await.unwrap_err();
    assert_eq!(sealing_error(&error).unwrap().kind(), ErrorKind::NotAuthentic);
    assert!(sealing_error(&store.get(&Path::from("b")).await.unwrap_err()).is_none());
}

#[tokio::test]
async fn errors_of_a_store_beneath_and_of_a_list_of_names_are_themselves() {
    let watched = Watched::new(InMemory::new());
    let store = V0_13::new(encrypted(Arc::clone(&watched)));
    store.put(&Path::from("a"), "x".into()).await.unwrap();
    watched.before(|_| Err(broken()));
    let error = store.get(&Path::from("a")).await.unwrap_err();
    assert_eq!(error.to_string(), broken().to_string());

    let store = V0_13::new(encrypted(InMemory::new()));
    let given = Error::NotSupported { source: "by the test".into() };
    let names = stream::iter([Err(given)]).boxed();
    let told: Vec<_> = store.delete_stream(names).collect().await;
    assert!(matches!(told.as_slice(), [Err(Error::NotSupported { .. })]), "{told:?}");
}
