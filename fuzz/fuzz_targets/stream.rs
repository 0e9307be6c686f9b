//! Streams in pieces of any size, on one thread and on two, against opening at once.
#![no_main]

use std::{
    io::{Read as _, Write as _},
    num::NonZeroUsize,
};

use bulla::{format::{Opening, Preamble, Suite}, stream::{DecryptReader, EncryptWriter, Parallel}, Opener, Sealer};
use bulla_fuzz::{context, open, unstored, vault, wait};
use libfuzzer_sys::fuzz_target;

fn begin(data: &[u8]) -> Option<(Opening, &[u8])> {
    let (head, chunks) = Preamble::split(data).ok()?;
    let opener = Opener::new([vault()]);
    Some((wait(opener.begin_with_stored_context(head, &unstored())).ok()?, chunks))
}

fuzz_target!(|data: &[u8]| {
    let two = Parallel::with_threads(NonZeroUsize::new(2).expect("two"));
    if let Some((header, chunks)) = begin(data) {
        let at_once = open(data).ok();
        let mut out = Vec::new();
        let read = DecryptReader::new(header, chunks).read_to_end(&mut out);
        assert_eq!(read.is_ok().then_some(&out), at_once.as_ref());
        let (header, chunks) = begin(data).expect("as before");
        assert_eq!(two.decrypt(header, chunks, Vec::new()).ok(), at_once);
    }
    // Seals a plaintext that is longer than the input, in pieces that the input chooses.
    let (&[suite, step, times], piece) = data.split_first_chunk().unwrap_or((&[0, 0, 0], &[]));
    let suite = if suite & 1 == 0 { Suite::Aes256Gcm64KiB } else { Suite::Cobblestone256 };
    let plaintext = piece.repeat(usize::from(times) + 1);
    if plaintext.len() > 1 << 18 {
        return;
    }
    let sealer = Sealer::builder().recipient(vault()).suite(suite).build().expect("a sealer");
    let header = wait(sealer.begin(&context())).expect("begins");
    let mut writer = EncryptWriter::new(header, Vec::new());
    for piece in plaintext.chunks(usize::from(step) * 97 + 1) {
        writer.write_all(piece).expect("writes");
    }
    let sealed = writer.finish().expect("finishes");
    assert_eq!(open(&sealed).ok().as_ref(), Some(&plaintext));
    let cut = usize::from(times) + usize::from(step);
    if let Some((header, chunks)) = begin(&sealed[..sealed.len().saturating_sub(cut + 1)]) {
        assert!(two.decrypt(header, chunks, Vec::new()).is_err(), "a cut message is not whole");
    }
});
