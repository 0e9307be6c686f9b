//! Several providers that hold the same keys, as one: regions of one cloud, nodes of one cluster.

use std::sync::Arc;

use async_trait::async_trait;

use crate::{
    context::EncryptionContext,
    error::{Error, ErrorKind, Result},
    key::{DataKey, KeyName, Plaintext, Wrapped},
    provider::{
        Availability, Capabilities, CryptoProvider, DataKeys, Encrypt, Health, KeyInfo, Sign,
        UnwrapPolicy,
    },
    signing::{PublicKey, Signature, SigningInput},
};

/// Providers in order, each of which stands in for those before it while they are out of reach.
///
/// All hold the same keys, such as the replicas of a multi-Region key. Each is normally a
/// [`Resilient`](super::Resilient) of its own, so that one which is known to be down costs nothing.
///
/// * A call goes to the first member whose breaker is not open, and on to the next if that answers
///   [`Unavailable`](ErrorKind::Unavailable), [`Timeout`](ErrorKind::Timeout),
///   [`Throttled`](ErrorKind::Throttled) or [`CircuitOpen`](ErrorKind::CircuitOpen). Whatever else
///   a member answers is the answer: the same key gives the same
///   [`NotAuthentic`](ErrorKind::NotAuthentic) everywhere; and
///   [`Denied`](ErrorKind::Denied), [`Disabled`](ErrorKind::Disabled) and the like are somebody's
///   decision, which another region must not get round.
/// * What any member wraps has the name of the first one's sealing key, which all of them open. So
///   recipients don't depend on the weather, and headers have one length.
/// * A public key that one member gave may be passed to [`sign`](Sign::sign) whichever member then
///   signs: that member must know it as its own, as replicas of a multi-Region key do. The key
///   name in it is that of the member that was asked.
/// * A call takes as long as all its members' deadlines at worst.
///
/// A member that is half-open counts as one that is not down: the call that is its probe may wait
/// for its timeout once. Otherwise nobody would ever try it again while another serves.
#[derive(Debug)]
pub struct Failover {
    label: Arc<str>,
    members: Vec<Arc<dyn CryptoProvider>>,
}

impl Failover {
    /// Members in order of preference, and a name for errors, logs and metrics.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) if there is no member, if they can't do the same,
    /// or if one does not open what another seals to.
    pub fn new(
        label: impl Into<Arc<str>>,
        members: impl IntoIterator<Item = Arc<dyn CryptoProvider>>,
    ) -> Result<Self> {
        let new = Self { label: label.into(), members: members.into_iter().collect() };
        new.check().map_err(|error| error.with_provider(Arc::clone(&new.label)))?;
        Ok(new)
    }

    fn check(&self) -> Result<()> {
        let first = self.first()?;
        for member in &self.members {
            let differs = |what| {
                let (one, other) = (first.label(), member.label());
                Err(Error::invalid(format!("{one} and {other} {what}; they can't stand in")))
            };
            if member.capabilities() != first.capabilities() {
                return differs("can't do the same");
            }
            if member.sealing_key().is_some() != first.sealing_key().is_some() {
                return differs("don't both have a sealing key");
            }
            let mut keys = self.members.iter().filter_map(|one| one.sealing_key());
            if keys.any(|key| member.opens(key).is_none()) {
                return differs("don't open what the others seal");
            }
        }
        Ok(())
    }

    fn first(&self) -> Result<&Arc<dyn CryptoProvider>> {
        self.members.first().ok_or_else(|| Error::invalid("a failover needs a member"))
    }

    /// Those that are not known to be down, then the others; each in the given order.
    fn order(&self) -> impl Iterator<Item = &Arc<dyn CryptoProvider>> {
        let down =
            |member: &&Arc<dyn CryptoProvider>| member.availability() == Availability::Unavailable;
        let (last, first): (Vec<_>, Vec<_>) = self.members.iter().partition(down);
        first.into_iter().chain(last)
    }

    /// Asks one member after the other.
    async fn ask<'a, T, F>(&'a self, call: impl Fn(&'a dyn CryptoProvider) -> F + Send) -> Result<T>
    where
        F: Future<Output = Result<T>> + Send,
        T: Send,
    {
        self.ask_those(self.order().collect(), call).await
    }

    /// The same of those that open a key.
    async fn ask_for<'a, T, F>(
        &'a self,
        key: &KeyName,
        call: impl Fn(&'a dyn CryptoProvider) -> F + Send,
    ) -> Result<T>
    where
        F: Future<Output = Result<T>> + Send,
        T: Send,
    {
        let opening: Vec<_> = self.order().filter(|member| member.opens(key).is_some()).collect();
        // The first says that the key is on nobody's list.
        let asked = if opening.is_empty() { vec![self.first()?] } else { opening };
        self.ask_those(asked, call).await
    }

    async fn ask_those<'a, T, F>(
        &'a self,
        members: Vec<&'a Arc<dyn CryptoProvider>>,
        call: impl Fn(&'a dyn CryptoProvider) -> F + Send,
    ) -> Result<T>
    where
        F: Future<Output = Result<T>> + Send,
        T: Send,
    {
        let mut failures = Vec::new();
        for member in members {
            match call(&**member).await {
                Err(error) if error.is_retryable() => failures.push(error),
                answer => return answer,
            }
        }
        Err(self.all_failed(failures))
    }

    /// One error for all: that of the first member that was asked at all, to be tried again when
    /// the first of them may be.
    fn all_failed(&self, failures: Vec<Error>) -> Error {
        let wait = failures.iter().filter_map(Error::retry_after).min();
        let count = failures.len();
        let asked = failures.iter().position(|error| error.kind() != ErrorKind::CircuitOpen);
        let Some(error) = failures.into_iter().nth(asked.unwrap_or(0)) else {
            return Error::new(ErrorKind::Internal, "a failover has no member");
        };
        if count == 1 {
            return error;
        }
        let member = error.provider().map_or_else(String::new, |label| format!("{label}: "));
        let message = format!("{member}{} (all {count} members failed)", error.message());
        let kind = error.kind();
        let told = error.told_as(kind, message).with_provider(Arc::clone(&self.label));
        match wait {
            Some(wait) => told.with_retry_after(wait),
            None => told,
        }
    }

    /// Gives what a member wrapped under its own sealing key the name of the first one's.
    fn rename(&self, member: &dyn CryptoProvider, mut wrapped: Wrapped) -> Wrapped {
        if let (true, Some(name)) = (member.sealing_key() == Some(&wrapped.key), self.sealing_key())
        {
            wrapped.key.clone_from(name);
        }
        wrapped
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl Encrypt for Failover {
    async fn encrypt(&self, plaintext: &[u8], context: &EncryptionContext) -> Result<Wrapped> {
        self.ask(|member| async move {
            Ok(self.rename(member, member.encrypt(plaintext, context).await?))
        })
        .await
    }

    async fn decrypt(&self, sealed: &Wrapped, context: &EncryptionContext) -> Result<Plaintext> {
        self.ask_for(&sealed.key, |member| member.decrypt(sealed, context)).await
    }

    async fn reencrypt(
        &self,
        sealed: &Wrapped,
        from: &EncryptionContext,
        to: &EncryptionContext,
    ) -> Result<Wrapped> {
        self.ask_for(&sealed.key, |member| async move {
            Ok(self.rename(member, member.reencrypt(sealed, from, to).await?))
        })
        .await
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl DataKeys for Failover {
    async fn generate_data_key(&self, context: &EncryptionContext) -> Result<(DataKey, Wrapped)> {
        self.ask(|member| async move {
            let (key, wrapped) = member.generate_data_key(context).await?;
            Ok((key, self.rename(member, wrapped)))
        })
        .await
    }

    async fn wrap_data_key(&self, key: &DataKey, context: &EncryptionContext) -> Result<Wrapped> {
        self.ask(|member| async move {
            Ok(self.rename(member, member.wrap_data_key(key, context).await?))
        })
        .await
    }

    async fn unwrap_data_key(
        &self,
        wrapped: &Wrapped,
        context: &EncryptionContext,
    ) -> Result<DataKey> {
        self.ask_for(&wrapped.key, |member| member.unwrap_data_key(wrapped, context)).await
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl Sign for Failover {
    async fn public_keys(&self) -> Result<Vec<PublicKey>> {
        self.ask(|member| member.public_keys()).await
    }

    async fn sign(&self, key: &PublicKey, input: &SigningInput<'_>) -> Result<Signature> {
        self.ask(|member| member.sign(key, input)).await
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl CryptoProvider for Failover {
    fn label(&self) -> &str {
        &self.label
    }

    fn capabilities(&self) -> &Capabilities {
        const NONE: &Capabilities = &Capabilities::none();
        self.members.first().map_or(NONE, |member| member.capabilities())
    }

    fn sealing_key(&self) -> Option<&KeyName> {
        self.members.first().and_then(|member| member.sealing_key())
    }

    fn opens(&self, key: &KeyName) -> Option<UnwrapPolicy> {
        self.members.iter().find_map(|member| member.opens(key))
    }

    fn is_sealing_key(&self, key: &KeyName) -> bool {
        self.members.iter().any(|member| member.is_sealing_key(key))
    }

    fn is_current(&self, wrapped: &Wrapped) -> bool {
        self.members.iter().any(|member| member.is_current(wrapped))
    }

    /// That of the best member.
    fn availability(&self) -> Availability {
        let all = self.members.iter().map(|member| member.availability());
        all.min().unwrap_or(Availability::Unavailable)
    }

    /// Those of every member, one after the other.
    async fn describe_keys(&self) -> Vec<(KeyName, Result<KeyInfo>)> {
        let mut described = Vec::new();
        for member in &self.members {
            described.extend(member.describe_keys().await);
        }
        described
    }

    /// Well if one member is.
    async fn health(&self) -> Result<Health> {
        self.ask(|member| member.health()).await
    }

    /// Closes every member, and tells the first error.
    async fn close(&self) -> Result<()> {
        let mut closed = Ok(());
        for member in &self.members {
            closed = closed.and(member.close().await);
        }
        closed
    }
}
