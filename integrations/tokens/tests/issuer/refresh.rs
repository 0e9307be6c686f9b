//! Refresh tokens: used once, and noticed when they come back.

use std::{
    sync::{Arc, atomic::Ordering::SeqCst},
    time::Duration,
};

use bulla_tokens::issuer::{MemoryRefreshTokens, OAuthError, TokenError};

use crate::world::{World, grant, refused, world, world_with};

const DAY: Duration = Duration::from_secs(86_400);

async fn first(world: &World) -> String {
    let response = world.issuer.issue_with_refresh(grant()).await.unwrap();
    response.refresh_token().unwrap().to_owned()
}

#[tokio::test]
async fn a_token_is_redeemed_for_the_next() {
    let world = world();
    let mut token = first(&world).await;
    assert_eq!(token.len(), 43, "256 random bits");
    let mut seen = vec![token.clone()];
    for _ in 0..5 {
        world.clock.forward(DAY);
        let response = world.issuer.refresh(&token, "web", None).await.unwrap();
        let claims = world.claims(response.access_token()).await.unwrap().into_claims();
        assert_eq!((&claims["sub"], &claims["scope"]), (&"ada".into(), &"read write".into()));
        token = response.refresh_token().unwrap().to_owned();
        assert!(!seen.contains(&token));
        seen.push(token.clone());
    }
}

#[tokio::test]
async fn a_token_that_comes_back_revokes_its_family_and_no_other() {
    let world = world();
    let (stolen, other) = (first(&world).await, first(&world).await);
    let mine = world.issuer.refresh(&stolen, "web", None).await.unwrap();
    let mine = mine.refresh_token().unwrap();
    assert_eq!(refused(world.issuer.refresh(&stolen, "web", None).await), OAuthError::InvalidGrant);
    assert_eq!(refused(world.issuer.refresh(mine, "web", None).await), OAuthError::InvalidGrant);
    world.issuer.refresh(&other, "web", None).await.unwrap();
}

/// Also one that was used long ago, for as long as its family lives.
#[tokio::test]
async fn an_old_token_is_remembered() {
    let world = world();
    let oldest = first(&world).await;
    let mut token = oldest.clone();
    for _ in 0..8 {
        world.clock.forward(10 * DAY);
        world.issuer.purge().await.unwrap();
        let response = world.issuer.refresh(&token, "web", None).await.unwrap();
        token = response.refresh_token().unwrap().to_owned();
    }
    refused(world.issuer.refresh(&oldest, "web", None).await);
    refused(world.issuer.refresh(&token, "web", None).await);
}

#[tokio::test]
async fn within_the_leeway_a_second_try_is_refused_and_no_more() {
    let leeway = Duration::from_secs(10);
    let world = world_with(MemoryRefreshTokens::new(), |builder| builder.reuse_leeway(leeway));
    let token = first(&world).await;
    let next = world.issuer.refresh(&token, "web", None).await.unwrap();
    world.clock.forward(leeway - Duration::from_millis(1));
    refused(world.issuer.refresh(&token, "web", None).await);
    let next = world.issuer.refresh(next.refresh_token().unwrap(), "web", None).await.unwrap();
    world.clock.forward(Duration::from_millis(1));
    refused(world.issuer.refresh(&token, "web", None).await);
    refused(world.issuer.refresh(next.refresh_token().unwrap(), "web", None).await);
}

#[tokio::test]
async fn a_token_is_its_clients() {
    let world = world();
    let token = first(&world).await;
    for client in ["", "other", "Web"] {
        let why = refused(world.issuer.refresh(&token, client, None).await);
        assert_eq!(why, OAuthError::InvalidGrant);
    }
    // Nor has anybody used it up.
    world.issuer.refresh(&token, "web", None).await.unwrap();
}

#[tokio::test]
async fn what_is_no_token_is_refused() {
    let world = world();
    let token = first(&world).await;
    let longer = format!("{token}A");
    let padded = format!("{token}=");
    // The last character has two bits that mean nothing: another spelling is another token.
    let respelled = format!("{}B", &token[..42]);
    for bad in ["", "x", &token[..42], &longer, &padded, &respelled, "\u{e9}", &"A".repeat(43)] {
        assert_eq!(refused(world.issuer.refresh(bad, "web", None).await), OAuthError::InvalidGrant);
        assert!(!world.issuer.introspect(bad).await.unwrap().active);
    }
}

#[tokio::test]
async fn a_token_expires_unused_and_its_family_at_last() {
    let world = world();
    let unused = first(&world).await;
    let mut used = first(&world).await;
    world.clock.forward(14 * DAY - Duration::from_millis(1));
    used = redeem(&world, &used).await;
    world.clock.forward(Duration::from_millis(1));
    assert_eq!(refused(world.issuer.refresh(&unused, "web", None).await), OAuthError::InvalidGrant);
    for _ in 0..5 {
        world.clock.forward(14 * DAY - Duration::from_millis(2));
        used = redeem(&world, &used).await;
    }
    // Some 84 days: six more are left.
    world.clock.forward(6 * DAY - Duration::from_secs(1));
    used = redeem(&world, &used).await;
    world.clock.forward(Duration::from_secs(2));
    refused(world.issuer.refresh(&used, "web", None).await);
    assert_eq!(world.issuer.purge().await.unwrap(), 2);
    assert_eq!(world.issuer.purge().await.unwrap(), 0);
}

async fn redeem(world: &World, token: &str) -> String {
    let response = world.issuer.refresh(token, "web", None).await.unwrap();
    response.refresh_token().unwrap().to_owned()
}

#[tokio::test]
async fn a_narrower_scope_is_for_one_access_token() {
    let world = world();
    let token = first(&world).await;
    let more = "read admin".parse().unwrap();
    let why = refused(world.issuer.refresh(&token, "web", Some(more)).await);
    assert_eq!(why, OAuthError::InvalidScope);
    let less = Some("read".parse().unwrap());
    let response = world.issuer.refresh(&token, "web", less).await.unwrap();
    assert_eq!(response.scope().to_string(), "read");
    let response =
        world.issuer.refresh(response.refresh_token().unwrap(), "web", None).await.unwrap();
    assert_eq!(response.scope().to_string(), "read write");
}

#[tokio::test]
async fn a_grant_may_be_reviewed_but_stays_whose_it_is() {
    let world = world();
    let token = first(&world).await;
    let no = world.issuer.refresh_as(&token, "web", None, |_| Err(OAuthError::InvalidGrant)).await;
    assert_eq!(refused(no), OAuthError::InvalidGrant);
    let promoted = world
        .issuer
        .refresh_as(&token, "web", None, |_| {
            Ok(bulla_tokens::issuer::Grant::new("eve", "evil")
                .with_audience("orders")
                .with_roles(["boss"]))
        })
        .await
        .unwrap();
    let claims = world.claims(promoted.access_token()).await.unwrap().into_claims();
    assert_eq!((&claims["sub"], &claims["client_id"]), (&"ada".into(), &"web".into()));
    assert_eq!(claims["roles"][0], "boss");
}

/// Keys that are out cost nobody the token.
#[tokio::test]
async fn a_kms_that_is_out_uses_nothing_up() {
    let world = world();
    let token = first(&world).await;
    world.key.out.store(true, SeqCst);
    let error = world.issuer.refresh(&token, "web", None).await.unwrap_err();
    assert!(
        matches!(error, TokenError::Failed(ref error) if error.kind() == bulla::ErrorKind::Unavailable)
    );
    world.key.out.store(false, SeqCst);
    world.issuer.refresh(&token, "web", None).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_who_redeem_one_token_one_succeeds() {
    let world = Arc::new(world());
    for _ in 0..20 {
        let token = first(&world).await;
        let all: Vec<_> = (0..16)
            .map(|_| {
                let (world, token) = (Arc::clone(&world), token.clone());
                tokio::spawn(async move { world.issuer.refresh(&token, "web", None).await })
            })
            .collect();
        let mut won = Vec::new();
        for one in all {
            won.extend(one.await.unwrap().ok());
        }
        assert_eq!(won.len(), 1);
        // The others look like a theft, and may be one.
        refused(world.issuer.refresh(won[0].refresh_token().unwrap(), "web", None).await);
    }
}
