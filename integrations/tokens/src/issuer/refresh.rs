//! Refresh tokens, and where they are kept.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use bulla::{Error, ErrorKind, Result};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

/// Bytes of a refresh token: 256 random bits (RFC 6749, section 10.10, asks for 128 at least).
const TOKEN_LEN: usize = 32;

/// Bytes of a family's id.
const FAMILY_LEN: usize = 16;

/// What is kept of a refresh token: its SHA-256. With 256 random bits, nothing slower is needed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenHash([u8; 32]);

impl TokenHash {
    /// Of a token as the client has it; `None` for what can't be one.
    pub(super) fn of(token: &str) -> Option<Self> {
        // The one spelling of it, so that a token is one string.
        let bytes = Zeroizing::new(BASE64_URL_SAFE_NO_PAD.decode(token).ok()?);
        (bytes.len() == TOKEN_LEN).then(|| Self(Sha256::digest(token).into()))
    }

    /// As bytes, for a store.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenHash(…)")
    }
}

/// A refresh token as it is kept. All tokens that come of one grant are a family.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RefreshRecord {
    /// Which token it is.
    pub hash: TokenHash,
    /// Its family: 22 characters of base64url, 128 random bits.
    pub family: String,
    /// Whom the family is granted to.
    pub subject: String,
    /// Which client has it.
    pub client: String,
    /// The grant, as JSON of up to 8 KiB.
    pub grant: String,
    /// Until when this token may be used.
    pub expires: SystemTime,
    /// Until when any token of the family may be. A record is kept for as long, used or not: that one that
    /// was used comes back is how a theft is noticed.
    pub family_expires: SystemTime,
}

/// What a store knows of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Kept {
    /// The token.
    pub record: RefreshRecord,
    /// When it was used, if it was.
    pub used: Option<SystemTime>,
    /// Whether its family was revoked.
    pub revoked: bool,
}

impl Kept {
    /// What a store has read.
    #[must_use]
    pub const fn new(record: RefreshRecord, used: Option<SystemTime>, revoked: bool) -> Self {
        Self { record, used, revoked }
    }
}

impl RefreshRecord {
    /// For stores that make a record of what they have read.
    #[must_use]
    pub const fn new(
        hash: [u8; 32],
        family: String,
        subject: String,
        client: String,
        grant: String,
        expires: SystemTime,
        family_expires: SystemTime,
    ) -> Self {
        Self { hash: TokenHash(hash), family, subject, client, grant, expires, family_expires }
    }
}

/// Which families are revoked at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Whose<'a> {
    /// One.
    Family(&'a str),
    /// All of a user: for a password that was changed, or an account that was closed.
    Subject(&'a str),
    /// All of a client.
    Client(&'a str),
    /// All of a user through a client.
    SubjectOfClient(&'a str, &'a str),
}

/// Where refresh tokens are kept: hashes, never tokens.
///
/// Times have milliseconds, rounded down. What a store does not know, it does not guess: an error is not
/// "no such token".
#[async_trait]
pub trait RefreshStore: Send + Sync {
    /// Keeps the first token of a family; it is `now`, for stores that look for what has expired meanwhile.
    ///
    /// # Errors
    /// If it could not be kept, or nobody can tell.
    async fn insert(&self, record: &RefreshRecord, now: SystemTime) -> Result<()>;

    /// What is known of a token.
    ///
    /// # Errors
    /// If nobody can tell.
    async fn find(&self, hash: &TokenHash) -> Result<Option<Kept>>;

    /// Uses a token and keeps the next one of its family, both or neither: `true` if it did. `false` if the
    /// token is not there, was used or has expired by `now`, or its family was revoked. Of many who do so at
    /// once, one gets `true`.
    ///
    /// # Errors
    /// If nobody can tell. The token is used then, or not.
    async fn rotate(&self, old: &TokenHash, next: &RefreshRecord, now: SystemTime) -> Result<bool>;

    /// Revokes families, those that are revoked already included. How many that are.
    ///
    /// # Errors
    /// If nobody can tell.
    async fn revoke(&self, whose: Whose<'_>, now: SystemTime) -> Result<u64>;

    /// Whether a family is there, not revoked, and not past its time.
    ///
    /// # Errors
    /// If nobody can tell.
    async fn is_live(&self, family: &str, now: SystemTime) -> Result<bool>;

    /// Forgets families whose time has passed by `now`, with all their tokens. How many they were.
    ///
    /// # Errors
    /// If nobody can tell.
    async fn purge(&self, now: SystemTime) -> Result<u64>;
}

#[async_trait]
impl<S: RefreshStore + ?Sized> RefreshStore for Arc<S> {
    async fn insert(&self, record: &RefreshRecord, now: SystemTime) -> Result<()> {
        (**self).insert(record, now).await
    }

    async fn find(&self, hash: &TokenHash) -> Result<Option<Kept>> {
        (**self).find(hash).await
    }

    async fn rotate(&self, old: &TokenHash, next: &RefreshRecord, now: SystemTime) -> Result<bool> {
        (**self).rotate(old, next, now).await
    }

    async fn revoke(&self, whose: Whose<'_>, now: SystemTime) -> Result<u64> {
        (**self).revoke(whose, now).await
    }

    async fn is_live(&self, family: &str, now: SystemTime) -> Result<bool> {
        (**self).is_live(family, now).await
    }

    async fn purge(&self, now: SystemTime) -> Result<u64> {
        (**self).purge(now).await
    }
}

/// A new token, and what is kept of it.
pub(super) fn token() -> Result<(Zeroizing<String>, TokenHash)> {
    let token = Zeroizing::new(BASE64_URL_SAFE_NO_PAD.encode(random::<TOKEN_LEN>()?.as_slice()));
    let hash = TokenHash(Sha256::digest(&*token).into());
    Ok((token, hash))
}

pub(super) fn family() -> Result<String> {
    Ok(BASE64_URL_SAFE_NO_PAD.encode(random::<FAMILY_LEN>()?.as_slice()))
}

fn random<const LEN: usize>() -> Result<Zeroizing<[u8; LEN]>> {
    let mut bytes = Zeroizing::new([0; LEN]);
    getrandom::fill(&mut *bytes)
        .map_err(|_| Error::new(ErrorKind::Internal, "the system has no random numbers"))?;
    Ok(bytes)
}

/// Until when, if that can be said.
pub(super) fn after(now: SystemTime, time: Duration) -> Result<SystemTime> {
    now.checked_add(time).ok_or_else(|| {
        Error::new(ErrorKind::InvalidInput, "a refresh token would outlive the calendar")
    })
}
