//! Keys whose address the issuer's metadata states.

use std::time::Duration;

use bulla::{ErrorKind, jwt::KeySource};
use bulla_oidc::{RemoteKeys, RemoteKeysBuilder};

use crate::world::{HOUR, Issuer, MINUTE, Reply, Server, Time, expected, unknown};

const OPENID: &str = "/a/.well-known/openid-configuration";

struct World {
    issuer: Issuer,
    server: Server,
    time: Time,
    keys: RemoteKeys,
}

impl World {
    async fn new() -> Self {
        Self::with(|builder| builder).await
    }

    async fn with(change: impl FnOnce(RemoteKeysBuilder) -> RemoteKeysBuilder) -> Self {
        let (issuer, server, time) = (Issuer::new(), Server::new().await, Time::new());
        server.publish(&issuer).await;
        let builder = time.give(RemoteKeys::discover(server.url("/a")));
        let world = Self { issuer, keys: change(builder).build().unwrap(), server, time };
        world.metadata(&world.server.url("/a"), &world.server.url("/keys"));
        world
    }

    fn metadata(&self, issuer: &str, jwks_uri: &str) {
        let json = format!(
            r#"{{"issuer":"{issuer}","jwks_uri":"{jwks_uri}",
                "id_token_signing_alg_values_supported":["none","HS256"]}}"#
        );
        self.server
            .reply(OPENID, Reply::json(json).with("etag", format!("\"{}\"", jwks_uri.len())));
    }

    fn counts(&self) -> (usize, usize) {
        (self.server.count(OPENID), self.server.count("/keys"))
    }

    async fn verify(&self, token: &str) -> bulla::Result<()> {
        let verifier = expected().build().unwrap();
        verifier.verify::<serde_json::Value>(token, &self.keys).await.map(drop)
    }
}

#[tokio::test]
async fn keys_are_where_the_metadata_says() {
    let world = World::new().await;
    let token = world.issuer.token().await;
    for _ in 0..10 {
        world.verify(&token).await.unwrap();
    }
    assert_eq!(world.counts(), (1, 1));
    assert_eq!(world.server.last(OPENID)["accept"], "application/json");
    // Both are kept an hour; the metadata has a tag.
    world.time.advance(HOUR);
    world.verify(&token).await.unwrap();
    assert_eq!(world.counts(), (2, 2));
    assert!(world.server.last(OPENID).contains_key("if-none-match"));
}

#[tokio::test]
async fn metadata_stands_before_the_path_for_oauth() {
    let world = World::with(RemoteKeysBuilder::oauth).await;
    let json = format!(
        r#"{{"issuer":"{}","jwks_uri":"{}"}}"#,
        world.server.url("/a"),
        world.server.url("/keys")
    );
    world.server.reply("/.well-known/oauth-authorization-server/a", Reply::json(json));
    world.verify(&world.issuer.token().await).await.unwrap();
    assert_eq!(world.counts(), (0, 1));
}

#[tokio::test]
async fn metadata_is_its_issuers_own() {
    let world = World::new().await;
    let keys = world.server.url("/keys");
    for other in ["https://id.example", &world.server.url("/a/"), &world.server.url("")] {
        world.metadata(other, &keys);
        let error = world.keys.refresh().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Damaged);
        assert!(error.message().contains("another issuer"), "{error}");
    }
    let own = world.server.url("/a");
    for elsewhere in ["http://id.example/keys", "https://u@id.example", "keys", "file:///keys"] {
        world.metadata(&own, elsewhere);
        let error = world.keys.refresh().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Damaged);
        assert!(error.message().contains("jwks_uri"), "{error}");
    }
    assert_eq!(world.server.count("/keys"), 0);
}

#[tokio::test]
async fn metadata_has_a_largest_size() {
    let world = World::new().await;
    let json = |len: usize| {
        let (issuer, keys) = (world.server.url("/a"), world.server.url("/keys"));
        let json = format!(r#"{{"issuer":"{issuer}","jwks_uri":"{keys}"}}"#);
        format!("{json}{}", " ".repeat(len - json.len()))
    };
    world.server.reply(OPENID, Reply::json(json(65_537)));
    let error = world.keys.refresh().await.unwrap_err();
    assert!(error.message().contains("longer"), "{error}");
    world.server.reply(OPENID, Reply::json(json(65_536)));
    world.keys.refresh().await.unwrap();
}

#[tokio::test]
async fn metadata_is_not_redirected_and_may_fail() {
    let world = World::new().await;
    for (reply, kind) in [
        (Reply::status(302).with("location", "/elsewhere"), ErrorKind::InvalidInput),
        (Reply::status(404), ErrorKind::NotFound),
        (Reply::status(503), ErrorKind::Unavailable),
        (Reply::json("garbage"), ErrorKind::Damaged),
    ] {
        world.server.reply(OPENID, reply);
        world.time.advance(MINUTE);
        let error = world.verify(&world.issuer.token().await).await.unwrap_err();
        assert_eq!((error.kind(), error.provider()), (kind, Some("127.0.0.1")));
    }
    assert_eq!(world.server.count("/elsewhere"), 0);
}

#[tokio::test]
async fn keys_that_moved_are_found() {
    let world = World::new().await;
    let token = world.issuer.token().await;
    world.verify(&token).await.unwrap();
    world.issuer.rotate();
    world.server.reply("/moved", Reply::json(world.issuer.set().await.to_json()));
    world.metadata(&world.server.url("/a"), &world.server.url("/moved"));
    // The old address still answers: the metadata is read anew once it is five minutes old.
    let new = world.issuer.token().await;
    world.verify(&new).await.unwrap_err();
    world.time.advance(5 * MINUTE);
    world.verify(&new).await.unwrap();
    assert_eq!(world.server.count("/moved"), 1);
    // And where it does not, at the next attempt.
    world.server.reply("/moved", Reply::status(404));
    world.server.publish(&world.issuer).await;
    world.metadata(&world.server.url("/a"), &world.server.url("/keys"));
    assert_eq!(world.keys.refresh().await.unwrap_err().kind(), ErrorKind::NotFound);
    world.keys.refresh().await.unwrap();
}

#[tokio::test]
async fn an_outage_of_the_metadata_alone_stops_nobody_for_four_hours() {
    let world = World::new().await;
    let token = world.issuer.token().await;
    world.verify(&token).await.unwrap();
    world.server.reply(OPENID, Reply::status(500));
    world.time.advance(5 * HOUR - Duration::from_secs(1));
    world.verify(&token).await.unwrap();
    assert!(world.keys.at_hand().unwrap().1, "the keys themselves could be renewed");
    world.time.advance(HOUR);
    world.verify(&token).await.unwrap(); // these keys are stale now, their address is not used
    assert!(!world.keys.at_hand().unwrap().1);
    world.time.advance(5 * HOUR);
    assert_eq!(world.verify(&token).await.unwrap_err().kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn to_forget_is_to_forget_the_address_too() {
    let world = World::new().await;
    world.keys.keys(None).await.unwrap();
    world.keys.invalidate();
    world.keys.keys(None).await.unwrap();
    assert_eq!(world.counts(), (2, 2));
    assert!(!world.server.last(OPENID).contains_key("if-none-match"));
}

#[tokio::test]
async fn a_search_within_five_minutes_reads_keys_alone() {
    let world = World::new().await;
    world.keys.refresh().await.unwrap();
    world.verify(&unknown("x")).await.unwrap_err();
    assert_eq!(world.counts(), (1, 2));
}
