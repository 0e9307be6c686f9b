//! What is kept in PostgreSQL.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests are tests too"
)]

#[path = "issuer/stores.rs"]
#[allow(dead_code, reason = "those of the other stores are another test's")]
mod stores;

use std::{sync::Arc, time::Duration};

use bulla::ErrorKind;
use bulla_testworld::Postgres;
use bulla_tokens::{
    issuer::RefreshStore as _,
    ring::RingStore as _,
    sql::{PostgresRefreshTokens, PostgresRing},
};
use sqlx::{PgPool, postgres::PgPoolOptions};

async fn pool(postgres: &Postgres) -> PgPool {
    let patience = Duration::from_secs(10);
    let options = PgPoolOptions::new().max_connections(8).acquire_timeout(patience);
    options.connect(&postgres.url()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn refresh_tokens() {
    let Some(postgres) = Postgres::start() else { return };
    let store = PostgresRefreshTokens::new(pool(&postgres).await);
    store.create_tables().await.unwrap();
    store.create_tables().await.unwrap();
    stores::keeps_refresh_tokens(Arc::new(store)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ring() {
    let Some(mut postgres) = Postgres::start() else { return };
    let (one, other) = (pool(&postgres).await, pool(&postgres).await);
    let ring = PostgresRing::new(one.clone(), "tokens");
    assert_eq!(ring.load().await.unwrap_err().kind(), ErrorKind::Internal, "no table yet");
    ring.create_tables().await.unwrap();
    stores::is_a_ring_store(
        Arc::new(ring.clone()),
        Arc::new(PostgresRing::new(other, "tokens")),
        Arc::new(PostgresRing::new(one.clone(), "other")),
    )
    .await;
    // A database that is gone is an outage, and no empty ring.
    postgres.kill();
    let gone = ring.load().await.unwrap_err();
    assert!(matches!(gone.kind(), ErrorKind::Unavailable | ErrorKind::Timeout), "{gone}");
    let tokens = PostgresRefreshTokens::new(one);
    let gone = tokens.is_live("f", std::time::SystemTime::now()).await.unwrap_err();
    assert!(matches!(gone.kind(), ErrorKind::Unavailable | ErrorKind::Timeout), "{gone}");
}
