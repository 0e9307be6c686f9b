//! Objects of one owner each: sealed as they come, opened as they go.

use std::{io, ops::Range, sync::Arc};

use bulla::{Context, Error, ErrorKind, Opener, Result, Sealer, SharedProvider, format::Transform};
use bulla_object_store::{Binding, EncryptedStore};
use bulla_pipeline::{Attempts, ByteStream, Chain, Once, Reading, Writing, Zstd};
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, TryStreamExt as _};
use object_store::{GetOptions, GetRange, ObjectStore, ObjectStoreExt as _, path::Path};

use crate::store::{PART_LEN, put, told};

/// What is handed to an encrypted store at a time: it makes parts of 8 MiB of that.
const PIECE_LEN: usize = 1 << 20;

/// Whose an object is, and its name: both are bound, so that nobody can put one in the place of another.
#[derive(Clone, Debug)]
pub(crate) struct Name {
    pub(crate) owner: String,
    pub(crate) object: String,
}

impl Name {
    fn path(&self) -> Path {
        Path::from_iter([self.owner.as_str(), self.object.as_str()])
    }

    /// What an encrypted store binds too, by [`owner_of`] and [`Binding::Path`].
    fn context(&self) -> Result<Context> {
        let path = self.path();
        owner_of(&path)?.with_item("location", path.as_ref())
    }
}

/// The owner is stored with each object, and bound in the KMS.
fn owner_of(path: &Path) -> Result<Context> {
    let owner = path.parts().next();
    let owner = owner.ok_or_else(|| Error::new(ErrorKind::InvalidInput, "a path without owner"))?;
    Context::new().with_key("owner", owner.as_ref())
}

/// Plain objects are an [`EncryptedStore`]'s, whose ranges can be read. Compressed ones come through a chain, into the
/// store beneath.
#[derive(Clone)]
pub(crate) struct Objects {
    encrypted: EncryptedStore<Arc<dyn ObjectStore>>,
    writing: Writing<SharedProvider>,
    reading: Reading<SharedProvider>,
}

/// An object, or a part of it.
pub(crate) struct Found {
    pub(crate) body: ByteStream<'static>,
    /// Which part it is, and how long the whole is; of a compressed object, neither is known before its end.
    pub(crate) part: Option<(Range<u64>, u64)>,
}

impl Objects {
    pub(crate) fn new(
        store: Arc<dyn ObjectStore>,
        sealer: Sealer<SharedProvider>,
        opener: Opener<SharedProvider>,
    ) -> Result<Self> {
        let writing = Chain::new().compress(Zstd::new()).seal(sealer.clone());
        let reading = Reading::builder(opener.clone()).allow(Transform::Zstd).build();
        let encrypted = EncryptedStore::builder(store, sealer, opener);
        let encrypted = encrypted.binding(Binding::Path).context(owner_of).build()?;
        Ok(Self { encrypted, writing, reading })
    }

    /// Seals a body as it comes, and stores it. A body can be had once, so a failure is the client's to repeat.
    pub(crate) async fn put(
        &self,
        name: &Name,
        body: impl Stream<Item = io::Result<Bytes>> + Send + 'static,
        compress: bool,
    ) -> Result<()> {
        let path = name.path();
        if !compress {
            return put(&self.encrypted, &path, PIECE_LEN, body.map_err(Error::from_io).boxed())
                .await;
        }
        let store = |sealed| put(self.encrypted.inner(), &path, PART_LEN, sealed);
        self.writing.upload(&Once::new(body), &name.context()?, Attempts::ONE, store).await
    }

    /// How long an object is, as the store has it: the end of what is read says whether that is true.
    pub(crate) async fn len(&self, name: &Name) -> Result<u64> {
        Ok(self.encrypted.head(&name.path()).await.map_err(told)?.size)
    }

    /// Finds and opens an object, or a part of a plain one; a compressed one comes whole. Owner and name are authentic
    /// then, and so is each piece that comes.
    pub(crate) async fn find(&self, name: &Name, part: Option<GetRange>) -> Result<Found> {
        let path = name.path();
        let options = GetOptions::new().with_range(part);
        match self.encrypted.get_opts(&path, options).await.map_err(told) {
            Ok(got) => {
                let part = Some((got.range.clone(), got.meta.size));
                Ok(Found { body: got.into_stream().map_err(told).boxed(), part })
            }
            // Such as that it was compressed, which an encrypted store does not undo.
            Err(error) if error.kind() == ErrorKind::ContextMismatch => {
                let sealed = self.encrypted.inner().get(&path).await.map_err(told)?.into_stream();
                let body = self.reading.stream(sealed, &name.context()?).await?;
                Ok(Found { body, part: None })
            }
            Err(error) => Err(error),
        }
    }
}
