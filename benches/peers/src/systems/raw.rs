//! AES-256-GCM of AWS-LC, chunk by chunk, out of place, and nothing else.

use std::hint::black_box;

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

fn seal(key: &LessSafeKey, index: usize, plain: &[u8], out: &mut [u8]) {
    let (body, tag) = out[..plain.len() + 16].split_at_mut(plain.len());
    key.seal_out_of_place_scatter(nonce(index), Aad::empty(), plain, body, &[], tag)
        .expect("seals");
}

fn open(key: &LessSafeKey, index: usize, sealed: &[u8], out: &mut [u8]) {
    let (body, tag) = sealed.split_at(sealed.len() - 16);
    let out = &mut out[..body.len()];
    key.open_separate_gather(nonce(index), Aad::empty(), body, tag, out).expect("opens");
    black_box(out);
}

pub struct Stream {
    key: LessSafeKey,
    sealed: Vec<u8>,
}

impl Stream {
    pub fn new(buffers: &Buffers) -> Self {
        let key = key();
        let mut sealed = Vec::with_capacity(buffers.plain.len() + buffers.plain.len() / CHUNK * 16);
        let mut out = vec![0; CHUNK + 16];
        for (index, chunk) in buffers.plain.chunks(CHUNK).enumerate() {
            seal(&key, index, chunk, &mut out);
            sealed.extend_from_slice(&out[..chunk.len() + 16]);
        }
        Self { key, sealed }
    }

    pub fn run(&self, column: usize, buffers: &Buffers) -> Option<Took> {
        let mut out = vec![0; CHUNK + 16];
        Some(timed(1, || match column {
            0 => {
                for (index, chunk) in buffers.plain.chunks(CHUNK).enumerate() {
                    seal(&self.key, index, chunk, &mut out);
                    black_box(&out);
                }
            }
            _ => {
                for (index, chunk) in self.sealed.chunks(CHUNK + 16).enumerate() {
                    open(&self.key, index, chunk, &mut out);
                }
            }
        }))
    }

    pub fn ranges(&self, starts: &[usize]) -> Option<Took> {
        let mut out = vec![0; CHUNK];
        Some(timed(1, || {
            for start in starts {
                for index in start / CHUNK..=(start + CHUNK - 1) / CHUNK {
                    let at = index * (CHUNK + 16);
                    open(&self.key, index, &self.sealed[at..at + CHUNK + 16], &mut out);
                }
            }
        }))
    }
}

/// Under one key that is set up already.
pub struct Values {
    key: LessSafeKey,
    plain: Vec<Vec<u8>>,
    sealed: Vec<Vec<u8>>,
}

impl Values {
    pub fn new() -> Self {
        let key = key();
        let plain: Vec<_> = VALUES.map(pattern).into();
        let sealed = plain.iter().map(|plain| {
            let mut out = vec![0; plain.len() + 16];
            seal(&key, 1, plain, &mut out);
            out
        });
        Self { sealed: sealed.collect(), key, plain }
    }

    pub fn run(&self, column: usize) -> Option<Took> {
        let at = column % 4;
        let (plain, sealed) = (&self.plain[at], &self.sealed[at]);
        Some(timed(repeats(plain.len()), || {
            if column < 4 {
                let mut out = vec![0; plain.len() + 16];
                seal(&self.key, 1, plain, &mut out);
                black_box(out);
            } else {
                let mut out = vec![0; plain.len()];
                open(&self.key, 1, sealed, &mut out);
                black_box(out);
            }
        }))
    }
}
