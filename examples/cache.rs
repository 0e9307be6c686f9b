//! A cache of sessions in Redis, which sees neither what they hold nor whose a value is:
//! `cargo run -p bulla-examples --example cache -- redis://127.0.0.1/`
//!
//! The key is in a directory that is gone afterwards; a service takes its own from a `bulla.toml`, as `service.rs` does.

#![allow(dead_code, reason = "the tests call a part of it")]

use std::ops::Deref;

use bulla::{CryptoProvider, Error, ErrorKind, Opener, Result, Sealer, envelope::CachePolicy};
use bulla_pipeline::{Place, Values};
use redis::{AsyncCommands as _, RedisError, aio::MultiplexedConnection};
use serde::{Deserialize, Serialize};

/// What is kept of a session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Session {
    pub(crate) user: String,
    pub(crate) scopes: Vec<String>,
    pub(crate) csrf: [u8; 16],
}

/// Sessions, each sealed for its own key in the cache.
pub(crate) struct Sessions<P> {
    values: Values<Session, P>,
    redis: MultiplexedConnection,
}

impl<P> Sessions<P>
where
    P: Deref<Target: CryptoProvider> + Clone + Send + Sync + 'static,
{
    /// Data keys are used for five minutes: most sessions cost no call to the KMS.
    pub(crate) fn new(provider: P, redis: MultiplexedConnection) -> Result<Self> {
        let policy = CachePolicy::builder().build()?;
        let sealer = Sealer::builder().recipient(provider.clone()).cache(policy).build()?;
        let opener = Opener::builder().provider(provider).cache(policy).build();
        let values = Values::builder("session/1", sealer, opener).build()?;
        Ok(Self { values, redis })
    }

    pub(crate) async fn put(&mut self, id: &str, session: &Session, seconds: u64) -> Result<()> {
        let key = key(id);
        let sealed = self.values.seal(&Place::entry(&key), session).await?;
        self.redis.set_ex(&key, sealed, seconds).await.map_err(told)
    }

    /// The session, if it is there. One that was copied from another key is an error and nobody's session.
    pub(crate) async fn find(&mut self, id: &str) -> Result<Option<Session>> {
        let key = key(id);
        let sealed: Option<Vec<u8>> = self.redis.get(&key).await.map_err(told)?;
        match sealed {
            None => Ok(None),
            Some(sealed) => self.values.open(&Place::entry(&key), &sealed).await.map(Some),
        }
    }

    /// Many at once: one call to the KMS at most, and one to Redis.
    pub(crate) async fn put_all(&mut self, sessions: &[(String, Session)]) -> Result<()> {
        let places: Vec<_> =
            sessions.iter().map(|(id, session)| (Place::entry(key(id)), session)).collect();
        let pairs = places.iter().map(|(place, session)| (place, *session));
        let sealed = self.values.seal_all(pairs).await?;
        let mut pipeline = redis::pipe();
        for ((id, _), sealed) in sessions.iter().zip(sealed) {
            pipeline.set(key(id), sealed?).ignore();
        }
        pipeline.query_async(&mut self.redis).await.map_err(told)
    }
}

pub(crate) fn key(id: &str) -> String {
    format!("session:{id}")
}

/// What Redis says names keys, and no values.
fn told(error: RedisError) -> Error {
    Error::new(ErrorKind::Io, "the cache failed").with_source(error)
}

#[tokio::main]
#[allow(clippy::print_stdout, reason = "it is there to be read")]
async fn main() -> Result<()> {
    let url = std::env::args().nth(1).unwrap_or_else(|| "redis://127.0.0.1/".to_owned());
    let client = redis::Client::open(url).map_err(told)?;
    let redis = client.get_multiplexed_async_connection().await.map_err(told)?;
    let dir = std::env::temp_dir().join(format!("bulla-cache-{}", std::process::id()));
    let store = bulla_local::Store::at(&dir);
    store.create_key("sessions", bulla_local::KeyType::Aes256, &bulla_local::Protection::None)?;
    let vault = bulla_local::Local::builder(store).sealing_key("sessions").build()?;
    let mut sessions = Sessions::new(std::sync::Arc::new(vault), redis)?;

    let session =
        Session { user: "ada".to_owned(), scopes: vec!["read".to_owned()], csrf: [7; 16] };
    sessions.put("af81", &session, 60).await?;
    println!("{}", sessions.find("af81").await? == Some(session));
    std::fs::remove_dir_all(&dir).map_err(Error::from_io)
}
