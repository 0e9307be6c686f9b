//! A provider that does what a script says, and writes down when it was asked.

use std::{
    collections::VecDeque,
    panic::resume_unwind,
    sync::{
        Arc, Mutex, OnceLock, Weak,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use async_trait::async_trait;
use tokio::time::{Instant, sleep};

use crate::key::KeyState;
use crate::{
    EncryptionContext, Error, ErrorKind, KeyName, KeyVersion, Operation, Plaintext, PublicKey,
    Result, Signature, SigningAlgorithm, SigningInput, Wrapped,
    key::{DataKey, WrapAlgorithm},
    provider::*,
    resilience::{BreakerState, Resilient},
};

/// What one attempt does.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Step {
    Ok,
    /// Answers well after that long.
    Slow(Duration),
    Hang,
    Fail(ErrorKind),
    FailAfter(Duration, ErrorKind),
    /// `Throttled`, with the wait that is asked for.
    Throttle(Duration),
    Panic,
    PanicAfter(Duration),
}

type KeyList = Vec<(KeyName, Result<KeyInfo>)>;
type Rule = Box<dyn FnMut(Instant) -> Step + Send>;

/// What the provider noticed.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// When it was asked, and for what.
    pub(super) attempts: Mutex<Vec<(Instant, Operation)>>,
    pub(super) total: AtomicU64,
    pub(super) in_flight: AtomicU64,
    /// Attempts that arrived while the breaker was half-open.
    pub(super) probes: AtomicU64,
    pub(super) probes_in_flight: AtomicU64,
    /// Attempts that arrived while it was open, and probes beside another.
    pub(super) violations: AtomicU64,
}

pub(super) struct Fake {
    name: KeyName,
    capabilities: Capabilities,
    /// Steps for the next attempts, before the rule is asked.
    next: Mutex<VecDeque<Step>>,
    rule: Mutex<Rule>,
    watched: OnceLock<Weak<Resilient>>,
    pub(super) availability: Mutex<Availability>,
    /// What `describe_keys` answers instead.
    pub(super) keys: Mutex<Option<KeyList>>,
    pub(super) seen: Seen,
}

impl std::fmt::Debug for Fake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Fake({})", self.name)
    }
}

struct InFlight<'a>(&'a Seen, bool);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Relaxed);
        self.0.probes_in_flight.fetch_sub(u64::from(self.1), Relaxed);
    }
}

impl Fake {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            name: KeyName::new("fake", "key").unwrap(),
            capabilities: Capabilities::none(),
            next: Mutex::default(),
            rule: Mutex::new(Box::new(|_| Step::Ok)),
            watched: OnceLock::new(),
            availability: Mutex::new(Availability::Available),
            keys: Mutex::default(),
            seen: Seen::default(),
        })
    }

    pub(super) fn always(&self, step: Step) {
        self.rule(move |_| step.clone());
    }

    pub(super) fn rule(&self, rule: impl FnMut(Instant) -> Step + Send + 'static) {
        *self.rule.lock().unwrap() = Box::new(rule);
    }

    pub(super) fn then(&self, steps: impl IntoIterator<Item = Step>) {
        self.next.lock().unwrap().extend(steps);
    }

    /// Looks at this wrapper's breaker at every attempt.
    pub(super) fn watch(&self, wrapper: &Arc<Resilient>) {
        let _ = self.watched.set(Arc::downgrade(wrapper));
    }

    pub(super) fn total(&self) -> u64 {
        self.seen.total.load(Relaxed)
    }

    pub(super) fn attempts(&self) -> Vec<(Instant, Operation)> {
        self.seen.attempts.lock().unwrap().clone()
    }

    async fn act(&self, operation: Operation) -> Result<()> {
        let now = Instant::now();
        let seen = &self.seen;
        seen.total.fetch_add(1, Relaxed);
        seen.in_flight.fetch_add(1, Relaxed);
        seen.attempts.lock().unwrap().push((now, operation));
        // The wrapper may be gone, or not be asked: `close` is not gated.
        let state = (operation != Operation::Close)
            .then(|| self.watched.get()?.upgrade())
            .flatten()
            .map(|wrapper| wrapper.snapshot().state);
        let probe = state == Some(BreakerState::HalfOpen);
        seen.probes.fetch_add(u64::from(probe), Relaxed);
        let beside = seen.probes_in_flight.fetch_add(u64::from(probe), Relaxed);
        let wrong = state == Some(BreakerState::Open) || (probe && beside > 0);
        seen.violations.fetch_add(u64::from(wrong), Relaxed);
        let _in_flight = InFlight(seen, probe);

        let step = self.next.lock().unwrap().pop_front();
        let step = step.unwrap_or_else(|| (self.rule.lock().unwrap())(now));
        let fail = |kind| Err(Error::new(kind, "as the script says").with_provider("fake"));
        match step {
            Step::Ok => Ok(()),
            Step::Slow(time) => {
                sleep(time).await;
                Ok(())
            }
            Step::Hang => std::future::pending().await,
            Step::Fail(kind) => fail(kind),
            Step::FailAfter(time, kind) => {
                sleep(time).await;
                fail(kind)
            }
            Step::Throttle(wait) => {
                let error = Error::new(ErrorKind::Throttled, "as the script says");
                Err(error.with_retry_after(wait))
            }
            // Past the panic hook, which would print thousands of them.
            Step::Panic => resume_unwind(Box::new("as the script says")),
            Step::PanicAfter(time) => {
                sleep(time).await;
                resume_unwind(Box::new("as the script says"))
            }
        }
    }

    fn wrapped(&self) -> Wrapped {
        wrapped(&self.name)
    }
}

fn wrapped(name: &KeyName) -> Wrapped {
    Wrapped { key: name.clone(), version: None, algorithm: WrapAlgorithm::Native, blob: vec![1] }
}

fn public_key(name: &KeyName) -> PublicKey {
    PublicKey {
        key: name.clone(),
        version: KeyVersion::parse("1").unwrap(),
        state: KeyState::Active,
        current: true,
        algorithms: vec![SigningAlgorithm::Es256],
        spki: vec![],
    }
}

/// Every operation that goes through the breaker.
pub(super) const GATED: [Operation; 10] = [
    Operation::Encrypt,
    Operation::Decrypt,
    Operation::Reencrypt,
    Operation::GenerateDataKey,
    Operation::WrapDataKey,
    Operation::UnwrapDataKey,
    Operation::PublicKeys,
    Operation::Sign,
    Operation::DescribeKeys,
    Operation::Health,
];

/// Does one operation, whatever comes out of it.
pub(super) async fn call(provider: &dyn CryptoProvider, operation: Operation) -> Result<()> {
    let name = KeyName::new("fake", "key")?;
    let context = EncryptionContext::new();
    match operation {
        Operation::Encrypt => provider.encrypt(b"x", &context).await.map(drop),
        Operation::Decrypt => provider.decrypt(&wrapped(&name), &context).await.map(drop),
        Operation::Reencrypt => {
            provider.reencrypt(&wrapped(&name), &context, &context).await.map(drop)
        }
        Operation::GenerateDataKey => provider.generate_data_key(&context).await.map(drop),
        Operation::WrapDataKey => {
            provider.wrap_data_key(&DataKey::from_bytes(&[7; 32]), &context).await.map(drop)
        }
        Operation::UnwrapDataKey => {
            provider.unwrap_data_key(&wrapped(&name), &context).await.map(drop)
        }
        Operation::PublicKeys => provider.public_keys().await.map(drop),
        Operation::Sign => {
            let input = SigningInput::from_digest(SigningAlgorithm::Es256, &[1; 32])?;
            provider.sign(&public_key(&name), &input).await.map(drop)
        }
        Operation::DescribeKeys => {
            let keys = provider.describe_keys().await;
            assert!(!keys.is_empty());
            keys.into_iter().try_for_each(|(_, info)| info.map(drop))
        }
        Operation::Health => provider.health().await.map(drop),
        Operation::Close => provider.close().await,
        other => panic!("{other} is not an operation of a provider"),
    }
}

#[async_trait]
impl Encrypt for Fake {
    async fn encrypt(&self, _: &[u8], _: &EncryptionContext) -> Result<Wrapped> {
        self.act(Operation::Encrypt).await.map(|()| self.wrapped())
    }

    async fn decrypt(&self, _: &Wrapped, _: &EncryptionContext) -> Result<Plaintext> {
        self.act(Operation::Decrypt).await.map(|()| Plaintext::new(vec![1]))
    }

    async fn reencrypt(
        &self,
        _: &Wrapped,
        _: &EncryptionContext,
        _: &EncryptionContext,
    ) -> Result<Wrapped> {
        self.act(Operation::Reencrypt).await.map(|()| self.wrapped())
    }
}

#[async_trait]
impl DataKeys for Fake {
    async fn generate_data_key(&self, _: &EncryptionContext) -> Result<(DataKey, Wrapped)> {
        self.act(Operation::GenerateDataKey).await?;
        Ok((DataKey::from_bytes(&[7; 32]), self.wrapped()))
    }

    async fn wrap_data_key(&self, _: &DataKey, _: &EncryptionContext) -> Result<Wrapped> {
        self.act(Operation::WrapDataKey).await.map(|()| self.wrapped())
    }

    async fn unwrap_data_key(&self, _: &Wrapped, _: &EncryptionContext) -> Result<DataKey> {
        self.act(Operation::UnwrapDataKey).await.map(|()| DataKey::from_bytes(&[7; 32]))
    }
}

#[async_trait]
impl Sign for Fake {
    async fn public_keys(&self) -> Result<Vec<PublicKey>> {
        self.act(Operation::PublicKeys).await.map(|()| vec![public_key(&self.name)])
    }

    async fn sign(&self, _: &PublicKey, _: &SigningInput<'_>) -> Result<Signature> {
        self.act(Operation::Sign).await.map(|()| Signature::new(vec![1]))
    }
}

#[async_trait]
impl CryptoProvider for Fake {
    fn label(&self) -> &str {
        "fake"
    }

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn sealing_key(&self) -> Option<&KeyName> {
        Some(&self.name)
    }

    fn opens(&self, key: &KeyName) -> Option<UnwrapPolicy> {
        (*key == self.name).then_some(UnwrapPolicy {
            algorithm: WrapAlgorithm::Native,
            authenticates: true,
            accept_public_key_wraps: false,
        })
    }

    fn is_sealing_key(&self, key: &KeyName) -> bool {
        *key == self.name
    }

    fn is_current(&self, wrapped: &Wrapped) -> bool {
        wrapped.key == self.name
    }

    fn availability(&self) -> Availability {
        *self.availability.lock().unwrap()
    }

    async fn describe_keys(&self) -> Vec<(KeyName, Result<KeyInfo>)> {
        let answer = self.act(Operation::DescribeKeys).await;
        if let Some(keys) = self.keys.lock().unwrap().clone() {
            return keys;
        }
        let info = KeyInfo::new(self.name.clone(), KeyState::Active, "fake");
        vec![(self.name.clone(), answer.map(|()| info))]
    }

    async fn health(&self) -> Result<Health> {
        self.act(Operation::Health).await.map(|()| Health::new(Duration::ZERO))
    }

    async fn close(&self) -> Result<()> {
        self.act(Operation::Close).await
    }
}
