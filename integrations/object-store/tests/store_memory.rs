//! How much memory uploads and reads hold, counted at the allocator: the same for any length.
//!
//! One test alone in its process: whatever else allocates would be counted too.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests"
)]

mod world;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};

use bulla_conformance::alloc_counter::{self, AllocCounter, in_use};
use bytes::Bytes;
use futures_util::TryStreamExt;
use object_store::{GetOptions, GetRange, MultipartUpload, ObjectStore, ObjectStoreExt};

use world::{Local, encrypted, path};

#[global_allocator]
static ALLOCATOR: AllocCounter = alloc_counter::COUNTER;

const MIB: usize = 1 << 20;

/// Looks all the time at what is allocated beyond the start.
struct Peak {
    most: Arc<AtomicUsize>,
    ended: Arc<AtomicBool>,
}

impl Peak {
    fn new() -> Self {
        let (most, ended) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let start = in_use();
        let (to, end) = (Arc::clone(&most), Arc::clone(&ended));
        thread::spawn(move || {
            while !end.load(Relaxed) {
                to.fetch_max(in_use().saturating_sub(start), Relaxed);
                thread::sleep(Duration::from_micros(200));
            }
        });
        Self { most, ended }
    }

    fn end(self, what: &str, limit: usize) {
        self.ended.store(true, Relaxed);
        let most = self.most.load(Relaxed);
        println!("{what}: {} KiB", most >> 10);
        assert!(most > MIB / 8, "{what}: it was not looked at");
        assert!(most < limit, "{what}: {most} bytes, of which {limit} are allowed");
    }
}

async fn drain(store: &dyn ObjectStore, options: GetOptions) -> usize {
    let mut stream = store.get_opts(&path("a"), options).await.unwrap().into_stream();
    let mut len = 0;
    while let Some(piece) = stream.try_next().await.unwrap() {
        assert!(piece.iter().all(|byte| *byte == 7));
        len += piece.len();
    }
    len
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_does_not_grow_with_objects() {
    let store = encrypted(Local::new());
    let width = thread::available_parallelism().unwrap().get();
    let piece = Bytes::from(vec![7; MIB]);
    for len in [32, 256] {
        // A part of 8 MiB as the caller handed it over, which here is one piece again and again, and sealed; and
        // what is on its way to the disk.
        let peak = Peak::new();
        let mut upload = store.put_multipart(&path("a")).await.unwrap();
        for _ in 0..len {
            upload.put_part(piece.clone().into()).await.unwrap();
        }
        upload.complete().await.unwrap();
        peak.end(&format!("upload of {len} MiB"), 20 * MIB);

        let peak = Peak::new();
        assert_eq!(drain(&store, GetOptions::new()).await, len * MIB);
        peak.end(&format!("read of {len} MiB"), (2 + 2 * width) * MIB);

        let peak = Peak::new();
        let range = GetOptions::new().with_range(Some(GetRange::Offset(5)));
        assert_eq!(drain(&store, range).await, len * MIB - 5);
        peak.end(&format!("read of a range of {len} MiB"), (2 + 2 * width) * MIB);
    }
}
