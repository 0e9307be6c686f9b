//! Many objects, and runs that end in the middle.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use bulla_object_store::maintain::Report;
use object_store::{ObjectStoreExt as _, path::Path};

use crate::world::{World, context, open, run, seal};

/// 2,000, or 10,000 where there is time.
fn objects() -> usize {
    if std::env::var_os("BULLA_LONG_TESTS").is_some() { 10_000 } else { 2_000 }
}

async fn many(world: &World) {
    for n in 0..objects() {
        let sealed = seal(&[&world.old], format!("object {n}").as_bytes()).await;
        world.put_bytes(&format!("dir{}/{n}", n % 7), sealed).await;
    }
    world.store.forget();
}

async fn assert_all_are_new(world: &World) {
    for n in 0..objects() {
        let sealed = world.read(&format!("dir{}/{n}", n % 7)).await;
        let opened = open(&world.new, &sealed).await.unwrap();
        assert_eq!(opened, format!("object {n}").as_bytes());
        assert!(open(&world.old, &sealed).await.is_err());
    }
}

/// Five times it is dropped at a random moment, as a process that ends drops it.
#[tokio::test]
async fn interrupted_five_times_it_ends_complete_and_rewraps_nothing_twice() {
    let world = World::new();
    many(&world).await;
    let state = tempfile::tempdir().unwrap();
    let file = state.path().join("state");
    let mut random = fastrand::Rng::with_seed(11);
    let share = objects() / 6;
    for turn in 0..5 {
        let goal = world.store.put_count() + random.usize(share / 2..share);
        let rotation = world.rotation();
        // With and without a checkpoint: what counts is what the objects say.
        let rotation = if turn % 2 == 0 { rotation.checkpoint(&file) } else { rotation };
        let rotation = rotation.build().unwrap();
        let running = rotation.run(std::future::pending(), |_, _| {});
        tokio::select! {
            biased;
            () = async {
                while world.store.put_count() < goal {
                    tokio::task::yield_now().await;
                }
            } => {}
            ended = running => panic!("it ended too soon: {ended:?}"),
        }
    }
    let before = world.store.put_count();
    assert!(before < objects());
    let report = run(world.rotation().checkpoint(&file)).await;
    assert!(report.is_complete(), "{report:?}");
    assert_eq!(report.objects as usize, objects());
    // What was put when its run was dropped is counted by the store, if not by the run.
    assert_eq!(world.store.put_count(), objects());
    assert_eq!(world.store.most_puts(), 1);
    assert_all_are_new(&world).await;
}

/// Writers replace a share of the objects while it runs, with the old key or the new one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_of_a_share_of_the_objects_are_never_overwritten() {
    let world = Arc::new(World::new());
    many(&world).await;
    // Long enough that writers come between a look at an object and its replacement.
    world.store.before_put(|_| {
        std::thread::sleep(Duration::from_micros(fastrand::u64(..400)));
        None
    });
    let written: Arc<Mutex<HashMap<String, String>>> = Arc::default();
    let writer = {
        let (world, written) = (Arc::clone(&world), Arc::clone(&written));
        tokio::spawn(async move {
            let mut random = fastrand::Rng::with_seed(3);
            let raw = world.store.raw();
            for turn in 0..objects() {
                // Few objects, so that some are written again and again.
                let n = random.usize(..objects() / 10);
                let (name, value) = (format!("dir{}/{n}", n % 7), format!("turn {turn}"));
                // What it wrote before is there yet, whichever key it is sealed to by now.
                let path = Path::from(name.as_str());
                let before = written.lock().unwrap().get(&name).cloned();
                if let Some(before) = before {
                    let sealed = raw.get(&path).await.unwrap().bytes().await.unwrap();
                    let opened = world.opener().open(&sealed, &context()).await.unwrap();
                    assert_eq!(*opened, *before.as_bytes(), "{name}");
                }
                let key = if random.bool() { &world.old } else { &world.new };
                let sealed = seal(&[key], value.as_bytes()).await;
                raw.put(&path, sealed.into()).await.unwrap();
                written.lock().unwrap().insert(name, value);
            }
        })
    };
    let mut all = Vec::new();
    loop {
        let ended = writer.is_finished();
        let report = run(world.rotation()).await;
        all.push(report);
        if ended {
            break;
        }
    }
    writer.await.unwrap();
    let last: Report = *all.last().unwrap();
    assert!(last.is_complete(), "{all:?}");
    let written = written.lock().unwrap().clone();
    for n in 0..objects() {
        let name = format!("dir{}/{n}", n % 7);
        let opened = open(&world.new, &world.read(&name).await).await.unwrap();
        let expected = written.get(&name).cloned().unwrap_or(format!("object {n}"));
        assert_eq!(opened, expected.as_bytes(), "{name}");
    }
}
