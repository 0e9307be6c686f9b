//! What happens to a plaintext before it is stored, in an order that can't be wrong.

use std::{fmt, ops::Deref};

use bulla::{
    Context, CryptoProvider, Error, ErrorKind, Opener, Operation, Result, Sealer, format::Transform,
};

use crate::{Bounds, Zstd};

/// The beginning of a chain: what is put into it comes before what was put into it earlier has been sealed.
///
/// Sealing ends the chain, and only what is not compressed yet can be: ciphertext does not compress, so the other
/// order would be a mistake. It is one that does not compile.
///
/// ```compile_fail
/// # fn example(sealer: bulla::Sealer<std::sync::Arc<dyn bulla::CryptoProvider>>) {
/// use bulla_pipeline::{Chain, Zstd};
///
/// let chain = Chain::new().seal(sealer).compress(Zstd::new());
/// # }
/// ```
///
/// ```
/// # fn example(sealer: bulla::Sealer<std::sync::Arc<dyn bulla::CryptoProvider>>) {
/// use bulla_pipeline::{Chain, Zstd};
///
/// let writing = Chain::new().compress(Zstd::new()).seal(sealer);
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default)]
#[must_use = "a chain does nothing before it ends in `seal`"]
pub struct Chain<T> {
    transform: T,
}

/// Nothing was done to the plaintext.
#[derive(Clone, Copy, Debug, Default)]
pub struct Plain;

impl Chain<Plain> {
    /// The plaintext as it is.
    pub fn new() -> Self {
        Self { transform: Plain }
    }

    /// Compresses it.
    ///
    /// # Security
    /// **Lengths then tell of contents.** If whoever sees the length of a sealed message can also put bytes of
    /// their choice into its plaintext, beside a secret, they find the secret out by what compresses well (CRIME,
    /// BREACH). Don't compress where a secret and what others wrote are in one message; files of one owner, logs
    /// and backups are what compression is for.
    pub fn compress(self, zstd: Zstd) -> Chain<Zstd> {
        Chain { transform: zstd }
    }

    /// Seals it as it is.
    pub fn seal<P>(self, sealer: Sealer<P>) -> Writing<P> {
        Writing { zstd: None, sealer }
    }
}

impl Chain<Zstd> {
    /// Seals what was compressed. The header says that it was, under the sealer's authentication.
    pub fn seal<P>(self, sealer: Sealer<P>) -> Writing<P> {
        Writing { zstd: Some(self.transform), sealer }
    }
}

/// A whole chain: plaintext in, sealed bytes out.
///
/// Each message has a data key of its own, and costs one `generate_data_key` at the sealer's first recipient.
#[derive(Clone, Debug)]
pub struct Writing<P> {
    pub(crate) zstd: Option<Zstd>,
    pub(crate) sealer: Sealer<P>,
}

impl<P> Writing<P>
where
    P: Deref<Target: CryptoProvider> + Send + Sync,
{
    /// What the header will say of the plaintext.
    #[must_use]
    pub fn transform(&self) -> Option<Transform> {
        self.zstd.map(|_| Transform::Zstd)
    }

    /// The context, with the transform named in it.
    pub(crate) fn context(&self, context: &Context) -> Result<Context> {
        refuse_named(context)?;
        match self.transform() {
            None => Ok(context.clone()),
            Some(transform) => context.clone().with_transform(transform),
        }
    }
}

/// The way back: sealed bytes in, plaintext out.
///
/// What was done to the plaintext is read from the authenticated header, and not guessed. It is undone only if it
/// was allowed here; nothing is unless said, so that nobody decompresses who never meant to. Messages that were not
/// transformed always open.
///
/// ```
/// # fn example(opener: bulla::Opener<std::sync::Arc<dyn bulla::CryptoProvider>>) {
/// use bulla::format::Transform;
/// use bulla_pipeline::Reading;
///
/// let reading = Reading::builder(opener).allow(Transform::Zstd).build();
/// # }
/// ```
#[derive(Clone)]
pub struct Reading<P> {
    pub(crate) opener: Opener<P>,
    pub(crate) bounds: Bounds,
    allowed: Vec<Transform>,
}

impl<P> Reading<P>
where
    P: Deref<Target: CryptoProvider> + Send + Sync,
{
    /// A reader of messages that were not transformed.
    #[must_use]
    pub fn new(opener: Opener<P>) -> Self {
        Self::builder(opener).build()
    }

    /// A reader to choose the transforms and bounds of.
    #[must_use]
    pub fn builder(opener: Opener<P>) -> ReadingBuilder<P> {
        ReadingBuilder { reading: Self { opener, bounds: Bounds::default(), allowed: Vec::new() } }
    }

    /// The context to open under, if what the header says is allowed. The header's word is authenticated when it
    /// has opened.
    pub(crate) fn context(&self, claimed: Option<Transform>, context: &Context) -> Result<Context> {
        refuse_named(context)?;
        match claimed {
            None => Ok(context.clone()),
            Some(transform) if self.allowed.contains(&transform) => {
                context.clone().with_transform(transform)
            }
            Some(transform) => Err(Error::new(
                ErrorKind::Unsupported,
                format!(
                    "the message is compressed ({transform}), and this reader was not told to allow that: \
                     `Reading::builder(…).allow(…)`"
                ),
            )
            .with_operation(Operation::Open)),
        }
    }
}

/// Builds a [`Reading`].
#[derive(Clone, Debug)]
pub struct ReadingBuilder<P> {
    reading: Reading<P>,
}

impl<P> ReadingBuilder<P> {
    /// Undoes this transform where a message says that it was done.
    #[must_use]
    pub fn allow(mut self, transform: Transform) -> Self {
        self.reading.allowed.push(transform);
        self
    }

    /// How much may come out of compressed bytes.
    #[must_use]
    pub fn bounds(mut self, bounds: Bounds) -> Self {
        self.reading.bounds = bounds;
        self
    }

    /// The reader.
    #[must_use]
    pub fn build(self) -> Reading<P> {
        self.reading
    }
}

/// A transform is the chain's to name: who named one and seals plain bytes would write a message that lies.
fn refuse_named(context: &Context) -> Result<()> {
    match context.transform() {
        None => Ok(()),
        Some(_) => Err(Error::new(
            ErrorKind::InvalidInput,
            "the context names a transform, which is the chain's to do: leave it out",
        )),
    }
}

impl<P> fmt::Debug for Reading<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reading")
            .field("bounds", &self.bounds)
            .field("allowed", &self.allowed)
            .finish_non_exhaustive()
    }
}
