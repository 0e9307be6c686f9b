//! Values of caches and of database columns: typed, sealed, and bound to their place.

mod cbor;
mod place;

use std::{fmt, marker::PhantomData, ops::Deref};

use bulla::{
    Context, CryptoProvider, EncryptionContext, Error, ErrorKind, Opener, Operation, Plaintext,
    Result, Sealer,
    envelope::{BatchItem, Renewal},
    format::{from_text, to_text},
};
use serde::{Serialize, de::DeserializeOwned};

pub use self::place::Place;

/// How long a value may be, and how deeply nested.
///
/// Unless said, 1,048,576 bytes (1 MiB) of CBOR and 64 levels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ValueBounds {
    max_len: usize,
    max_depth: usize,
}

impl Default for ValueBounds {
    fn default() -> Self {
        Self { max_len: 1 << 20, max_depth: 64 }
    }
}

/// The most levels: more could exhaust the stack of a thread.
const MAX_DEPTH: usize = 256;

/// A sealed value is longer than its CBOR by this, at most: a header, its surroundings, and 16 bytes for each chunk.
const fn sealed_len(len: usize) -> usize {
    len.saturating_add(65_535 + 56 + 16).saturating_add(len / 1024)
}

impl ValueBounds {
    /// The longest value, in bytes of CBOR.
    #[must_use]
    pub fn max_len(mut self, bytes: usize) -> Self {
        self.max_len = bytes;
        self
    }

    /// How deeply it may be nested: 256 levels at most.
    #[must_use]
    pub fn max_depth(mut self, levels: usize) -> Self {
        self.max_depth = levels.min(MAX_DEPTH);
        self
    }

    fn check_len(&self, len: usize) -> Result<()> {
        if len <= self.max_len {
            return Ok(());
        }
        Err(self.too_long())
    }

    /// Before anything is set aside for it.
    fn check_sealed(&self, len: usize) -> Result<()> {
        if len <= sealed_len(self.max_len) { Ok(()) } else { Err(self.too_long()) }
    }

    fn check_text(&self, len: usize) -> Result<()> {
        if len / 4 * 3 <= sealed_len(self.max_len) { Ok(()) } else { Err(self.too_long()) }
    }

    fn too_long(&self) -> Error {
        let text = format!("the value is longer than {} bytes of CBOR", self.max_len);
        Error::new(ErrorKind::QuotaExceeded, text)
    }
}

/// Seals values of one type, each bound to its [`Place`], and opens them there.
///
/// Values are written as CBOR (RFC 8949) and sealed under the sealer's key context, with the data keys of its cache if
/// it has one: then most cost no call to a KMS. What is bound besides, and not stored, are the place and the type's
/// name: bytes that were moved to another row, column or key, or that were written as another type, do not open. Change
/// the name when the type changes so that old values can't be read as new ones: `card/2`.
///
/// ```
/// # async fn example<P>(sealer: bulla::Sealer<P>, opener: bulla::Opener<P>) -> bulla::Result<()>
/// # where P: std::ops::Deref<Target: bulla::CryptoProvider> + Send + Sync {
/// use bulla_pipeline::{Place, Values};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// struct Card {
///     number: String,
/// }
///
/// let cards = Values::<Card, _>::builder("card/1", sealer, opener).build()?;
/// let place = Place::field("cards", "number", 7);
/// let stored = cards.seal(&place, &Card { number: "4711".to_owned() }).await?;
/// assert_eq!(cards.open(&place, &stored).await?.number, "4711");
/// # Ok(())
/// # }
/// ```
///
/// # Security
/// Values of one data key are a cohort: **whoever may open one of them can open all** whose place they know. Keep
/// tenants apart by [`key_context`](ValuesBuilder::key_context). A value says how long it is. An older value, put back
/// in its own place, opens: who must notice that puts a version into the row's name.
pub struct Values<T, P> {
    kind: String,
    key_context: EncryptionContext,
    sealer: Sealer<P>,
    opener: Opener<P>,
    bounds: ValueBounds,
    of: PhantomData<fn() -> T>,
}

impl<T, P> Values<T, P>
where
    T: Serialize + DeserializeOwned,
    P: Deref<Target: CryptoProvider> + Send + Sync,
{
    /// Values of a type, under a name that stands for its present form.
    #[must_use]
    pub fn builder(
        kind: impl Into<String>,
        sealer: Sealer<P>,
        opener: Opener<P>,
    ) -> ValuesBuilder<T, P> {
        let key_context = EncryptionContext::new();
        let (kind, bounds) = (kind.into(), ValueBounds::default());
        ValuesBuilder {
            values: Self { kind, key_context, sealer, opener, bounds, of: PhantomData },
        }
    }

    /// Seals a value for its place.
    ///
    /// # Errors
    /// As for [`Sealer::seal`]; [`QuotaExceeded`](ErrorKind::QuotaExceeded) for one that is too long;
    /// [`InvalidInput`](ErrorKind::InvalidInput) for one that can't be written as CBOR, or a place whose names are too
    /// long.
    pub async fn seal(&self, place: &Place, value: &T) -> Result<Vec<u8>>
    where
        T: Sync,
    {
        let context = self.context(place)?;
        let bytes = cbor::encode(value, &self.bounds)?;
        self.sealer.seal(&bytes, &context).await
    }

    /// Opens a value in its place.
    ///
    /// # Errors
    /// As for [`Opener::open`]: [`NotAuthentic`](ErrorKind::NotAuthentic) for one that was sealed elsewhere or as
    /// another type. [`QuotaExceeded`](ErrorKind::QuotaExceeded) for one that is longer or deeper than the bounds;
    /// [`Damaged`](ErrorKind::Damaged) for one that is authentic and does not fit the type.
    pub async fn open(&self, place: &Place, sealed: &[u8]) -> Result<T> {
        self.bounds.check_sealed(sealed.len())?;
        let plaintext = self.opener.open(sealed, &self.context(place)?).await?;
        self.decode(&plaintext)
    }

    /// Seals a value for a column of text: `bulla1.` and base64url.
    ///
    /// # Errors
    /// As for [`seal`](Self::seal).
    pub async fn seal_text(&self, place: &Place, value: &T) -> Result<String>
    where
        T: Sync,
    {
        Ok(to_text(&self.seal(place, value).await?))
    }

    /// Opens what [`seal_text`](Self::seal_text) made.
    ///
    /// # Errors
    /// As for [`open`](Self::open); [`Malformed`](ErrorKind::Malformed) for any other text.
    pub async fn open_text(&self, place: &Place, sealed: &str) -> Result<T> {
        self.bounds.check_text(sealed.len())?;
        self.open(place, &from_text(sealed)?).await
    }

    /// Seals many values under one data key: one call to the KMS at most, also without a cache.
    ///
    /// Each result stands where its value stood, and one that fails costs the others nothing.
    ///
    /// # Errors
    /// The outer error is the providers', before anything was sealed. The inner ones are as for [`seal`](Self::seal).
    pub async fn seal_all<'a>(
        &self,
        values: impl IntoIterator<Item = (&'a Place, &'a T)>,
    ) -> Result<Vec<Result<Vec<u8>>>>
    where
        T: 'a,
    {
        let encode = |(place, value): (&Place, &T)| {
            Ok((place.item_context(&self.kind)?, cbor::encode(value, &self.bounds)?))
        };
        let encoded: Vec<Result<_>> = values.into_iter().map(encode).collect();
        let items: Vec<_> = encoded
            .iter()
            .flatten()
            .map(|(item_context, plaintext)| BatchItem { plaintext, item_context })
            .collect();
        let sealed = self.sealer.seal_batch(&items, &self.key_context).await?;
        let mut sealed = sealed.items.into_iter();
        let missing =
            || Err(Error::new(ErrorKind::Internal, "a batch is shorter than what was asked for"));
        let place = |one: Result<_>| one.and_then(|_| sealed.next().unwrap_or_else(missing));
        Ok(encoded.into_iter().map(place).collect())
    }

    /// Opens many values: one call to the KMS for each data key among them.
    ///
    /// Each result stands where its value stood, and is what [`open`](Self::open) would have said.
    pub async fn open_all<'a>(
        &self,
        values: impl IntoIterator<Item = (&'a Place, &'a [u8])>,
    ) -> Vec<Result<T>> {
        let judge = |(place, sealed): (&Place, &'a [u8])| {
            self.bounds.check_sealed(sealed.len())?;
            Ok((sealed, self.context(place)?))
        };
        let judged: Vec<Result<(&[u8], Context)>> = values.into_iter().map(judge).collect();
        let items: Vec<_> =
            judged.iter().flatten().map(|(sealed, context)| (*sealed, context)).collect();
        let mut opened = self.opener.open_batch(&items).await.into_iter();
        let missing =
            || Err(Error::new(ErrorKind::Internal, "a batch is shorter than what was asked for"));
        judged
            .iter()
            .map(|one| match one {
                Err(error) => Err(error.clone()),
                Ok(_) => self.decode(&opened.next().unwrap_or_else(missing)?),
            })
            .collect()
    }

    /// Opens a value and, if it is not sealed to the sealer's recipients under their current versions, seals it anew and
    /// hands it to `write_back`, as [`Opener::open_and_renew`] does: a failure of that does not keep the value from its
    /// reader.
    ///
    /// Let `write_back` replace the value only if it is still the one that was read (compare and swap).
    ///
    /// # Errors
    /// As for [`open`](Self::open).
    pub async fn open_and_renew<W, F, E>(
        &self,
        place: &Place,
        sealed: &[u8],
        write_back: W,
    ) -> Result<(T, Renewal)>
    where
        W: FnOnce(Vec<u8>) -> F + Send,
        F: Future<Output = Result<(), E>> + Send,
        E: std::error::Error + Send + Sync + 'static,
    {
        self.bounds.check_sealed(sealed.len())?;
        let context = self.context(place)?;
        let (plaintext, renewal) =
            self.opener.open_and_renew(sealed, &context, &self.sealer, write_back).await?;
        Ok((self.decode(&plaintext)?, renewal))
    }

    fn context(&self, place: &Place) -> Result<Context> {
        Context::from_parts(self.key_context.clone(), place.item_context(&self.kind)?)
    }

    fn decode(&self, plaintext: &Plaintext) -> Result<T> {
        cbor::decode(plaintext, &self.bounds)
    }
}

/// Builds [`Values`].
#[derive(Debug)]
pub struct ValuesBuilder<T, P> {
    values: Values<T, P>,
}

impl<T, P> ValuesBuilder<T, P> {
    /// The key context of all of them, such as a tenant: stored, bound in the KMS, and a cohort of its own.
    #[must_use]
    pub fn key_context(mut self, context: EncryptionContext) -> Self {
        self.values.key_context = context;
        self
    }

    /// How long and how deep a value may be.
    #[must_use]
    pub fn bounds(mut self, bounds: ValueBounds) -> Self {
        self.values.bounds = bounds;
        self
    }

    /// The values.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) for a type without a name, or a key context that has pairs of the
    /// place's own.
    pub fn build(self) -> Result<Values<T, P>> {
        let invalid =
            |text| Err(Error::new(ErrorKind::InvalidInput, text).with_operation(Operation::Build));
        let Values { kind, key_context, .. } = &self.values;
        if kind.is_empty() {
            return invalid("a type of values has a name, such as `card/1`");
        }
        if key_context.iter().any(|(key, _)| key.starts_with("value.")) {
            return invalid("keys `value.…` of the context are those of a value's place");
        }
        Ok(self.values)
    }
}

impl<T, P> fmt::Debug for Values<T, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Values")
            .field("kind", &self.kind)
            .field("key_context", &self.key_context)
            .field("bounds", &self.bounds)
            .finish_non_exhaustive()
    }
}

impl<T, P: Clone> Clone for Values<T, P> {
    fn clone(&self) -> Self {
        let Self { kind, key_context, sealer, opener, bounds, of } = self;
        Self {
            kind: kind.clone(),
            key_context: key_context.clone(),
            sealer: sealer.clone(),
            opener: opener.clone(),
            bounds: *bounds,
            of: *of,
        }
    }
}
