//! Streams and values beside raw AES-256-GCM of the same library, on the same buffers.
#![allow(clippy::expect_used, reason = "a benchmark")]

use std::{hint::black_box, io::Write, sync::Arc};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use bulla::{
    Context, CryptoProviderExt, Opener, Sealer,
    envelope::CachePolicy,
    format::Preamble,
    stream::{DecryptWriter, EncryptWriter, Parallel, RangeReader},
};
use bulla_conformance::Memory;
use bytes::Bytes;
use divan::{Bencher, counter::BytesCount};

const CHUNK: usize = 65_536;
const STREAM: usize = 256 << 20;
const VALUES: [usize; 4] = [64, 1024, 65_536, 1 << 20];

fn main() {
    divan::main();
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(future)
}

fn plaintext(len: usize) -> Vec<u8> {
    (0..=250).cycle().take(len).collect()
}

fn raw() -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &[7; 32]).expect("a key"))
}

fn nonce(index: usize) -> Nonce {
    let mut nonce = [0; 12];
    nonce.iter_mut().zip(index.to_le_bytes()).for_each(|(to, from)| *to = from);
    Nonce::assume_unique_for_key(nonce)
}

/// Counts what it is given.
struct Sink(usize);

impl Write for Sink {
    fn write(&mut self, buf: &[u8]) -> std::io::Result<usize> {
        self.0 += black_box(buf).len();
        Ok(buf.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[divan::bench(sample_count = 10)]
fn stream_encrypt_raw(bencher: Bencher<'_, '_>) {
    let (key, plain, mut out) = (raw(), plaintext(STREAM), vec![0; CHUNK + 16]);
    bencher.counter(BytesCount::new(STREAM)).bench_local(|| {
        for (index, chunk) in plain.chunks(CHUNK).enumerate() {
            let (body, tag) = out.split_at_mut(chunk.len());
            let tag = tag.first_chunk_mut::<16>().expect("room for a tag");
            let aad = Aad::empty();
            key.seal_out_of_place_scatter(nonce(index), aad, chunk, body, &[], tag).expect("seals");
            black_box(&out);
        }
    });
}

#[divan::bench(sample_count = 10)]
fn stream_encrypt_bulla(bencher: Bencher<'_, '_>) {
    let (vault, plain) = (Memory::new("bench"), plaintext(STREAM));
    let sealer = Sealer::new(&vault).expect("a sealer");
    bencher.counter(BytesCount::new(STREAM)).bench_local(|| {
        let begun = block_on(sealer.begin(&Context::new())).expect("begins");
        let mut writer = EncryptWriter::new(begun, Sink(0));
        writer.write_all(&plain).expect("writes");
        black_box(writer.finish().expect("finishes").0)
    });
}

#[divan::bench(sample_count = 10)]
fn stream_decrypt_raw(bencher: Bencher<'_, '_>) {
    let (key, plain) = (raw(), plaintext(STREAM));
    let mut sealed = Vec::new();
    for (index, chunk) in plain.chunks(CHUNK).enumerate() {
        let mut chunk = chunk.to_vec();
        key.seal_in_place_append_tag(nonce(index), Aad::empty(), &mut chunk).expect("seals");
        sealed.extend(chunk);
    }
    let mut out = vec![0; CHUNK];
    bencher.counter(BytesCount::new(STREAM)).bench_local(|| {
        for (index, chunk) in sealed.chunks(CHUNK + 16).enumerate() {
            let (body, tag) = chunk.split_last_chunk::<16>().expect("a tag");
            let out = out.get_mut(..body.len()).expect("room");
            key.open_separate_gather(nonce(index), Aad::empty(), body, tag, out).expect("opens");
            black_box(out);
        }
    });
}

#[divan::bench(sample_count = 10)]
fn stream_decrypt_bulla(bencher: Bencher<'_, '_>) {
    let (vault, plain) = (Memory::new("bench"), plaintext(STREAM));
    let sealed = block_on(vault.seal(&plain, &Context::new())).expect("seals");
    let opener = Opener::new([&vault]);
    bencher.counter(BytesCount::new(STREAM)).bench_local(|| {
        let (head, chunks) = Preamble::split(&sealed).expect("a head");
        let opened = block_on(opener.begin(head, &Context::new())).expect("opens");
        let mut writer = DecryptWriter::new(opened, Sink(0));
        writer.write_all(chunks).expect("writes");
        black_box(writer.finish().expect("finishes").0)
    });
}

#[divan::bench(sample_count = 10)]
fn stream_encrypt_parallel(bencher: Bencher<'_, '_>) {
    let (vault, plain) = (Memory::new("bench"), plaintext(STREAM));
    let sealer = Sealer::new(&vault).expect("a sealer");
    bencher.counter(BytesCount::new(STREAM)).bench_local(|| {
        let begun = block_on(sealer.begin(&Context::new())).expect("begins");
        black_box(Parallel::new().encrypt(begun, &plain[..], Sink(0)).expect("encrypts").0)
    });
}

#[divan::bench(sample_count = 10)]
fn stream_decrypt_parallel(bencher: Bencher<'_, '_>) {
    let (vault, plain) = (Memory::new("bench"), plaintext(STREAM));
    let sealed = block_on(vault.seal(&plain, &Context::new())).expect("seals");
    let opener = Opener::new([&vault]);
    bencher.counter(BytesCount::new(STREAM)).bench_local(|| {
        let (head, chunks) = Preamble::split(&sealed).expect("a head");
        let opened = block_on(opener.begin(head, &Context::new())).expect("opens");
        black_box(Parallel::new().decrypt(opened, chunks, Sink(0)).expect("decrypts").0)
    });
}

/// 1,000 ranges of 64 KiB, each of which touches two chunks.
#[divan::bench(sample_count = 10)]
fn ranges_bulla(bencher: Bencher<'_, '_>) {
    let (vault, plain) = (Memory::new("bench"), plaintext(STREAM));
    let sealed = Bytes::from(block_on(vault.seal(&plain, &Context::new())).expect("seals"));
    let opener = Opener::new([&vault]);
    bencher.counter(BytesCount::new(1000 * CHUNK)).bench_local(|| {
        let (head, _) = Preamble::split(&sealed).expect("a head");
        let opened = block_on(opener.begin(head, &Context::new())).expect("opens");
        let reader = block_on(RangeReader::new(opened, sealed.clone())).expect("a reader");
        for i in 0..1000_u64 {
            let start = i.wrapping_mul(0x9e37_79b9_7f4a_7c15) % (STREAM - CHUNK) as u64;
            black_box(block_on(reader.read(start..start + CHUNK as u64)).expect("reads"));
        }
    });
}

#[divan::bench(args = VALUES)]
fn value_seal_raw(bencher: Bencher<'_, '_>, len: usize) {
    let (key, plain) = (raw(), plaintext(len));
    bencher.counter(BytesCount::new(len)).bench_local(|| {
        let mut out = plain.clone();
        key.seal_in_place_append_tag(nonce(1), Aad::empty(), &mut out).expect("seals");
        out
    });
}

#[divan::bench(args = VALUES)]
fn value_seal_bulla(bencher: Bencher<'_, '_>, len: usize) {
    let (vault, plain) = (Memory::new("bench"), plaintext(len));
    let sealer = Sealer::new(&vault).expect("a sealer");
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    bencher
        .counter(BytesCount::new(len))
        .bench_local(|| runtime.block_on(sealer.seal(&plain, &Context::new())).expect("seals"));
}

#[divan::bench(args = VALUES)]
fn value_seal_cached(bencher: Bencher<'_, '_>, len: usize) {
    let (vault, plain) = (Arc::new(Memory::new("bench")), plaintext(len));
    let sealer = Sealer::builder().recipient(vault).cache(CachePolicy::default());
    let sealer = sealer.build().expect("a sealer");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let runtime = runtime.expect("a runtime");
    bencher
        .counter(BytesCount::new(len))
        .bench_local(|| runtime.block_on(sealer.seal(&plain, &Context::new())).expect("seals"));
}

#[divan::bench(args = VALUES)]
fn value_open_bulla(bencher: Bencher<'_, '_>, len: usize) {
    let (vault, plain) = (Memory::new("bench"), plaintext(len));
    let sealed = block_on(vault.seal(&plain, &Context::new())).expect("seals");
    let opener = Opener::new([&vault]);
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    bencher
        .counter(BytesCount::new(len))
        .bench_local(|| runtime.block_on(opener.open(&sealed, &Context::new())).expect("opens"));
}
