//! Revocation (RFC 7009) and introspection (RFC 7662).

use std::time::Duration;

use bulla_tokens::issuer::{OAuthError, Whose};
use serde_json::json;

use crate::world::{ISSUER, World, grant, refused, world};

async fn both(world: &World) -> (String, String) {
    let response = world.issuer.issue_with_refresh(grant()).await.unwrap();
    (response.access_token().to_owned(), response.refresh_token().unwrap().to_owned())
}

async fn is_active(world: &World, token: &str) -> bool {
    world.issuer.introspect(token).await.unwrap().active
}

#[tokio::test]
async fn introspection_tells_of_live_tokens() {
    let world = world();
    let (access, refresh) = both(&world).await;
    let mut told = serde_json::to_value(world.issuer.introspect(&access).await.unwrap()).unwrap();
    told.as_object_mut().unwrap().remove("jti").unwrap();
    assert_eq!(
        told,
        json!({
            "active": true, "scope": "read write", "client_id": "web", "token_type": "Bearer",
            "sub": "ada", "aud": ["orders"], "iss": ISSUER, "iat": 1_793_491_200, "exp": 1_793_491_800,
        })
    );
    let told = serde_json::to_value(world.issuer.introspect(&refresh).await.unwrap()).unwrap();
    assert_eq!(
        told,
        json!({
            "active": true, "scope": "read write", "client_id": "web", "sub": "ada", "aud": ["orders"],
            "iss": ISSUER, "exp": 1_793_491_200 + 14 * 86_400,
        })
    );
    // Of the others, nothing is told.
    world.clock.forward(Duration::from_secs(611));
    let told = serde_json::to_value(world.issuer.introspect(&access).await.unwrap()).unwrap();
    assert_eq!(told, json!({ "active": false }));
    assert!(is_active(&world, &refresh).await);
    for bad in ["", "a.b.c", &format!("{access}x"), &access.replace('.', "")] {
        assert!(!is_active(&world, bad).await, "{bad}");
    }
}

#[tokio::test]
async fn a_refresh_token_is_revoked_with_its_family() {
    let world = world();
    let (access, refresh) = both(&world).await;
    let next = world.issuer.refresh(&refresh, "web", None).await.unwrap();
    let (other_access, _) = both(&world).await;
    world.issuer.revoke(next.refresh_token().unwrap(), "web").await.unwrap();
    for token in [&*access, next.access_token(), next.refresh_token().unwrap()] {
        assert!(!is_active(&world, token).await);
    }
    assert!(is_active(&world, &other_access).await);
    refused(world.issuer.refresh(next.refresh_token().unwrap(), "web", None).await);
}

#[tokio::test]
async fn an_access_token_is_revoked_with_what_it_came_with() {
    let world = world();
    let (access, refresh) = both(&world).await;
    assert_eq!(refused(world.issuer.revoke(&access, "other").await), OAuthError::InvalidGrant);
    assert_eq!(refused(world.issuer.revoke(&refresh, "other").await), OAuthError::InvalidGrant);
    assert!(is_active(&world, &refresh).await);
    world.issuer.revoke(&access, "web").await.unwrap();
    assert!(!is_active(&world, &refresh).await && !is_active(&world, &access).await);

    let alone = world.issuer.issue(&grant()).await.unwrap();
    let why = refused(world.issuer.revoke(alone.access_token(), "web").await);
    assert_eq!(why, OAuthError::UnsupportedTokenType);
}

/// RFC 7009, section 2.2: what is not known is as good as revoked.
#[tokio::test]
async fn an_unknown_token_is_no_error() {
    let world = world();
    let (_, refresh) = both(&world).await;
    for unknown in ["", "x", "a.b.c", &"A".repeat(43)] {
        world.issuer.revoke(unknown, "web").await.unwrap();
    }
    world.issuer.revoke(&refresh, "web").await.unwrap();
    world.issuer.revoke(&refresh, "web").await.unwrap();
}

#[tokio::test]
async fn all_of_a_user_or_of_a_client_go_at_once() {
    let world = world();
    let mut tokens = Vec::new();
    for (subject, client) in [("ada", "web"), ("ada", "app"), ("bob", "web"), ("bob", "app")] {
        let grant = bulla_tokens::issuer::Grant::new(subject, client).with_audience("orders");
        let response = world.issuer.issue_with_refresh(grant).await.unwrap();
        tokens.push(response.refresh_token().unwrap().to_owned());
    }
    let active = async || {
        let mut active = Vec::new();
        for token in &tokens {
            active.push(is_active(&world, token).await);
        }
        active
    };
    let some = Whose::SubjectOfClient("ada", "web");
    assert_eq!(world.issuer.revoke_all(some).await.unwrap(), 1);
    assert_eq!(active().await, [false, true, true, true]);
    assert_eq!(world.issuer.revoke_all(Whose::Client("web")).await.unwrap(), 2);
    assert_eq!(active().await, [false, true, false, true]);
    assert_eq!(world.issuer.revoke_all(Whose::Subject("bob")).await.unwrap(), 2);
    assert_eq!(active().await, [false, true, false, false]);
    assert_eq!(world.issuer.revoke_all(Whose::Subject("' OR 1=1 --")).await.unwrap(), 0);
}
