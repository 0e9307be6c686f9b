//! Stores of today for programs that speak an older version of `object_store`.

use std::{
    error::Error as StdError,
    fmt::{self, Display},
    ops::Range,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, future::BoxFuture, stream::BoxStream};
use object_store as new;
use object_store_0_13 as old;

use crate::error::sealing;

/// An [`ObjectStore`](old::ObjectStore) of version 0.13 by way of one of this crate's version.
///
/// Engines follow `object_store` at their own pace: DataFusion 55 speaks 0.13. Wrapped in this, an
/// [`EncryptedStore`](crate::EncryptedStore) is a store of theirs. Locations, conditions, ranges, attributes, tags and
/// extensions are handed on as they are, and errors by their kinds; a local file comes as a stream of its bytes.
///
/// ```
/// use std::sync::Arc;
///
/// use bulla::{Opener, Sealer, SharedProvider};
/// use bulla_object_store::{EncryptedStore, compat::V0_13};
/// use object_store::memory::InMemory;
/// use object_store_0_13::{ObjectStore, ObjectStoreExt, path::Path};
///
/// # async fn example(kms: SharedProvider) -> Result<(), Box<dyn std::error::Error>> {
/// let encrypted = EncryptedStore::new(InMemory::new(), Sealer::new(kms.clone())?, Opener::new([kms]));
/// let store: Arc<dyn ObjectStore> = Arc::new(V0_13::new(encrypted));
///
/// store.put(&Path::from("a"), "plain".into()).await?;
/// assert_eq!(store.head(&Path::from("a")).await?.size, 5);
/// # Ok(())
/// # }
/// # let kms: SharedProvider = Arc::new(bulla_conformance::Memory::new("key"));
/// # tokio::runtime::Runtime::new().unwrap().block_on(example(kms)).unwrap();
/// ```
#[derive(Debug, Clone)]
pub struct V0_13<S>(S);

impl<S> V0_13<S> {
    /// `store` as one of version 0.13.
    #[must_use]
    pub fn new(store: S) -> Self {
        Self(store)
    }

    /// The store that is wrapped.
    #[must_use]
    pub fn inner(&self) -> &S {
        &self.0
    }
}

impl<S: Display> Display for V0_13<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The error of `bulla` behind an error of a [`V0_13`], as [`sealing_error`](crate::sealing_error) finds it behind
/// others.
#[must_use]
pub fn sealing_error(error: &old::Error) -> Option<&bulla::Error> {
    sealing(error)
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: new::ObjectStore> old::ObjectStore for V0_13<S> {
    async fn put_opts(
        &self,
        location: &old::path::Path,
        payload: old::PutPayload,
        opts: old::PutOptions,
    ) -> old::Result<old::PutResult> {
        let old::PutOptions { mode, tags, attributes, extensions } = opts;
        let mode = match mode {
            old::PutMode::Overwrite => new::PutMode::Overwrite,
            old::PutMode::Create => new::PutMode::Create,
            old::PutMode::Update(old::UpdateVersion { e_tag, version }) => {
                new::PutMode::Update(new::UpdateVersion { e_tag, version })
            }
        };
        let (tags, attributes) = (tags_in(&tags), attributes_in(&attributes)?);
        let opts = new::PutOptions { mode, tags, attributes, extensions };
        let put = self.0.put_opts(&path_in(location)?, payload_in(payload), opts).await;
        put.map(put_out).map_err(error_out)
    }

    async fn put_multipart_opts(
        &self,
        location: &old::path::Path,
        opts: old::PutMultipartOptions,
    ) -> old::Result<Box<dyn old::MultipartUpload>> {
        let old::PutMultipartOptions { tags, attributes, extensions } = opts;
        let (tags, attributes) = (tags_in(&tags), attributes_in(&attributes)?);
        let opts = new::PutMultipartOptions { tags, attributes, extensions };
        let upload = self.0.put_multipart_opts(&path_in(location)?, opts).await;
        Ok(Box::new(Upload(upload.map_err(error_out)?)))
    }

    async fn get_opts(
        &self,
        location: &old::path::Path,
        options: old::GetOptions,
    ) -> old::Result<old::GetResult> {
        let got = self.0.get_opts(&path_in(location)?, get_in(options)).await;
        let got = got.map_err(error_out)?;
        let (range, meta) = (got.range.clone(), meta_out(got.meta.clone())?);
        let attributes = attributes_out(&got.attributes)?;
        let payload = old::GetResultPayload::Stream(got.into_stream().map_err(error_out).boxed());
        Ok(old::GetResult { payload, meta, range, attributes })
    }

    async fn get_ranges(
        &self,
        location: &old::path::Path,
        ranges: &[Range<u64>],
    ) -> old::Result<Vec<Bytes>> {
        self.0.get_ranges(&path_in(location)?, ranges).await.map_err(error_out)
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, old::Result<old::path::Path>>,
    ) -> BoxStream<'static, old::Result<old::path::Path>> {
        let locations = locations.map(|location| path_in(&location?)).map_err(error_in);
        let deleted = self.0.delete_stream(locations.boxed());
        deleted.map(|path| path_out(&path.map_err(error_out)?)).boxed()
    }

    fn list(
        &self,
        prefix: Option<&old::path::Path>,
    ) -> BoxStream<'static, old::Result<old::ObjectMeta>> {
        match prefix.map(path_in).transpose() {
            Ok(prefix) => listing_out(self.0.list(prefix.as_ref())),
            Err(error) => failing(error),
        }
    }

    fn list_with_offset(
        &self,
        prefix: Option<&old::path::Path>,
        offset: &old::path::Path,
    ) -> BoxStream<'static, old::Result<old::ObjectMeta>> {
        match (prefix.map(path_in).transpose(), path_in(offset)) {
            (Ok(prefix), Ok(offset)) => {
                listing_out(self.0.list_with_offset(prefix.as_ref(), &offset))
            }
            (Err(error), _) | (_, Err(error)) => failing(error),
        }
    }

    async fn list_with_delimiter(
        &self,
        prefix: Option<&old::path::Path>,
    ) -> old::Result<old::ListResult> {
        let prefix = prefix.map(path_in).transpose()?;
        let listed = self.0.list_with_delimiter(prefix.as_ref()).await.map_err(error_out)?;
        Ok(old::ListResult {
            common_prefixes: listed
                .common_prefixes
                .iter()
                .map(path_out)
                .collect::<Result<_, _>>()?,
            objects: listed.objects.into_iter().map(meta_out).collect::<Result<_, _>>()?,
        })
    }

    async fn copy_opts(
        &self,
        from: &old::path::Path,
        to: &old::path::Path,
        options: old::CopyOptions,
    ) -> old::Result<()> {
        let old::CopyOptions { mode, extensions } = options;
        let mode = match mode {
            old::CopyMode::Overwrite => new::CopyMode::Overwrite,
            old::CopyMode::Create => new::CopyMode::Create,
        };
        let options = new::CopyOptions { mode, extensions };
        self.0.copy_opts(&path_in(from)?, &path_in(to)?, options).await.map_err(error_out)
    }

    async fn rename_opts(
        &self,
        from: &old::path::Path,
        to: &old::path::Path,
        options: old::RenameOptions,
    ) -> old::Result<()> {
        let old::RenameOptions { target_mode, extensions } = options;
        let target_mode = match target_mode {
            old::RenameTargetMode::Overwrite => new::RenameTargetMode::Overwrite,
            old::RenameTargetMode::Create => new::RenameTargetMode::Create,
        };
        let options = new::RenameOptions { target_mode, extensions };
        self.0.rename_opts(&path_in(from)?, &path_in(to)?, options).await.map_err(error_out)
    }
}

#[derive(Debug)]
struct Upload(Box<dyn new::MultipartUpload>);

#[async_trait]
impl old::MultipartUpload for Upload {
    fn put_part(&mut self, data: old::PutPayload) -> BoxFuture<'static, old::Result<()>> {
        let part = self.0.put_part(payload_in(data));
        Box::pin(async move { part.await.map_err(error_out) })
    }

    async fn complete(&mut self) -> old::Result<old::PutResult> {
        self.0.complete().await.map(put_out).map_err(error_out)
    }

    async fn abort(&mut self) -> old::Result<()> {
        self.0.abort().await.map_err(error_out)
    }
}

/// Both versions write the same locations in the same way, so what is one there is one here.
fn path_in(path: &old::path::Path) -> old::Result<new::path::Path> {
    new::path::Path::parse(path).map_err(generic)
}

fn path_out(path: &new::path::Path) -> old::Result<old::path::Path> {
    Ok(old::path::Path::parse(path)?)
}

fn payload_in(payload: old::PutPayload) -> new::PutPayload {
    payload.into_iter().collect()
}

fn put_out(put: new::PutResult) -> old::PutResult {
    old::PutResult { e_tag: put.e_tag, version: put.version }
}

fn get_in(options: old::GetOptions) -> new::GetOptions {
    let range = options.range.map(|range| match range {
        old::GetRange::Bounded(range) => new::GetRange::Bounded(range),
        old::GetRange::Offset(offset) => new::GetRange::Offset(offset),
        old::GetRange::Suffix(suffix) => new::GetRange::Suffix(suffix),
    });
    new::GetOptions {
        if_match: options.if_match,
        if_none_match: options.if_none_match,
        if_modified_since: options.if_modified_since,
        if_unmodified_since: options.if_unmodified_since,
        range,
        version: options.version,
        head: options.head,
        extensions: options.extensions,
    }
}

fn meta_out(meta: new::ObjectMeta) -> old::Result<old::ObjectMeta> {
    Ok(old::ObjectMeta {
        location: path_out(&meta.location)?,
        last_modified: meta.last_modified,
        size: meta.size,
        e_tag: meta.e_tag,
        version: meta.version,
    })
}

fn listing_out(
    listing: BoxStream<'static, new::Result<new::ObjectMeta>>,
) -> BoxStream<'static, old::Result<old::ObjectMeta>> {
    listing.map(|meta| meta_out(meta.map_err(error_out)?)).boxed()
}

fn failing<T: Send + 'static>(error: old::Error) -> BoxStream<'static, old::Result<T>> {
    futures_util::stream::once(std::future::ready(Err(error))).boxed()
}

fn tags_in(tags: &old::TagSet) -> new::TagSet {
    let mut set = new::TagSet::default();
    for (key, value) in url::form_urlencoded::parse(tags.encoded().as_bytes()) {
        set.push(&key, &value);
    }
    set
}

/// One that the other version has no name for is refused: dropped, it would be missed later.
fn attributes_in(attributes: &old::Attributes) -> old::Result<new::Attributes> {
    let named = attributes.iter().map(|(attribute, value)| {
        let attribute = match attribute {
            old::Attribute::ContentDisposition => new::Attribute::ContentDisposition,
            old::Attribute::ContentEncoding => new::Attribute::ContentEncoding,
            old::Attribute::ContentLanguage => new::Attribute::ContentLanguage,
            old::Attribute::ContentType => new::Attribute::ContentType,
            old::Attribute::CacheControl => new::Attribute::CacheControl,
            old::Attribute::StorageClass => new::Attribute::StorageClass,
            old::Attribute::Metadata(name) => new::Attribute::Metadata(name.to_string().into()),
            other => return Err(unknown(other)),
        };
        Ok((attribute, new::AttributeValue::from(value.to_string())))
    });
    named.collect()
}

fn attributes_out(attributes: &new::Attributes) -> old::Result<old::Attributes> {
    let named = attributes.iter().map(|(attribute, value)| {
        let attribute = match attribute {
            new::Attribute::ContentDisposition => old::Attribute::ContentDisposition,
            new::Attribute::ContentEncoding => old::Attribute::ContentEncoding,
            new::Attribute::ContentLanguage => old::Attribute::ContentLanguage,
            new::Attribute::ContentType => old::Attribute::ContentType,
            new::Attribute::CacheControl => old::Attribute::CacheControl,
            new::Attribute::StorageClass => old::Attribute::StorageClass,
            new::Attribute::Metadata(name) => old::Attribute::Metadata(name.to_string().into()),
            other => return Err(unknown(other)),
        };
        Ok((attribute, old::AttributeValue::from(value.to_string())))
    });
    named.collect()
}

fn unknown(attribute: &impl fmt::Debug) -> old::Error {
    let source = format!("the attribute {attribute:?} is not one of both versions of object_store");
    old::Error::NotSupported { source: source.into() }
}

fn generic(source: impl Into<Box<dyn StdError + Send + Sync>>) -> old::Error {
    old::Error::Generic { store: "V0_13", source: source.into() }
}

/// For [`error_out`] to give back: a stream of locations that failed.
fn error_in(error: old::Error) -> new::Error {
    new::Error::Generic { store: "V0_13", source: Box::new(error) }
}

fn error_out(error: new::Error) -> old::Error {
    match error {
        new::Error::NotFound { path, source } => old::Error::NotFound { path, source },
        new::Error::NotSupported { source } => old::Error::NotSupported { source },
        new::Error::AlreadyExists { path, source } => old::Error::AlreadyExists { path, source },
        new::Error::Precondition { path, source } => old::Error::Precondition { path, source },
        new::Error::NotModified { path, source } => old::Error::NotModified { path, source },
        new::Error::NotImplemented { operation, implementer } => {
            old::Error::NotImplemented { operation, implementer }
        }
        new::Error::PermissionDenied { path, source } => {
            old::Error::PermissionDenied { path, source }
        }
        new::Error::Unauthenticated { path, source } => {
            old::Error::Unauthenticated { path, source }
        }
        new::Error::UnknownConfigurationKey { store, key } => {
            old::Error::UnknownConfigurationKey { store, key }
        }
        new::Error::Generic { store, source } => match source.downcast::<old::Error>() {
            Ok(error) => *error,
            Err(source) => old::Error::Generic { store, source },
        },
        error => generic(error),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn tags_are_the_same() {
        let mut tags = old::TagSet::default();
        tags.push("cost centre", "a&b=c+d");
        tags.push("ü", "");
        assert_eq!(tags_in(&tags).encoded(), tags.encoded());
        assert!(tags_in(&old::TagSet::default()).is_empty());
    }

    #[test]
    fn attributes_are_the_same_both_ways() {
        let all: old::Attributes = [
            (old::Attribute::ContentDisposition, "a"),
            (old::Attribute::ContentEncoding, "b"),
            (old::Attribute::ContentLanguage, "c"),
            (old::Attribute::ContentType, "d"),
            (old::Attribute::CacheControl, "e"),
            (old::Attribute::StorageClass, "f"),
            (old::Attribute::Metadata("g".into()), "h"),
        ]
        .into_iter()
        .collect();
        assert_eq!(attributes_out(&attributes_in(&all).unwrap()).unwrap(), all);
    }

    #[test]
    fn errors_are_of_the_same_kind() {
        let path = || "p".to_owned();
        let all = [
            new::Error::NotFound { path: path(), source: "s".into() },
            new::Error::NotSupported { source: "s".into() },
            new::Error::AlreadyExists { path: path(), source: "s".into() },
            new::Error::Precondition { path: path(), source: "s".into() },
            new::Error::NotModified { path: path(), source: "s".into() },
            new::Error::NotImplemented { operation: path(), implementer: path() },
            new::Error::PermissionDenied { path: path(), source: "s".into() },
            new::Error::Unauthenticated { path: path(), source: "s".into() },
            new::Error::UnknownConfigurationKey { store: "t", key: path() },
            new::Error::Generic { store: "t", source: "s".into() },
        ];
        for error in all {
            let (debug, text) = (format!("{error:?}"), error.to_string());
            let out = error_out(error);
            assert_eq!((format!("{out:?}"), out.to_string()), (debug, text));
        }
    }
}
