//! A client of token endpoints, against one that does what it is told to.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests are tests too")]

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use axum::{Router, body::Bytes, extract::State, response::IntoResponse, routing::post};
use bulla::{
    ErrorKind,
    jwt::{ProviderKeys, Signer, Verified, Verifier},
};
use bulla_local::{KeyType, Local, Protection, Store};
use bulla_oidc::client::{TokenClient, TokenClientBuilder, TokenRefused};
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
use url::form_urlencoded;

type Form = HashMap<String, String>;
type Answer = Box<dyn Fn(usize) -> (StatusCode, HeaderMap, String) + Send + Sync>;

struct Endpoint {
    answer: Mutex<Answer>,
    forms: Mutex<Vec<Form>>,
    asked: AtomicUsize,
    slow: AtomicU64,
}

struct World {
    _dir: TempDir,
    keys: Arc<ProviderKeys<Arc<Local>>>,
    endpoint: Arc<Endpoint>,
    url: String,
}

async fn token(
    State(endpoint): State<Arc<Endpoint>>,
    headers: HeaderMap,
    body: Bytes,
) -> impl IntoResponse {
    assert_eq!(headers["content-type"], "application/x-www-form-urlencoded");
    assert_eq!(headers["accept"], "application/json");
    assert!(!headers.contains_key("authorization") && !headers.contains_key("cookie"));
    let form: Form = form_urlencoded::parse(&body).into_owned().collect();
    endpoint.forms.lock().unwrap().push(form);
    let asked = endpoint.asked.fetch_add(1, SeqCst);
    tokio::time::sleep(Duration::from_millis(endpoint.slow.load(SeqCst))).await;
    (endpoint.answer.lock().unwrap())(asked)
}

async fn world() -> World {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::at(dir.path().join("bulla"));
    store.create_key("id", KeyType::P256, &Protection::None).unwrap();
    let local = Local::builder(store).signing_key("id").build().unwrap();
    let keys = Arc::new(ProviderKeys::new(Arc::new(local)));
    let endpoint = Arc::new(Endpoint {
        answer: Mutex::new(Box::new(|asked| good(asked, json!(3600)))),
        forms: Mutex::default(),
        asked: AtomicUsize::new(0),
        slow: AtomicU64::new(0),
    });
    let router = Router::new().route("/token", post(token)).with_state(Arc::clone(&endpoint));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/token", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    World { _dir: dir, keys, endpoint, url }
}

fn good(asked: usize, expires_in: Value) -> (StatusCode, HeaderMap, String) {
    let body = json!({ "access_token": format!("t{asked}"), "token_type": "Bearer", "expires_in": expires_in });
    (StatusCode::OK, HeaderMap::new(), body.to_string())
}

impl World {
    fn builder(&self) -> TokenClientBuilder {
        TokenClient::builder(&self.url, "orders", Signer::new(Arc::clone(&self.keys)))
    }

    fn answers(
        &self,
        answer: impl Fn(usize) -> (StatusCode, HeaderMap, String) + Send + Sync + 'static,
    ) {
        *self.endpoint.answer.lock().unwrap() = Box::new(answer);
    }

    fn asked(&self) -> usize {
        self.endpoint.asked.load(SeqCst)
    }

    /// What the server sees of an assertion.
    async fn assertion(&self, text: &str, audience: &str) -> Value {
        let verifier = Verifier::builder().issuer("orders").audience(audience).typ("JWT");
        let verifier = verifier.build().unwrap();
        let verified: Verified<Value> = verifier.verify(text, &*self.keys).await.unwrap();
        verified.into_claims()
    }
}

#[tokio::test]
async fn client_credentials_by_an_assertion() {
    let world = world().await;
    let client =
        world.builder().audience("https://id.example").scope("a b").claim("tenant", "acme");
    let client = client.parameter("resource", "https://api.example/x?y").build().unwrap();
    let token = client.token().await.unwrap();
    assert_eq!(token.expose(), "t0");
    assert!(!format!("{token:?} {client:?}").contains("t0"));
    let form = world.endpoint.forms.lock().unwrap().remove(0);
    assert_eq!(form["grant_type"], "client_credentials");
    assert_eq!(form["client_id"], "orders");
    assert_eq!(form["scope"], "a b");
    assert_eq!(form["resource"], "https://api.example/x?y");
    assert_eq!(
        form["client_assertion_type"],
        "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    );
    let claims = world.assertion(&form["client_assertion"], "https://id.example").await;
    assert_eq!((&claims["iss"], &claims["sub"]), (&json!("orders"), &json!("orders")));
    assert_eq!(claims["tenant"], "acme");
    let seconds = |name: &str| claims[name].as_u64().unwrap();
    assert_eq!(seconds("exp") - seconds("iat"), 60);
    assert_eq!(claims["jti"].as_str().unwrap().len(), 22);
}

#[tokio::test]
async fn on_behalf_of_a_user() {
    let world = world().await;
    world.builder().on_behalf_of("ada").build().unwrap().token().await.unwrap();
    let alone = world.builder().on_behalf_of("ada").without_client_assertion().build().unwrap();
    alone.token().await.unwrap();
    let forms = std::mem::take(&mut *world.endpoint.forms.lock().unwrap());
    for form in &forms {
        assert_eq!(form["grant_type"], "urn:ietf:params:oauth:grant-type:jwt-bearer");
        let claims = world.assertion(&form["assertion"], &world.url).await;
        assert_eq!((&claims["iss"], &claims["sub"]), (&json!("orders"), &json!("ada")));
    }
    // Each is used once: the two of one request differ.
    let own = world.assertion(&forms[0]["client_assertion"], &world.url).await;
    assert_eq!(own["sub"], "orders");
    assert_ne!(forms[0]["client_assertion"], forms[0]["assertion"]);
    assert!(!forms[1].contains_key("client_assertion") && !forms[1].contains_key("client_id"));
}

fn virtual_clock() -> (Arc<AtomicU64>, impl Fn() -> SystemTime + Send + Sync + 'static) {
    let clock = Arc::new(AtomicU64::new(1_793_491_200));
    let own = Arc::clone(&clock);
    (clock, move || UNIX_EPOCH + Duration::from_secs(own.load(SeqCst)))
}

#[tokio::test]
async fn a_token_is_kept_until_shortly_before_its_end() {
    let world = world().await;
    let (clock, now) = virtual_clock();
    let client = world.builder().clock(now).build().unwrap();
    for _ in 0..10 {
        assert_eq!(client.token().await.unwrap().expose(), "t0");
    }
    clock.fetch_add(3600 - 61, SeqCst);
    assert_eq!(client.token().await.unwrap().expose(), "t0");
    clock.fetch_add(1, SeqCst);
    assert_eq!(client.token().await.unwrap().expose(), "t1");
    assert_eq!(world.asked(), 2);
    // Of a short life, a fifth is left.
    world.answers(|asked| good(asked, json!("10")));
    clock.fetch_add(3600, SeqCst);
    assert_eq!(client.token().await.unwrap().expose(), "t2");
    clock.fetch_add(7, SeqCst);
    assert_eq!(client.token().await.unwrap().expose(), "t2");
    clock.fetch_add(1, SeqCst);
    let third = client.token().await.unwrap();
    assert_eq!(third.expose(), "t3");
    // One that a resource server has refused goes at once; an old one takes no newer one away.
    client.forget(&third);
    let fourth = client.token().await.unwrap();
    assert_eq!(fourth.expose(), "t4");
    client.forget(&third);
    assert_eq!(client.token().await.unwrap().expose(), "t4");
}

#[tokio::test]
async fn an_outage_is_not_felt_while_a_token_is_valid() {
    let world = world().await;
    let (clock, now) = virtual_clock();
    let client = world.builder().clock(now).build().unwrap();
    client.token().await.unwrap();
    world.answers(|_| (StatusCode::BAD_GATEWAY, HeaderMap::new(), String::new()));
    clock.fetch_add(3599, SeqCst);
    assert_eq!(client.token().await.unwrap().expose(), "t0");
    clock.fetch_add(1, SeqCst);
    assert_eq!(client.token().await.unwrap_err().kind(), ErrorKind::Unavailable);
    // Nor is the server asked for each of many calls.
    let asked = world.asked();
    for _ in 0..50 {
        client.token().await.unwrap_err();
    }
    assert!(world.asked() <= asked + 1);
}

#[tokio::test]
async fn a_token_without_a_life_is_not_kept() {
    let world = world().await;
    world.answers(|asked| good(asked, Value::Null));
    let client = world.builder().build().unwrap();
    assert_eq!(client.token().await.unwrap().expose(), "t0");
    assert_eq!(client.token().await.unwrap().expose(), "t1");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_who_wait_cost_one_request_and_who_gives_up_costs_none() {
    let world = world().await;
    world.endpoint.slow.store(300, SeqCst);
    let client = world.builder().build().unwrap();
    let hurried = client.clone();
    let gave_up = tokio::time::timeout(Duration::from_millis(50), hurried.token()).await;
    gave_up.unwrap_err();
    let waiting: Vec<_> = (0..50)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { client.token().await.unwrap().expose().to_owned() })
        })
        .collect();
    for one in waiting {
        assert_eq!(one.await.unwrap(), "t0");
    }
    assert_eq!(world.asked(), 1);
}

#[tokio::test]
async fn refusals_come_with_their_code_and_no_secret() {
    let world = world().await;
    let client = world.builder().build().unwrap();
    world.answers(|_| {
        let body = json!({ "error": "invalid_client", "error_description": "unknown key" });
        (StatusCode::UNAUTHORIZED, HeaderMap::new(), body.to_string())
    });
    let error = client.token().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied);
    assert_eq!(TokenRefused::of(&error).unwrap().code(), "invalid_client");
    assert!(!format!("{error} {error:?}").contains("eyJ"), "{error:?}");
    for (status, kind) in [
        (StatusCode::FOUND, ErrorKind::InvalidInput),
        (StatusCode::NOT_FOUND, ErrorKind::NotFound),
        (StatusCode::TOO_MANY_REQUESTS, ErrorKind::Throttled),
        (StatusCode::INTERNAL_SERVER_ERROR, ErrorKind::Unavailable),
    ] {
        world.answers(move |_| {
            let mut headers = HeaderMap::new();
            headers.insert("location", "https://evil.example/".parse().unwrap());
            (status, headers, String::new())
        });
        let client = world.builder().build().unwrap();
        assert_eq!(client.token().await.unwrap_err().kind(), kind, "{status}");
    }
    // Longer than is read, with and without a length.
    world.answers(|_| (StatusCode::OK, HeaderMap::new(), "x".repeat(100_000)));
    let error = world.builder().build().unwrap().token().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Damaged);
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_waited_for_so_long() {
    let world = world().await;
    world.endpoint.slow.store(60_000, SeqCst);
    let client = world.builder().timeout(Duration::from_millis(200)).build().unwrap();
    assert_eq!(client.token().await.unwrap_err().kind(), ErrorKind::Timeout);
}

#[tokio::test]
async fn what_can_t_be_is_refused_before_anybody_is_asked() {
    let world = world().await;
    let plain =
        TokenClient::builder("http://id.example/token", "c", Signer::new(Arc::clone(&world.keys)));
    for bad in [
        plain,
        world.builder().claim("sub", "other"),
        world.builder().parameter("client_assertion", "x"),
        world.builder().assertion_life(Duration::from_secs(3601)),
        world.builder().without_client_assertion(),
        TokenClient::builder(&world.url, "", Signer::new(Arc::clone(&world.keys))),
    ] {
        assert_eq!(bad.build().unwrap_err().kind(), ErrorKind::InvalidInput);
    }
    assert_eq!(world.asked(), 0);
}
