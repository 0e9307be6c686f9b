//! AES-256-GCM of AWS-LC, chunk by chunk, and nothing else, in the two ways there are.

use std::{hint::black_box, ops::Range, thread};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

use super::{Buffers, pattern, repeats};
use crate::{
    VALUES,
    measure::{Took, timed},
};

const CHUNK: usize = 65_536;

fn key() -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &[7; 32]).expect("a key"))
}

fn nonce(index: usize) -> Nonce {
    let mut nonce = [0; 12];
    nonce[..8].copy_from_slice(&index.to_le_bytes());
    Nonce::assume_unique_for_key(nonce)
}

/// How the cipher is called. Which is faster depends on processor and caches.
#[derive(Clone, Copy)]
pub enum Way {
    /// From one buffer into another.
    OutOfPlace,
    /// On a copy, where it stands.
    InPlace,
}

pub const WAYS: [Way; 2] = [Way::OutOfPlace, Way::InPlace];

impl Way {
    pub fn name(self) -> &'static str {
        match self {
            Self::OutOfPlace => "AES-256-GCM of AWS-LC, bare, out of place",
            Self::InPlace => "AES-256-GCM of AWS-LC, bare, in place on a copy",
        }
    }
}

fn seal(way: Way, key: &LessSafeKey, index: usize, plain: &[u8], out: &mut [u8]) {
    let (body, tag_out) = out[..plain.len() + 16].split_at_mut(plain.len());
    match way {
        Way::OutOfPlace => key
            .seal_out_of_place_scatter(nonce(index), Aad::empty(), plain, body, &[], tag_out)
            .expect("seals"),
        Way::InPlace => {
            body.copy_from_slice(plain);
            let tag = key.seal_in_place_separate_tag(nonce(index), Aad::empty(), body);
            tag_out.copy_from_slice(tag.expect("seals").as_ref());
        }
    }
}

fn open(way: Way, key: &LessSafeKey, index: usize, sealed: &[u8], out: &mut [u8]) {
    let (body, tag) = sealed.split_at(sealed.len() - 16);
    match way {
        Way::OutOfPlace => {
            let out = &mut out[..body.len()];
            key.open_separate_gather(nonce(index), Aad::empty(), body, tag, out).expect("opens");
        }
        Way::InPlace => {
            let out = &mut out[..sealed.len()];
            out.copy_from_slice(sealed);
            key.open_in_place(nonce(index), Aad::empty(), out).expect("opens");
        }
    }
    black_box(out);
}

pub struct Stream {
    way: Way,
    key: LessSafeKey,
    sealed: Vec<u8>,
}

impl Stream {
    pub fn new(way: Way, buffers: &Buffers) -> Self {
        let key = key();
        let mut sealed = Vec::with_capacity(buffers.plain.len() + buffers.plain.len() / CHUNK * 16);
        let mut out = vec![0; CHUNK + 16];
        for (index, chunk) in buffers.plain.chunks(CHUNK).enumerate() {
            seal(way, &key, index, chunk, &mut out);
            sealed.extend_from_slice(&out[..chunk.len() + 16]);
        }
        Self { way, key, sealed }
    }

    pub fn run(&self, column: usize, buffers: &Buffers) -> Option<Took> {
        Some(timed(1, || self.pass(column, buffers, 0..usize::MAX)))
    }

    /// Each of two threads takes one half: what can be had from two.
    pub fn on_two_threads(&self, column: usize, buffers: &Buffers) -> Option<Took> {
        let half = buffers.plain.len() / CHUNK / 2;
        Some(timed(1, || {
            thread::scope(|scope| {
                scope.spawn(|| self.pass(column, buffers, 0..half));
                self.pass(column, buffers, half..usize::MAX);
            });
        }))
    }

    /// Seals or opens those chunks of the stream.
    fn pass(&self, column: usize, buffers: &Buffers, chunks: Range<usize>) {
        let mut out = vec![0; CHUNK + 16];
        let (skipped, taken) = (chunks.start, chunks.len());
        match column {
            0 => {
                let all = buffers.plain.chunks(CHUNK).enumerate();
                for (index, chunk) in all.skip(skipped).take(taken) {
                    seal(self.way, &self.key, index, chunk, &mut out);
                    black_box(&out);
                }
            }
            _ => {
                let all = self.sealed.chunks(CHUNK + 16).enumerate();
                for (index, chunk) in all.skip(skipped).take(taken) {
                    open(self.way, &self.key, index, chunk, &mut out);
                }
            }
        }
    }

    pub fn ranges(&self, starts: &[usize]) -> Option<Took> {
        let mut out = vec![0; CHUNK + 16];
        Some(timed(1, || {
            for start in starts {
                for index in start / CHUNK..=(start + CHUNK - 1) / CHUNK {
                    let at = index * (CHUNK + 16);
                    open(self.way, &self.key, index, &self.sealed[at..at + CHUNK + 16], &mut out);
                }
            }
        }))
    }
}

/// Under one key that is set up already.
pub struct Values {
    way: Way,
    key: LessSafeKey,
    plain: Vec<Vec<u8>>,
    sealed: Vec<Vec<u8>>,
}

impl Values {
    pub fn new(way: Way) -> Self {
        let key = key();
        let plain: Vec<_> = VALUES.map(pattern).into();
        let sealed = plain.iter().map(|plain| {
            let mut out = vec![0; plain.len() + 16];
            seal(way, &key, 1, plain, &mut out);
            out
        });
        Self { sealed: sealed.collect(), way, key, plain }
    }

    pub fn run(&self, column: usize) -> Option<Took> {
        let at = column % 4;
        let (plain, sealed) = (&self.plain[at], &self.sealed[at]);
        Some(timed(repeats(plain.len()), || {
            if column < 4 {
                let mut out = vec![0; plain.len() + 16];
                seal(self.way, &self.key, 1, plain, &mut out);
                black_box(out);
            } else {
                let mut out = vec![0; sealed.len()];
                open(self.way, &self.key, 1, sealed, &mut out);
                black_box(out);
            }
        }))
    }
}
