//! Refresh tokens in memory.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use async_trait::async_trait;
use bulla::{Error, ErrorKind, Result};

use super::{Kept, RefreshRecord, RefreshStore, TokenHash, Whose};

/// Refresh tokens in memory: for tests, and for services of one process whose users may have to log in
/// anew after a restart. Clones share it.
///
/// There are no timers. What has expired is not found, and is forgotten by
/// [`purge`](RefreshStore::purge) and from time to time when something is kept.
#[derive(Clone, Debug, Default)]
pub struct MemoryRefreshTokens(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    tokens: HashMap<TokenHash, Token>,
    families: HashMap<String, Family>,
    /// How many families there may be before those that have expired are looked for.
    next_purge: usize,
}

#[derive(Debug)]
struct Token {
    family: String,
    grant: String,
    expires: SystemTime,
    used: Option<SystemTime>,
}

#[derive(Debug)]
struct Family {
    subject: String,
    client: String,
    expires: SystemTime,
    revoked: bool,
}

impl MemoryRefreshTokens {
    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn keep(&mut self, record: &RefreshRecord) -> Result<()> {
        if self.tokens.contains_key(&record.hash) {
            let message = "this refresh token is kept already";
            return Err(Error::new(ErrorKind::AlreadyExists, message));
        }
        let token = Token {
            family: record.family.clone(),
            grant: record.grant.clone(),
            expires: record.expires,
            used: None,
        };
        self.tokens.insert(record.hash, token);
        Ok(())
    }

    fn purge(&mut self, now: SystemTime) -> usize {
        let before = self.families.len();
        self.families.retain(|_, family| now < family.expires);
        let families = &self.families;
        self.tokens.retain(|_, token| families.contains_key(&token.family));
        before - self.families.len()
    }
}

#[async_trait]
impl RefreshStore for MemoryRefreshTokens {
    async fn insert(&self, record: &RefreshRecord, now: SystemTime) -> Result<()> {
        let mut inner = self.lock();
        if inner.families.len() >= inner.next_purge {
            inner.purge(now);
            inner.next_purge = (inner.families.len() * 2).max(1024);
        }
        inner.keep(record)?;
        let family = Family {
            subject: record.subject.clone(),
            client: record.client.clone(),
            expires: record.family_expires,
            revoked: false,
        };
        inner.families.insert(record.family.clone(), family);
        Ok(())
    }

    async fn find(&self, hash: &TokenHash) -> Result<Option<Kept>> {
        let inner = self.lock();
        let Some(token) = inner.tokens.get(hash) else { return Ok(None) };
        let Some(family) = inner.families.get(&token.family) else { return Ok(None) };
        let record = RefreshRecord {
            hash: *hash,
            family: token.family.clone(),
            subject: family.subject.clone(),
            client: family.client.clone(),
            grant: token.grant.clone(),
            expires: token.expires,
            family_expires: family.expires,
        };
        Ok(Some(Kept::new(record, token.used, family.revoked)))
    }

    async fn rotate(&self, old: &TokenHash, next: &RefreshRecord, now: SystemTime) -> Result<bool> {
        let mut inner = self.lock();
        let Inner { tokens, families, .. } = &*inner;
        let Some(token) = tokens.get(old) else { return Ok(false) };
        let live = |family: &Family| !family.revoked && now < family.expires;
        let usable = token.used.is_none()
            && now < token.expires
            && token.family == next.family
            && families.get(&token.family).is_some_and(live);
        if !usable {
            return Ok(false);
        }
        inner.keep(next)?;
        if let Some(token) = inner.tokens.get_mut(old) {
            token.used = Some(now);
        }
        Ok(true)
    }

    async fn revoke(&self, whose: Whose<'_>, _: SystemTime) -> Result<u64> {
        let mut revoked = 0;
        for (id, family) in &mut self.lock().families {
            let meant = match whose {
                Whose::Family(wanted) => id == wanted,
                Whose::Subject(subject) => family.subject == subject,
                Whose::Client(client) => family.client == client,
                Whose::SubjectOfClient(subject, client) => {
                    family.subject == subject && family.client == client
                }
            };
            if meant {
                family.revoked = true;
                revoked += 1;
            }
        }
        Ok(revoked)
    }

    async fn is_live(&self, family: &str, now: SystemTime) -> Result<bool> {
        let inner = self.lock();
        Ok(inner.families.get(family).is_some_and(|f| !f.revoked && now < f.expires))
    }

    async fn purge(&self, now: SystemTime) -> Result<u64> {
        Ok(self.lock().purge(now) as u64)
    }
}
