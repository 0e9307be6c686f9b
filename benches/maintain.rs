//! Audits and rotations in objects a second, in memory and in local files.
//!
//! `cargo bench -p bulla-benches --bench maintain`
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a benchmark"
)]

use std::{
    io::Read as _,
    sync::Arc,
    time::{Duration, Instant},
};

use bulla::{Context, CryptoProvider, Opener, Sealer, stream::EncryptReader};
use bulla_conformance::Memory;
use bulla_object_store::maintain::{Audit, Exchange, Rotation};
use futures_util::TryStreamExt as _;
use object_store::{
    ObjectStore, ObjectStoreExt as _, local::LocalFileSystem, memory::InMemory, path::Path,
};

const OBJECTS: usize = 10_000;
const ROUNDS: usize = 3;

type Provider = Arc<dyn CryptoProvider>;

struct World {
    name: &'static str,
    store: Arc<dyn ObjectStore>,
    exchange: Option<Arc<dyn Exchange>>,
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let files = Arc::new(LocalFileSystem::new_with_prefix(dir.path()).unwrap());
    let worlds = [
        World { name: "in memory", store: Arc::new(InMemory::new()), exchange: None },
        World {
            name: "local files",
            store: Arc::clone(&files) as _,
            #[cfg(target_os = "linux")]
            exchange: Some(Arc::new(bulla_object_store::maintain::LocalHead::new(files))),
            #[cfg(not(target_os = "linux"))]
            exchange: Some(Arc::new(
                bulla_object_store::maintain::AnyHead::new(files).unconditional(),
            )),
        },
    ];
    println!("objects a second, of {OBJECTS} objects of 1 KiB, medians of {ROUNDS}");
    println!("{:12} {:>10} {:>10} {:>10}", "store", "audit", "rewrap", "look again");
    for world in worlds {
        let rates = runtime.block_on(measure(&world));
        let [audit, rewrap, again] = rates.map(|rate| format!("{rate:.0}"));
        println!("{:12} {audit:>10} {rewrap:>10} {again:>10}", world.name);
    }
}

/// Rates of an audit, of a rotation, and of one that finds nothing to do.
async fn measure(world: &World) -> [f64; 3] {
    let (one, other): (Provider, Provider) =
        (Arc::new(Memory::new("one")), Arc::new(Memory::new("other")));
    let sealer = Sealer::new(Arc::clone(&one)).unwrap();
    for n in 0..OBJECTS {
        let sealing = sealer.begin(&Context::new()).await.unwrap();
        let mut sealed = Vec::new();
        EncryptReader::new(sealing, &[7; 1024][..]).read_to_end(&mut sealed).unwrap();
        world.store.put(&Path::from(format!("dir/{n}")), sealed.into()).await.unwrap();
    }
    let mut times = [const { Vec::new() }; 3];
    let mut keys = (one, other);
    for _ in 0..ROUNDS {
        let started = Instant::now();
        let audit = Audit::builder(Arc::clone(&world.store)).build().unwrap();
        let rows: Vec<_> = audit.rows().try_collect().await.unwrap();
        assert_eq!(rows.len(), OBJECTS);
        times[0].push(started.elapsed());
        let (from, to) = &keys;
        let rotation = || {
            let opener = Opener::new([Arc::clone(from), Arc::clone(to)]);
            let builder = Rotation::builder(Arc::clone(&world.store), opener)
                .from_provider(Arc::clone(from))
                .to(Arc::clone(to));
            match &world.exchange {
                Some(exchange) => builder.exchange(Arc::clone(exchange)),
                None => builder,
            }
        };
        for (place, expected) in [(1, OBJECTS as u64), (2, 0)] {
            let started = Instant::now();
            let rotation = rotation().build().unwrap();
            let report = rotation.run(std::future::pending(), |_, _| {}).await.unwrap();
            assert_eq!((report.rewrapped, report.failed), (expected, 0));
            times[place].push(started.elapsed());
        }
        keys = (keys.1, keys.0);
    }
    times.map(|mut times: Vec<Duration>| {
        times.sort();
        OBJECTS as f64 / times[ROUNDS / 2].as_secs_f64()
    })
}
