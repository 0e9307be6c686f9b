//! A whole object: one request, whose answer begins with the header.

use std::sync::Arc;

use bulla::{format::Preamble, stream::RandomAccess};
use object_store::{GetOptions, GetResult, ObjectMeta, ObjectStore, Result, path::Path};
use tokio::sync::OnceCell;

use super::{
    body::Body,
    fetch::collect,
    header::{Start, key},
    opening::{Part, open_stream},
};
use crate::{
    error::{failed, wrong_answer},
    headers::Form,
    offload::INLINE,
    store::Shared,
};

impl<S: ObjectStore> Shared<S> {
    pub(super) async fn get_whole(
        &self,
        location: &Path,
        options: GetOptions,
    ) -> Result<GetResult> {
        let key = key(location, &options);
        let result = self.inner.get_opts(location, options).await?;
        let (meta, range) = (result.meta.clone(), result.range.clone());
        let (attributes, extensions) = (result.attributes.clone(), result.extensions.clone());
        if range != (0..meta.size) {
            return Err(wrong_answer(location, "a part of the object"));
        }
        let mut body = if meta.size <= INLINE as u64 {
            // Not to wait for a file twice.
            Body::at_hand(collect(location, result, INLINE).await?)
        } else {
            Body::new(result)
        };
        let mut bytes = body.peek(self.usual_preamble_len()).await?;
        let mut start = self.read_start(location, &bytes)?;
        if let Start::Longer(len) = start {
            bytes = body.peek(len).await?;
            start = self.read_start(location, &bytes)?;
        }
        let preamble = match start {
            Start::Sealed(preamble) => preamble,
            Start::Longer(_) => return Err(failed(location, bulla::Error::not_authentic())),
            Start::Plain => {
                let payload = body.into_payload();
                return Ok(GetResult { payload, meta, range, attributes, extensions });
            }
        };
        body.skip(preamble.len());
        let message = self.keys_of(location, &meta, preamble, &key).await?;
        let layout = *message.layout();
        let (chunks, wanted) = (0..layout.chunk_count(), 0..layout.plaintext_len());
        let meta = ObjectMeta { size: layout.plaintext_len(), ..meta };
        let part = Part { location: location.clone(), message, chunks, wanted: wanted.clone() };
        let payload = open_stream(body, part, self.width);
        Ok(GetResult { payload, meta, range: wanted, attributes, extensions })
    }

    /// The keys of an object whose preamble has come: those that are known, if it has this header, or by
    /// way of the KMS.
    async fn keys_of(
        &self,
        location: &Path,
        meta: &ObjectMeta,
        preamble: Preamble,
        key: &(Path, Option<String>),
    ) -> Result<RandomAccess> {
        let known = self.headers.find(key).filter(|known| {
            let same = matches!(&known.form, Form::Sealed { preamble: other, .. }
                if other.header() == preamble.header());
            same && known.is(meta)
        });
        let known = known.unwrap_or_else(|| {
            let form = Form::Sealed { preamble, opened: OnceCell::new() };
            self.headers.make(meta.clone(), form)
        });
        let message = self.open(location, &known).await?;
        self.headers.insert(key, &Arc::clone(&known));
        message.ok_or_else(|| failed(location, bulla::Error::not_authentic()))
    }
}
