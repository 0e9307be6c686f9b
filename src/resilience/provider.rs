//! The wrapper as a provider. Every method is written out, so that none slips past the breaker.

use std::sync::Mutex;

use async_trait::async_trait;
use tokio::time::Instant;

use super::{BreakerState, Resilient, breaker::Verdict, call::Tries, lock};
use crate::{
    context::EncryptionContext,
    error::{Error, Operation, Result},
    key::{DataKey, KeyName, Plaintext, Wrapped},
    provider::{
        Availability, Capabilities, CryptoProvider, DataKeys, Encrypt, Health, KeyInfo, Sign,
        UnwrapPolicy,
    },
    signing::{PublicKey, Signature, SigningInput},
};

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl Encrypt for Resilient {
    async fn encrypt(&self, plaintext: &[u8], context: &EncryptionContext) -> Result<Wrapped> {
        let call = || self.inner.encrypt(plaintext, context);
        self.run(Operation::Encrypt, Tries::Policy, call).await
    }

    async fn decrypt(&self, sealed: &Wrapped, context: &EncryptionContext) -> Result<Plaintext> {
        let call = || self.inner.decrypt(sealed, context);
        self.run(Operation::Decrypt, Tries::Policy, call).await
    }

    async fn reencrypt(
        &self,
        sealed: &Wrapped,
        from: &EncryptionContext,
        to: &EncryptionContext,
    ) -> Result<Wrapped> {
        let call = || self.inner.reencrypt(sealed, from, to);
        self.run(Operation::Reencrypt, Tries::Policy, call).await
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl DataKeys for Resilient {
    async fn generate_data_key(&self, context: &EncryptionContext) -> Result<(DataKey, Wrapped)> {
        let call = || self.inner.generate_data_key(context);
        self.run(Operation::GenerateDataKey, Tries::Policy, call).await
    }

    async fn wrap_data_key(&self, key: &DataKey, context: &EncryptionContext) -> Result<Wrapped> {
        let call = || self.inner.wrap_data_key(key, context);
        self.run(Operation::WrapDataKey, Tries::Policy, call).await
    }

    async fn unwrap_data_key(
        &self,
        wrapped: &Wrapped,
        context: &EncryptionContext,
    ) -> Result<DataKey> {
        let call = || self.inner.unwrap_data_key(wrapped, context);
        self.run(Operation::UnwrapDataKey, Tries::Policy, call).await
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl Sign for Resilient {
    async fn public_keys(&self) -> Result<Vec<PublicKey>> {
        self.run(Operation::PublicKeys, Tries::Policy, || self.inner.public_keys()).await
    }

    async fn sign(&self, key: &PublicKey, input: &SigningInput<'_>) -> Result<Signature> {
        self.run(Operation::Sign, Tries::Policy, || self.inner.sign(key, input)).await
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl CryptoProvider for Resilient {
    fn label(&self) -> &str {
        &self.label
    }

    fn capabilities(&self) -> &Capabilities {
        self.inner.capabilities()
    }

    fn sealing_key(&self) -> Option<&KeyName> {
        self.inner.sealing_key()
    }

    fn opens(&self, key: &KeyName) -> Option<UnwrapPolicy> {
        self.inner.opens(key)
    }

    fn is_sealing_key(&self, key: &KeyName) -> bool {
        self.inner.is_sealing_key(key)
    }

    fn is_current(&self, wrapped: &Wrapped) -> bool {
        self.inner.is_current(wrapped)
    }

    fn availability(&self) -> Availability {
        let core = self.core();
        let here = match core.breaker.state(Instant::now()) {
            _ if core.closed => Availability::Unavailable,
            BreakerState::Closed if core.breaker.failures() == 0 => Availability::Available,
            BreakerState::Closed | BreakerState::HalfOpen => Availability::Degraded,
            BreakerState::Open => Availability::Unavailable,
        };
        drop(core);
        here.max(self.inner.availability())
    }

    async fn describe_keys(&self) -> Vec<(KeyName, Result<KeyInfo>)> {
        // What the last attempt answered, if it described no key.
        let failed = Mutex::new(Vec::new());
        let answer = self.run(Operation::DescribeKeys, Tries::Policy, || {
            Box::pin(async {
                lock(&failed).clear();
                let keys = self.inner.describe_keys().await;
                *lock(&self.known) = keys.iter().map(|(name, _)| name.clone()).collect();
                match failure(&keys) {
                    Some(error) => {
                        *lock(&failed) = keys;
                        Err(error)
                    }
                    None => Ok(keys),
                }
            })
        });
        let error = match answer.await {
            Ok(keys) => return keys,
            Err(error) => error,
        };
        let keys = std::mem::take(&mut *lock(&failed));
        if keys.is_empty() {
            let known = lock(&self.known);
            return known.iter().map(|name| (name.clone(), Err(error.clone()))).collect();
        }
        keys
    }

    async fn health(&self) -> Result<Health> {
        self.run(Operation::Health, Tries::One, || self.inner.health()).await
    }

    async fn close(&self) -> Result<()> {
        self.core().closed = true;
        self.ungated(Operation::Close, self.inner.close()).await
    }
}

/// What a list says about the provider if no key in it could be described: that it answered, if it
/// did for any key.
fn failure(keys: &[(KeyName, Result<KeyInfo>)]) -> Option<Error> {
    let errors = keys.iter().map(|(_, info)| info.as_ref().err()).collect::<Option<Vec<_>>>()?;
    let answered = errors.iter().find(|error| Verdict::of(error.kind()) == Verdict::Answered);
    answered.or(errors.first()).map(|error| Error::clone(error))
}
