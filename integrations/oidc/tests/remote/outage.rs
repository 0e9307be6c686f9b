//! An outage is not a bad token, and a bad token is no outage.

use std::time::Duration;

use bulla::{ErrorKind, jwt::InvalidToken};

use crate::world::{HOUR, Issuer, MINUTE, Reply, World, unknown};

/// What can go wrong, and what a verifier is then told.
fn outages() -> [(Reply, ErrorKind); 5] {
    [
        (Reply::status(503), ErrorKind::Unavailable),
        (Reply::status(429), ErrorKind::Throttled),
        (Reply::status(403), ErrorKind::Denied),
        (Reply::status(404), ErrorKind::NotFound),
        (Reply::json(r#"{"keys":[]}"#), ErrorKind::Damaged),
    ]
}

#[tokio::test]
async fn stale_keys_are_used_for_four_hours() {
    for (outage, kind) in outages() {
        let world = World::new().await;
        let token = world.issuer.token().await;
        let forged = {
            let foreign = Issuer::new().token().await;
            let signature = foreign.rsplit_once('.').unwrap().1.to_owned();
            format!("{}.{signature}", token.rsplit_once('.').unwrap().0)
        };
        world.verify(&token).await.unwrap();
        world.server.reply("/keys", outage);
        for _ in 0..10 {
            world.time.advance(HOUR / 2 - Duration::from_millis(1));
            world.verify(&token).await.unwrap();
            let error = world.verify(&forged).await.unwrap_err();
            assert_eq!(InvalidToken::of(&error), Some(InvalidToken::Signature));
        }
        world.time.advance(Duration::from_millis(9));
        world.verify(&token).await.unwrap();
        world.time.advance(Duration::from_millis(1));
        for token in [&token, &forged, &unknown("x")] {
            let error = world.verify(token).await.unwrap_err();
            assert_eq!((error.kind(), InvalidToken::of(&error)), (kind, None));
        }
        // And it is over when it is over.
        world.server.publish(&world.issuer).await;
        world.time.advance(MINUTE);
        world.verify(&token).await.unwrap();
        let error = world.verify(&forged).await.unwrap_err();
        assert_eq!(InvalidToken::of(&error), Some(InvalidToken::Signature));
    }
}

#[tokio::test]
async fn stale_keys_can_be_forbidden() {
    let world = World::with(|builder| builder.stale(Duration::ZERO)).await;
    let token = world.issuer.token().await;
    world.verify(&token).await.unwrap();
    world.server.reply("/keys", Reply::status(503));
    world.time.advance(HOUR - Duration::from_millis(1));
    world.verify(&token).await.unwrap();
    world.time.advance(Duration::from_millis(1));
    assert_eq!(world.verify(&token).await.unwrap_err().kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn of_an_unknown_id_nobody_can_tell() {
    for (outage, kind) in outages() {
        let world = World::new().await;
        world.keys.refresh().await.unwrap();
        world.server.reply("/keys", outage);
        for _ in 0..3 {
            let error = world.verify(&unknown("x")).await.unwrap_err();
            assert_eq!((error.kind(), InvalidToken::of(&error)), (kind, None));
            world.time.advance(MINUTE);
        }
        world.server.publish(&world.issuer).await;
        let error = world.verify(&unknown("x")).await.unwrap_err();
        assert_eq!(InvalidToken::of(&error), Some(InvalidToken::UnknownKey));
    }
}

/// How often an issuer is asked in ten minutes of forged ids, a new one each second; and the seconds.
async fn forged(world: &World) -> Vec<usize> {
    let mut asked = Vec::new();
    for n in 0..600 {
        let before = world.server.count("/keys");
        for m in 0..3 {
            let error = world.verify(&unknown(&format!("{n}-{m}"))).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unavailable, "nobody can tell");
        }
        asked.extend(vec![n; world.server.count("/keys") - before]);
        world.time.advance(Duration::from_secs(1));
    }
    asked
}

#[tokio::test]
async fn forged_ids_make_it_ask_a_failing_issuer_no_more_often_than_another() {
    // Keys at hand: once in a cooldown.
    let world = World::new().await;
    let good = world.issuer.token().await;
    world.verify(&good).await.unwrap();
    world.server.reply("/keys", Reply::status(500));
    let each_half_minute: Vec<_> = (0..20).map(|n| n * 30).collect();
    assert_eq!(forged(&world).await, each_half_minute);
    world.verify(&good).await.unwrap();
    // Stale ones: the same.
    world.time.advance(HOUR);
    assert_eq!(forged(&world).await, each_half_minute);
    // None: whoever comes makes it ask, after 1, 2, 4, 8, 16 and then every 30 seconds.
    let world = World::new().await;
    world.server.reply("/keys", Reply::status(500));
    let backing_off: Vec<_> = [0, 1, 3, 7, 15].into_iter().chain((31..600).step_by(30)).collect();
    assert_eq!(forged(&world).await, backing_off);
}

/// Nor does it help to hang up.
#[tokio::test]
async fn searches_that_are_given_up_are_one_request() {
    let world = World::new().await;
    world.keys.refresh().await.unwrap();
    let set = world.issuer.set().await.to_json();
    world.server.reply("/keys", Reply::json(set).after(Duration::from_millis(300)));
    for n in 0..200 {
        let token = unknown(&n.to_string());
        let search = world.verify(&token);
        let _ = tokio::time::timeout(Duration::from_millis(2), search).await;
    }
    world.server.asked("/keys", 2).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    world.verify(&unknown("x")).await.unwrap_err();
    assert_eq!(world.server.count("/keys"), 2);
}

#[tokio::test]
async fn a_new_key_is_found_when_a_search_that_failed_has_cooled_down() {
    let world = World::new().await;
    world.keys.refresh().await.unwrap();
    world.server.reply("/keys", Reply::status(503));
    world.verify(&unknown("x")).await.unwrap_err();
    world.issuer.rotate();
    world.server.publish(&world.issuer).await;
    let new = world.issuer.token().await;
    world.time.advance(Duration::from_secs(29));
    assert_eq!(world.verify(&new).await.unwrap_err().kind(), ErrorKind::Unavailable);
    world.time.advance(Duration::from_secs(1));
    world.verify(&new).await.unwrap();
}

#[tokio::test]
async fn a_server_that_is_down_is_not_asked_for_every_token() {
    let world = World::new().await;
    let token = world.issuer.token().await;
    world.server.reply("/keys", Reply::status(500));
    let mut asked = Vec::new();
    for _ in 0..64 {
        for _ in 0..10 {
            world.verify(&token).await.unwrap_err();
        }
        asked.push(world.server.count("/keys"));
        world.time.advance(Duration::from_secs(1));
    }
    // After 1, 2, 4, 8, 16 and 30 seconds.
    let times: Vec<_> = (1..64).filter(|&n| asked[n] > asked[n - 1]).collect();
    assert_eq!(times, [1, 3, 7, 15, 31, 61]);
    assert_eq!(asked[63], 7);
    // Whoever asks explicitly is not held back.
    world.server.publish(&world.issuer).await;
    world.keys.refresh().await.unwrap();
    world.verify(&token).await.unwrap();
}

#[tokio::test]
async fn a_server_is_given_the_time_that_it_asks_for() {
    let world = World::new().await;
    let token = world.issuer.token().await;
    world.server.reply("/keys", Reply::status(429).with("retry-after", "60"));
    let error = world.verify(&token).await.unwrap_err();
    assert_eq!(error.retry_after(), Some(MINUTE));
    world.server.publish(&world.issuer).await;
    world.time.advance(Duration::from_secs(59));
    assert_eq!(world.verify(&token).await.unwrap_err().kind(), ErrorKind::Throttled);
    world.time.advance(Duration::from_secs(1));
    world.verify(&token).await.unwrap();
    assert_eq!(world.server.count("/keys"), 2);
}

/// In an outage that is known nobody waits for a server that hangs, and it is noticed when it is over.
#[tokio::test]
async fn nobody_waits_in_an_outage() {
    let world = World::with(|builder| builder.timeout(Duration::from_millis(500))).await;
    let token = world.issuer.token().await;
    world.verify(&token).await.unwrap();
    let set = world.issuer.set().await.to_json();
    world.server.reply("/keys", Reply::json(set).after(HOUR));
    world.time.advance(HOUR);
    world.verify(&token).await.unwrap(); // the first waits, in vain
    for n in 0..5 {
        world.time.advance(MINUTE);
        let begun = std::time::Instant::now();
        world.verify(&token).await.unwrap();
        assert!(begun.elapsed() < Duration::from_millis(400), "waited in round {n}");
    }
    tokio::time::sleep(Duration::from_millis(600)).await;
    world.server.publish(&world.issuer).await;
    world.time.advance(MINUTE);
    let before = world.server.count("/keys");
    world.verify(&token).await.unwrap();
    world.server.asked("/keys", before + 1).await;
    for _ in 0..100 {
        if world.keys.at_hand().unwrap().1 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("keys are still stale");
}
