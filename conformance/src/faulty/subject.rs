//! Faults in the way in which messages are opened.

use async_trait::async_trait;
use bulla::{
    Context, CryptoProvider, Error, ErrorKind, Plaintext, Result,
    format::{Preamble, Suite},
};
use tokio::io::AsyncWriteExt;

use super::Fault;
use crate::{
    Subject,
    subject::{Core, Sink, Source},
};

pub(super) struct Sloppy {
    pub(super) core: Core,
    pub(super) fault: Option<Fault>,
}

impl Sloppy {
    fn has(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    /// Asks once more than is needed.
    async fn call_again(&self, context: &Context) -> Result<()> {
        if self.has(Fault::CallsTwice) {
            self.core.provider().generate_data_key(context.key()).await?;
        }
        Ok(())
    }

    fn set_aside(&self, sealed: &[u8]) {
        if self.has(Fault::BelievesLengths) && Preamble::split(sealed).is_err() {
            std::hint::black_box(vec![1_u8; 1 << 22]);
        }
    }
}

#[async_trait]
impl Subject for Sloppy {
    fn provider(&self) -> &dyn CryptoProvider {
        self.core.provider()
    }

    async fn seal(&self, suite: Suite, plaintext: &[u8], context: &Context) -> Result<Vec<u8>> {
        self.core.seal(suite, plaintext, context).await
    }

    async fn open(&self, sealed: &[u8], context: &Context) -> Result<Plaintext> {
        self.set_aside(sealed);
        match self.core.open(sealed, context).await {
            Err(_) if self.has(Fault::OpensAnything) => Ok(Plaintext::default()),
            Ok(plaintext) if self.has(Fault::LosesAByte) => {
                let mut bytes = plaintext.into_vec();
                bytes.pop();
                Ok(bytes.into())
            }
            other => other,
        }
    }

    async fn encrypt(
        &self,
        suite: Suite,
        source: Source<'_>,
        sink: Sink<'_>,
        context: &Context,
    ) -> Result<()> {
        self.call_again(context).await?;
        self.core.encrypt(suite, source, sink, context).await
    }

    async fn decrypt(&self, source: Source<'_>, sink: Sink<'_>, context: &Context) -> Result<()> {
        self.call_again(context).await?;
        if !self.has(Fault::LosesAByte) {
            let opened = self.core.decrypt(source, sink, context).await;
            let pardoned = self.has(Fault::OpensAnything);
            return if pardoned { Ok(()) } else { opened };
        }
        let mut bytes = Vec::new();
        self.core.decrypt(source, &mut bytes, context).await?;
        bytes.pop();
        let written = sink.write_all(&bytes).await;
        written.map_err(|e| Error::new(ErrorKind::Io, "the sink failed").with_source(e))
    }
}
