//! bulla, over a provider whose key is in memory.

use std::{io::Write as _, num::NonZeroUsize, sync::Arc};

use bulla::{envelope::CachePolicy, format::{Opening, Preamble}, stream::{DecryptWriter, EncryptWriter, Parallel, RangeReader}, Context, Opener, Sealer};
use bulla_conformance::Memory;
use bytes::Bytes;

use super::{Buffers, Sink, pattern, repeats, wait};
use crate::{
    VALUES,
    measure::{Took, timed},
};

fn vault() -> Arc<Memory> {
    Arc::new(Memory::new("bench"))
}

fn sealed(vault: &Arc<Memory>, plain: &[u8]) -> Vec<u8> {
    wait(Sealer::new(Arc::clone(vault)).expect("a sealer").seal(plain, &Context::new()))
        .expect("seals")
}

fn begin<'a>(vault: &Arc<Memory>, sealed: &'a [u8]) -> (Opening, &'a [u8]) {
    let (head, chunks) = Preamble::split(sealed).expect("a head");
    (
        wait(Opener::new([Arc::clone(vault)]).begin(head, &Context::new())).expect("opens"),
        chunks,
    )
}

pub struct Stream {
    vault: Arc<Memory>,
    sealed: Vec<u8>,
    threads: usize,
}

impl Stream {
    pub fn new(buffers: &Buffers, threads: usize) -> Self {
        let vault = vault();
        Self { sealed: sealed(&vault, &buffers.plain), vault, threads }
    }

    pub fn run(&self, column: usize, buffers: &Buffers) -> Option<Took> {
        let parallel = Parallel::with_threads(NonZeroUsize::new(self.threads)?);
        Some(timed(1, || match (column, self.threads) {
            (0, 1) => {
                let mut writer = EncryptWriter::new(self.begin(), Sink);
                writer.write_all(&buffers.plain).expect("writes");
                writer.finish().expect("finishes");
            }
            (0, _) => {
                parallel.encrypt(self.begin(), &buffers.plain[..], Sink).expect("encrypts");
            }
            (_, 1) => {
                let (header, chunks) = begin(&self.vault, &self.sealed);
                let mut writer = DecryptWriter::new(header, Sink);
                writer.write_all(chunks).expect("writes");
                writer.finish().expect("finishes");
            }
            _ => {
                let (header, chunks) = begin(&self.vault, &self.sealed);
                parallel.decrypt(header, chunks, Sink).expect("decrypts");
            }
        }))
    }

    fn begin(&self) -> bulla::format::Sealing {
        let sealer = Sealer::new(Arc::clone(&self.vault)).expect("a sealer");
        wait(sealer.begin(&Context::new())).expect("begins")
    }
}

pub struct Ranges {
    vault: Arc<Memory>,
    sealed: Bytes,
}

impl Ranges {
    pub fn new(buffers: &Buffers) -> Self {
        let vault = vault();
        Self { sealed: sealed(&vault, &buffers.plain).into(), vault }
    }

    pub fn run(&self, starts: &[usize]) -> Option<Took> {
        Some(timed(1, || {
            let (header, _) = begin(&self.vault, &self.sealed);
            let reader = wait(RangeReader::new(header, self.sealed.clone())).expect("a reader");
            for start in starts {
                let start = *start as u64;
                let read = wait(reader.read(start..start + (64 << 10))).expect("reads");
                assert_eq!(read.len(), 64 << 10);
            }
        }))
    }
}

pub struct Values {
    sealer: Sealer<Arc<Memory>>,
    opener: Opener<Arc<Memory>>,
    plain: Vec<Vec<u8>>,
    sealed: Vec<Vec<u8>>,
    context: Context,
}

impl Values {
    pub fn new(cached: bool) -> Self {
        let vault = vault();
        let builder = Sealer::builder().recipient(Arc::clone(&vault));
        let opener = Opener::builder().provider(vault);
        let (builder, opener) = match cached {
            true => (builder.cache(CachePolicy::default()), opener.cache(CachePolicy::default())),
            false => (builder, opener),
        };
        let opener = opener.build();
        let sealer = builder.build().expect("a sealer");
        let context = Context::new().with_item("row", "7").expect("a pair");
        let plain: Vec<_> = VALUES.map(pattern).into();
        let sealed = plain.iter().map(|plain| wait(sealer.seal(plain, &context)).expect("seals"));
        Self { sealed: sealed.collect(), sealer, opener, plain, context }
    }

    pub fn run(&self, column: usize) -> Option<Took> {
        let at = column % 4;
        let (plain, sealed) = (&self.plain[at], &self.sealed[at]);
        Some(timed(repeats(plain.len()), || {
            if column < 4 {
                wait(self.sealer.seal(plain, &self.context)).expect("seals");
            } else {
                wait(self.opener.open(sealed, &self.context)).expect("opens");
            }
        }))
    }
}
