//! Which key signs which token.

use std::{
    sync::{Arc, atomic::Ordering::SeqCst},
    time::Duration,
};

use bulla::{
    ErrorKind,
    jwt::{Claims, KeySource as _, Signer, Verified, Verifier},
};
use bulla_tokens::{
    issuer::{MemoryRefreshTokens, TokenIssuer},
    routes::{Routes, SignTokens as _, When},
};

use crate::world::{ISSUER, Key, grant, key};

struct World {
    kms: Arc<Key>,
    routes: Routes,
    kms_kid: String,
    local_kid: String,
}

async fn world() -> World {
    let ((kms, kms_keys), (_local, local_keys)) = (key(), key());
    let kid = async |keys: &crate::world::Keys| {
        let set = keys.jwk_set().await.unwrap();
        set.iter().next().unwrap().kid().unwrap().to_owned()
    };
    let (kms_kid, local_kid) = (kid(&kms_keys).await, kid(&local_keys).await);
    let signer = |keys| Signer::builder(keys).typ("at+jwt").build().unwrap();
    let routes = Routes::builder()
        .route(When::any().audience("payments").scope("pay"), signer(Arc::clone(&kms_keys)))
        .route(When::any().longer_than(Duration::from_secs(3600)), signer(kms_keys))
        .route(When::any(), signer(local_keys))
        .build()
        .unwrap();
    World { kms, routes, kms_kid, local_kid }
}

fn claims() -> Claims {
    Claims::new().unwrap().with_issuer(ISSUER)
}

impl World {
    /// Who signed it, by the keys that all have.
    async fn signed(&self, claims: Claims) -> String {
        let token = self.routes.sign_claims(&claims).await.unwrap();
        let verifier = Verifier::builder().issuer(ISSUER).any_audience().typ("at+jwt");
        let verified: Verified<Claims> =
            verifier.build().unwrap().verify(&token, &self.routes).await.unwrap();
        verified.header().kid().unwrap().to_owned()
    }
}

#[tokio::test]
async fn a_token_is_signed_by_the_first_route_that_takes_it() {
    let world = world().await;
    let (kms, local) = (world.kms_kid.clone(), world.local_kid.clone());
    let payments = || claims().with_audience("orders").with_audience("payments");
    let scoped = |scope: &str| payments().with_member("scope", scope).unwrap();
    assert_eq!(world.signed(scoped("read pay")).await, kms);
    assert_eq!(world.signed(scoped("read payments")).await, local);
    assert_eq!(world.signed(payments()).await, local);
    let hour = Duration::from_secs(3600);
    assert_eq!(world.signed(claims().with_ttl(hour)).await, local);
    assert_eq!(world.signed(claims().with_ttl(hour + Duration::from_secs(1))).await, kms);
    assert_eq!(world.routes.keys(None).await.unwrap().len(), 2);
}

/// A token of the KMS is never signed by a lesser key.
#[tokio::test]
async fn a_route_that_is_out_has_no_way_round() {
    let world = world().await;
    world.kms.out.store(true, SeqCst);
    let long = claims().with_ttl(Duration::from_secs(7200));
    let error = world.routes.sign_claims(&long).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(world.signed(claims()).await, world.local_kid);
}

#[tokio::test]
async fn routes_that_can_t_be_are_refused() {
    let signer = || Signer::new(key().1);
    assert_eq!(Routes::builder().build().unwrap_err().kind(), ErrorKind::InvalidInput);
    let unreached = Routes::builder().route(When::any(), signer()).route(When::any(), signer());
    assert_eq!(unreached.build().unwrap_err().kind(), ErrorKind::InvalidInput);
    let open = Routes::builder().route(When::any().audience("a"), signer()).build().unwrap();
    let error = open.sign_claims(&claims()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

#[tokio::test]
async fn an_issuer_signs_by_routes() {
    let world = world().await;
    let store = MemoryRefreshTokens::new();
    let issuer = TokenIssuer::builder_with(ISSUER, Arc::new(world.routes.clone()), store);
    let issuer = issuer.access_for(Duration::from_secs(7200)).build().unwrap();
    let response = issuer.issue(&grant()).await.unwrap();
    assert!(issuer.introspect(response.access_token()).await.unwrap().active);
    let header = bulla::jwt::decode_unverified(response.access_token()).unwrap();
    assert_eq!(header.header()["kid"], world.kms_kid.as_str());
}
