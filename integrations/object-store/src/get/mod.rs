//! Reading: whole objects by one request, ranges by the chunks that hold them.

mod body;
mod fetch;
#[cfg(all(feature = "fs", unix))]
mod file;
mod header;
mod opening;
mod range;
mod ranges;
mod rooms;
mod whole;

use bulla::{Error, stream::RandomAccess};
use futures_util::{StreamExt, future::ready, stream};
use object_store::{
    GetOptions, GetResult, GetResultPayload, ObjectMeta, ObjectStore, Result, path::Path,
};

use self::header::Seen;
use crate::{
    error::failed,
    headers::{Form, Known},
    store::Shared,
};

/// Chunks of so many bytes at most are fetched and opened before any of them is handed out: 1 MiB.
const AT_ONCE: u64 = 1 << 20;

/// The bytes of plaintext in a run that one thread opens: 256 KiB, a few of which stay in its cache.
const RUN_LEN: u64 = 1 << 18;

impl<S: ObjectStore> Shared<S> {
    pub(crate) async fn get(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        match options.range.clone() {
            _ if options.head => self.head(location, &options).await,
            None => self.get_whole(location, options).await,
            Some(range) => self.get_range(location, options, range).await,
        }
    }

    /// By the object's first bytes, which say how long its header is, and whether it is sealed. No call to
    /// the KMS.
    async fn head(&self, location: &Path, options: &GetOptions) -> Result<GetResult> {
        let Seen { known, attributes, extensions } = self.read_header(location, options).await?;
        let meta = self.plain_meta(location, &known)?;
        let range = 0..meta.size;
        let payload = GetResultPayload::Stream(stream::empty().boxed());
        Ok(GetResult { payload, meta, range, attributes, extensions })
    }

    /// What the object is for the caller: with the size of its plaintext.
    fn plain_meta(&self, location: &Path, known: &Known) -> Result<ObjectMeta> {
        let size = match &known.form {
            Form::Plain => known.meta.size,
            Form::Sealed { preamble, .. } => {
                let layout = bulla::stream::Layout::of(preamble.header(), known.meta.size);
                let layout = layout.ok_or_else(|| failed(location, Error::not_authentic()))?;
                layout.plaintext_len()
            }
        };
        Ok(ObjectMeta { size, ..known.meta.clone() })
    }

    /// The keys of an object: those that are known, or by way of the KMS. Of many who ask at the same time,
    /// one does.
    async fn open(&self, location: &Path, known: &Known) -> Result<Option<RandomAccess>> {
        let Form::Sealed { preamble, opened } = &known.form else { return Ok(None) };
        let open = || async {
            let context = self.bound.to_open(location, preamble.header())?;
            let opening = self.opener.begin(preamble.clone(), &context).await?;
            RandomAccess::new(opening, known.meta.size)
        };
        let message = opened.get_or_try_init(open).await;
        message.cloned().map(Some).map_err(|error| failed(location, error))
    }
}

/// An answer that is all there.
fn at_hand(bytes: bytes::Bytes) -> GetResultPayload {
    GetResultPayload::Stream(stream::once(ready(Ok(bytes))).boxed())
}
