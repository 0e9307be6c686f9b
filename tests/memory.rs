//! How much memory streams hold, counted at the allocator: the same for any length.
//!
//! One test alone in its process: whatever else allocates would be counted too.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "helpers of tests are tests too"
)]

use std::{
    io::{self, Read, Write},
    num::NonZeroUsize,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

use bulla::{
    Context, Opener, Sealer,
    format::Suite,
    stream::{DecryptReader, EncryptReader, EncryptWriter, Parallel},
};
use bulla_conformance::{
    Memory,
    alloc_counter::{self, AllocCounter, in_use},
};

#[global_allocator]
static ALLOCATOR: AllocCounter = alloc_counter::COUNTER;

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

/// The most that was allocated beyond the start, looked at with every piece that goes through.
struct Peak {
    start: usize,
    most: AtomicUsize,
}

impl Peak {
    fn new() -> Self {
        Self { start: in_use(), most: AtomicUsize::new(0) }
    }

    fn look(&self) {
        self.most.fetch_max(in_use().saturating_sub(self.start), Relaxed);
    }

    fn most(&self) -> usize {
        self.most.load(Relaxed)
    }
}

/// Yields zeros and keeps nothing.
struct Source<'a>(usize, &'a Peak);

impl Read for Source<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.1.look();
        let len = buf.len().min(self.0);
        buf.iter_mut().take(len).for_each(|byte| *byte = 0);
        self.0 -= len;
        Ok(len)
    }
}

/// Takes everything and keeps nothing.
struct Sink<'a>(&'a Peak);

impl Write for Sink<'_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.0.look();
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

#[test]
fn streams_hold_the_same_whatever_the_length() {
    let vault = Memory::new("memory");
    let context = Context::new().with_key("tenant", "acme").unwrap();
    for suite in [Suite::Aes256Gcm64KiB, Suite::Cobblestone256] {
        let sealer = Sealer::builder().recipient(&vault).suite(suite).build().unwrap();
        let mut held = Vec::new();
        for len in [MIB, 16 * MIB, 256 * MIB] {
            let peak = Peak::new();
            let header = wait(sealer.begin(&context)).unwrap();
            io::copy(&mut EncryptReader::new(header, Source(len, &peak)), &mut Sink(&peak))
                .unwrap();
            let reading = peak.most();

            let peak = Peak::new();
            let header = wait(sealer.begin(&context)).unwrap();
            let mut writer = EncryptWriter::new(header, Sink(&peak));
            io::copy(&mut Source(len, &peak), &mut writer).unwrap();
            writer.finish().unwrap();
            let writing = peak.most();

            // What is opened is sealed on the way, so that no message is held: twice the engine.
            let peak = Peak::new();
            let header = wait(sealer.begin(&context)).unwrap();
            let mut sealed = EncryptReader::new(header, Source(len, &peak));
            let head = bulla::stream::read_preamble(&mut sealed).unwrap();
            let opened = wait(Opener::new([&vault]).begin(head, &context)).unwrap();
            let mut reader = DecryptReader::new(opened, sealed);
            let copied = io::copy(&mut reader, &mut Sink(&peak)).unwrap();
            assert_eq!(copied, len as u64);
            let both = peak.most();

            for (what, held, engines) in
                [("reader", reading, 1), ("writer", writing, 1), ("both halves", both, 2)]
            {
                assert!(held >= 16 * KIB, "{what}: {held} bytes can't be all");
                assert!(held <= engines * 256 * KIB, "{suite:?} {len} {what}: {held} bytes");
            }
            held.push((reading, writing, both));
        }
        println!("{suite:?}: {held:?}");
        let differ = |a: usize, b: usize| a.abs_diff(b) > KIB;
        for &(reading, writing, both) in &held {
            let first = held[0];
            let grown =
                differ(reading, first.0) || differ(writing, first.1) || differ(both, first.2);
            assert!(!grown, "{suite:?}: {held:?}");
        }
    }

    let sealer = Sealer::new(&vault).unwrap();
    for threads in [1, 2, 4] {
        let peak = Peak::new();
        let header = wait(sealer.begin(&context)).unwrap();
        let parallel = Parallel::with_threads(NonZeroUsize::new(threads).unwrap());
        parallel.encrypt(header, Source(128 * MIB, &peak), Sink(&peak)).unwrap();
        let most = peak.most();
        println!("{threads} threads: {most}");
        assert!(most <= (2 * threads + 1) * MIB, "{threads} threads: {most} bytes");
    }
}
