//! Any store: the whole object is read and written again.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    vec,
};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use object_store::{
    GetOptions, GetRange, MultipartUpload, ObjectStore, ObjectStoreExt as _, PutMode,
    PutMultipartOptions, PutOptions, PutPayload, UpdateVersion,
};
use tokio::sync::{Mutex, Semaphore, SemaphorePermit};

use super::{Exchange, Replaced, Replacement, is_same};
use crate::maintain::{Failure, head::bounded, orphans::Orphans};

/// The longest object that is written in one piece, and so under a condition: 64 MiB.
const MOST: u64 = 64 << 20;

/// All objects that are held in memory at a time, at most: 256 MiB.
const BUDGET: usize = 256 << 20;

/// Memory is given out in pieces of this size.
const UNIT: u64 = 4096;

/// Parts of longer objects, of which there may be 10,000.
const PART: u64 = 8 << 20;

/// What works with every store: reads an object whole and writes it whole, on condition of its ETag
/// ([`PutMode::Update`]). Objects of up to 64 MiB, of which 256 MiB are held at a time.
///
/// The body is copied and not opened. Attributes are kept; tags are not, since `object_store` does not
/// tell them.
#[derive(Debug)]
pub struct AnyHead {
    store: Arc<dyn ObjectStore>,
    unconditional: bool,
    /// The store has said that it knows no conditions.
    knows_none: AtomicBool,
    memory: Semaphore,
    orphans: Orphans,
}

impl AnyHead {
    /// Exchanges heads in this store.
    #[must_use]
    pub fn new(store: Arc<dyn ObjectStore>) -> Self {
        Self {
            store,
            unconditional: false,
            knows_none: AtomicBool::new(false),
            memory: Semaphore::new(BUDGET / 4096),
            orphans: Orphans::default(),
        }
    }

    /// Replaces objects without a condition where the store knows none, and those of more than 64 MiB,
    /// in parts. **Whoever writes the object between the last look at it and its replacement is
    /// overwritten**: some milliseconds, in which nobody else may write.
    #[must_use]
    pub fn unconditional(mut self) -> Self {
        self.unconditional = true;
        self
    }

    async fn whole(&self, replacement: &Replacement) -> Result<Replaced, Failure> {
        let _room = room(&self.memory, replacement.old.size).await?;
        let body = body(&*self.store, replacement).await?;
        let payload = || PutPayload::from_iter([replacement.new_head.clone(), body.clone()]);
        let through = replacement.old.size;
        let put = |mode| {
            let attributes = replacement.attributes.clone();
            let options = PutOptions { mode, attributes, ..PutOptions::default() };
            self.store.put_opts(replacement.location(), payload(), options)
        };
        if !self.knows_none.load(Relaxed) {
            let (e_tag, version) = (replacement.old.e_tag.clone(), replacement.old.version.clone());
            match put(PutMode::Update(UpdateVersion { e_tag, version })).await {
                Ok(done) => return Ok(Replaced::new(done.e_tag, through)),
                Err(object_store::Error::NotImplemented { .. }) => {
                    self.knows_none.store(true, Relaxed);
                }
                Err(error) => return Err(error.into()),
            }
        }
        if !self.unconditional {
            return Err(Failure::Unconditional);
        }
        self.look_again(replacement).await?;
        Ok(Replaced::new(put(PutMode::Overwrite).await?.e_tag, through))
    }

    /// In parts, which `object_store` completes without a condition.
    async fn in_parts(&self, replacement: &Replacement) -> Result<Replaced, Failure> {
        // A part that grows, and its copy on the way.
        let _room = room(&self.memory, 3 * PART).await?;
        let options = GetOptions::new()
            .with_if_match(replacement.old.e_tag.clone())
            .with_range(Some(GetRange::Offset(replacement.old_head.len() as u64)));
        let mut pieces = self.store.get_opts(replacement.location(), options).await?.into_stream();
        let attributes = replacement.attributes.clone();
        let options = PutMultipartOptions { attributes, ..PutMultipartOptions::default() };
        let upload = self.store.put_multipart_opts(replacement.location(), options).await?;
        let upload: Arc<Mutex<Box<dyn MultipartUpload>>> = Arc::new(Mutex::new(upload));
        let again = Arc::clone(&upload);
        let guard = self.orphans.guard(async move {
            let _ = again.lock().await.abort().await;
        });
        let mut upload = upload.lock_owned().await;
        let mut left = replacement.body_len()?;
        let (mut part, mut len) = (vec![replacement.new_head.clone()], 0);
        while let Some(piece) = pieces.next().await {
            let piece = piece?;
            left = left.checked_sub(piece.len() as u64).ok_or(Failure::Changed)?;
            len += piece.len() as u64;
            part.push(piece);
            // Some stores have all parts but the last be of one size.
            while len >= PART {
                let (whole, rest) = cut(&part);
                upload.put_part(whole).await?;
                len = rest.len() as u64;
                part = vec![rest];
            }
        }
        if left > 0 {
            return Err(Failure::Changed);
        }
        upload.put_part(part.into_iter().collect()).await?;
        self.look_again(replacement).await?;
        let done = upload.complete().await?;
        guard.release();
        Ok(Replaced::new(done.e_tag, replacement.old.size))
    }

    /// The last look before an object is replaced without a condition.
    async fn look_again(&self, replacement: &Replacement) -> Result<(), Failure> {
        let now = self.store.head(replacement.location()).await?;
        if is_same(&now, &replacement.old) { Ok(()) } else { Err(Failure::Changed) }
    }
}

#[async_trait]
impl Exchange for AnyHead {
    async fn exchange(&self, replacement: &Replacement) -> Result<Replaced, Failure> {
        match (replacement.old.size <= MOST, self.unconditional) {
            (true, _) => self.whole(replacement).await,
            (false, true) => self.in_parts(replacement).await,
            (false, false) => Err(Failure::TooLarge { size: replacement.old.size, most: MOST }),
        }
    }

    async fn settle(&self) {
        self.orphans.settle().await;
    }
}

/// Takes the bytes of one part off, and gives back what is beyond them.
fn cut(pieces: &[Bytes]) -> (PutPayload, Bytes) {
    let mut all = BytesMut::with_capacity(pieces.iter().map(Bytes::len).sum());
    pieces.iter().for_each(|piece| all.extend_from_slice(piece));
    let rest = all.split_off(usize::try_from(PART).unwrap_or(usize::MAX).min(all.len()));
    (PutPayload::from_bytes(all.freeze()), rest.freeze())
}

/// Waits until there is memory for so many bytes.
pub(super) async fn room(memory: &Semaphore, bytes: u64) -> Result<SemaphorePermit<'_>, Failure> {
    let units = u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX);
    let given = memory.acquire_many(units).await;
    given.map_err(|_| Failure::Refused("the memory for it was taken away".to_owned()))
}

/// All of the body, of the object that was read and of no other.
pub(super) async fn body<S: ObjectStore + ?Sized>(
    store: &S,
    replacement: &Replacement,
) -> Result<Bytes, Failure> {
    let len = replacement.body_len()?;
    if replacement.body.len() as u64 == len {
        return Ok(replacement.body.clone());
    }
    let (start, end) = (replacement.old_head.len() as u64, replacement.old.size);
    part(store, replacement, start, end).await
}

/// A range of the object that was read and of no other.
pub(super) async fn part<S: ObjectStore + ?Sized>(
    store: &S,
    replacement: &Replacement,
    start: u64,
    end: u64,
) -> Result<Bytes, Failure> {
    let options = GetOptions::new()
        .with_if_match(replacement.old.e_tag.clone())
        .with_range(Some(GetRange::Bounded(start..end)));
    let result = store.get_opts(replacement.location(), options).await?;
    if !is_same(&result.meta, &replacement.old) {
        return Err(Failure::Changed);
    }
    let bytes = bounded(result, end - start).await?;
    match bytes.len() as u64 == end - start {
        true => Ok(bytes),
        false => Err(Failure::Changed),
    }
}
