//! Encrypted object stores beside plain ones: rounds of the two alternate, so that whatever else the machine does
//! meets both. Puts, whole reads and random ranges, in memory and on local files; with `BULLA_LONG_BENCHES`, of
//! 1 GiB too.
//!
//! In memory a plain put moves a pointer. What an encrypted one is held against there is sealing and opening
//! alone, by as many threads; of files that the system has at hand, also reading one and then opening it.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a benchmark"
)]
#![allow(clippy::cast_precision_loss, reason = "figures for people")]

use std::{
    env,
    hint::black_box,
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use async_trait::async_trait;
use bulla::{Context, Opener, Sealer, SharedProvider, format::Preamble, stream::Parallel};
use bulla_conformance::Memory;
use bulla_object_store::EncryptedStore;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    ObjectStoreExt, PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result,
    local::LocalFileSystem, memory::InMemory, path::Path,
};

const MIB: usize = 1 << 20;
const RANGES: usize = 1000;

type Store = Arc<dyn ObjectStore>;

fn main() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        println!("{:44} {:>12} {:>12} {:>7}", "", "beside", "encrypted", "ratio");
        let mut lens = vec![(MIB, 200), (64 * MIB, 15)];
        if env::var_os("BULLA_LONG_BENCHES").is_some() {
            lens.push((1024 * MIB, 3));
        }
        for (len, rounds) in lens {
            files(len, rounds).await;
            memory(len, rounds).await;
        }
        ranges(Local::new(), "files").await;
        ranges(InMemory::new(), "memory").await;
        requests().await;
    });
}

fn sealers() -> (Sealer<SharedProvider>, Opener<SharedProvider>) {
    let kms: SharedProvider = Arc::new(Memory::new("bench"));
    (Sealer::new(Arc::clone(&kms)).unwrap(), Opener::new([kms]))
}

fn encrypted<S: ObjectStore>(inner: S) -> EncryptedStore<S> {
    let (sealer, opener) = sealers();
    EncryptedStore::new(inner, sealer, opener)
}

fn plaintext(len: usize) -> Bytes {
    (0..=250).cycle().take(len).collect::<Vec<u8>>().into()
}

/// Two things in turns, the first once more to begin with. Their medians.
async fn turns<A, B>(
    rounds: usize,
    mut one: impl FnMut() -> A,
    mut other: impl FnMut() -> B,
) -> [Duration; 2]
where
    A: Future<Output = ()>,
    B: Future<Output = ()>,
{
    let (mut ones, mut others) = (Vec::new(), Vec::new());
    for round in 0..=rounds {
        for first in [round % 2 == 0, round % 2 == 1] {
            let start = Instant::now();
            if first {
                one().await
            } else {
                other().await
            }
            let took = start.elapsed();
            if round > 0 {
                if first { ones.push(took) } else { others.push(took) }
            }
        }
    }
    [ones, others].map(|mut all| {
        all.sort_unstable();
        all[all.len() / 2]
    })
}

/// A line: how fast each was, and how fast the second in parts of the first.
fn tell(what: &str, bytes: usize, [beside, own]: [Duration; 2]) {
    let speed = |time: Duration| format!("{:.0} MiB/s", (bytes / MIB) as f64 / time.as_secs_f64());
    let ratio = beside.as_secs_f64() / own.as_secs_f64();
    println!("{what:44} {:>12} {:>12} {ratio:7.2}", speed(beside), speed(own));
}

fn at() -> Path {
    Path::from("object")
}

async fn put(store: &Store, plain: &Bytes) {
    store.put(&at(), PutPayload::from(plain.clone())).await.unwrap();
}

async fn get(store: &Store) {
    black_box(store.get(&at()).await.unwrap().bytes().await.unwrap());
}

async fn files(len: usize, rounds: usize) {
    let plain: Store = Arc::new(Local::new());
    let sealed: Store = Arc::new(encrypted(Local::new()));
    let bytes = plaintext(len);
    let took = turns(rounds, || put(&plain, &bytes), || put(&sealed, &bytes)).await;
    tell(&format!("files, put of {} MiB, beside plain", len / MIB), len, took);
    let took = turns(rounds, || get(&plain), || get(&sealed)).await;
    tell(&format!("files, get of {} MiB, beside plain", len / MIB), len, took);

    let (sealer, opener) = sealers();
    let begun = sealer.begin(&Context::new()).await.unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), Parallel::new().encrypt(begun, &bytes[..], Vec::new()).unwrap())
        .unwrap();
    let read_and_open = || async {
        let (path, opener, len) = (file.path().to_owned(), opener.clone(), bytes.len());
        let object = tokio::task::spawn_blocking(move || std::fs::read(path).unwrap()).await;
        let object = Bytes::from(object.unwrap());
        let (preamble, chunks) = Preamble::split(&object).unwrap();
        let opening = opener.begin(preamble, &Context::new()).await.unwrap();
        let chunks = object.slice(object.len() - chunks.len()..);
        let sink = Vec::with_capacity(len);
        let work = move || Parallel::new().decrypt(opening, &chunks[..], sink).unwrap();
        black_box(tokio::task::spawn_blocking(work).await.unwrap());
    };
    let took = turns(rounds, read_and_open, || get(&sealed)).await;
    tell(&format!("files, get of {} MiB, beside reading, opening", len / MIB), len, took);
}

/// Counts what it is given.
struct Sink(usize);

impl std::io::Write for Sink {
    fn write(&mut self, buf: &[u8]) -> std::io::Result<usize> {
        self.0 += black_box(buf).len();
        Ok(buf.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

async fn memory(len: usize, rounds: usize) {
    let sealed: Store = Arc::new(encrypted(InMemory::new()));
    let bytes = plaintext(len);
    let (sealer, opener) = sealers();
    let seal = || async {
        let begun = sealer.begin(&Context::new()).await.unwrap();
        let (bytes, sink) = (bytes.clone(), Vec::with_capacity(bytes.len() + bytes.len() / 1000));
        let work = move || Parallel::new().encrypt(begun, &bytes[..], sink).unwrap();
        black_box(tokio::task::spawn_blocking(work).await.unwrap());
    };
    let took = turns(rounds, seal, || put(&sealed, &bytes)).await;
    tell(&format!("memory, put of {} MiB, beside sealing", len / MIB), len, took);

    let begun = sealer.begin(&Context::new()).await.unwrap();
    let object = Bytes::from(Parallel::new().encrypt(begun, &bytes[..], Vec::new()).unwrap());
    let open = || async {
        let (preamble, chunks) = Preamble::split(&object).unwrap();
        let opening = opener.begin(preamble, &Context::new()).await.unwrap();
        let chunks = object.slice(object.len() - chunks.len()..);
        let sink = Vec::with_capacity(bytes.len());
        let work = move || Parallel::new().decrypt(opening, &chunks[..], sink).unwrap();
        black_box(tokio::task::spawn_blocking(work).await.unwrap());
    };
    let took = turns(rounds, open, || get(&sealed)).await;
    tell(&format!("memory, get of {} MiB, beside opening", len / MIB), len, took);
    let open = || async {
        let (preamble, chunks) = Preamble::split(&object).unwrap();
        let opening = opener.begin(preamble, &Context::new()).await.unwrap();
        let chunks = object.slice(object.len() - chunks.len()..);
        let work = move || Parallel::new().decrypt(opening, &chunks[..], Sink(0)).unwrap();
        black_box(tokio::task::spawn_blocking(work).await.unwrap());
    };
    let drain = || async {
        let mut stream = sealed.get(&at()).await.unwrap().into_stream();
        while let Some(piece) = futures_util::StreamExt::next(&mut stream).await {
            black_box(piece.unwrap());
        }
    };
    let took = turns(rounds, open, drain).await;
    tell(&format!("memory, stream of {} MiB, beside opening", len / MIB), len, took);
}

fn some_ranges(within: usize, len: u64) -> Vec<Range<u64>> {
    let mut state = 7_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 16) % (within as u64 - len)
    };
    (0..RANGES).map(|_| next()).map(|start| start..start + len).collect()
}

async fn ranges<S: ObjectStore>(inner: S, name: &str) {
    let inner: Store = Arc::new(inner);
    let sealed: Store = Arc::new(encrypted(Arc::clone(&inner)));
    let bytes = plaintext(64 * MIB);
    inner.put(&Path::from("plain"), bytes.clone().into()).await.unwrap();
    put(&sealed, &bytes).await;
    let wanted = some_ranges(64 * MIB, 65_536);
    let plain = || async {
        let path = Path::from("plain");
        for range in &wanted {
            black_box(inner.get_range(&path, range.clone()).await.unwrap());
        }
    };
    let own = || async {
        let path = at();
        for range in &wanted {
            black_box(sealed.get_range(&path, range.clone()).await.unwrap());
        }
    };
    let took = turns(10, plain, own).await;
    tell(&format!("{name}, {RANGES} ranges of 64 KiB"), RANGES * 65_536, took);
}

/// Requests and bytes for ranges over 256 KiB, which are the same whatever the machine.
async fn requests() {
    let counted = Arc::new(Counted { inner: InMemory::new(), requests: 0.into(), bytes: 0.into() });
    let sealed = encrypted(Arc::clone(&counted));
    let path = at();
    sealed.put(&path, plaintext(64 * MIB).into()).await.unwrap();
    for len in [256 << 10, MIB as u64, 4 * MIB as u64] {
        sealed.clear_header_cache();
        counted.requests.store(0, Relaxed);
        counted.bytes.store(0, Relaxed);
        for range in some_ranges(64 * MIB, len) {
            sealed.get_range(&path, range).await.unwrap();
        }
        let requests = counted.requests.load(Relaxed) as f64 / RANGES as f64;
        let bytes = counted.bytes.load(Relaxed) as f64 / (RANGES as u64 * len) as f64;
        let what = format!("{RANGES} ranges of {} KiB, beside plain", len >> 10);
        println!("{what:44} {requests:6.3} requests, {bytes:6.3} bytes");
    }
}

/// Counts requests, and the bytes that they ask for.
#[derive(Debug)]
struct Counted {
    inner: InMemory,
    requests: AtomicU64,
    bytes: AtomicU64,
}

/// Local files in a directory that goes with them.
#[derive(Debug)]
struct Local {
    inner: LocalFileSystem,
    _dir: tempfile::TempDir,
}

impl Local {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self { inner: LocalFileSystem::new_with_prefix(dir.path()).unwrap(), _dir: dir }
    }
}

impl Local {
    fn answered(&self, result: GetResult) -> GetResult {
        result
    }
}

impl Counted {
    fn answered(&self, result: GetResult) -> GetResult {
        self.requests.fetch_add(1, Relaxed);
        self.bytes.fetch_add(result.range.end - result.range.start, Relaxed);
        result
    }
}

macro_rules! by_inner {
    ($($name:ident),+) => {$(
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.inner.fmt(f)
            }
        }

        #[async_trait]
        #[deny(clippy::missing_trait_methods)]
        impl ObjectStore for $name {
            async fn put_opts(&self, at: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
                self.inner.put_opts(at, payload, opts).await
            }

            async fn put_multipart_opts(
                &self,
                at: &Path,
                opts: PutMultipartOptions,
            ) -> Result<Box<dyn MultipartUpload>> {
                self.inner.put_multipart_opts(at, opts).await
            }

            async fn get_opts(&self, at: &Path, options: GetOptions) -> Result<GetResult> {
                Ok(self.answered(self.inner.get_opts(at, options).await?))
            }

            async fn get_ranges(&self, at: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
                self.inner.get_ranges(at, ranges).await
            }

            fn delete_stream(
                &self,
                locations: BoxStream<'static, Result<Path>>,
            ) -> BoxStream<'static, Result<Path>> {
                self.inner.delete_stream(locations)
            }

            fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
                self.inner.list(prefix)
            }

            fn list_with_offset(
                &self,
                prefix: Option<&Path>,
                offset: &Path,
            ) -> BoxStream<'static, Result<ObjectMeta>> {
                self.inner.list_with_offset(prefix, offset)
            }

            async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
                self.inner.list_with_delimiter(prefix).await
            }

            async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
                self.inner.copy_opts(from, to, options).await
            }

            async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
                self.inner.rename_opts(from, to, options).await
            }
        }
    )+};
}

by_inner!(Counted, Local);
