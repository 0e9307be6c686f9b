//! Rotations of stores in memory.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use bulla::{CryptoProvider as _, ErrorKind, KeyName, Opener, Sealer};
use bulla_local::{KeyType, Local, Protection, Store};
use bulla_object_store::maintain::{
    AnyHead, Failure, Outcome, Reason, Report, Rotation, RotationBuilder, RunError, State,
};
use object_store::{
    Attribute, Attributes, ObjectStore, ObjectStoreExt as _, PutOptions, path::Path,
};

use crate::{
    keys::{Key, Provider},
    world::{World, context, open, provider, run, seal},
};

/// What became of each object, by a word.
async fn outcomes(rotation: RotationBuilder<Provider>) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    let rotation = rotation.build().unwrap();
    let ran = rotation.run(std::future::pending(), |path, outcome| {
        let word = match outcome {
            Outcome::Failed(Failure::Keys(error)) => format!("keys: {}", error.kind().as_str()),
            Outcome::Failed(failure) => format!("{failure:?}"),
            other => format!("{other:?}"),
        };
        assert!(all.insert(path.to_string(), word).is_none());
    });
    ran.await.unwrap();
    all
}

#[tokio::test]
async fn recipients_change_and_bodies_do_not() {
    let world = World::new();
    world.put("small", &world.old, b"text").await;
    let large = vec![9; 300_000];
    world.put("large", &world.old, &large).await;
    let before = world.read("large").await;
    world.store.forget();
    let report = world.run().await;
    assert!(report.is_complete());
    assert_eq!((report.objects, report.rewrapped, report.failed), (2, 2, 0));
    assert_eq!(report.through, before.len() as u64 + 1080 + 20);

    let after = world.read("large").await;
    assert_eq!(after.len(), before.len());
    assert_eq!(after[1024..], before[1024..]);
    assert_ne!(after[..1024], before[..1024]);
    assert_eq!(open(&world.new, &after).await.unwrap(), large);
    let error = open(&world.old, &after).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoRecipient);
    assert_eq!(open(&world.new, &world.read("small").await).await.unwrap(), b"text");

    // A second run writes nothing and asks no key.
    world.store.forget();
    let calls = world.old.calls() + world.new.calls();
    let report = world.run().await;
    assert_eq!((report.current, report.rewrapped), (2, 0));
    assert_eq!(world.store.put_count(), 0);
    assert_eq!(world.old.calls() + world.new.calls(), calls);
}

#[tokio::test]
async fn objects_that_are_none_of_its_business_are_left_alone() {
    let world = World::new();
    let third = Key::new("third");
    world.put("due", &world.old, b"text").await;
    world.put("done", &world.new, b"text").await;
    world.put("other", &third, b"text").await;
    world.put_bytes("plain", "hello").await;
    let sealed = seal(&[&world.old], &[1; 5000]).await;
    world.put_bytes("short", sealed.slice(..300)).await;
    world.put_bytes("cut", sealed.slice(..1085)).await;
    // The old key, and one that nobody here has: it can't be told whether it would open.
    let stranger = Key::new("old");
    world.put("stranger", &stranger, b"text").await;
    world.store.forget();
    let outcomes = outcomes(world.rotation()).await;
    let starts = |name: &str, word: &str| {
        assert!(outcomes[name].starts_with(word), "{name}: {}", outcomes[name]);
    };
    starts("due", "Rewrapped");
    starts("done", "Current");
    starts("other", "Other");
    starts("plain", "NotSealed(Plain)");
    starts("short", "State(Short");
    starts("cut", "State(Damaged");
    starts("stranger", "keys: not_authentic");
    assert_eq!(world.store.put_count(), 1);
}

#[tokio::test]
async fn a_dry_run_writes_nothing_and_asks_no_key() {
    let world = World::new();
    world.put("due", &world.old, b"text").await;
    world.put("done", &world.new, b"text").await;
    world.store.forget();
    let calls = world.old.calls() + world.new.calls();
    let report = run(world.rotation().dry_run()).await;
    assert_eq!((report.due, report.current, report.rewrapped), (1, 1, 0));
    assert_eq!(world.store.put_count(), 0);
    assert_eq!(world.old.calls() + world.new.calls(), calls);
}

#[tokio::test]
async fn keys_are_added_or_removed_alone_too() {
    let world = World::new();
    world.put("a", &world.old, b"text").await;
    let store: Arc<dyn ObjectStore> = Arc::clone(&world.store) as _;
    let add = Rotation::builder(Arc::clone(&store), world.opener()).to(provider(&world.new));
    assert_eq!(run(add).await.rewrapped, 1);
    let sealed = world.read("a").await;
    assert!(open(&world.old, &sealed).await.is_ok() && open(&world.new, &sealed).await.is_ok());

    // By its name alone, of a key that is gone.
    let opener = Opener::new([provider(&world.new)]);
    let remove = Rotation::builder(Arc::clone(&store), opener).from_shown("memory:old");
    assert_eq!(run(remove).await.rewrapped, 1);
    assert!(open(&world.old, &world.read("a").await).await.is_err());

    // The last recipient stays.
    let remove = Rotation::builder(store, world.opener()).from_provider(provider(&world.new));
    let outcomes = outcomes(remove).await;
    assert_eq!(outcomes["a"], "keys: invalid_input");
    assert!(open(&world.new, &world.read("a").await).await.is_ok());
}

/// A key that is rotated keeps its name: its versions tell what is due.
#[tokio::test]
async fn a_key_is_renewed_under_its_current_version() {
    let dir = tempfile::tempdir().unwrap();
    let keys = Store::at(dir.path().join("keys"));
    keys.create_key("work", KeyType::Aes256, &Protection::None).unwrap();
    keys.create_key("other", KeyType::Aes256, &Protection::None).unwrap();
    let local = |name: &str| -> Provider {
        Arc::new(Local::builder(keys.clone()).sealing_key(name).build().unwrap())
    };
    let world = World::new();
    for name in ["work", "other"] {
        let sealer = Sealer::new(local(name)).unwrap();
        world.put_bytes(name, sealer.seal(b"text", &context()).await.unwrap()).await;
    }
    keys.rotate("work", &Protection::None).unwrap();
    let rotation = || {
        let work = local("work");
        let store: Arc<dyn ObjectStore> = Arc::clone(&world.store) as _;
        let opener = Opener::new([Arc::clone(&work)]);
        Rotation::builder(store, opener).from_provider(Arc::clone(&work)).to(work)
    };
    let report = run(rotation()).await;
    assert_eq!((report.rewrapped, report.other), (1, 1));
    let (preamble, _) = {
        let sealed = world.read("work").await;
        let (preamble, chunks) = bulla::format::Preamble::split(&sealed).unwrap();
        (preamble, chunks.len())
    };
    let versions: Vec<_> =
        preamble.header().recipients().iter().map(|r| r.version.clone()).collect();
    assert_eq!(versions[0].as_ref().unwrap().as_str(), "2");
    assert_eq!(versions.len(), 1);
    let report = run(rotation()).await;
    assert_eq!((report.current, report.rewrapped, report.other), (1, 0, 1));
}

#[tokio::test]
async fn a_header_of_another_length_is_refused_unless_it_is_allowed() {
    let world = World::new();
    let long = Key::new(&"x".repeat(900));
    world.put("a", &world.old, b"text").await;
    // A value's header has no room, and the new key's name is as long as the old one's: it fits.
    let value = Sealer::new(provider(&world.old)).unwrap().seal(b"text", &context()).await.unwrap();
    world.put_bytes("value", value).await;
    let rotation = || {
        let store: Arc<dyn ObjectStore> = Arc::clone(&world.store) as _;
        let opener = Opener::new([provider(&world.old), provider(&long)]);
        Rotation::builder(store, opener).to(provider(&long))
    };
    let before = world.read("a").await;
    let refused = outcomes(rotation()).await;
    assert_eq!(refused["a"], "Resized { from: 1080, to: 2104 }");
    assert!(refused["value"].starts_with("Resized"));
    assert_eq!(world.read("a").await, before);

    let report = run(rotation().allow_resize()).await;
    assert_eq!(report.rewrapped, 2);
    let after = world.read("a").await;
    assert_eq!(after.len(), before.len() + 1024);
    assert_eq!(open(&long, &after).await.unwrap(), b"text");
    assert_eq!(run(world.rotation()).await.failed, 0);
}

#[tokio::test]
async fn attributes_are_kept() {
    let world = World::new();
    let attributes = Attributes::from_iter([
        (Attribute::ContentType, "image/png"),
        (Attribute::Metadata("owner".into()), "ada"),
    ]);
    let options = PutOptions { attributes: attributes.clone(), ..PutOptions::default() };
    let sealed = seal(&[&world.old], b"text").await;
    world.store.put_opts(&"a".into(), sealed.into(), options).await.unwrap();
    assert_eq!(world.run().await.rewrapped, 1);
    assert_eq!(world.store.get(&"a".into()).await.unwrap().attributes, attributes);
}

/// Between the look at an object and its replacement, somebody else writes it.
#[tokio::test]
async fn who_writes_meanwhile_is_not_overwritten() {
    let world = World::new();
    world.put("once", &world.old, b"first").await;
    world.put("always", &world.old, b"first").await;
    let (once, always) =
        (seal(&[&world.old], b"second").await, seal(&[&world.new], b"theirs").await);
    world.store.forget();
    // The writer goes around the counter.
    let (inner, turns) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let raw = world.store.raw();
    let (raw_again, turns_again) = (Arc::clone(&raw), Arc::clone(&turns));
    world.store.before_put(move |path| {
        let payload = match path.as_ref() {
            "once" if inner.fetch_add(1, SeqCst) == 0 => once.clone(),
            "always" => {
                turns_again.fetch_add(1, SeqCst);
                always.clone()
            }
            _ => return None,
        };
        let put = raw_again.put(path, payload.into());
        futures_util::FutureExt::now_or_never(put).unwrap().unwrap();
        None
    });
    let outcomes = outcomes(world.rotation()).await;
    assert!(outcomes["once"].starts_with("Rewrapped"));
    // What they wrote was as it shall be already.
    assert_eq!(outcomes["always"], "Current");
    assert_eq!(turns.load(SeqCst), 1);
    assert_eq!(open(&world.new, &world.read("once").await).await.unwrap(), b"second");
    assert_eq!(open(&world.new, &world.read("always").await).await.unwrap(), b"theirs");
    drop(raw);
}

#[tokio::test]
async fn an_outage_of_the_keys_ends_the_run_and_the_next_goes_on() {
    let world = World::new();
    for n in 0..200 {
        world.put(&format!("{n}"), &world.old, b"text").await;
    }
    world.store.forget();
    world.new.break_after(60);
    let rotation = world.rotation().concurrency(4).build().unwrap();
    let ended = rotation.run(std::future::pending(), |_, _| {}).await.unwrap_err();
    let RunError { report, reason: Reason::Outage(Failure::Keys(error)) } = ended else {
        panic!("{ended:?}")
    };
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!((1..200).contains(&report.rewrapped), "{report:?}");
    assert!((12..30).contains(&report.failed), "{report:?}");
    assert_eq!(world.store.put_count() as u64, report.rewrapped);

    world.new.set_down(false);
    let rest = world.run().await;
    assert!(rest.is_complete());
    assert_eq!(rest.rewrapped + report.rewrapped, 200);
    assert_eq!(world.store.most_puts(), 1);
}

#[tokio::test]
async fn an_outage_of_the_store_ends_the_run() {
    let world = World::new();
    for n in 0..100 {
        world.put(&format!("{n}"), &world.old, b"text").await;
    }
    world.store.forget();
    world.store.before_put(|_| {
        let source = "out".into();
        Some(object_store::Error::Generic { store: "test", source })
    });
    let rotation = world.rotation().concurrency(1).build().unwrap();
    let ended = rotation.run(std::future::pending(), |_, _| {}).await.unwrap_err();
    assert!(matches!(ended.reason, Reason::Outage(Failure::Store(_))));
    assert_eq!(ended.report.failed, 12);
}

#[tokio::test]
async fn stopped_it_ends_what_it_has_begun_and_no_more() {
    let world = World::new();
    for n in 0..100 {
        world.put(&format!("{n}"), &world.old, b"text").await;
    }
    world.store.forget();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let (mut stop, mut seen) = (Some(stop), 0);
    let rotation = world.rotation().concurrency(4).build().unwrap();
    let stopped = async { drop(stopped.await) };
    let report = rotation.run(stopped, |_, outcome| {
        assert!(matches!(outcome, Outcome::Rewrapped { .. }));
        seen += 1;
        if seen == 10 {
            drop(stop.take());
        }
    });
    let report = report.await.unwrap();
    assert!(report.stopped && !report.is_complete());
    assert!((10..=14).contains(&report.rewrapped), "{report:?}");
    assert_eq!(world.store.put_count() as u64, report.rewrapped);
}

#[tokio::test]
async fn a_checkpoint_saves_reading_what_has_not_changed() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("checkpoint");
    let world = World::new();
    for n in 0..20 {
        world.put(&format!("{n}"), &world.old, b"text").await;
    }
    let other = Key::new("other");
    world.put("other", &other, b"text").await;
    world.put_bytes("plain", "hello").await;
    let with = || world.rotation().checkpoint(&file);
    let report = run(with()).await;
    assert_eq!((report.rewrapped, report.other, report.not_sealed), (20, 1, 1));
    world.store.forget();
    let report = run(with()).await;
    assert_eq!((report.known, report.objects), (22, 22));
    assert_eq!(world.store.get_count(), 0);

    // What somebody has written since is looked at.
    world.put("7", &world.old, b"again").await;
    world.store.forget();
    let report = run(with()).await;
    assert_eq!((report.known, report.rewrapped), (21, 1));
    assert_eq!(world.store.get_count(), 1);

    // It is for these keys and no others.
    let store: Arc<dyn ObjectStore> = Arc::clone(&world.store) as _;
    let another = Rotation::builder(store, world.opener()).to(provider(&world.old));
    let rotation = another.checkpoint(&file).build().unwrap();
    let ended = rotation.run(std::future::pending(), |_, _| {}).await.unwrap_err();
    assert!(matches!(ended.reason, Reason::OtherPlan(_)));
    assert_eq!(ended.report, Report::default());

    let nowhere = dir.path().join("missing/checkpoint");
    let rotation = world.rotation().checkpoint(nowhere).build().unwrap();
    let ended = rotation.run(std::future::pending(), |_, _| {}).await.unwrap_err();
    assert!(matches!(ended.reason, Reason::Checkpoint { .. }));
}

#[tokio::test(start_paused = true)]
async fn rates_are_kept() {
    let world = World::new();
    for n in 0..10 {
        world.put(&format!("{n}"), &world.old, &[0; 1000 - 16]).await;
    }
    let started = tokio::time::Instant::now();
    run(world.rotation().objects_per_second(5.0)).await;
    assert_eq!(started.elapsed().as_millis(), 1800);
    for n in 0..10 {
        world.put(&format!("{n}"), &world.old, &[0; 1000 - 16]).await;
    }
    let started = tokio::time::Instant::now();
    run(world.rotation().bytes_per_second(2080.0)).await;
    assert_eq!(started.elapsed().as_millis(), 9000);
}

/// What waits for its turn is not begun any more.
#[tokio::test(start_paused = true)]
async fn a_slow_run_stops_at_once() {
    let world = World::new();
    for n in 0..20 {
        world.put(&format!("{n}"), &world.old, b"text").await;
    }
    for rotation in
        [world.rotation().objects_per_second(0.1), world.rotation().bytes_per_second(100.0)]
    {
        let started = tokio::time::Instant::now();
        let rotation = rotation.build().unwrap();
        let stop = tokio::time::sleep(Duration::from_millis(500));
        let report = rotation.run(stop, |_, _| {}).await.unwrap();
        assert!(report.stopped && report.rewrapped == 1, "{report:?}");
        assert_eq!(started.elapsed().as_millis(), 500);
    }
}

#[tokio::test]
async fn what_can_not_work_is_refused_when_it_is_built() {
    let world = World::new();
    let store: Arc<dyn ObjectStore> = Arc::clone(&world.store) as _;
    let nothing = || Rotation::builder(Arc::clone(&store), world.opener());
    assert!(nothing().build().is_err());
    for rate in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(world.rotation().objects_per_second(rate).build().is_err());
        assert!(world.rotation().bytes_per_second(rate).build().is_err());
    }
    assert!(world.rotation().concurrency(0).build().is_err());
}

/// A data key that serves other objects is not given to a new key unasked.
#[tokio::test]
async fn a_shared_data_key_is_not_handed_on_unasked() {
    let world = World::new();
    let sealer = Sealer::builder()
        .recipient(provider(&world.old))
        .cache(bulla::envelope::CachePolicy::builder().build().unwrap());
    let sealer = sealer.build().unwrap();
    for n in 0..2 {
        let sealed = sealer.seal(b"text", &context()).await.unwrap();
        world.put_bytes(&format!("{n}"), sealed).await;
    }
    let refused = outcomes(world.rotation()).await;
    assert_eq!(refused["0"], "keys: invalid_input");
    assert_eq!(run(world.rotation().accept_whole_cohort()).await.rewrapped, 2);
}

/// More than is written in one piece. Only without a condition can it be replaced.
#[tokio::test]
async fn what_is_too_large_needs_consent() {
    let world = World::new();
    let large = vec![3; 70 << 20];
    world.put("large", &world.old, &large).await;
    let refused = outcomes(world.rotation()).await;
    assert!(refused["large"].starts_with("TooLarge"), "{refused:?}");
    let any = || {
        let store: Arc<dyn ObjectStore> = Arc::clone(&world.store) as _;
        world.rotation().exchange(Arc::new(AnyHead::new(store).unconditional()))
    };
    let started = Instant::now();
    assert_eq!(run(any()).await.rewrapped, 1);
    assert!(started.elapsed() < Duration::from_secs(60));
    assert_eq!(*world.store.uploads.lock().unwrap(), 1);
    assert_eq!(open(&world.new, &world.read("large").await).await.unwrap(), large);
}

#[tokio::test]
async fn an_object_that_is_gone_is_no_failure() {
    let world = World::new();
    world.put("a", &world.old, b"text").await;
    world.put("b", &world.old, b"text").await;
    let raw = world.store.raw();
    world.store.before_put(move |path| {
        if path.as_ref() == "a" {
            let delete = raw.delete(path);
            futures_util::FutureExt::now_or_never(delete).unwrap().unwrap();
        }
        None
    });
    let outcomes = outcomes(world.rotation()).await;
    assert_eq!(outcomes["a"], format!("NotSealed({:?})", State::Gone));
    assert!(outcomes["b"].starts_with("Rewrapped"));
    assert!(world.store.head(&Path::from("a")).await.is_err());
}

#[test]
fn providers_name_themselves() {
    let key = Key::new("old");
    assert_eq!(key.name(), KeyName::new("memory", "old").unwrap());
    assert!(key.sealing_key().is_some());
}
