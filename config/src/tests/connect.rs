use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
};

use async_trait::async_trait;
use bulla::{
    Context, Error, ErrorKind, KeyUri, Registry, Result, SharedProvider,
    format::Preamble,
    registry::{Connect, RegistryBuilder},
};
use bulla_conformance::Memory;
use tokio::sync::Barrier;

use crate::Config;

/// A kind of keys in memory, which may be down.
struct Scheme {
    down: AtomicBool,
    kind: ErrorKind,
    asked: AtomicUsize,
    /// How many callers it waits for before it answers any.
    together: Barrier,
}

impl Scheme {
    fn new(kind: ErrorKind, together: usize) -> Arc<Self> {
        let together = Barrier::new(together);
        Arc::new(Self { down: AtomicBool::new(false), kind, asked: AtomicUsize::new(0), together })
    }
}

#[async_trait]
impl Connect for Scheme {
    async fn connect(&self, uri: &KeyUri, _: &str) -> Result<SharedProvider> {
        self.asked.fetch_add(1, SeqCst);
        self.together.wait().await;
        if self.down.load(SeqCst) {
            return Err(Error::new(self.kind, "down"));
        }
        Ok(Arc::new(Memory::new(&uri.to_string())))
    }

    /// Nothing is tried again, so that tests can count.
    fn connects_locally(&self) -> bool {
        true
    }
}

const CONFIG: &str = r#"
default = "here"

[keys.here]
uri = "local:app"
policy = "patient"

[keys.cloud]
uri = "awskms:///alias/app?region=eu-west-1"

[groups.both]
recipients = ["here", "cloud"]

[groups.either]
recipients = ["cloud", "here"]
write = { at-least = 1 }
header-len = 3072

[policies.patient]
deadline = "77s"
"#;

struct World {
    config: Config,
    local: Arc<Scheme>,
    cloud: Arc<Scheme>,
}

impl World {
    fn new() -> Self {
        Self {
            config: Config::from_text("bulla.toml", CONFIG).unwrap(),
            local: Scheme::new(ErrorKind::Disabled, 1),
            cloud: Scheme::new(ErrorKind::Unavailable, 1),
        }
    }

    fn schemes(&self) -> RegistryBuilder {
        let (local, cloud) = (Arc::clone(&self.local), Arc::clone(&self.cloud));
        Registry::builder().scheme("local", local).scheme("awskms", cloud)
    }
}

#[tokio::test]
async fn every_key_stands_under_its_name_behind_its_policy() {
    let world = World::new();
    let registry = world.config.connect_all(world.schemes()).await.unwrap();
    assert_eq!(*registry.names(), [Arc::from("cloud"), Arc::from("here")]);
    assert_eq!(registry.default_name().as_deref(), Some("here"));
    for (name, deadline) in [("here", "deadline: 77s"), ("cloud", "deadline: 15s")] {
        let shown = format!("{:?}", registry.get(name).unwrap());
        assert!(shown.starts_with("Resilient") && shown.contains(deadline), "{shown}");
    }
}

#[tokio::test]
async fn names_seal_and_all_keys_open() {
    let world = World::new();
    let config = &world.config;
    let registry = config.connect_all(world.schemes()).await.unwrap();
    let context = Context::new().with_key("tenant", "acme").unwrap();
    let opener = config.opener(&registry);
    for (name, keys) in [("here", 1), ("cloud", 1), ("both", 2), ("either", 2)] {
        let sealer = config.sealer(&registry, name).unwrap().build().unwrap();
        let sealed = sealer.seal(b"v", &context).await.unwrap();
        assert_eq!(recipients(&sealed), keys, "{name}");
        assert_eq!(&*opener.open(&sealed, &context).await.unwrap(), b"v");
    }
    let sealer = config.default_sealer(&registry).unwrap().build().unwrap();
    assert!(sealer.seal(b"v", &context).await.is_ok());
    let unknown = config.sealer(&registry, "hree").unwrap_err();
    assert_eq!(unknown.kind(), ErrorKind::InvalidInput);
    let said =
        "bulla.toml has no key or group `hree`; the names there are cloud, here, both, either";
    assert_eq!(unknown.message(), said);
}

/// All keys wait for each other, which they can do at once alone.
#[tokio::test]
async fn keys_are_connected_to_at_the_same_time() {
    let keys: String = (0..8).map(|n| format!("[keys.k{n}]\nuri = \"local:k{n}\"\n")).collect();
    let config = Config::from_text("bulla.toml", &keys).unwrap();
    let schemes = Registry::builder().scheme("local", Scheme::new(ErrorKind::Disabled, 8));
    assert_eq!(config.connect_all(schemes).await.unwrap().names().len(), 8);
}

#[tokio::test]
async fn a_service_starts_while_one_cloud_is_down() {
    let world = World::new();
    let config = &world.config;
    world.cloud.down.store(true, SeqCst);
    let connected = config.connect(world.schemes()).await;
    let [(name, error)] = &*connected.failed else { panic!("{:?}", connected.failed) };
    assert_eq!((&**name, error.kind()), ("cloud", ErrorKind::Unavailable));
    assert_eq!(error.provider(), Some("cloud"));

    // What needs all keys does not go on without one; what doesn't, does.
    let registry = connected.registry;
    let context = Context::new();
    let error = config.sealer(&registry, "both").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.message().contains("\"cloud\""), "{error}");
    assert!(config.sealer(&registry, "cloud").is_err());
    let either = config.sealer(&registry, "either").unwrap().build().unwrap();
    let sealed = either.seal(b"v", &context).await.unwrap();
    assert_eq!(recipients(&sealed), 1);

    // It comes back. What is there already is not asked again.
    assert_eq!(config.connect_missing(&registry).await.len(), 1);
    world.cloud.down.store(false, SeqCst);
    assert!(config.connect_missing(&registry).await.is_empty());
    assert!(config.connect_missing(&registry).await.is_empty());
    assert_eq!((world.local.asked.load(SeqCst), world.cloud.asked.load(SeqCst)), (1, 3));
    assert!(config.sealer(&registry, "both").is_ok());
}

#[tokio::test]
async fn the_default_may_come_later() {
    let world = World::new();
    world.local.down.store(true, SeqCst);
    let connected = world.config.connect(world.schemes()).await;
    assert_eq!(connected.registry.default_name(), None);
    assert_eq!(kind(world.config.default_sealer(&connected.registry)), ErrorKind::NotFound);
    world.local.down.store(false, SeqCst);
    assert!(world.config.connect_missing(&connected.registry).await.is_empty());
    assert_eq!(connected.registry.default_name().as_deref(), Some("here"));
}

#[tokio::test]
async fn all_or_none() {
    let world = World::new();
    let config = &world.config;
    world.cloud.down.store(true, SeqCst);
    let error = config.connect_all(world.schemes()).await.unwrap_err();
    assert_eq!(error.to_string(), "cloud: provider unavailable: down");
    // What waiting does not mend is what is told first.
    world.local.down.store(true, SeqCst);
    let error = config.connect_all(world.schemes()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Disabled);
    let told = error.to_string();
    assert!(told.find("here: ") < told.find("cloud: ") && told.contains("cloud: "), "{told}");
}

#[tokio::test]
async fn a_scheme_that_is_not_there_is_told() {
    let world = World::new();
    let schemes = Registry::builder().scheme("local", Arc::clone(&world.local) as Arc<dyn Connect>);
    let connected = world.config.connect(schemes).await;
    let [(name, error)] = &*connected.failed else { panic!("{:?}", connected.failed) };
    assert_eq!((&**name, error.kind()), ("cloud", ErrorKind::Unsupported));
}

#[tokio::test]
async fn without_a_default_nothing_is_guessed() {
    let config = Config::from_text("bulla.toml", "[keys.app]\nuri = \"local:app\"").unwrap();
    let schemes = Registry::builder().scheme("local", Scheme::new(ErrorKind::Disabled, 1));
    let registry = config.connect_all(schemes).await.unwrap();
    let error = config.default_sealer(&registry).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    let said = "bulla.toml has no `default`: set it; the names there are app";
    assert_eq!(error.message(), said);
}

fn kind<T: std::fmt::Debug>(result: Result<T>) -> ErrorKind {
    result.unwrap_err().kind()
}

fn recipients(sealed: &[u8]) -> usize {
    Preamble::split(sealed).unwrap().0.header().recipients().len()
}
