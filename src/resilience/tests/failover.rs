//! One key, in two places.

use super::{super::Failover, *};
use crate::{
    Context, CryptoProvider, CryptoProviderExt, DataKeys, EncryptionContext, Sealer,
    format::DirectMessage, provider::Availability, testing::Fake,
};

struct World {
    east: Arc<Fake>,
    west: Arc<Fake>,
    both: Failover,
    context: EncryptionContext,
}

/// Fakes whose names begin alike have the same key.
fn pair() -> (Arc<Fake>, Arc<Fake>) {
    (
        Arc::new(Fake::new("k-east").replica("k-west")),
        Arc::new(Fake::new("k-west").replica("k-east")),
    )
}

impl World {
    fn new() -> Self {
        let (east, west) = pair();
        let members = [&east, &west].map(|fake| -> Arc<dyn CryptoProvider> {
            let policy = brittle().cool_down(secs(30)).build().unwrap();
            Arc::new(Resilient::new(Arc::clone(fake) as _, policy))
        });
        let both = Failover::new("both", members).unwrap();
        Self { east, west, both, context: EncryptionContext::new() }
    }

    async fn generate(&self) -> Result<(), ErrorKind> {
        let made = self.both.generate_data_key(&self.context).await;
        made.map(|(_, wrapped)| assert_eq!(wrapped.key, self.east.name)).map_err(|e| e.kind())
    }

    /// How often each was asked to generate.
    fn generated(&self) -> (usize, usize) {
        (self.east.calls().0, self.west.calls().0)
    }
}

fn mend(fake: &Fake) {
    *fake.fails.lock().unwrap() = None;
}

#[tokio::test(start_paused = true)]
async fn the_next_one_stands_in_for_one_that_is_down() {
    for kind in [ErrorKind::Unavailable, ErrorKind::Timeout, ErrorKind::Throttled] {
        let world = World::new();
        assert_eq!(world.generate().await, Ok(()));
        assert_eq!(world.generated(), (1, 0));
        world.east.fail(kind);
        for _ in 0..10 {
            assert_eq!(world.generate().await, Ok(()));
        }
        // Two failures opened the first one's breaker; from then on it costs nothing.
        assert_eq!(world.generated(), (3, 10));
        assert_eq!(world.both.availability(), Availability::Available);
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_one_is_taken_up_again() {
    let world = World::new();
    world.east.fail(ErrorKind::Unavailable);
    for _ in 0..3 {
        assert_eq!(world.generate().await, Ok(()));
    }
    assert_eq!(world.generated(), (2, 3));
    mend(&world.east);
    tokio::time::advance(secs(29)).await;
    assert_eq!(world.generate().await, Ok(()));
    assert_eq!(world.generated(), (2, 4));
    tokio::time::advance(secs(2)).await;
    for _ in 0..3 {
        assert_eq!(world.generate().await, Ok(()));
    }
    assert_eq!(world.generated(), (5, 4));
}

#[tokio::test(start_paused = true)]
async fn what_is_decided_is_not_got_round() {
    for kind in [
        ErrorKind::NotAuthentic,
        ErrorKind::Denied,
        ErrorKind::Disabled,
        ErrorKind::PendingDeletion,
        ErrorKind::NotFound,
        ErrorKind::QuotaExceeded,
        ErrorKind::InvalidInput,
        ErrorKind::Internal,
    ] {
        let world = World::new();
        world.east.fail(kind);
        assert_eq!(world.generate().await, Err(kind));
        assert_eq!(world.generated(), (1, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn when_all_are_down_the_first_reason_is_told() {
    let world = World::new();
    world.east.fail(ErrorKind::Timeout);
    world.west.fail(ErrorKind::Throttled);
    let error = world.both.generate_data_key(&world.context).await.unwrap_err();
    assert_eq!((error.kind(), error.provider()), (ErrorKind::Timeout, Some("both")));
    assert!(error.message().contains("all 2 members failed"), "{error}");
    assert_eq!(error.request_id(), Some("request to k-east"));
    for _ in 0..3 {
        world.generate().await.unwrap_err();
    }
    assert_eq!(world.both.availability(), Availability::Unavailable);
    tokio::time::advance(secs(10)).await;
    let error = world.both.generate_data_key(&world.context).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CircuitOpen);
    assert_eq!(error.retry_after(), Some(secs(20)));
    assert_eq!(world.generated(), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn whatever_one_seals_the_other_opens() {
    let world = World::new();
    let context = Context::new().with_key("tenant", "acme").unwrap();
    let sealed = world.both.seal(b"one", &context).await.unwrap();
    let direct = world.both.encrypt_direct(b"two", &context).await.unwrap();
    world.east.fail(ErrorKind::Unavailable);
    assert_eq!(&*world.both.open(&sealed, &context).await.unwrap(), b"one");
    assert_eq!(&*world.both.decrypt_direct(&direct, &context).await.unwrap(), b"two");
    let moved = world.both.reencrypt_direct(&direct, &context, &Context::new()).await.unwrap();
    assert_eq!(&*world.both.decrypt_direct(&moved, &Context::new()).await.unwrap(), b"two");
    let name = DirectMessage::parse(&moved).unwrap().wrapped().key.clone();
    assert_eq!(Some(&name), world.both.sealing_key(), "the first one's, whoever did it");
    let other = world.both.seal(b"three", &context).await.unwrap();
    assert_eq!(other.len(), sealed.len() + 2);
    // Also alone, and the other way about.
    assert_eq!(&*world.west.open(&other, &context).await.unwrap(), b"three");
    mend(&world.east);
    assert_eq!(&*world.east.open(&other, &context).await.unwrap(), b"three");
    let (key, wrapped) = world.west.generate_data_key(&world.context).await.unwrap();
    assert_eq!(wrapped.key, world.west.name);
    assert!(world.both.is_current(&wrapped));
    let unwrapped = world.both.unwrap_data_key(&wrapped, &world.context).await.unwrap();
    assert!(unwrapped.ct_eq(&key));
    let rewrapped = world.both.wrap_data_key(&key, &world.context).await.unwrap();
    assert_eq!(rewrapped.key, world.east.name);
    assert!(Sealer::new(&world.both).is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_key_on_nobodys_list_is_no_recipient() {
    let world = World::new();
    let (_, wrapped) = Fake::new("other").generate_data_key(&world.context).await.unwrap();
    assert!(world.both.opens(&wrapped.key).is_none());
    assert!(world.both.unwrap_data_key(&wrapped, &world.context).await.is_err());
    assert_eq!((world.east.calls().2, world.west.calls().2), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn the_whole_is_described_and_closed() {
    let world = World::new();
    assert_eq!(world.both.label(), "both");
    assert_eq!(world.both.sealing_key(), Some(&world.east.name));
    assert_eq!(world.both.describe_keys().await.len(), 2);
    world.east.fail(ErrorKind::Unavailable);
    world.both.health().await.unwrap();
    assert_eq!(world.both.close().await.unwrap_err().kind(), ErrorKind::Unavailable);
    let closed = |fake: &Fake| fake.closed.load(std::sync::atomic::Ordering::Relaxed);
    assert_eq!((closed(&world.east), closed(&world.west)), (1, 1));
    assert_eq!(world.generate().await, Err(ErrorKind::Closed));
}

#[test]
fn members_must_hold_the_same_keys() {
    let build = |members: Vec<Fake>| {
        let members = members.into_iter().map(|fake| Arc::new(fake) as Arc<dyn CryptoProvider>);
        Failover::new("both", members).map(drop).map_err(|error| error.kind())
    };
    let east = || Fake::new("k-east").replica("k-west");
    let west = || Fake::new("k-west").replica("k-east");
    assert_eq!(build(vec![east(), west()]), Ok(()));
    assert_eq!(build(vec![east()]), Ok(()));
    for wrong in [
        vec![],
        vec![east(), Fake::new("k-west")],
        vec![Fake::new("k-east"), west()],
        vec![east(), west().local_only()],
    ] {
        assert_eq!(build(wrong), Err(ErrorKind::InvalidInput));
    }
}
