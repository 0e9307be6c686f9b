//! The keys of a provider, kept.

use std::sync::atomic::Ordering::Relaxed;

use futures_util::{FutureExt, future::join_all};
use tokio::time::{advance, timeout};

use super::*;

const HOUR: Duration = Duration::from_secs(3600);

async fn token(fake: &Arc<Fake>) -> String {
    token_of(fake, &claims())
}

fn verifier() -> Verifier {
    strict().build().unwrap()
}

#[tokio::test(start_paused = true)]
async fn keys_are_fetched_once_an_hour() {
    let fake = Arc::new(Fake::new(1));
    let keys = keys(&fake);
    let token = token(&fake).await;
    for _ in 0..100 {
        verifier().verify::<Value>(&token, &*keys).await.unwrap();
    }
    assert_eq!(fake.fetches(), 1);
    advance(HOUR - Duration::from_millis(1)).await;
    verifier().verify::<Value>(&token, &*keys).await.unwrap();
    assert_eq!(fake.fetches(), 1);
    advance(Duration::from_millis(1)).await;
    verifier().verify::<Value>(&token, &*keys).await.unwrap();
    assert_eq!(fake.fetches(), 2);
    keys.invalidate();
    verifier().verify::<Value>(&token, &*keys).await.unwrap();
    assert_eq!(fake.fetches(), 3);
}

#[tokio::test(start_paused = true)]
async fn many_at_once_ask_once() {
    let fake = Arc::new(Fake::new(1));
    fake.take(Duration::from_secs(1));
    let (keys, verifier, token) = (keys(&fake), verifier(), token(&fake).await);
    let all = join_all((0..50).map(|_| verifier.verify::<Value>(&token, &*keys))).await;
    assert!(all.iter().all(Result::is_ok));
    assert_eq!(fake.fetches(), 1);
    // And if it fails, it fails for all of them.
    keys.invalidate();
    fake.fail(ErrorKind::Unavailable);
    let all = join_all((0..50).map(|_| verifier.verify::<Value>(&token, &*keys))).await;
    assert!(all.iter().all(|r| r.as_ref().unwrap_err().kind() == ErrorKind::Unavailable));
    assert_eq!(fake.fetches(), 2);
}

#[tokio::test(start_paused = true)]
async fn who_gives_up_stalls_nobody() {
    let fake = Arc::new(Fake::new(1));
    fake.take(Duration::from_secs(5));
    let (keys, verifier, token) = (keys(&fake), verifier(), token(&fake).await);
    let impatient = timeout(Duration::from_secs(1), verifier.verify::<Value>(&token, &*keys));
    let patient = verifier.verify::<Value>(&token, &*keys);
    let (gave_up, verified) = tokio::join!(impatient, patient);
    assert!(gave_up.is_err());
    verified.unwrap();
    assert_eq!(fake.fetches(), 1);
}

/// A token of a key that nobody has.
fn unknown(fake: &Fake, n: usize) -> String {
    let header = json!({ "alg": "Ed25519", "typ": "JWT", "kid": format!("storm-{n}") });
    forge(fake, &header.to_string(), &claims().to_string())
}

/// Whoever sends forged tokens and hangs up must not run up the provider's bill.
#[tokio::test(start_paused = true)]
async fn searches_that_are_given_up_cost_one_call_in_a_cooldown() {
    let fake = Arc::new(Fake::new(1));
    let (keys, verifier, good) = (keys(&fake), verifier(), token(&fake).await);
    verifier.verify::<Value>(&good, &*keys).await.unwrap();
    fake.take(Duration::from_millis(80));
    let hang_up = async |n| {
        let (verifier, keys) = (&verifier, &keys);
        let unknown = unknown(&fake, n);
        let search = verifier.verify::<Value>(&unknown, &**keys);
        let _ = timeout(Duration::from_millis(5), search).await;
    };
    for n in 0..200 {
        hang_up(n).await; // one after the other
    }
    join_all((200..400).map(hang_up)).await; // and all at once
    assert_eq!(fake.fetches(), 2);
    for n in 0..120 {
        hang_up(n).await;
        advance(Duration::from_secs(1)).await;
    }
    assert_eq!(fake.fetches(), 2 + 3, "in the two minutes after it");
    verifier.verify::<Value>(&good, &*keys).await.unwrap();
}

/// Nor when nothing is at hand, at the start or past the time to live.
#[tokio::test(start_paused = true)]
async fn fetches_that_are_given_up_are_one_call() {
    let fake = Arc::new(Fake::new(1));
    let (keys, verifier, good) = (keys(&fake), verifier(), token(&fake).await);
    fake.take(Duration::from_secs(2));
    for n in 0..200 {
        let unknown = unknown(&fake, n);
        let fetch = verifier.verify::<Value>(&unknown, &*keys);
        timeout(Duration::from_millis(5), fetch).await.unwrap_err();
    }
    verifier.verify::<Value>(&good, &*keys).await.unwrap();
    assert_eq!(fake.fetches(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_new_version_is_found_though_others_gave_up_the_search() {
    let fake = Arc::new(Fake::new(1));
    let (keys, verifier, old) = (keys(&fake), verifier(), token(&fake).await);
    verifier.verify::<Value>(&old, &*keys).await.unwrap();
    fake.take(Duration::from_millis(80));
    let give_up = async |n| {
        let unknown = unknown(&fake, n);
        let search = verifier.verify::<Value>(&unknown, &*keys);
        timeout(Duration::from_millis(5), search).await.unwrap_err();
    };
    // The search goes on, and finds the version for whoever comes next.
    fake.rotate();
    let second = token(&fake).await;
    give_up(1).await;
    verifier.verify::<Value>(&second, &*keys).await.unwrap();
    assert_eq!(fake.fetches(), 2);
    // A version that came after such a search is found when its cooldown is over.
    advance(Duration::from_secs(30)).await;
    give_up(2).await;
    fake.rotate();
    let third = token(&fake).await;
    advance(Duration::from_secs(29)).await;
    let early = verifier.verify::<Value>(&third, &*keys).await;
    assert_eq!(reason(early), InvalidToken::UnknownKey);
    advance(Duration::from_secs(1)).await;
    verifier.verify::<Value>(&third, &*keys).await.unwrap();
    assert_eq!(fake.fetches(), 4);
}

/// A search that fails has been paid for as well, and its error answers for the rest of the cooldown.
#[tokio::test(start_paused = true)]
async fn searches_that_fail_are_limited_too() {
    let fake = Arc::new(Fake::new(1));
    let (keys, verifier, good) = (keys(&fake), verifier(), token(&fake).await);
    verifier.verify::<Value>(&good, &*keys).await.unwrap();
    fake.fail(ErrorKind::Throttled);
    for n in 0..120 {
        let error = verifier.verify::<Value>(&unknown(&fake, n), &*keys).await.unwrap_err();
        assert_eq!((error.kind(), InvalidToken::of(&error)), (ErrorKind::Throttled, None));
        verifier.verify::<Value>(&good, &*keys).await.unwrap();
        advance(Duration::from_secs(1)).await;
    }
    assert_eq!(fake.fetches(), 1 + 4, "in two minutes");
}

#[tokio::test(start_paused = true)]
async fn an_answer_to_an_older_question_is_not_kept() {
    let fake = Arc::new(Fake::new(1));
    fake.take(Duration::from_secs(5));
    let (keys, verifier, token) = (keys(&fake), verifier(), token(&fake).await);
    let mut first = Box::pin(verifier.verify::<Value>(&token, &*keys));
    assert!(first.as_mut().now_or_never().is_none());
    tokio::task::yield_now().await;
    assert_eq!(fake.fetches(), 1);
    fake.set_state(0, crate::key::KeyState::Disabled);
    keys.invalidate();
    first.await.unwrap(); // it asked before
    let second = verifier.verify::<Value>(&token, &*keys).await;
    assert_eq!(reason(second), InvalidToken::UnknownKey);
}

#[tokio::test(start_paused = true)]
async fn unknown_ids_make_it_ask_once_in_a_while() {
    let fake = Arc::new(Fake::new(1));
    let (keys, verifier, first) = (keys(&fake), verifier(), token(&fake).await);
    verifier.verify::<Value>(&first, &*keys).await.unwrap();
    fake.rotate();
    let second = token(&fake).await;
    // A new version is found at once.
    verifier.verify::<Value>(&second, &*keys).await.unwrap();
    assert_eq!(fake.fetches(), 2);
    let unknown: Vec<_> = (0..100).map(|n| unknown(&fake, n)).collect();
    for token in &unknown {
        let refused = verifier.verify::<Value>(token, &*keys).await;
        assert_eq!(reason(refused), InvalidToken::UnknownKey);
    }
    assert_eq!(fake.fetches(), 2);
    advance(Duration::from_secs(30)).await;
    fake.take(Duration::from_secs(1));
    let storm = unknown.iter().map(|token| verifier.verify::<Value>(token, &*keys));
    for refused in join_all(storm).await {
        assert_eq!(reason(refused), InvalidToken::UnknownKey);
    }
    assert_eq!(fake.fetches(), 3);
    verifier.verify::<Value>(&first, &*keys).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_outage_is_not_a_bad_token_and_a_bad_token_is_no_outage() {
    let fake = Arc::new(Fake::new(1));
    let (keys, verifier, good) = (keys(&fake), verifier(), token(&fake).await);
    let bad = {
        let foreign = token_of(&Fake::new(2), &claims());
        let (_, signature) = foreign.rsplit_once('.').unwrap();
        format!("{}.{signature}", good.rsplit_once('.').unwrap().0)
    };
    let unknown = token_of(&Fake::new(2), &claims());
    for kind in [
        ErrorKind::Unavailable,
        ErrorKind::Timeout,
        ErrorKind::Throttled,
        ErrorKind::CircuitOpen,
        ErrorKind::Denied,
    ] {
        // Nothing is known of any token yet.
        keys.invalidate();
        fake.fail(kind);
        for token in [&good, &bad, &unknown] {
            let error = verifier.verify::<Value>(token, &*keys).await.unwrap_err();
            assert_eq!((error.kind(), InvalidToken::of(&error)), (kind, None));
        }
        // With keys at hand, the good is good and the bad is bad all through the outage.
        fake.fail(None);
        advance(Duration::from_secs(60)).await;
        verifier.verify::<Value>(&good, &*keys).await.unwrap();
        fake.fail(kind);
        for _ in 0..3 {
            verifier.verify::<Value>(&good, &*keys).await.unwrap();
            let refused = verifier.verify::<Value>(&bad, &*keys).await;
            assert_eq!(reason(refused), InvalidToken::Signature);
            // Of an unknown id nobody can tell whether there is such a key by now.
            let error = verifier.verify::<Value>(&unknown, &*keys).await.unwrap_err();
            assert_eq!((error.kind(), InvalidToken::of(&error)), (kind, None));
            advance(Duration::from_secs(60)).await;
        }
        // Not even a moment after the provider was asked in vain.
        verifier.verify::<Value>(&unknown, &*keys).await.unwrap_err();
        advance(Duration::from_secs(2)).await;
        let error = verifier.verify::<Value>(&unknown, &*keys).await.unwrap_err();
        assert_eq!((error.kind(), InvalidToken::of(&error)), (kind, None));
        // What is malformed is so without any keys.
        let calls = fake.fetches();
        let malformed = verifier.verify::<Value>("a.b.c", &*keys).await;
        assert_eq!(malformed.unwrap_err().kind(), ErrorKind::InvalidToken);
        assert_eq!(fake.fetches(), calls);
        fake.fail(None);
    }
}

/// A locked key store says of its keys what a verifier says of tokens.
#[tokio::test(start_paused = true)]
async fn a_source_never_speaks_of_the_token() {
    let fake = Arc::new(Fake::new(1));
    let token = token(&fake).await;
    for kind in [ErrorKind::NotAuthentic, ErrorKind::InvalidToken] {
        fake.fail(kind);
        let error = verifier().verify::<Value>(&token, &*keys(&fake)).await.unwrap_err();
        assert_eq!((error.kind(), InvalidToken::of(&error)), (ErrorKind::Internal, None));
    }
}

/// Without an active version nothing is signed, until there is one again.
#[tokio::test(start_paused = true)]
async fn a_version_that_comes_back_signs() {
    let fake = Arc::new(Fake::new(1));
    let signer = Signer::new(keys(&fake));
    fake.set_state(0, crate::key::KeyState::Disabled);
    for _ in 0..10 {
        let error = signer.sign(&claims()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
    }
    assert_eq!(fake.fetches(), 2);
    fake.set_state(0, crate::key::KeyState::Active);
    advance(Duration::from_secs(30)).await;
    signer.sign(&claims()).await.unwrap();
}

/// Many who find out at once that a version can no longer sign ask once for the next.
#[tokio::test(start_paused = true)]
async fn many_at_once_find_the_new_version() {
    let fake = Arc::new(Fake::new(1));
    let signer = Signer::new(keys(&fake));
    signer.sign(&claims()).await.unwrap();
    fake.rotate();
    fake.set_state(0, crate::key::KeyState::Disabled);
    fake.take(Duration::from_secs(1));
    let claims = claims();
    let all = join_all((0..50).map(|_| signer.sign(&claims))).await;
    assert!(all.iter().all(Result::is_ok));
    assert_eq!(fake.fetches(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_is_down_is_not_asked_for_every_token() {
    let fake = Arc::new(Fake::new(1));
    let (keys, verifier, token) = (keys(&fake), verifier(), token(&fake).await);
    fake.fail(ErrorKind::Unavailable);
    for _ in 0..1000 {
        verifier.verify::<Value>(&token, &*keys).await.unwrap_err();
    }
    assert_eq!(fake.fetches(), 1);
    fake.fail(None);
    advance(Duration::from_secs(1)).await;
    verifier.verify::<Value>(&token, &*keys).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn keys_belong_to_their_instance() {
    // Same key name, same version, other material.
    let (one, two) = (Arc::new(Fake::new(1)), Arc::new(Fake::new(2)));
    let (of_one, of_two) = (keys(&one), keys(&two));
    let token = token(&one).await;
    verifier().verify::<Value>(&token, &*of_one).await.unwrap();
    let refused = verifier().verify::<Value>(&token, &*of_two).await;
    assert_eq!(reason(refused), InvalidToken::UnknownKey);
    assert_eq!((one.fetches(), two.fetched.load(Relaxed)), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn two_versions_of_one_name_are_refused() {
    let fake = Arc::new(Fake::new(1));
    fake.rotate();
    let keys = ProviderKeys::builder(Arc::clone(&fake)).kid(|key| key.key.id().to_owned());
    let keys = keys.build();
    assert_eq!(keys.jwk_set().await.unwrap_err().kind(), ErrorKind::InvalidInput);
}
