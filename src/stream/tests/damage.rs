//! Whatever is done to the chunks of a stream, it fails, and nothing unauthenticated comes out.

use super::*;

/// The plaintext that a decryptor released before it failed, and the failure.
async fn released(fake: &Fake, sealed: &[u8]) -> (Vec<u8>, Option<ErrorKind>) {
    let (head, mut chunks) = match Preamble::split(sealed) {
        Ok(parts) => parts,
        Err(error) => return (Vec::new(), Some(error.kind())),
    };
    let header = match Opener::new([fake]).begin(head, &context()).await {
        Ok(header) => header,
        Err(error) => return (Vec::new(), Some(error.kind())),
    };
    let mut engine = Decryptor::new(header);
    let mut out = Vec::new();
    loop {
        let step = match chunks {
            [] => engine.finish().map(|()| 0),
            _ => engine.push(&chunks[..chunks.len().min(40_000)]),
        };
        out.extend_from_slice(engine.output());
        engine.consume(usize::MAX);
        match step {
            Ok(taken) => chunks = &chunks[taken..],
            Err(error) => {
                assert_eq!(kind(engine.push(b"x")), ErrorKind::Closed);
                assert_eq!(kind(engine.finish()), ErrorKind::Closed);
                return (out, Some(error.kind()));
            }
        }
        if engine.is_done() {
            return (out, None);
        }
    }
}

#[tokio::test]
async fn damage_is_found_and_only_what_precedes_it_released() {
    let fake = Fake::new("a");
    for suite in [Suite::Aes256Gcm64KiB, Suite::Cobblestone256] {
        let chunk = suite.sealed_chunk_len();
        let plain = plaintext(3 * suite.chunk_len() + 100);
        let good = sealed(&fake, suite, &plain).await;
        let (head, body) = good.split_at(1024 + 56);
        let piece = |i: usize| &body[i * chunk..body.len().min((i + 1) * chunk)];
        assert_eq!(released(&fake, &good).await, (plain.clone(), None));

        let cases: Vec<(&str, Vec<u8>, usize)> = vec![
            ("no chunks", vec![], 0),
            ("cut at a boundary", piece(0).to_vec(), 1),
            ("cut at the last boundary", body[..3 * chunk].to_vec(), 3),
            ("cut inside", body[..chunk + 100].to_vec(), 1),
            ("cut in a tag", body[..chunk + 10].to_vec(), 1),
            ("one byte short", body[..body.len() - 1].to_vec(), 3),
            ("reordered", [piece(1), piece(0), piece(2), piece(3)].concat(), 0),
            ("duplicated", [piece(0), piece(0), piece(1), piece(2), piece(3)].concat(), 1),
            ("dropped", [piece(0), piece(2), piece(3)].concat(), 1),
            ("last one first", [piece(3), piece(0)].concat(), 0),
            ("extended by a byte", [body, b"\0"].concat(), 3),
            ("extended by a chunk", [body, piece(0)].concat(), 3),
            ("extended by its end", [body, piece(3)].concat(), 3),
        ];
        for (name, body, whole) in cases {
            let (out, error) = released(&fake, &[head, &body].concat()).await;
            assert_eq!(error, Some(ErrorKind::NotAuthentic), "{suite}: {name}");
            assert!(out == plain[..whole * suite.chunk_len()], "{suite}: {name}");
            assert!(opened(&fake, &[head, &body].concat()).await.is_err());
        }
    }
}

#[tokio::test]
async fn every_truncation_of_a_head_and_two_chunks_fails() {
    let fake = Fake::new("a");
    let plain = plaintext(16_384 + 50);
    let good = sealed(&fake, Suite::Cobblestone256, &plain).await;
    for at in 0..good.len() {
        let (out, error) = released(&fake, &good[..at]).await;
        assert!(error.is_some(), "{at}");
        assert!(plain.starts_with(&out) && out.len() % 16_384 == 0, "{at}");
    }
}

#[tokio::test]
async fn every_flipped_byte_of_first_and_last_chunk_fails() {
    let fake = Fake::new("a");
    let plain = plaintext(16_384 + 50);
    let good = sealed(&fake, Suite::Cobblestone256, &plain).await;
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 0x40;
        let (out, error) = released(&fake, &bad).await;
        assert!(error.is_some(), "{at}");
        assert!(plain.starts_with(&out), "{at}");
    }
}

#[tokio::test]
async fn chunks_of_another_message_do_not_fit() {
    let fake = Fake::new("a");
    let plain = plaintext(2 * CHUNK);
    let one = sealed(&fake, Suite::default(), &plain).await;
    let two = sealed(&fake, Suite::default(), &plain).await;
    for cut in [1024 - 32, 1024, 1024 + 24, 1024 + 56, 1024 + 56 + CHUNK + 16] {
        let mixed = [&one[..cut], &two[cut..]].concat();
        assert_eq!(released(&fake, &mixed).await.1, Some(ErrorKind::NotAuthentic), "{cut}");
    }
}

#[tokio::test]
async fn nothing_is_no_message() {
    let fake = Fake::new("a");
    assert_eq!(kind(opened(&fake, b"").await), ErrorKind::Malformed);
    assert_eq!(kind(fake.open(b"", &context()).await), ErrorKind::Malformed);
    let empty = stream::iter(Vec::<Result<Bytes>>::new());
    let opener = Opener::new([&fake]);
    assert_eq!(kind(opener.decrypt_stream(empty, &context()).await), ErrorKind::Malformed);
}

#[tokio::test]
async fn a_head_that_claims_much_is_given_little() {
    // 64 KiB claimed, ten bytes there: the reader holds what came, not what was claimed.
    let mut claim = b"bulla\x01\x01\x00\xff\xff".to_vec();
    let mut reader = crate::format::PreambleReader::new();
    assert_eq!(reader.push(&claim).unwrap(), 10);
    assert_eq!(reader.needed(), 65_535 + 56 - 10);
    assert_eq!(kind(reader.finish()), ErrorKind::Malformed);
    claim.resize(65_535 + 56 + 100, 0);
    let mut reader = crate::format::PreambleReader::new();
    assert_eq!(reader.push(&claim).unwrap(), 65_535 + 56, "not a byte of the chunks is taken");
    assert_eq!(kind(reader.finish()), ErrorKind::Malformed);
}
