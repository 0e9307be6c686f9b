//! Values in a real Redis: `examples/cache.rs`, and what somebody who owns the cache may try.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests are tests too")]

#[path = "../../../examples/cache.rs"]
mod cache;

use std::sync::Arc;

use bulla::{ErrorKind, Opener, Sealer, envelope::Renewal};
use bulla_conformance::Memory;
use bulla_pipeline::{Place, Values};
use bulla_testworld::Redis;
use cache::{Session, Sessions, key};
use redis::{AsyncCommands as _, aio::MultiplexedConnection};

/// In every value, and nowhere in what Redis has.
const SECRET: &str = "plaintext-of-ada";

fn session(n: usize) -> Session {
    Session { user: format!("{SECRET}-{n}"), scopes: vec!["read".to_owned()], csrf: [9; 16] }
}

fn vault() -> Arc<Memory> {
    Arc::new(Memory::with_key("cache", &[7; 32]))
}

async fn connect(server: &Redis) -> MultiplexedConnection {
    let client = redis::Client::open(server.url()).unwrap();
    client.get_multiplexed_async_connection().await.unwrap()
}

#[tokio::test]
async fn a_thousand_sessions_cost_one_call_each_way() {
    let Some(server) = Redis::start() else { return };
    let vault = vault();
    let mut sessions = Sessions::new(Arc::clone(&vault), connect(&server).await).unwrap();
    let all: Vec<_> = (0..1000).map(|n| (n.to_string(), session(n))).collect();
    sessions.put_all(&all).await.unwrap();
    assert_eq!(vault.calls(), (1, 0));
    for (id, session) in &all {
        assert_eq!(sessions.find(id).await.unwrap().as_ref(), Some(session));
    }
    assert_eq!(vault.calls(), (1, 1));
    // One by one, they are sealed under the cached key.
    for (id, session) in &all {
        sessions.put(id, session, 60).await.unwrap();
    }
    assert_eq!(vault.calls(), (1, 1));
    assert_eq!(sessions.find("none").await.unwrap(), None);
}

#[tokio::test]
async fn a_value_under_another_key_is_nobodys() {
    let Some(server) = Redis::start() else { return };
    let mut redis = connect(&server).await;
    let mut sessions = Sessions::new(vault(), redis.clone()).unwrap();
    sessions.put("ada", &session(1), 60).await.unwrap();
    sessions.put("mallory", &session(2), 60).await.unwrap();

    let ada: Vec<u8> = redis.get(key("ada")).await.unwrap();
    let () = redis.set(key("mallory"), &ada).await.unwrap();
    let error = sessions.find("mallory").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotAuthentic);
    let () = redis.rename(key("ada"), key("eve")).await.unwrap();
    assert_eq!(sessions.find("eve").await.unwrap_err().kind(), ErrorKind::NotAuthentic);
    let () = redis.rename(key("eve"), key("ada")).await.unwrap();
    assert_eq!(sessions.find("ada").await.unwrap(), Some(session(1)));

    for (what, bytes) in [
        ("cut", ada[..ada.len() - 1].to_vec()),
        ("longer", [&ada[..], &[0]].concat()),
        ("empty", Vec::new()),
        ("plain", b"a plain value".to_vec()),
    ] {
        let () = redis.set(key("ada"), bytes).await.unwrap();
        assert!(sessions.find("ada").await.is_err(), "{what}");
    }

    // What was written as another type, in the same place, is not read as this one.
    let vault = vault();
    let place = Place::entry(key("ada"));
    let other = |kind: &str| {
        let sealer = Sealer::new(Arc::clone(&vault)).unwrap();
        Values::<Session, _>::builder(kind, sealer, Opener::new([Arc::clone(&vault)]))
            .build()
            .unwrap()
    };
    for (kind, opens) in [("session/2", false), ("session/1", true)] {
        let sealed = other(kind).seal(&place, &session(3)).await.unwrap();
        let () = redis.set(key("ada"), sealed).await.unwrap();
        assert_eq!(sessions.find("ada").await.is_ok(), opens, "{kind}");
    }
}

#[tokio::test]
async fn neither_a_dump_nor_the_file_shows_a_value() {
    let Some(server) = Redis::start() else { return };
    let mut redis = connect(&server).await;
    let mut sessions = Sessions::new(vault(), redis.clone()).unwrap();
    sessions.put("ada", &session(1), 60).await.unwrap();
    let finds = |bytes: &[u8], text: &str| bytes.windows(text.len()).any(|w| w == text.as_bytes());
    let dump: Vec<u8> = redis::cmd("DUMP").arg(key("ada")).query_async(&mut redis).await.unwrap();
    assert!(dump.len() > 100 && !finds(&dump, SECRET));

    // The same text in a value that is not sealed is found, so the search can.
    let () = redis.set("plain", format!("{SECRET}-in-clear")).await.unwrap();
    let () = redis::cmd("SAVE").query_async(&mut redis).await.unwrap();
    let (_, dir): (String, String) =
        redis::cmd("CONFIG").arg("GET").arg("dir").query_async(&mut redis).await.unwrap();
    let file = std::fs::read(std::path::Path::new(&dir).join("dump.rdb")).unwrap();
    assert!(finds(&file, &format!("{SECRET}-in-clear")) && finds(&file, &key("ada")));
    assert!(!finds(&file, &format!("{SECRET}-1")));
    for text in ["read", "scopes", "csrf"] {
        assert!(!finds(&file, text), "{text}");
    }
}

#[tokio::test]
async fn an_old_value_is_renewed_unless_somebody_was_faster() {
    let Some(server) = Redis::start() else { return };
    let redis = connect(&server).await;
    let (old, new) = (vault(), Arc::new(Memory::with_key("newer", &[8; 32])));
    let opener = Opener::new([Arc::clone(&old), Arc::clone(&new)]);
    let values = |vault: &Arc<Memory>| {
        let sealer = Sealer::new(Arc::clone(vault)).unwrap();
        Values::<Session, _>::builder("session/1", sealer, opener.clone()).build().unwrap()
    };
    let place = Place::entry(key("ada"));
    let sealed = values(&old).seal(&place, &session(1)).await.unwrap();
    let write_back = |was: Vec<u8>| {
        let mut redis = redis.clone();
        move |renewed: Vec<u8>| async move {
            let swap = "if redis.call('GET', KEYS[1]) == ARGV[1] then \
                        redis.call('SET', KEYS[1], ARGV[2]) return 1 end \
                        return redis.error_reply('changed meanwhile')";
            let mut swap_in = redis::cmd("EVAL");
            swap_in.arg(swap).arg(1).arg(key("ada")).arg(was).arg(renewed);
            let () = swap_in.query_async(&mut redis).await?;
            Ok::<_, redis::RedisError>(())
        }
    };
    let mut connection = redis.clone();
    let () = connection.set(key("ada"), b"somebody else's").await.unwrap();
    let current = values(&new);
    let (read, renewal) =
        current.open_and_renew(&place, &sealed, write_back(sealed.clone())).await.unwrap();
    assert_eq!(read, session(1));
    assert!(matches!(renewal, Renewal::Failed(_)), "{renewal:?}");
    let stored: Vec<u8> = connection.get(key("ada")).await.unwrap();
    assert_eq!(stored, b"somebody else's");

    let () = connection.set(key("ada"), &sealed).await.unwrap();
    let (_, renewal) =
        current.open_and_renew(&place, &sealed, write_back(sealed.clone())).await.unwrap();
    assert!(matches!(renewal, Renewal::Renewed), "{renewal:?}");
    let renewed: Vec<u8> = connection.get(key("ada")).await.unwrap();
    assert_ne!(renewed, sealed);
    let (_, renewal) =
        current.open_and_renew(&place, &renewed, write_back(renewed.clone())).await.unwrap();
    assert!(matches!(renewal, Renewal::UpToDate), "{renewal:?}");
    assert_eq!(current.open(&place, &renewed).await.unwrap(), session(1));
}
