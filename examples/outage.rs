//! An outage, as the caller of a wrapped provider sees it: the provider hangs, refuses and comes
//! back. Takes about six seconds.

#![allow(clippy::print_stdout, reason = "it is there to be read")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicU8, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use async_trait::async_trait;
use bulla::{
    CryptoProvider, DataKey, DataKeys, Encrypt, EncryptionContext, Error, ErrorKind, KeyName,
    Plaintext, PublicKey, Result, Sign, Signature, SigningInput, Wrapped,
    key::WrapAlgorithm,
    provider::{self, Availability, Capabilities, Health, KeyInfo, UnwrapPolicy},
    resilience::{Policy, Resilient},
};
use tokio::time::sleep;

const UP: u8 = 0;
const HANGS: u8 = 1;
const REFUSES: u8 = 2;

/// A KMS that can be killed and revived. Its "wrapping" protects nothing.
#[derive(Debug)]
struct Kms {
    key: KeyName,
    capabilities: Capabilities,
    state: AtomicU8,
    asked: AtomicU64,
}

impl Kms {
    async fn answer<T>(&self, value: T) -> Result<T> {
        self.asked.fetch_add(1, Relaxed);
        match self.state.load(Relaxed) {
            UP => {
                sleep(Duration::from_millis(20)).await;
                Ok(value)
            }
            HANGS => std::future::pending().await,
            _ => Err(Error::new(ErrorKind::Unavailable, "connection refused")),
        }
    }

    fn wrapped(&self) -> Wrapped {
        let (key, algorithm) = (self.key.clone(), WrapAlgorithm::Native);
        Wrapped { key, version: None, algorithm, blob: vec![0; 32] }
    }
}

#[async_trait]
impl Encrypt for Kms {
    async fn encrypt(&self, _: &[u8], _: &EncryptionContext) -> Result<Wrapped> {
        self.answer(self.wrapped()).await
    }

    async fn decrypt(&self, _: &Wrapped, _: &EncryptionContext) -> Result<Plaintext> {
        self.answer(Plaintext::new(Vec::new())).await
    }

    async fn reencrypt(
        &self,
        sealed: &Wrapped,
        from: &EncryptionContext,
        to: &EncryptionContext,
    ) -> Result<Wrapped> {
        provider::decrypt_and_encrypt(self, sealed, from, to).await
    }
}

#[async_trait]
impl DataKeys for Kms {
    async fn generate_data_key(&self, _: &EncryptionContext) -> Result<(DataKey, Wrapped)> {
        self.answer((DataKey::generate()?, self.wrapped())).await
    }

    async fn wrap_data_key(&self, _: &DataKey, _: &EncryptionContext) -> Result<Wrapped> {
        self.answer(self.wrapped()).await
    }

    async fn unwrap_data_key(&self, _: &Wrapped, _: &EncryptionContext) -> Result<DataKey> {
        self.answer(DataKey::generate()?).await
    }
}

#[async_trait]
impl Sign for Kms {
    async fn public_keys(&self) -> Result<Vec<PublicKey>> {
        self.answer(Vec::new()).await
    }

    async fn sign(&self, _: &PublicKey, _: &SigningInput<'_>) -> Result<Signature> {
        self.answer(Signature::new(Vec::new())).await
    }
}

#[async_trait]
impl CryptoProvider for Kms {
    fn label(&self) -> &str {
        "kms"
    }

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn sealing_key(&self) -> Option<&KeyName> {
        Some(&self.key)
    }

    fn opens(&self, _: &KeyName) -> Option<UnwrapPolicy> {
        None
    }

    fn is_sealing_key(&self, key: &KeyName) -> bool {
        *key == self.key
    }

    fn is_current(&self, _: &Wrapped) -> bool {
        true
    }

    fn availability(&self) -> Availability {
        Availability::Available
    }

    async fn describe_keys(&self) -> Vec<(KeyName, Result<KeyInfo>)> {
        Vec::new()
    }

    async fn health(&self) -> Result<Health> {
        self.answer(Health::new(Duration::ZERO)).await
    }

    async fn close(&self) -> Result<()> {
        Ok(())
    }
}

/// Makes one call every 150 ms, for that long, and prints how each went.
async fn watch(title: &str, kms: &Kms, wrapped: &Resilient, start: Instant, time: Duration) {
    println!("--- {title}");
    let end = Instant::now() + time;
    while Instant::now() < end {
        let (began, asked) = (Instant::now(), kms.asked.load(Relaxed));
        let result = wrapped.generate_data_key(&EncryptionContext::new()).await;
        let result = result.map_or_else(|error| error.to_string(), |_| "a data key".to_owned());
        println!(
            "{:5.2} s  {:9}  {} attempt(s) in {:3} ms  {result}",
            start.elapsed().as_secs_f64(),
            wrapped.snapshot().state,
            kms.asked.load(Relaxed) - asked,
            began.elapsed().as_millis(),
        );
        sleep(Duration::from_millis(150)).await;
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let kms = Arc::new(Kms {
        key: KeyName::new("example", "key")?,
        capabilities: Capabilities::none(),
        state: AtomicU8::new(UP),
        asked: AtomicU64::new(0),
    });
    // Shorter than the defaults by a factor of about ten.
    let policy = Policy::builder()
        .attempt_timeout(Duration::from_millis(250))
        .deadline(Duration::from_millis(900))
        .max_attempts(3)
        .backoff(Duration::from_millis(50), Duration::from_millis(200))
        .breaker_threshold(3)
        .cool_down(Duration::from_millis(1_000))
        .build()?;
    let wrapped = Resilient::new(Arc::clone(&kms) as Arc<dyn CryptoProvider>, policy);
    let start = Instant::now();

    watch("the KMS is up", &kms, &wrapped, start, Duration::from_millis(300)).await;
    kms.state.store(HANGS, Relaxed);
    watch("it hangs", &kms, &wrapped, start, Duration::from_millis(3_000)).await;
    kms.state.store(REFUSES, Relaxed);
    watch("it refuses connections", &kms, &wrapped, start, Duration::from_millis(1_200)).await;
    kms.state.store(UP, Relaxed);
    watch("it is up again", &kms, &wrapped, start, Duration::from_millis(1_400)).await;

    println!("{:?}", wrapped.snapshot().counters);
    Ok(())
}
