//! Tokens and logins on OpenBao: had, renewed, replaced, and one for all.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    reason = "helpers of tests are tests too"
)]

mod world;

use std::{sync::Arc, time::Duration};

use bulla::{
    CryptoProvider, DataKeys, EncryptionContext, ErrorKind,
    provider::Availability,
    resilience::{Policy, Resilient},
};
use bulla_testworld::{Counter, OpenBao};
use bulla_vault::{Auth, LEAST_PRIVILEGE_POLICY, Secret, Vault, VaultScheme};
use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

const PATIENCE: Duration = Duration::from_secs(60);

const LOGIN: &str = "auth/approle/login";
const LOOK_UP: &str = "auth/token/lookup-self";
const RENEW: &str = "auth/token/renew-self";

/// OpenBao with a key, the policy of the documentation, and a count of what reaches it.
struct World {
    bao: OpenBao,
    counter: Counter,
}

impl World {
    fn new() -> Option<Self> {
        let bao = OpenBao::start()?;
        bao.key("orders", "");
        bao.policy("app", LEAST_PRIVILEGE_POLICY);
        let counter = Counter::start(bao.port());
        Some(Self { bao, counter })
    }

    async fn build(&self, auth: Auth) -> bulla::Result<Vault> {
        let builder = Vault::builder().address(self.counter.url()).auth(auth);
        builder.sealing_key("orders").build().await
    }

    fn role(&self, ttl: &str, max_ttl: &str) -> (String, String) {
        let settings = json!({"token_policies": "app", "token_no_default_policy": true,
            "token_ttl": ttl, "token_max_ttl": max_ttl});
        self.bao.app_role("app", &settings)
    }

    fn token(&self, more: &Value) -> String {
        let mut wanted = json!({"policies": ["app"], "no_default_policy": true});
        wanted.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.bao.token(&wanted)
    }

    /// Ends every token that the role was given.
    fn revoke_all(&self) {
        self.bao.ok("PUT", "sys/leases/revoke-prefix/auth/approle", &json!({}));
    }

    fn count(&self, path: &str) -> usize {
        self.counter.count(path)
    }
}

fn context() -> EncryptionContext {
    EncryptionContext::new()
}

async fn seals(vault: &dyn CryptoProvider) -> Result<(), ErrorKind> {
    let made = timeout(PATIENCE, vault.generate_data_key(&context())).await.unwrap();
    made.map(drop).map_err(|error| error.kind())
}

/// Waits until it is so.
async fn until(what: &str, mut is: impl FnMut() -> bool) {
    let start = std::time::Instant::now();
    while !is() {
        assert!(start.elapsed() < PATIENCE, "{what} did not come about");
        sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_token_is_renewed_while_nobody_calls() {
    let Some(world) = World::new() else { return };
    let token = world.token(&json!({"period": "8s"}));
    let vault = world.build(Auth::token(token.as_str())).await.unwrap();
    until("the second renewal", || world.count(RENEW) >= 2).await;
    assert_eq!(seals(&vault).await, Ok(()));
    // And is left alone by a provider that is gone.
    drop(vault);
    let before = world.count(RENEW);
    let status = || world.bao.request(&token, "GET", LOOK_UP, &json!(null)).0;
    until("the end of the token", || status() == 403).await;
    assert_eq!(world.count(RENEW), before);
}

/// With three seconds to live and no more than six in all, it logs in again in time, and not a call fails.
#[tokio::test]
async fn a_token_at_its_longest_life_is_replaced() {
    let Some(world) = World::new() else { return };
    let (role, secret) = world.role("3s", "6s");
    let vault = world.build(Auth::app_role(role, secret)).await.unwrap();
    let start = std::time::Instant::now();
    while start.elapsed() < Duration::from_secs(14) {
        assert_eq!(seals(&vault).await, Ok(()));
        sleep(Duration::from_millis(100)).await;
    }
    let (logins, renewals) = (world.count(LOGIN), world.count(RENEW));
    assert!((2..=10).contains(&logins) && (1..=20).contains(&renewals), "{logins} {renewals}");
}

/// Sixty-four calls under way when the token dies: one login, and all succeed.
#[tokio::test(flavor = "multi_thread")]
async fn one_login_serves_all_who_find_the_token_dead() {
    let Some(world) = World::new() else { return };
    let (role, secret) = world.role("1h", "2h");
    let vault = world.build(Auth::app_role(role, secret)).await.unwrap();
    for round in 1..=3 {
        world.revoke_all();
        let results = join_all((0..64).map(|_| seals(&vault))).await;
        assert!(results.iter().all(Result::is_ok), "{results:?}");
        assert_eq!(world.count(LOGIN), 1 + round);
    }
    assert!(world.count(LOOK_UP) <= 9, "{}", world.count(LOOK_UP));
}

/// Who gives up half-way through a login neither ends it nor keeps the next call from it.
#[tokio::test]
async fn a_call_that_is_dropped_within_a_login_loses_nothing() {
    let Some(world) = World::new() else { return };
    let (role, secret) = world.role("1h", "2h");
    let vault = world.build(Auth::app_role(role, secret)).await.unwrap();
    for wait in [0, 1, 2, 5, 10, 20] {
        world.revoke_all();
        let context = context();
        let call = vault.generate_data_key(&context);
        drop(timeout(Duration::from_millis(wait), call).await);
        assert_eq!(seals(&vault).await, Ok(()), "{wait} ms");
    }
    assert!(world.count(LOGIN) <= 7, "{}", world.count(LOGIN));
}

#[tokio::test]
async fn a_token_that_was_given_and_died_is_denied_with_what_to_do() {
    let Some(world) = World::new() else { return };
    let token = world.token(&json!({"ttl": "1h"}));
    let vault = world.build(Auth::token(token.as_str())).await.unwrap();
    assert_eq!(seals(&vault).await, Ok(()));
    world.bao.ok("POST", "auth/token/revoke", &json!({"token": token}));
    let error = vault.generate_data_key(&context()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied);
    assert!(error.message().contains("give another one"), "{error}");
    assert_eq!(vault.availability(), Availability::Degraded);
    // It is not asked about again for each call.
    let before = world.count(LOOK_UP);
    for _ in 0..20 {
        assert_eq!(seals(&vault).await, Err(ErrorKind::Denied));
    }
    assert!(world.count(LOOK_UP) <= before + 4);
    let dead = world.build(Auth::token(token.as_str())).await.unwrap_err();
    assert_eq!(dead.kind(), ErrorKind::Denied, "{dead}");
}

/// As an agent does it.
#[tokio::test]
async fn a_token_in_a_file_is_replaced_by_the_next_one_there() {
    let Some(world) = World::new() else { return };
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("token");
    let first = world.token(&json!({"ttl": "1h"}));
    std::fs::write(&path, format!("{first}\n")).unwrap();
    let vault = world.build(Auth::token(Secret::file(&path))).await.unwrap();
    assert_eq!(seals(&vault).await, Ok(()));
    world.bao.ok("POST", "auth/token/revoke", &json!({"token": first}));
    assert_eq!(seals(&vault).await, Err(ErrorKind::Denied));
    std::fs::write(&path, world.token(&json!({"ttl": "1h"}))).unwrap();
    let start = std::time::Instant::now();
    while seals(&vault).await.is_err() {
        assert!(start.elapsed() < PATIENCE);
        sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn a_token_that_cant_be_renewed_is_used_to_its_end() {
    let Some(world) = World::new() else { return };
    let token = world.token(&json!({"ttl": "2s", "renewable": false}));
    let vault = world.build(Auth::token(token)).await.unwrap();
    assert_eq!(seals(&vault).await, Ok(()));
    let start = std::time::Instant::now();
    while seals(&vault).await.is_ok() {
        assert!(start.elapsed() < PATIENCE);
        sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(seals(&vault).await, Err(ErrorKind::Denied));
    assert_eq!(world.count(RENEW), 0);
}

/// A missing right is no dead token: nobody logs in for it.
#[tokio::test]
async fn a_right_that_is_missing_causes_no_login() {
    let Some(world) = World::new() else { return };
    let (role, secret) = world.role("1h", "2h");
    let vault = world.build(Auth::app_role(role, secret)).await.unwrap();
    let fewer = LEAST_PRIVILEGE_POLICY.replace("transit/encrypt/orders", "nothing");
    world.bao.policy("app", &fewer);
    for _ in 0..5 {
        let error = vault.generate_data_key(&context()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Denied);
        assert!(error.message().contains("grant update on transit/encrypt/orders"), "{error}");
    }
    assert_eq!((world.count(LOGIN), world.count(LOOK_UP)), (1, 5));
    // Without the right to look, a login tells too, and not for each call.
    world.bao.policy("app", &fewer.replace("auth/token/lookup-self", "nothing2"));
    let start = std::time::Instant::now();
    for _ in 0..3 {
        let error = vault.generate_data_key(&context()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Denied);
        assert!(error.message().contains("grant update"), "{error}");
    }
    let most = usize::try_from(start.elapsed().as_secs()).unwrap() + 2;
    assert!(world.count(LOGIN) <= 1 + most, "{}", world.count(LOGIN));
}

#[tokio::test]
async fn a_login_that_is_refused_is_told_and_not_hammered() {
    let Some(world) = World::new() else { return };
    let (role, secret) = world.role("1h", "2h");
    let error = world.build(Auth::app_role(role.as_str(), "wrong")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied);
    assert!(error.message().contains("auth/approle/login"), "{error}");
    assert!(!format!("{error:?}").contains("wrong"));
    let nowhere = world.build(Auth::app_role(role.as_str(), "x").at("nope")).await.unwrap_err();
    assert_eq!(nowhere.kind(), ErrorKind::Denied, "{nowhere}");

    let vault = world.build(Auth::app_role(role, secret)).await.unwrap();
    world.bao.ok("DELETE", "auth/approle/role/app", &json!(null));
    world.revoke_all();
    let before = world.count(LOGIN);
    for _ in 0..100 {
        assert_eq!(seals(&vault).await, Err(ErrorKind::Denied));
    }
    let tried = world.count(LOGIN) - before;
    assert!((1..=8).contains(&tried), "{tried}");
}

#[tokio::test]
async fn closing_ends_the_token_that_was_logged_in_for() {
    let Some(world) = World::new() else { return };
    let (role, secret) = world.role("1h", "2h");
    let vault = world.build(Auth::app_role(role, secret)).await.unwrap();
    vault.close().await.unwrap();
    assert_eq!(world.count("auth/token/revoke-self"), 1);
    assert_eq!(seals(&vault).await, Err(ErrorKind::Closed));
    assert_eq!(vault.availability(), Availability::Unavailable);
    vault.close().await.unwrap();
    let given = world.token(&json!({"ttl": "1h"}));
    let vault = world.build(Auth::token(given.as_str())).await.unwrap();
    vault.close().await.unwrap();
    assert_eq!(world.bao.request(&given, "GET", LOOK_UP, &json!(null)).0, 200);
}

/// The secret id of an AppRole, wrapped: good once, kept for later logins, and a spent one says so.
#[tokio::test]
async fn a_wrapped_secret_is_unwrapped_once_and_a_spent_one_is_told() {
    let Some(world) = World::new() else { return };
    let (role, _) = world.role("1h", "2h");
    let wrapping = world.bao.wrapped("POST", "auth/approle/role/app/secret-id", &json!({}));
    let auth = |wrapping: &str| Auth::app_role(role.as_str(), Secret::new(wrapping).wrapped());
    let first = auth(&wrapping);
    let vault = world.build(first.clone()).await.unwrap();
    world.revoke_all();
    assert_eq!(seals(&vault).await, Ok(()));
    assert_eq!((world.count("sys/wrapping/unwrap"), world.count(LOGIN)), (1, 2));
    // A clone of it has what was in it.
    world.build(first).await.unwrap();
    assert_eq!((world.count("sys/wrapping/unwrap"), world.count(LOGIN)), (1, 3));

    let error = world.build(auth(&wrapping)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied);
    assert!(error.message().contains("somebody else has the secret"), "{error}");
    assert!(!format!("{error:?}").contains(&wrapping));

    // Somebody unwraps it, and wraps it again in its place.
    let taken = world.bao.wrapped("POST", "auth/approle/role/app/secret-id", &json!({}));
    let (_, secret) = world.bao.request(&taken, "POST", "sys/wrapping/unwrap", &json!({}));
    let again = world.bao.wrapped("POST", "sys/wrapping/wrap", &secret["data"]);
    let error = world.build(auth(&again)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied);
    assert!(error.message().contains("wrapped it again"), "{error}");
}

/// From a file, another wrapping token is taken when there is one.
#[tokio::test]
async fn wrapped_tokens_and_files_of_them_serve_too() {
    let Some(world) = World::new() else { return };
    let (role, _) = world.role("1h", "2h");
    let token = json!({"policies": ["app"], "ttl": "1h"});
    let wrapping = world.bao.wrapped("POST", "auth/token/create", &token);
    let vault = world.build(Auth::token(Secret::new(wrapping).wrapped())).await.unwrap();
    assert_eq!(seals(&vault).await, Ok(()));

    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("wrapped");
    let issue = || {
        let wrapping = world.bao.wrapped("POST", "auth/approle/role/app/secret-id", &json!({}));
        std::fs::write(&path, wrapping).unwrap();
    };
    issue();
    let auth = Auth::app_role(role.as_str(), Secret::file(&path).wrapped());
    let vault = world.build(auth).await.unwrap();
    // All secret ids are withdrawn, and a new one issued.
    world.bao.ok("DELETE", "auth/approle/role/app", &json!(null));
    world.role("1h", "2h");
    world.bao.ok("POST", "auth/approle/role/app/role-id", &json!({"role_id": role}));
    // This ends wrapping tokens too.
    world.revoke_all();
    issue();
    assert_eq!(seals(&vault).await, Ok(()));
}

#[tokio::test]
async fn a_user_logs_in_with_a_password() {
    let Some(world) = World::new() else { return };
    world.bao.ok("POST", "sys/auth/team/people", &json!({"type": "userpass"}));
    let user = json!({"password": "hunter2\"\\", "token_policies": "app"});
    world.bao.ok("POST", "auth/team/people/users/ada.l", &user);
    let auth = Auth::userpass("ada.l", "hunter2\"\\").at("team/people");
    let vault = world.build(auth).await.unwrap();
    assert_eq!(seals(&vault).await, Ok(()));
    assert!(!format!("{vault:?}").contains("hunter2"));
}

/// A retry after a login that failed for the server's sake is another login.
#[tokio::test]
async fn a_server_that_was_away_is_logged_in_to_again() {
    let Some(world) = World::new() else { return };
    let (role, secret) = world.role("2s", "2s");
    let vault = world.build(Auth::app_role(role, secret)).await.unwrap();
    world.counter.set_down(true);
    // Its token ends meanwhile.
    let start = std::time::Instant::now();
    while start.elapsed() < Duration::from_secs(3) {
        let kind = seals(&vault).await.unwrap_err();
        assert!(kind.is_retryable(), "{kind:?}");
        sleep(Duration::from_millis(20)).await;
    }
    assert!(world.count(LOGIN) <= 1 + 6, "{}", world.count(LOGIN));
    world.counter.set_down(false);
    let policy = Policy::builder().max_attempts(10).deadline(PATIENCE);
    let policy = policy.backoff(Duration::from_millis(300), Duration::from_secs(1));
    // Of 64 calls that find it gone at once, all are to be tried again.
    let policy = policy.retry_budget(100, 1000).breaker_threshold(1000);
    let vault = Resilient::new(Arc::new(vault), policy.build().unwrap());
    let before = world.count(LOGIN);
    let results = join_all((0..64).map(|_| seals(&vault))).await;
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    assert!(world.count(LOGIN) <= before + 2, "{}", world.count(LOGIN) - before);
}

/// Without the right to renew itself, a token is replaced before it ends.
#[tokio::test]
async fn a_token_that_must_not_be_renewed_is_replaced_in_time() {
    let Some(world) = World::new() else { return };
    let fewer = LEAST_PRIVILEGE_POLICY.replace("auth/token/renew-self", "nothing");
    world.bao.policy("app", &fewer);
    let (role, secret) = world.role("10s", "1h");
    let vault = world.build(Auth::app_role(role, secret)).await.unwrap();
    let start = std::time::Instant::now();
    while start.elapsed() < Duration::from_secs(18) {
        assert_eq!(seals(&vault).await, Ok(()));
        sleep(Duration::from_millis(100)).await;
    }
    assert!((3..=5).contains(&world.count(LOGIN)), "{}", world.count(LOGIN));
    assert_eq!(world.count(LOOK_UP), 0, "it was replaced before it was refused");
}

/// Keys of one scheme share a login, which ends with the last of them that is closed.
#[tokio::test]
async fn keys_of_one_scheme_share_a_login() {
    let Some(world) = World::new() else { return };
    let (role, _) = world.role("1h", "2h");
    let wrapping = world.bao.wrapped("POST", "auth/approle/role/app/secret-id", &json!({}));
    let auth = Auth::app_role(role, Secret::new(wrapping).wrapped());
    let scheme = VaultScheme::new(Vault::builder().address(world.counter.url()).auth(auth));
    let registry = bulla::Registry::builder().scheme("hashivault", Arc::new(scheme)).build();
    let uri = "hashivault://orders".parse().unwrap();
    let all = join_all(["one", "two", "three"].map(|name| registry.connect(name, &uri))).await;
    let all: Vec<_> = all.into_iter().map(Result::unwrap).collect();
    let [one, two, three] = &all[..] else { panic!() };
    assert_eq!((world.count(LOGIN), world.count("sys/health")), (1, 1));
    one.close().await.unwrap();
    one.close().await.unwrap();
    assert_eq!(seals(&**one).await, Err(ErrorKind::Closed));
    assert_eq!(seals(&**two).await, Ok(()));
    two.close().await.unwrap();
    assert_eq!(world.count("auth/token/revoke-self"), 0);
    three.close().await.unwrap();
    assert_eq!(world.count("auth/token/revoke-self"), 1);
    // One that comes later logs in again.
    let four = registry.connect("four", &uri).await.unwrap();
    assert_eq!(seals(&*four).await, Ok(()));
    assert_eq!((world.count(LOGIN), world.count("sys/wrapping/unwrap")), (2, 1));
}
