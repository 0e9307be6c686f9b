//! What an object is bound to.

use std::sync::Arc;

use bulla::{Context, Error, ErrorKind};
use bulla_object_store::{Binding, EncryptedStore, sealing_error};
use object_store::{
    Attribute, Attributes, ObjectStore, ObjectStoreExt, PutOptions, memory::InMemory, path::Path,
};

use crate::world::*;

type Store = EncryptedStore<Arc<Watched<InMemory>>>;

const BINDINGS: [Binding; 3] = [Binding::Object, Binding::Path, Binding::Context];

fn bound(binding: Binding) -> Store {
    builder(Watched::new(InMemory::new())).binding(binding).build().unwrap()
}

/// The tenant is the first part of the location.
fn tenant(location: &Path) -> bulla::Result<Context> {
    let tenant = location.parts().next();
    let tenant = tenant.ok_or_else(|| Error::new(ErrorKind::InvalidInput, "no tenant"))?;
    Context::new().with_key("tenant", tenant.as_ref())
}

fn kind(error: &object_store::Error) -> Option<ErrorKind> {
    sealing_error(error).map(Error::kind)
}

/// Copies beneath, as who owns the store can.
async fn move_beneath(store: &Store, from: &str, to: &str) {
    store.inner().inner.copy(&path(from), &path(to)).await.unwrap();
}

#[tokio::test]
async fn a_swapped_object_is_refused_where_it_is_bound_to_its_path() {
    for len in [100, 3 * CHUNK] {
        let store = bound(Binding::Path);
        store.put(&path("dir/a"), plaintext(len).into()).await.unwrap();
        upload(&store, "dir/b", &[plaintext(len + 1)]).await.unwrap();
        assert!(read(&store, "dir/b").await.unwrap() == plaintext(len + 1));
        for (from, to) in [("dir/a", "dir/c"), ("dir/b", "dir/a"), ("dir/b", "a")] {
            move_beneath(&store, from, to).await;
            for error in [
                read(&store, to).await.unwrap_err(),
                store.get_range(&path(to), 0..1).await.unwrap_err(),
                store.get_ranges(&path(to), &[0..1]).await.unwrap_err(),
            ] {
                assert_eq!(kind(&error), Some(ErrorKind::NotAuthentic));
            }
        }
        assert!(read(&store, "dir/b").await.is_ok());
    }
}

#[tokio::test]
async fn nobody_reads_what_was_written_under_another_binding() {
    let kms = Kms::new();
    let inner = Arc::new(InMemory::new());
    let with = |binding| builder_with(Arc::clone(&inner), &kms).binding(binding).build().unwrap();
    for writer in BINDINGS {
        with(writer).put(&path("a"), "x".into()).await.unwrap();
        for reader in BINDINGS {
            let got = read(&with(reader), "a").await;
            assert_eq!(got.is_ok(), reader == writer, "{writer:?} read by {reader:?}");
        }
    }
}

#[tokio::test]
async fn the_kms_is_told_the_object_and_its_tenant_and_no_path() {
    let kms = Kms::new();
    for binding in BINDINGS {
        let store = builder_with(InMemory::new(), &kms).binding(binding).context(tenant);
        let store = store.build().unwrap();
        store.put(&path("acme/secret-name"), "x".into()).await.unwrap();
        store.put(&path("acme/other"), "x".into()).await.unwrap();
        read(&store, "acme/secret-name").await.unwrap();
        let contexts = kms.contexts();
        assert_eq!(contexts.len(), 3);
        for context in &contexts {
            assert_eq!(context.get("tenant"), Some("acme"));
            assert!(context.iter().all(|(_, value)| !value.contains("secret-name")));
            assert_eq!(context.get("object").is_some(), binding == Binding::Object);
        }
        if binding == Binding::Object {
            assert_eq!(contexts[0].get("object"), contexts[2].get("object"));
            assert_ne!(contexts[0].get("object"), contexts[1].get("object"));
        }
        let raw = store.inner().get(&path("acme/other")).await.unwrap().bytes().await.unwrap();
        let raw = String::from_utf8_lossy(&raw).into_owned();
        assert!(raw.contains("acme") && !raw.contains("other"));
    }
}

#[tokio::test]
async fn one_tenants_object_does_not_open_as_anothers() {
    for binding in BINDINGS {
        let store = builder(Watched::new(InMemory::new())).binding(binding).context(tenant);
        let store = store.build().unwrap();
        store.put(&path("acme/a"), "x".into()).await.unwrap();
        move_beneath(&store, "acme/a", "umbrella/a").await;
        let error = read(&store, "umbrella/a").await.unwrap_err();
        assert_eq!(kind(&error), Some(ErrorKind::ContextMismatch));
        // Within the tenant it does, unless bound to its path.
        move_beneath(&store, "acme/a", "acme/b").await;
        assert_eq!(read(&store, "acme/b").await.is_ok(), binding != Binding::Path);
        // A copy by way of this store is sealed for where it goes.
        store.copy(&path("acme/a"), &path("umbrella/a")).await.unwrap();
        assert_eq!(read(&store, "umbrella/a").await.unwrap(), "x");
        store.rename(&path("umbrella/a"), &path("acme/c")).await.unwrap();
        assert_eq!(read(&store, "acme/c").await.unwrap(), "x");
        assert!(read(&store, "umbrella/a").await.is_err());
        // And what the closure refuses is not written.
        let error = store.put(&Path::default(), "x".into()).await.unwrap_err();
        assert_eq!(kind(&error), Some(ErrorKind::InvalidInput));
    }
}

#[tokio::test]
async fn copies_of_objects_that_are_bound_to_their_path() {
    let store = builder(Watched::new(InMemory::new())).binding(Binding::Path).part_len(5 << 20);
    let store = store.build().unwrap();
    for len in [0, 100, 23 << 20] {
        let plain = plaintext(len);
        let attributes = Attributes::from_iter([(Attribute::ContentType, "text/csv")]);
        store.put_opts(&path("a"), plain.clone().into(), attributes.clone().into()).await.unwrap();
        store.inner().calls();
        store.copy(&path("a"), &path("b")).await.unwrap();
        let got = store.get(&path("b")).await.unwrap();
        assert_eq!(got.attributes, attributes);
        assert!(got.bytes().await.unwrap() == plain);
        // Only where nothing is.
        let error = store.copy_if_not_exists(&path("a"), &path("b")).await.unwrap_err();
        assert!(matches!(error, object_store::Error::AlreadyExists { .. }), "{error:?}");
        store.copy_if_not_exists(&path("a"), &path("c")).await.unwrap();
        assert!(read(&store, "c").await.unwrap() == plain);
        let error = store.rename_if_not_exists(&path("c"), &path("b")).await.unwrap_err();
        assert!(matches!(error, object_store::Error::AlreadyExists { .. }), "{error:?}");
        assert!(read(&store, "c").await.is_ok(), "it is still there");
        store.copy(&path("c"), &path("c")).await.unwrap();
        assert!(read(&store, "c").await.unwrap() == plain);
        store.rename(&path("c"), &path("b")).await.unwrap();
        assert!(read(&store, "b").await.unwrap() == plain);
        let names = store.list_with_delimiter(None).await.unwrap().objects;
        let names: Vec<_> = names.iter().map(|meta| meta.location.to_string()).collect();
        assert_eq!(names, ["a", "b"], "nothing is left beside");
        assert_eq!(store.inner().open_uploads(), 0);
    }
}

#[tokio::test]
async fn a_copy_of_what_is_damaged_is_no_object() {
    for create in [false, true] {
        let store = builder(Watched::new(InMemory::new())).binding(Binding::Path).part_len(5 << 20);
        let store = store.build().unwrap();
        store.put(&path("a"), plaintext(23 << 20).into()).await.unwrap();
        let sealed = store.inner().inner.get(&path("a")).await.unwrap().bytes().await.unwrap();
        let mut bad = sealed.to_vec();
        bad[20 << 20] ^= 1;
        store.inner().inner.put(&path("a"), bad.into()).await.unwrap();
        let copied = match create {
            true => store.copy_if_not_exists(&path("a"), &path("b")).await,
            false => store.copy(&path("a"), &path("b")).await,
        };
        assert_eq!(kind(&copied.unwrap_err()), Some(ErrorKind::NotAuthentic));
        let names = store.list_with_delimiter(None).await.unwrap().objects;
        assert_eq!((names.len(), store.inner().open_uploads()), (1, 0));
    }
}

#[tokio::test]
async fn attributes_and_tags_are_handed_on_and_decide_nothing() {
    let store = in_memory();
    let attributes = Attributes::from_iter([
        (Attribute::ContentType, "application/octet-stream"),
        (Attribute::Metadata("encrypted".into()), "no"),
        (Attribute::Metadata("bulla".into()), "plaintext"),
        (Attribute::ContentEncoding, "identity"),
    ]);
    let opts = PutOptions::from(attributes.clone());
    store.put_opts(&path("a"), "x".into(), opts.clone()).await.unwrap();
    let got = store.get(&path("a")).await.unwrap();
    assert_eq!(got.attributes, attributes);
    assert_eq!(got.bytes().await.unwrap(), "x");
    // Nor do they make plaintext readable.
    store.inner().inner.put_opts(&path("a"), "x".into(), opts).await.unwrap();
    for error in [
        read(&store, "a").await.unwrap_err(),
        store.get_range(&path("a"), 0..1).await.unwrap_err(),
        store.head(&path("a")).await.map(drop).unwrap_err(),
    ] {
        assert_eq!(kind(&error), Some(ErrorKind::Malformed));
    }
}

/// What was compressed before it was sealed is not the object: it is not handed out as if it were.
#[tokio::test]
async fn what_was_transformed_before_it_was_sealed_is_refused() {
    let kms = Kms::new();
    let store = builder_with(InMemory::new(), &kms).binding(Binding::Context).build().unwrap();
    let provider: bulla::SharedProvider = kms;
    let sealer = bulla::Sealer::new(provider).unwrap();
    let transform = bulla::format::Transform::Zstd;
    for (context, opens) in
        [(Context::new(), true), (Context::new().with_transform(transform).unwrap(), false)]
    {
        let sealed = sealer.seal_padded(b"x", &context).await.unwrap();
        store.inner().put(&path("a"), sealed.into()).await.unwrap();
        assert_eq!(read(&store, "a").await.is_ok(), opens);
        assert_eq!(store.get_range(&path("a"), 0..1).await.is_ok(), opens);
    }
}
