//! What every store of refresh tokens does.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bulla::ErrorKind;
use bulla_tokens::issuer::{MemoryRefreshTokens, RefreshRecord, RefreshStore, Whose};

const HOUR: Duration = Duration::from_secs(3600);

fn start() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_793_491_200)
}

fn record(id: u8, family: &str) -> RefreshRecord {
    let (expires, ends) = (start() + HOUR, start() + 10 * HOUR);
    let grant = "{\"quoted\":\"'\\u0000é\"}".to_owned();
    RefreshRecord::new(
        [id; 32],
        family.to_owned(),
        "ada".into(),
        "web".into(),
        grant,
        expires,
        ends,
    )
}

pub(crate) async fn keeps_refresh_tokens(store: Arc<dyn RefreshStore>) {
    let first = record(1, "f");
    assert_eq!(store.find(&first.hash).await.unwrap(), None);
    assert!(!store.rotate(&first.hash, &record(9, "f"), start()).await.unwrap());
    store.insert(&first, start()).await.unwrap();
    let kept = store.find(&first.hash).await.unwrap().unwrap();
    assert_eq!((&kept.record, kept.used, kept.revoked), (&first, None, false));
    let again = store.insert(&first, start()).await.unwrap_err();
    assert_eq!(again.kind(), ErrorKind::AlreadyExists);

    // Both or neither: the next one is there already, so the old one is not used.
    let second = record(2, "f");
    store.insert(&record(7, "taken"), start()).await.unwrap();
    store.rotate(&first.hash, &record(7, "f"), start()).await.unwrap_err();
    assert_eq!(store.find(&record(7, "f").hash).await.unwrap().unwrap().record.family, "taken");
    let unused = store.find(&first.hash).await.unwrap().unwrap();
    // In memory and in a database alike.
    assert_eq!(unused.used, None);

    assert!(store.rotate(&first.hash, &second, start()).await.unwrap());
    assert_eq!(store.find(&first.hash).await.unwrap().unwrap().used, Some(start()));
    assert!(!store.rotate(&first.hash, &record(3, "f"), start()).await.unwrap());
    assert_eq!(store.find(&record(3, "f").hash).await.unwrap(), None);
    // Into no other family.
    assert!(!store.rotate(&second.hash, &record(3, "taken"), start()).await.unwrap());
    // Not after its time.
    assert!(!store.rotate(&second.hash, &record(3, "f"), start() + HOUR).await.unwrap());
    let just = start() + HOUR - Duration::from_millis(1);
    let third = record(3, "f");
    assert!(store.rotate(&second.hash, &third, just).await.unwrap());

    assert!(store.is_live("f", start()).await.unwrap());
    assert!(!store.is_live("f", start() + 10 * HOUR).await.unwrap());
    assert!(!store.is_live("none", start()).await.unwrap());
    assert_eq!(store.revoke(Whose::Family("f"), start()).await.unwrap(), 1);
    assert!(!store.is_live("f", start()).await.unwrap());
    assert!(store.find(&third.hash).await.unwrap().unwrap().revoked);
    assert!(!store.rotate(&third.hash, &record(4, "f"), start()).await.unwrap());
    assert_eq!(store.revoke(Whose::SubjectOfClient("ada", "web"), start()).await.unwrap(), 2);
    assert_eq!(store.revoke(Whose::Subject("' OR 1=1 --"), start()).await.unwrap(), 0);

    // A token that was kept for longer in the meantime outlives what an earlier end would have taken.
    let mut longer = record(20, "long");
    longer.family_expires = start() + 100 * HOUR;
    store.insert(&longer, start()).await.unwrap();
    assert_eq!(store.purge(start() + 10 * HOUR - Duration::from_millis(1)).await.unwrap(), 0);
    assert_eq!(store.purge(start() + 10 * HOUR).await.unwrap(), 2);
    assert_eq!(store.find(&first.hash).await.unwrap(), None);
    assert!(store.find(&longer.hash).await.unwrap().is_some());
    assert!(store.is_live("long", start() + 11 * HOUR).await.unwrap());

    one_of_many_wins(&store).await;
}

async fn one_of_many_wins(store: &Arc<dyn RefreshStore>) {
    for round in 0..5_u8 {
        let family = format!("race {round}");
        let old = record(100 + round, &family);
        store.insert(&old, start()).await.unwrap();
        let racers: Vec<_> = (0..12_u8)
            .map(|racer| {
                let (store, hash) = (Arc::clone(store), old.hash);
                let next = record(120 + round * 12 + racer, &family);
                tokio::spawn(async move { store.rotate(&hash, &next, start()).await.unwrap() })
            })
            .collect();
        let mut won = 0;
        for racer in racers {
            won += usize::from(racer.await.unwrap());
        }
        assert_eq!(won, 1, "round {round}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn memory() {
    keeps_refresh_tokens(Arc::new(MemoryRefreshTokens::new())).await;
}

#[cfg(feature = "sqlite")]
mod sqlite {
    use std::{path::Path, sync::Arc};

    use bulla::ErrorKind;
    use bulla_tokens::{
        ring::RingStore,
        sql::{SqliteRefreshTokens, SqliteRing},
    };
    use sqlx::{
        SqlitePool,
        sqlite::{SqliteConnectOptions, SqlitePoolOptions},
    };

    use super::keeps_refresh_tokens;

    async fn pool(path: &Path) -> SqlitePool {
        let options = SqliteConnectOptions::new().filename(path).create_if_missing(true);
        let patient = options.busy_timeout(std::time::Duration::from_secs(60));
        SqlitePoolOptions::new().max_connections(4).connect_with(patient).await.unwrap()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn refresh_tokens() {
        let dir = tempfile::tempdir().unwrap();
        let store = SqliteRefreshTokens::new(pool(&dir.path().join("db")).await);
        let missing = bulla_tokens::issuer::RefreshStore::purge(&store, super::start()).await;
        assert_eq!(missing.unwrap_err().kind(), ErrorKind::Internal);
        store.create_tables().await.unwrap();
        store.create_tables().await.unwrap();
        keeps_refresh_tokens(Arc::new(store)).await;
    }

    /// Two pools are two processes, as far as the database can tell.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_ring() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("db");
        let (one, other) = (pool(&path).await, pool(&path).await);
        let ring = SqliteRing::new(one.clone(), "tokens");
        ring.create_tables().await.unwrap();
        super::is_a_ring_store(
            Arc::new(ring),
            Arc::new(SqliteRing::new(other, "tokens")),
            Arc::new(SqliteRing::new(one.clone(), "other")),
        )
        .await;
        one.close().await;
        let closed = SqliteRing::new(one, "tokens").load().await.unwrap_err();
        assert_eq!(closed.kind(), ErrorKind::Closed);
    }
}

#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub(crate) async fn is_a_ring_store(
    one: Arc<dyn bulla_tokens::ring::RingStore>,
    other: Arc<dyn bulla_tokens::ring::RingStore>,
    another_ring: Arc<dyn bulla_tokens::ring::RingStore>,
) {
    assert_eq!(one.load().await.unwrap(), None);
    assert!(!one.replace(Some(b"none"), b"one").await.unwrap());
    assert!(one.replace(None, b"one").await.unwrap());
    assert!(!other.replace(None, b"two").await.unwrap());
    assert!(other.replace(Some(b"one"), b"two").await.unwrap());
    assert!(!one.replace(Some(b"one"), b"three").await.unwrap());
    assert_eq!(one.load().await.unwrap().as_deref(), Some(&b"two"[..]));
    assert_eq!(another_ring.load().await.unwrap(), None);

    let racers: Vec<_> = (0..16)
        .map(|racer| {
            let store = Arc::clone(if racer % 2 == 0 { &one } else { &other });
            let new = format!("by {racer}");
            tokio::spawn(async move { store.replace(Some(b"two"), new.as_bytes()).await.unwrap() })
        })
        .collect();
    let mut won = 0;
    for racer in racers {
        won += usize::from(racer.await.unwrap());
    }
    assert_eq!(won, 1);
}
