//! An issuer with a key of its own, and a clock that is set by hand.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use async_trait::async_trait;
use bulla::{
    Error, ErrorKind, PublicKey, Result, Sign, Signature, SigningInput,
    jwt::{ProviderKeys, Verified, Verifier},
};
use bulla_local::{KeyType, Local, Protection, Store};
use bulla_tokens::issuer::{
    Grant, MemoryRefreshTokens, OAuthError, RefreshStore, TokenError, TokenIssuer,
    TokenIssuerBuilder,
};
use serde_json::Value;
use tempfile::TempDir;

pub(crate) const ISSUER: &str = "https://id.example";

/// In milliseconds.
#[derive(Clone)]
pub(crate) struct Clock(Arc<AtomicU64>);

impl Clock {
    pub(crate) fn new() -> Self {
        Self(Arc::new(AtomicU64::new(1_793_491_200_000)))
    }

    pub(crate) fn now(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(self.0.load(SeqCst))
    }

    pub(crate) fn forward(&self, time: Duration) {
        self.0.fetch_add(u64::try_from(time.as_millis()).unwrap(), SeqCst);
    }
}

/// A key that may be out.
pub(crate) struct Key {
    _dir: TempDir,
    local: Local,
    pub(crate) out: AtomicBool,
}

#[async_trait]
impl Sign for Key {
    async fn public_keys(&self) -> Result<Vec<PublicKey>> {
        self.local.public_keys().await
    }

    async fn sign(&self, key: &PublicKey, input: &SigningInput<'_>) -> Result<Signature> {
        match self.out.load(SeqCst) {
            true => Err(Error::new(ErrorKind::Unavailable, "the KMS is out")),
            false => self.local.sign(key, input).await,
        }
    }
}

pub(crate) type Keys = Arc<ProviderKeys<Arc<Key>>>;

pub(crate) fn key() -> (Arc<Key>, Keys) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::at(dir.path().join("bulla"));
    store.create_key("tokens", KeyType::P256, &Protection::None).unwrap();
    let local = Local::builder(store).signing_key("tokens").build().unwrap();
    let key = Arc::new(Key { _dir: dir, local, out: AtomicBool::new(false) });
    (Arc::clone(&key), Arc::new(ProviderKeys::new(key)))
}

pub(crate) struct World {
    pub(crate) clock: Clock,
    pub(crate) key: Arc<Key>,
    pub(crate) keys: Keys,
    pub(crate) issuer: Arc<TokenIssuer>,
}

pub(crate) fn world() -> World {
    world_with(MemoryRefreshTokens::new(), |builder| builder)
}

pub(crate) fn world_with(
    store: impl RefreshStore + 'static,
    change: impl FnOnce(TokenIssuerBuilder) -> TokenIssuerBuilder,
) -> World {
    let (key, keys) = key();
    let clock = Clock::new();
    let own = clock.clone();
    let builder = TokenIssuer::builder(ISSUER, Arc::clone(&keys), store).clock(move || own.now());
    let issuer = Arc::new(change(builder).build().unwrap());
    World { clock, key, keys, issuer }
}

pub(crate) fn grant() -> Grant {
    Grant::new("ada", "web").with_audience("orders").with_scope("read write".parse().unwrap())
}

impl World {
    /// What a resource server sees of an access token.
    pub(crate) async fn claims(&self, token: &str) -> Result<Verified<Value>> {
        let own = self.clock.clone();
        let verifier = Verifier::builder().issuer(ISSUER).audience("orders").typ("at+jwt");
        let verifier = verifier.leeway(Duration::ZERO).clock(move || own.now()).build().unwrap();
        verifier.verify(token, &*self.keys).await
    }
}

pub(crate) fn refused<T: std::fmt::Debug>(result: Result<T, TokenError>) -> OAuthError {
    result.unwrap_err().refused().unwrap()
}
