use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use async_trait::async_trait;

use super::*;
use crate::{
    Context, Error, ErrorKind, KeyName, KeyUri, Opener, Result, Sealer,
    envelope::tests::{context, kind},
    provider::Disabled,
    resilience::Policy,
    testing::Fake,
};

fn registry() -> Registry {
    Registry::builder().build()
}

fn fake(id: &str) -> SharedProvider {
    Arc::new(Fake::new(id))
}

fn kind_of(result: Result<SharedProvider>) -> ErrorKind {
    kind(result)
}

#[test]
fn names_are_not_empty_not_taken_twice_and_not_guessed() {
    let registry = registry();
    assert_eq!(kind(registry.register("", fake("a"))), ErrorKind::InvalidInput);
    registry.register("one", fake("a")).unwrap();
    assert_eq!(kind(registry.register("one", fake("b"))), ErrorKind::AlreadyExists);
    assert_eq!(registry.get("one").unwrap().label(), "a");
    assert_eq!(kind_of(registry.get("two")), ErrorKind::NotFound);
    assert_eq!(kind_of(registry.replace("two", fake("b"))), ErrorKind::NotFound);
    // No silent default, not even where there is only one.
    assert_eq!(kind_of(registry.default_provider()), ErrorKind::NotFound);
    assert_eq!(kind(registry.set_default("two")), ErrorKind::NotFound);
    registry.set_default("one").unwrap();
    assert_eq!(registry.default_provider().unwrap().label(), "a");
    registry.remove("one").unwrap();
    assert_eq!(kind_of(registry.default_provider()), ErrorKind::NotFound);
    assert_eq!(registry.default_name(), None);
}

#[tokio::test]
async fn routes_by_what_a_header_names_two_of_one_scheme_included() {
    let registry = registry();
    for id in ["a", "b", "c"] {
        registry.register(id, fake(id)).unwrap();
    }
    let sealed =
        Sealer::new(registry.get("b").unwrap()).unwrap().seal(b"x", &context()).await.unwrap();
    let opened = Opener::new(registry.providers()).open(&sealed, &context()).await.unwrap();
    assert_eq!(&*opened, b"x");
    let route = registry.route(&KeyName::new("fake", "b").unwrap());
    assert_eq!(route.iter().map(|p| p.label()).collect::<Vec<_>>(), ["b"]);
    assert!(registry.route(&KeyName::new("other", "b").unwrap()).is_empty());
}

#[tokio::test]
async fn schemes_are_those_that_the_application_gave() {
    struct Local;
    #[async_trait]
    impl Connect for Local {
        async fn connect(&self, uri: &KeyUri, name: &str) -> Result<SharedProvider> {
            assert_eq!(uri.to_string(), "local:dev");
            Ok(fake(name))
        }
    }
    let registry = Registry::builder().scheme("local", Arc::new(Local)).build();
    let uri: KeyUri = "local:dev".parse().unwrap();
    assert_eq!(registry.connect("app", &uri).await.unwrap().label(), "app");
    assert_eq!(kind_of(registry.connect("app", &uri).await), ErrorKind::AlreadyExists);
    // Unless the scheme has them, there are no public-key wraps to accept.
    let accepting = registry.connect_accepting_public_key_wraps("b", &uri, Policy::default()).await;
    assert_eq!(kind_of(accepting), ErrorKind::Unsupported);
    let vault: KeyUri = "hashivault://app".parse().unwrap();
    let error = registry.connect("vault", &vault).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.message().contains("hashivault") && error.message().contains("local"));
}

/// Opens after so many failures; or, if it is local, after an hour.
struct Late {
    fails: Vec<ErrorKind>,
    asked: AtomicUsize,
    local: bool,
}

impl Late {
    fn after(fails: &[ErrorKind]) -> Arc<Self> {
        Arc::new(Self { fails: fails.to_vec(), asked: 0.into(), local: false })
    }
}

#[async_trait]
impl Connect for Late {
    async fn connect(&self, _: &KeyUri, name: &str) -> Result<SharedProvider> {
        let before = self.asked.fetch_add(1, SeqCst);
        if self.local {
            tokio::time::sleep(Duration::from_secs(3600)).await;
        }
        match self.fails.get(before) {
            Some(ErrorKind::Timeout) => std::future::pending().await,
            Some(kind) => Err(Error::new(*kind, "as the test asked")),
            None => Ok(fake(name)),
        }
    }

    fn connects_locally(&self) -> bool {
        self.local
    }
}

async fn open_late(late: &Arc<Late>) -> Result<(Registry, SharedProvider)> {
    let policy = Policy::builder().breaker_threshold(1).jitter_seed(1).build()?;
    let scheme = Arc::<Late>::clone(late);
    let registry = Registry::builder().scheme("local", scheme).policy(policy).build();
    let opened = registry.connect("app", &"local:dev".parse()?).await;
    assert_eq!(opened.is_ok(), registry.get("app").is_ok());
    opened.map(|opened| (registry, opened))
}

#[tokio::test(start_paused = true)]
async fn what_is_opened_stands_behind_the_policy_and_opening_does_too() {
    let late = Late::after(&[ErrorKind::Unavailable, ErrorKind::Timeout, ErrorKind::Throttled]);
    let (registry, opened) = open_late(&late).await.unwrap();
    assert_eq!((opened.label(), late.asked.load(SeqCst)), ("app", 4));
    let shown = format!("{:?}", registry.get("app").unwrap());
    assert!(shown.starts_with("Resilient") && shown.contains("breaker_threshold: 1"), "{shown}");

    let late = Late::after(&[ErrorKind::Timeout; 9]);
    let start = tokio::time::Instant::now();
    let error = open_late(&late).await.unwrap_err();
    assert_eq!((error.kind(), error.provider()), (ErrorKind::Timeout, Some("app")));
    assert!(start.elapsed() < Duration::from_secs(16));

    // Somebody's decision, or a mistake, is not tried again.
    for refusal in [ErrorKind::Denied, ErrorKind::NotFound, ErrorKind::InvalidInput] {
        let late = Late::after(&[refusal]);
        assert_eq!((kind(open_late(&late).await), late.asked.load(SeqCst)), (refusal, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn opening_on_this_machine_may_take_its_time() {
    let local = |fails: &[ErrorKind]| {
        Arc::new(Late { fails: fails.to_vec(), asked: 0.into(), local: true })
    };
    assert!(open_late(&local(&[])).await.is_ok());
    let late = local(&[ErrorKind::Unavailable]);
    assert_eq!(kind(open_late(&late).await), ErrorKind::Unavailable);
    assert_eq!(late.asked.load(SeqCst), 1, "once");
}

#[test]
fn replaced_under_load_without_a_race() {
    let registry = Arc::new(registry());
    registry.register("app", fake("a")).unwrap();
    let done = Arc::new(AtomicBool::new(false));
    let readers: Vec<_> = (0..8)
        .map(|_| {
            let (registry, done) = (Arc::clone(&registry), Arc::clone(&done));
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
                while !done.load(SeqCst) {
                    let vault = registry.get("app").unwrap();
                    let seal = async {
                        let sealed = Sealer::new(&*vault)?.seal(b"x", &Context::new()).await?;
                        Opener::new([&*vault]).open(&sealed, &Context::new()).await
                    };
                    assert_eq!(&*runtime.block_on(seal).unwrap(), b"x");
                }
            })
        })
        .collect();
    let writers: Vec<_> = (0..4)
        .map(|n| {
            let registry = Arc::clone(&registry);
            std::thread::spawn(move || {
                for i in 0..50 {
                    registry.replace("app", fake(["a", "b"][i % 2])).unwrap();
                    registry.register(&format!("{n}-{i}"), fake("c")).unwrap();
                }
            })
        })
        .collect();
    writers.into_iter().for_each(|thread| thread.join().unwrap());
    done.store(true, SeqCst);
    readers.into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!(registry.names().len(), 201, "no change got lost");
}

#[tokio::test]
async fn health_is_everybodys_and_closing_goes_on_past_errors() {
    let registry = registry();
    let sick = Arc::new(Fake::new("b"));
    sick.fail(ErrorKind::Unavailable);
    registry.register("a", fake("a")).unwrap();
    registry.register("b", Arc::<Fake>::clone(&sick)).unwrap();
    registry.register("d", Arc::new(Disabled)).unwrap();
    let health = registry.health().await;
    let kinds: Vec<_> =
        health.iter().map(|(n, h)| (&**n, h.as_ref().err().map(Error::kind))).collect();
    assert_eq!(
        kinds,
        [("a", None), ("b", Some(ErrorKind::Unavailable)), ("d", Some(ErrorKind::Disabled))]
    );
    let errors = registry.close_all().await;
    assert_eq!(errors.len(), 1);
    assert_eq!((&*errors[0].0, errors[0].1.kind()), ("b", ErrorKind::Unavailable));
    assert_eq!(sick.closed.load(SeqCst), 1);
    assert!(registry.names().is_empty());
    assert!(registry.close_all().await.is_empty());
}
