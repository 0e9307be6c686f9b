//! Tokens: how they are had, renewed, and replaced when they are refused.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests are tests too"
)]

mod world;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use async_trait::async_trait;
use azure_core::{
    credentials::{AccessToken, TokenCredential, TokenRequestOptions},
    time::OffsetDateTime,
};
use bulla::{CryptoProvider as _, DataKeys as _, ErrorKind, KeyUri, Registry};
use bulla_azure_keyvault::{AzureKeyVault, AzureKeyVaultScheme, Credential};
use bulla_testworld::azure::{Answer, Azure, Kind};
use futures_util::future::join_all;
use world::{HSM, SIGNS, VAULT, acme, builder};

/// A call that takes a token, and what becomes of it.
async fn call(provider: &AzureKeyVault) -> bulla::Result<()> {
    provider.generate_data_key(&world::context()).await.map(drop)
}

/// Older than what is handed out again unseen.
const OLD: Duration = Duration::from_millis(10_500);

#[tokio::test(flavor = "multi_thread")]
async fn many_calls_take_one_token() {
    let (azure, acme) = acme().await;
    let calls = (0..64).map(|_| call(&acme));
    assert!(join_all(calls).await.iter().all(Result::is_ok));
    assert_eq!((azure.count("token"), azure.count("challenge")), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_refused_is_replaced() {
    let (azure, acme) = acme().await;
    tokio::time::sleep(OLD).await;
    assert_eq!(azure.revoke_tokens(), 1);
    let calls = (0..64).map(|_| call(&acme));
    let ended = join_all(calls).await;
    assert!(ended.iter().all(Result::is_ok), "{ended:?}");
    // One more for all of them.
    assert_eq!(azure.count("token"), 2);
}

/// Whoever refuses every token does not have the issuer asked for each call.
#[tokio::test(flavor = "multi_thread")]
async fn a_vault_that_takes_no_token_is_told_as_a_refusal() {
    let (azure, acme) = acme().await;
    azure.does(|request| {
        let challenge = format!(
            "WWW-Authenticate: Bearer authorization=\"https://login.microsoftonline.com/{}\", \
             resource=\"https://vault.azure.net\"",
            Azure::TENANT
        );
        let is = request.host == VAULT;
        is.then(|| Answer::refusal(401, "Unauthorized", None).with(&challenge))
    });
    for _ in 0..5 {
        let error = call(&acme).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
        assert!(error.message().contains("tenant"), "{error}");
    }
    assert_eq!(azure.count("token"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_that_expire_are_renewed() {
    let azure = Azure::start();
    azure.set_lifetime(Duration::from_secs(2));
    azure.key(VAULT, "orders", Kind::P256, &SIGNS);
    let provider = builder(&azure, VAULT).signing_key("orders").build().await.unwrap();
    for _ in 0..6 {
        tokio::time::sleep(Duration::from_millis(700)).await;
        provider.health().await.unwrap();
    }
    assert!(azure.count("token") >= 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_that_are_refused_are_not_tried_for_each_call() {
    let azure = Azure::start();
    azure.key(VAULT, "orders", Kind::P256, &SIGNS);
    let wrong = Credential::client_secret(Azure::TENANT, Azure::CLIENT, "wrong");
    let wrong = builder(&azure, VAULT).signing_key("orders").credential(wrong);
    let error = wrong.build().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied);
    assert!(error.message().contains("AADSTS7000215"), "{error}");

    let (azure, acme) = acme().await;
    tokio::time::sleep(OLD).await;
    azure.set_secret("rotated");
    azure.revoke_tokens();
    let before = azure.count("token");
    let calls = (0..16).map(|_| call(&acme));
    for ended in join_all(calls).await {
        assert_eq!(ended.unwrap_err().kind(), ErrorKind::Denied);
    }
    assert_eq!(azure.count("token") - before, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issuer_that_is_out_is_an_outage() {
    let azure = Azure::start();
    azure.key(VAULT, "orders", Kind::P256, &SIGNS);
    for (answer, kind) in [
        (Answer::Whole(503, vec![], "{}".to_owned()), ErrorKind::Unavailable),
        (Answer::Whole(400, vec![], "<html>".to_owned()), ErrorKind::Unavailable),
        (Answer::Whole(200, vec![], "<html>".to_owned()), ErrorKind::Unavailable),
        (
            Answer::Whole(429, vec!["Retry-After: 3".to_owned()], "{}".to_owned()),
            ErrorKind::Throttled,
        ),
        (Answer::Raw(vec![]), ErrorKind::Unavailable),
    ] {
        azure.does(move |request| (request.operation() == "token").then(|| answer.clone()));
        let error = builder(&azure, VAULT).signing_key("orders").build().await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
    }
}

/// A fetch is a task: who gives up does not make the next one begin anew.
#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_hangs_up_ends_no_login() {
    let (azure, acme) = acme().await;
    tokio::time::sleep(OLD).await;
    azure.revoke_tokens();
    azure.does(|request| {
        let body = serde_json::json!({"token_type": "Bearer", "expires_in": 3600,
            "access_token": "late"});
        let late = Answer::Late(Duration::from_secs(1), Box::new(Answer::ok(&body)));
        (request.operation() == "token").then_some(late)
    });
    let before = azure.count("token");
    for _ in 0..3 {
        let late = call(&acme);
        assert!(tokio::time::timeout(Duration::from_millis(150), late).await.is_err());
    }
    assert_eq!(azure.count("token") - before, 1);
}

#[derive(Debug)]
struct Own(Arc<AtomicUsize>);

#[async_trait]
impl TokenCredential for Own {
    async fn get_token(
        &self,
        scopes: &[&str],
        _: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        assert_eq!(scopes, ["https://vault.azure.net/.default"]);
        self.0.fetch_add(1, SeqCst);
        Ok(AccessToken::new("own-token", OffsetDateTime::now_utc() + Duration::from_secs(3600)))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_credential_of_the_applications_is_asked() {
    let azure = Azure::start();
    azure.key(VAULT, "orders", Kind::P256, &SIGNS);
    let asked = Arc::new(AtomicUsize::new(0));
    let own = Credential::token_credential(Arc::new(Own(Arc::clone(&asked))));
    let builder = builder(&azure, VAULT).signing_key("orders").credential(own);
    // The issuer does not know that token.
    let error = builder.build().await.unwrap_err();
    assert_eq!((error.kind(), asked.load(SeqCst)), (ErrorKind::Denied, 1));
    let seen = azure.seen();
    assert!(seen.iter().any(|request| request.token.as_deref() == Some("own-token")));
    assert_eq!(azure.count("token"), 0);
}

/// All keys of a scheme share one login, for each audience.
#[tokio::test(flavor = "multi_thread")]
async fn keys_of_a_scheme_share_a_login() {
    let azure = Azure::start();
    for key in ["one", "two", "three"] {
        azure.key(VAULT, key, Kind::P256, &SIGNS);
        azure.key(HSM, key, Kind::P256, &SIGNS);
    }
    let secret = Credential::client_secret(Azure::TENANT, Azure::CLIENT, Azure::SECRET);
    let builder = AzureKeyVault::builder().proxy(azure.proxy()).ca_file(azure.ca_file());
    let scheme = AzureKeyVaultScheme::new(builder.credential(secret));
    let registry = Registry::builder().scheme("azurekeyvault", Arc::new(scheme)).build();
    let keys = ["one", "two", "three"].map(|key| (key, format!("azurekeyvault://acme/{key}")));
    let connects = keys.iter().map(|(name, uri)| {
        let uri: KeyUri = uri.parse().unwrap();
        let registry = &registry;
        async move { registry.connect(name, &uri).await.map(drop) }
    });
    assert!(join_all(connects).await.iter().all(Result::is_ok));
    assert_eq!(azure.count("token"), 1);
    let uri: KeyUri = format!("azurekeyvault://{HSM}/one").parse().unwrap();
    registry.connect("hsm", &uri).await.unwrap();
    assert_eq!(azure.count("token"), 2);
    // What one closes, others go on with.
    registry.get("one").unwrap().close().await.unwrap();
    registry.get("two").unwrap().health().await.unwrap();
    let wrong: KeyUri = "local:one".parse().unwrap();
    assert!(registry.connect("local", &wrong).await.is_err());
}
