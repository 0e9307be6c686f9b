//! The store beneath, as far as this service needs it: nothing here knows what is in the objects.

use std::sync::Arc;

use bulla::{Error, ErrorKind, Result};
use bulla_object_store::sealing_error;
use bulla_pipeline::ByteStream;
use futures_util::StreamExt as _;
use object_store::{
    ObjectStore, ObjectStoreExt as _, PutPayload, parse_url_opts, path::Path, prefix::PrefixStore,
};
use url::Url;

/// What is sent to a store at a time, which wants 5 MiB at least.
pub(crate) const PART_LEN: usize = 8 << 20;

/// The store of a URL, below its path.
pub(crate) fn open(url: &str) -> Result<Arc<dyn ObjectStore>> {
    let invalid =
        |_| Error::new(ErrorKind::InvalidInput, "the store is no URL such as file:///srv/objects");
    let url = Url::parse(url).map_err(invalid)?;
    let settings = std::env::vars().filter(|(name, _)| name.starts_with("AWS_"));
    let settings = settings.map(|(name, value)| (name.to_lowercase(), value));
    let (store, path) = parse_url_opts(&url, settings).map_err(told)?;
    Ok(Arc::new(PrefixStore::new(store, path)))
}

/// Writes a stream as one object, in parts. There is no object unless all of it was written.
pub(crate) async fn put(
    store: &dyn ObjectStore,
    path: &Path,
    part_len: usize,
    mut bytes: ByteStream<'static>,
) -> Result<()> {
    let mut upload = store.put_multipart(path).await.map_err(told)?;
    let written = async {
        let (mut part, mut len) = (Vec::new(), 0);
        while let Some(piece) = bytes.next().await {
            let piece = piece?;
            len += piece.len();
            part.push(piece);
            if len >= part_len {
                len = 0;
                let full: PutPayload = std::mem::take(&mut part).into_iter().collect();
                upload.put_part(full).await.map_err(told)?;
            }
        }
        let last: PutPayload = part.into_iter().collect();
        upload.put_part(last).await.map_err(told)?;
        upload.complete().await.map(drop).map_err(told)
    }
    .await;
    if written.is_err() {
        // What can't be taken back is not readable as an object either.
        drop(upload.abort().await);
    }
    written
}

/// What sealing or opening says is told as it is.
pub(crate) fn told(error: object_store::Error) -> Error {
    if let Some(own) = sealing_error(&error) {
        return own.clone();
    }
    let kind = match error {
        object_store::Error::NotFound { .. } => ErrorKind::NotFound,
        _ => ErrorKind::Io,
    };
    Error::new(kind, "the store failed").with_source(error)
}
