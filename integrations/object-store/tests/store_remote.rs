//! `object_store`'s suite over emulators of S3 and Azure Blob: each function on a fresh bucket, on the plain store
//! first.

#![allow(clippy::single_range_in_vec_init, clippy::clone_on_ref_ptr, reason = "shorter in tests")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests"
)]

mod world;

use std::sync::Arc;

use bulla_object_store::Binding;
use bulla_testworld::{Azurite, Ministack, Moto, Python};
use futures_util::{FutureExt, StreamExt, TryStreamExt, future::BoxFuture};
use object_store::{
    Attribute, Attributes, GetOptions, GetRange, ObjectStore, ObjectStoreExt, PutMode, PutOptions,
    TagSet,
    aws::{AmazonS3Builder, S3CopyIfNotExists},
    azure::MicrosoftAzureBuilder,
    integration::*,
    path::Path,
};

use world::{CHUNK, Kms, Watched, builder, builder_with, cut, path, plaintext, read, upload};

type Store = Arc<dyn ObjectStore>;
type Function = fn(&Store) -> BoxFuture<'_, ()>;

const MIB: usize = 1 << 20;

/// Of two uploads to one place, the one that is completed last is the object; on Azure, where blocks are the
/// place's and not the upload's, the other one fails.
const LAST_WINS: &str = "multipart_race_condition, last";
const FIRST_WINS: &str = "multipart_race_condition, first";

/// The suite, but for what `world/suite.rs` says is not for stores that wrap others.
const SUITE: [(&str, Function); 15] = [
    ("put_get_delete_list", |store| put_get_delete_list(store).boxed()),
    ("get_opts", |store| get_opts(store).boxed()),
    ("list_uses_directories_correctly", |store| list_uses_directories_correctly(store).boxed()),
    ("list_with_delimiter", |store| list_with_delimiter(store).boxed()),
    ("list_with_offset_exclusivity", |store| list_with_offset_exclusivity(store).boxed()),
    ("rename_and_copy", |store| rename_and_copy(store).boxed()),
    ("copy_if_not_exists", |store| copy_if_not_exists(store).boxed()),
    ("copy_rename_nonexistent_object", |store| copy_rename_nonexistent_object(store).boxed()),
    ("stream_get", |store| stream_get(store).boxed()),
    ("put_opts", |store| put_opts(store, true).boxed()),
    ("put_get_attributes", |store| put_get_attributes(store).boxed()),
    (LAST_WINS, |store| multipart_race_condition(store, true).boxed()),
    (FIRST_WINS, |store| multipart_race_condition(store, false).boxed()),
    ("multipart_out_of_order", |store| multipart_out_of_order(store).boxed()),
    ("get_nonexistent_object", |store| {
        let got = async { assert!(get_nonexistent_object(store, None).await.is_err()) };
        got.boxed()
    }),
];

/// A server that makes buckets, and stores over them.
trait Remote: Send + Sync {
    fn bucket(&self, name: &str) -> Store;
}

struct S3<T>(T, fn(&T, &str), String);

impl<T: Send + Sync> Remote for S3<T> {
    fn bucket(&self, name: &str) -> Store {
        self.1(&self.0, name);
        let store = AmazonS3Builder::new()
            .with_endpoint(&self.2)
            .with_allow_http(true)
            .with_region("us-east-1")
            .with_access_key_id("test")
            .with_secret_access_key("test")
            .with_copy_if_not_exists(S3CopyIfNotExists::Multipart)
            .with_bucket_name(name);
        Arc::new(store.build().unwrap())
    }
}

impl Remote for Azurite {
    fn bucket(&self, name: &str) -> Store {
        self.make_container(name);
        let store = MicrosoftAzureBuilder::new()
            .with_endpoint(self.endpoint())
            .with_allow_http(true)
            .with_account(self.account())
            .with_access_key(self.key())
            .with_container_name(name);
        Arc::new(store.build().unwrap())
    }
}

fn ministack() -> Option<impl Remote> {
    let server = Ministack::s3(&Python::for_aws()?);
    let url = server.url();
    Some(S3(server, Ministack::make_bucket, url))
}

fn moto() -> Option<impl Remote> {
    let server = Moto::start(&Python::for_aws()?);
    let url = server.url();
    Some(S3(server, Moto::make_bucket, url))
}

/// Whether a function of the suite passes.
async fn passes(function: Function, store: Store) -> bool {
    let run = tokio::spawn(async move { function(&store).await });
    let limit = tokio::time::timeout(std::time::Duration::from_secs(120), run);
    limit.await.is_ok_and(|run| run.is_ok())
}

/// Runs the suite on plain and on encrypted stores, all of which pass all that is run.
async fn suite(remote: &dyn Remote, not_run: &[&str]) {
    let mut failed = Vec::new();
    for (name, function) in SUITE.into_iter().filter(|(name, _)| !not_run.contains(name)) {
        let bucket = |kind: &str| {
            remote.bucket(&format!("{kind}-{}", name.replace(['_', ' '], "-").replace(',', "")))
        };
        let plain = passes(function, bucket("plain")).await;
        let object = builder(bucket("object")).build().unwrap();
        let object = passes(function, Arc::new(object)).await;
        let by_path = builder(bucket("path")).binding(Binding::Path).build().unwrap();
        let by_path = passes(function, Arc::new(by_path)).await;
        println!("{name}: plain {plain}, by id {object}, by path {by_path}");
        if !(plain && object && by_path) {
            failed.push(format!("{name} {plain} {object} {by_path}"));
        }
    }
    assert!(failed.is_empty(), "{failed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_suite_on_ministack() {
    let Some(remote) = ministack() else { return };
    suite(&remote, &[FIRST_WINS]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_suite_on_moto() {
    let Some(remote) = moto() else { return };
    // It compares ETags and writes in two steps, with no lock: of two updates at once both may pass. That is
    // asked one at a time in `everything_else`.
    suite(&remote, &[FIRST_WINS, "put_opts"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_suite_on_azurite() {
    let Some(remote) = Azurite::start() else { return };
    suite(&remote, &[LAST_WINS]).await;
}

/// What the suite does not ask: lengths around chunks and parts, requests, replaced objects, tags.
async fn everything_else(remote: &dyn Remote) {
    let kms = Kms::new();
    let inner = Watched::new(remote.bucket("more"));
    let store = builder_with(Arc::clone(&inner), &kms).part_len(5 * MIB).build().unwrap();
    for len in [0, 1, CHUNK, 3 * CHUNK + 1] {
        store.put(&path("dir/a"), plaintext(len).into()).await.unwrap();
        inner.calls();
        assert!(read(&store, "dir/a").await.unwrap() == plaintext(len));
        assert_eq!(inner.calls().len(), 1);
        assert_eq!(store.head(&path("dir/a")).await.unwrap().size, len as u64);
        let listed: Vec<_> = store.list(None).try_collect().await.unwrap();
        assert_eq!(listed[0].size, len as u64);
    }
    let plain = plaintext(12 * MIB + 5);
    upload(&store, "b", &cut(&plain, 700_001)).await.unwrap();
    inner.calls();
    let range = 5 * MIB as u64 - 3..6 * MIB as u64 + 9;
    let got = store.get_range(&path("b"), range.clone()).await.unwrap();
    assert!(got == plain[5 * MIB - 3..6 * MIB + 9]);
    assert_eq!(inner.calls().len(), 2);
    let got = store.get_ranges(&path("b"), &[0..9, range]).await.unwrap();
    assert!(got[1] == plain[5 * MIB - 3..6 * MIB + 9]);
    assert_eq!(inner.calls().len(), 2);
    let suffix = GetOptions::new().with_range(Some(GetRange::Suffix(9)));
    let got = store.get_opts(&path("b"), suffix).await.unwrap().bytes().await.unwrap();
    assert!(got == plain[plain.len() - 9..]);
    assert!(read(&store, "b").await.unwrap() == plain);

    // Replaced beneath, with its header known: all of the new one.
    store.put(&path("c"), plaintext(3 * CHUNK).into()).await.unwrap();
    let sealed = inner.inner.get(&path("c")).await.unwrap().bytes().await.unwrap();
    inner.inner.put(&path("b"), sealed.clone().into()).await.unwrap();
    let got = store.get_range(&path("b"), 70_000..70_009).await.unwrap();
    assert!(got == plaintext(3 * CHUNK)[70_000..70_009]);
    let mut bad = sealed.to_vec();
    bad[2000] ^= 1;
    inner.inner.put(&path("b"), bad.into()).await.unwrap();
    assert!(read(&store, "b").await.is_err());
    assert!(store.get_range(&path("b"), 0..9).await.is_err());

    // Attributes and tags are the store's.
    let mut tags = TagSet::default();
    tags.push("kind", "report");
    let attributes = Attributes::from_iter([(Attribute::ContentType, "text/csv")]);
    let opts = PutOptions { tags, attributes: attributes.clone(), ..PutOptions::default() };
    store.put_opts(&path("d"), "a,b".into(), opts).await.unwrap();
    let got = store.get(&path("d")).await.unwrap();
    assert_eq!(got.attributes.get(&Attribute::ContentType).unwrap().as_ref(), "text/csv");
    assert_eq!(got.bytes().await.unwrap(), "a,b");

    // Conditions of writes, one at a time.
    let once = store.put_opts(&path("f"), "1".into(), PutMode::Create.into()).await.unwrap();
    let again = store.put_opts(&path("f"), "2".into(), PutMode::Create.into()).await;
    assert!(matches!(again, Err(object_store::Error::AlreadyExists { .. })), "{again:?}");
    let update = PutMode::Update(once.into());
    store.put_opts(&path("f"), "3".into(), update.clone().into()).await.unwrap();
    let again = store.put_opts(&path("f"), "4".into(), update.into()).await;
    assert!(matches!(again, Err(object_store::Error::Precondition { .. })), "{again:?}");
    assert_eq!(read(&store, "f").await.unwrap(), "3");

    // One that was never sealed, and an empty one, of which no range can be asked for.
    for bytes in ["", "plain"] {
        inner.inner.put(&path("e"), bytes.into()).await.unwrap();
        assert!(read(&store, "e").await.is_err());
        assert!(store.head(&path("e")).await.is_err());
    }
    let all: Vec<Path> = store.list(None).map_ok(|meta| meta.location).try_collect().await.unwrap();
    let gone = store.delete_stream(futures_util::stream::iter(all).map(Ok).boxed());
    assert_eq!(gone.try_collect::<Vec<_>>().await.unwrap().len(), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_else_on_ministack() {
    let Some(remote) = ministack() else { return };
    everything_else(&remote).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_else_on_moto() {
    let Some(remote) = moto() else { return };
    everything_else(&remote).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_else_on_azurite() {
    let Some(remote) = Azurite::start() else { return };
    everything_else(&remote).await;
}
