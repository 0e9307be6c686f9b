//! What the cases talk to.

use std::sync::Arc;

use async_trait::async_trait;
use bulla::{
    Context, CryptoProvider, Error, Opener, Plaintext, Result, Sealer, format::Suite,
    provider::ContextBinding,
};
use tokio::io::{AsyncRead, AsyncWrite, copy};

/// A reader of any kind.
pub type Source<'a> = &'a mut (dyn AsyncRead + Send + Unpin);

/// A writer of any kind.
pub type Sink<'a> = &'a mut (dyn AsyncWrite + Send + Unpin);

/// A provider and the way in which messages are sealed and opened with it.
///
/// For every real provider that is [`Core`]: the format's code exists once, in `bulla`. Faulty
/// subjects do it in their own wrong way.
#[async_trait]
pub trait Subject: Send + Sync {
    /// The provider itself.
    fn provider(&self) -> &dyn CryptoProvider;

    /// Seals a value.
    async fn seal(&self, suite: Suite, plaintext: &[u8], context: &Context) -> Result<Vec<u8>>;

    /// Opens a value.
    async fn open(&self, sealed: &[u8], context: &Context) -> Result<Plaintext>;

    /// Seals a stream.
    async fn encrypt(
        &self,
        suite: Suite,
        source: Source<'_>,
        sink: Sink<'_>,
        context: &Context,
    ) -> Result<()>;

    /// Opens a stream.
    async fn decrypt(&self, source: Source<'_>, sink: Sink<'_>, context: &Context) -> Result<()>;
}

/// A provider as `bulla` itself uses it.
#[derive(Clone, Debug)]
pub struct Core(pub Arc<dyn CryptoProvider>);

impl Core {
    fn sealer(&self, suite: Suite) -> Result<Sealer<Arc<dyn CryptoProvider>>> {
        Sealer::builder().recipient(Arc::clone(&self.0)).suite(suite).build()
    }

    fn opener(&self) -> Opener<Arc<dyn CryptoProvider>> {
        Opener::new([Arc::clone(&self.0)])
    }

    /// Whether the backend itself binds the context of a data key.
    pub(crate) fn binds_context(provider: &dyn CryptoProvider) -> bool {
        provider.capabilities().data_keys == ContextBinding::Bound
    }
}

#[async_trait]
impl Subject for Core {
    fn provider(&self) -> &dyn CryptoProvider {
        &*self.0
    }

    async fn seal(&self, suite: Suite, plaintext: &[u8], context: &Context) -> Result<Vec<u8>> {
        self.sealer(suite)?.seal(plaintext, context).await
    }

    async fn open(&self, sealed: &[u8], context: &Context) -> Result<Plaintext> {
        self.opener().open(sealed, context).await
    }

    async fn encrypt(
        &self,
        suite: Suite,
        source: Source<'_>,
        sink: Sink<'_>,
        context: &Context,
    ) -> Result<()> {
        let mut reader = self.sealer(suite)?.encrypt_reader(source, context).await?;
        copy(&mut reader, sink).await.map(drop).map_err(Error::from_io)
    }

    async fn decrypt(&self, source: Source<'_>, sink: Sink<'_>, context: &Context) -> Result<()> {
        let mut reader = self.opener().decrypt_reader(source, context).await?;
        copy(&mut reader, sink).await.map(drop).map_err(Error::from_io)
    }
}

/// Seals a whole slice as a stream.
pub(crate) async fn encrypt_all(
    subject: &dyn Subject,
    suite: Suite,
    plaintext: &[u8],
    context: &Context,
) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    subject.encrypt(suite, &mut { plaintext }, &mut out, context).await?;
    Ok(out)
}

/// Opens a whole slice as a stream: what came out, and how it ended.
pub(crate) async fn decrypt_all(
    subject: &dyn Subject,
    sealed: &[u8],
    context: &Context,
) -> (Vec<u8>, Result<()>) {
    let mut out = Vec::new();
    let result = subject.decrypt(&mut { sealed }, &mut out, context).await;
    (out, result)
}
