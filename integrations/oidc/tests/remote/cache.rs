//! How long keys are kept, and how often they are asked for.

use std::time::Duration;

use bulla::{
    ErrorKind,
    jwt::{InvalidToken, KeySource},
};
use futures_util::{FutureExt, future::join_all};

use crate::world::{HOUR, MINUTE, Reply, World, unknown};

async fn headers(world: &World, headers: &[(&'static str, &str)]) {
    let reply = Reply::json(world.issuer.set().await.to_json());
    let with = |reply: Reply, (name, value): &(&'static str, &str)| reply.with(name, *value);
    world.server.reply("/keys", headers.iter().fold(reply, with));
}

#[tokio::test]
async fn max_age_holds_within_bounds() {
    for (said, expected) in [
        (&[][..], HOUR),
        (&[("cache-control", "public, must-revalidate")], HOUR),
        (&[("cache-control", "max-age=1200")], 20 * MINUTE),
        (&[("cache-control", "max-age=1200"), ("age", "300")], 15 * MINUTE),
        (&[("cache-control", "max-age=1200"), ("age", "86400")], 5 * MINUTE),
        (&[("cache-control", "max-age=1200, s-maxage=9")], 20 * MINUTE),
        (&[("cache-control", "max-age=0")], 5 * MINUTE),
        (&[("cache-control", "no-store")], 5 * MINUTE),
        (&[("cache-control", "max-age=1200"), ("cache-control", "no-cache")], 5 * MINUTE),
        (&[("cache-control", "max-age=99999999999999999999")], 24 * HOUR),
    ] {
        let world = World::new().await;
        headers(&world, said).await;
        world.keys.refresh().await.unwrap();
        world.time.advance(expected - Duration::from_millis(1));
        assert!(world.keys.at_hand().unwrap().1, "{said:?}");
        world.time.advance(Duration::from_millis(1));
        assert!(!world.keys.at_hand().unwrap().1, "{said:?}");
    }
}

#[tokio::test]
async fn fresh_keys_are_asked_for_once() {
    let world = World::new().await;
    let token = world.issuer.token().await;
    for _ in 0..1000 {
        world.verify(&token).await.unwrap();
    }
    world.time.advance(HOUR.mul_f64(0.79));
    world.verify(&token).await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(world.server.count("/keys"), 1);
}

#[tokio::test]
async fn renewal_comes_before_expiry_and_nobody_waits() {
    let world = World::new().await;
    let token = world.issuer.token().await;
    world.verify(&token).await.unwrap();
    let set = world.issuer.set().await.to_json();
    world.server.reply("/keys", Reply::json(set).after(Duration::from_millis(300)));
    world.time.advance(HOUR.mul_f64(0.91));
    for _ in 0..100 {
        world.keys.keys(None).now_or_never().expect("nobody waits").unwrap();
    }
    world.server.asked("/keys", 2).await;
    tokio::time::sleep(Duration::from_millis(600)).await;
    world.time.advance(HOUR.mul_f64(0.5));
    // Past the expiry of the first answer, and fresh.
    world.keys.keys(None).now_or_never().expect("nobody waits").unwrap();
    assert_eq!(world.server.count("/keys"), 2);
}

#[tokio::test]
async fn what_has_not_changed_is_not_sent_again() {
    let world = World::new().await;
    let token = world.issuer.token().await;
    headers(&world, &[("etag", "\"a\""), ("cache-control", "max-age=600")]).await;
    world.verify(&token).await.unwrap();
    let (first, _) = world.keys.at_hand().unwrap();
    world.time.advance(11 * MINUTE);
    world.verify(&token).await.unwrap();
    assert_eq!(world.server.last("/keys")["if-none-match"], "\"a\"");
    assert_eq!(world.server.count("/keys"), 2);
    let (second, fresh) = world.keys.at_hand().unwrap();
    assert!(std::sync::Arc::ptr_eq(&first, &second) && fresh, "304 renews the keys at hand");
    // Another tag, another set.
    world.issuer.rotate();
    headers(&world, &[("etag", "\"b\"")]).await;
    world.time.advance(11 * MINUTE);
    world.verify(&world.issuer.token().await).await.unwrap();
    assert_eq!(world.keys.at_hand().unwrap().0.len(), 2);
    assert_eq!(world.server.last("/keys")["if-none-match"], "\"a\"");
    world.keys.refresh().await.unwrap();
    assert_eq!(world.server.last("/keys")["if-none-match"], "\"b\"");
    // A tag that is too long to keep is not kept.
    headers(&world, &[("etag", &format!("\"{}\"", "c".repeat(2000)))]).await;
    world.keys.refresh().await.unwrap();
    world.keys.refresh().await.unwrap();
    assert!(!world.server.last("/keys").contains_key("if-none-match"));
}

/// The lifetime of the answer at hand holds on if a 304 says nothing of it.
#[tokio::test]
async fn an_unchanged_answer_keeps_what_it_said() {
    let world = World::new().await;
    headers(&world, &[("etag", "\"a\""), ("cache-control", "max-age=600")]).await;
    world.keys.refresh().await.unwrap();
    headers(&world, &[("etag", "\"a\"")]).await;
    world.keys.refresh().await.unwrap();
    world.time.advance(10 * MINUTE - Duration::from_millis(1));
    assert!(world.keys.at_hand().unwrap().1);
    world.time.advance(Duration::from_millis(1));
    assert!(!world.keys.at_hand().unwrap().1);
}

#[tokio::test]
async fn a_new_key_is_found_when_a_token_names_it() {
    let world = World::new().await;
    let old = world.issuer.token().await;
    world.verify(&old).await.unwrap();
    world.issuer.rotate();
    world.server.publish(&world.issuer).await;
    let new = world.issuer.token().await;
    world.verify(&new).await.unwrap();
    world.verify(&old).await.unwrap();
    assert_eq!(world.server.count("/keys"), 2);
    assert_eq!(world.server.last("/keys")["cache-control"], "no-cache");
}

#[tokio::test]
async fn a_storm_of_unknown_ids_is_one_request() {
    let world = World::new().await;
    let good = world.issuer.token().await;
    world.verify(&good).await.unwrap();
    let set = world.issuer.set().await.to_json();
    world.server.reply("/keys", Reply::json(set).after(Duration::from_millis(200)));
    for same in [true, false] {
        let tokens: Vec<_> =
            (0..1000).map(|n| unknown(&if same { "x".into() } else { n.to_string() })).collect();
        let before = world.server.count("/keys");
        for refused in join_all(tokens.iter().map(|token| world.verify(token))).await {
            let error = refused.unwrap_err();
            assert_eq!(InvalidToken::of(&error), Some(InvalidToken::UnknownKey));
        }
        assert_eq!(world.server.count("/keys"), before + 1);
        // Nor one after the other, in the cooldown; known keys go on meanwhile.
        for token in &tokens {
            world.verify(token).await.unwrap_err();
        }
        world.verify(&good).await.unwrap();
        assert_eq!(world.server.count("/keys"), before + 1);
        world.time.advance(Duration::from_secs(30));
    }
}

#[tokio::test]
async fn a_storm_before_the_first_keys_is_one_request() {
    let world = World::new().await;
    let tokens: Vec<_> = (0..1000).map(|n| unknown(&n.to_string())).collect();
    for refused in join_all(tokens.iter().map(|token| world.verify(token))).await {
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::NotAuthentic);
    }
    assert_eq!(world.server.count("/keys"), 1);
}

#[tokio::test]
async fn one_unknown_id_is_searched_for_less_often_than_all() {
    let world = World::new().await;
    world.keys.refresh().await.unwrap();
    let mut asked = Vec::new();
    // One id, every 30 s for six minutes; and then another.
    for _ in 0..12 {
        world.verify(&unknown("x")).await.unwrap_err();
        asked.push(world.server.count("/keys") - 1);
        world.time.advance(Duration::from_secs(30));
    }
    assert_eq!(asked, [1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3]);
    world.verify(&unknown("y")).await.unwrap_err();
    assert_eq!(world.server.count("/keys") - 1, 4);
}

/// Whoever floods it with ids, the oldest of them are forgotten and cost a request in each cooldown.
#[tokio::test]
async fn ids_that_are_remembered_are_bounded() {
    let world = World::new().await;
    world.keys.refresh().await.unwrap();
    world.verify(&unknown("first")).await.unwrap_err();
    world.time.advance(Duration::from_secs(30));
    let flood: Vec<_> = (0..1024).map(|n| unknown(&n.to_string())).collect();
    let _ = join_all(flood.iter().map(|token| world.verify(token))).await;
    assert_eq!(world.server.count("/keys"), 3);
    world.time.advance(Duration::from_secs(30));
    world.verify(&unknown("first")).await.unwrap_err();
    assert_eq!(world.server.count("/keys"), 4);
}

#[tokio::test]
async fn who_gives_up_stalls_nobody() {
    let world = World::new().await;
    let token = world.issuer.token().await;
    let set = world.issuer.set().await.to_json();
    world.server.reply("/keys", Reply::json(set).after(Duration::from_millis(300)));
    let impatient = tokio::time::timeout(Duration::from_millis(50), world.verify(&token));
    let (gave_up, verified) = tokio::join!(impatient, world.verify(&token));
    assert!(gave_up.is_err());
    verified.unwrap();
    assert_eq!(world.server.count("/keys"), 1);
}

#[tokio::test]
async fn an_answer_to_an_older_question_is_not_kept() {
    let world = World::new().await;
    let token = world.issuer.token().await;
    let set = world.issuer.set().await.to_json();
    world.server.reply("/keys", Reply::json(set.clone()).after(Duration::from_millis(300)));
    let (first, ()) = tokio::join!(world.verify(&token), async {
        world.server.asked("/keys", 1).await;
        world.keys.invalidate();
    });
    first.unwrap(); // it asked before
    assert!(world.keys.at_hand().is_none());
    world.server.reply("/keys", Reply::json(set));
    world.verify(&token).await.unwrap();
    assert_eq!(world.server.count("/keys"), 2);
}

/// A runtime that ends takes the fetch with it, and the next one fetches.
#[test]
fn a_fetch_that_was_abandoned_is_made_again() {
    let runtime = || tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let (servers, first, second) = (runtime(), runtime(), runtime());
    let world = servers.block_on(World::new());
    let set = servers.block_on(world.issuer.set()).to_json();
    world.server.reply("/keys", Reply::json(set.clone()).after(HOUR));
    let keys = world.keys.clone();
    first.spawn(async move { keys.refresh().await });
    servers.block_on(world.server.asked("/keys", 1));
    first.shutdown_background();
    std::thread::sleep(Duration::from_millis(200));
    world.server.reply("/keys", Reply::json(set));
    second.block_on(world.keys.refresh()).unwrap();
}

/// Whoever looks just before keys come must not ask for them again just after.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_threads_ask_once() {
    let world = std::sync::Arc::new(World::new().await);
    let token = world.issuer.token().await;
    let mut asked = 0;
    for round in 0..20 {
        if round % 2 == 1 {
            world.issuer.rotate(); // searched for; in other rounds, expired
            world.server.publish(&world.issuer).await;
        } else {
            world.time.advance(HOUR);
        }
        let token = if round % 2 == 1 { world.issuer.token().await } else { token.clone() };
        let all = (0..64).map(|_| {
            let (world, token) = (std::sync::Arc::clone(&world), token.clone());
            tokio::spawn(async move { world.verify(&token).await })
        });
        for verified in join_all(all).await {
            verified.unwrap().unwrap();
        }
        asked += 1;
        assert_eq!(world.server.count("/keys"), asked, "round {round}");
    }
}
