//! Chunks with something wrong. All behind one unwrapped data key.

use bulla::{ErrorKind, format::Suite};

use super::round_trips::SUITES;
use crate::{
    case::{DAMAGED, Env, Outcome, check, context, must_fail, plaintext},
    damage::{flip, head_len, split},
    subject::{decrypt_all, encrypt_all},
};

/// The small chunks make every byte affordable.
const SMALL: Suite = Suite::Cobblestone256;

/// Neither as a value nor as a stream may it open; what a stream releases is a true prefix.
async fn must_not_open(env: &Env, what: &str, sealed: &[u8], plain: &[u8]) -> Outcome {
    must_fail(what, env.quiet.open(sealed, &context()?).await, DAMAGED)?;
    let (out, end) = decrypt_all(&*env.quiet, sealed, &context()?).await;
    must_fail(&format!("{what}, as a stream"), end, DAMAGED)?;
    check!(plain.starts_with(&out), "{what}: plaintext was released that is not a prefix");
    Ok(())
}

pub(super) async fn chunk_flips(env: &Env) -> Outcome {
    let plain = plaintext(SMALL.chunk_len() + 40);
    let sealed = encrypt_all(&*env.quiet, SMALL, &plain, &context()?).await?;
    for at in head_len(&sealed)..sealed.len() {
        let opened = env.quiet.open(&flip(&sealed, at), &context()?).await;
        let what = format!("byte {at} flipped");
        must_fail(&what, opened, &[ErrorKind::NotAuthentic])?;
    }
    // As a stream, some: each costs a whole chunk.
    for at in (head_len(&sealed)..sealed.len()).step_by(97) {
        must_not_open(env, &format!("byte {at} flipped"), &flip(&sealed, at), &plain).await?;
    }
    Ok(())
}

pub(super) async fn truncations(env: &Env) -> Outcome {
    let plain = plaintext(SMALL.chunk_len() + 40);
    let sealed = encrypt_all(&*env.quiet, SMALL, &plain, &context()?).await?;
    for at in head_len(&sealed)..sealed.len() {
        let cut = sealed.get(..at).unwrap_or_default();
        let opened = env.quiet.open(cut, &context()?).await;
        must_fail(&format!("cut at {at}"), opened, &[ErrorKind::NotAuthentic])?;
    }
    for suite in SUITES {
        let plain = plaintext(6 * suite.chunk_len());
        let sealed = encrypt_all(&*env.quiet, suite, &plain, &context()?).await?;
        let (head, chunks) = split(&sealed, suite);
        for count in 0..chunks.len() {
            let kept: Vec<u8> = chunks.iter().take(count).copied().flatten().copied().collect();
            let what = format!("{suite}: cut behind chunk {count}");
            must_not_open(env, &what, &[head, &kept].concat(), &plain).await?;
        }
    }
    Ok(())
}

pub(super) async fn extensions(env: &Env) -> Outcome {
    for suite in SUITES {
        for len in [0, 100, suite.chunk_len(), suite.chunk_len() + 100] {
            let plain = plaintext(len);
            let sealed = encrypt_all(&*env.quiet, suite, &plain, &context()?).await?;
            let (_, chunks) = split(&sealed, suite);
            let zeros = vec![0; suite.sealed_chunk_len()];
            let first = chunks.first().copied().unwrap_or_default();
            let last = chunks.last().copied().unwrap_or_default();
            for (what, tail) in [
                ("a byte", zeros.get(..1).unwrap_or_default()),
                ("a tag of zeros", zeros.get(..16).unwrap_or_default()),
                ("a chunk of zeros", &zeros[..]),
                ("its first chunk", first),
                ("its last chunk", last),
            ] {
                let longer = [&sealed, tail].concat();
                must_not_open(env, &format!("{what} behind {len} bytes"), &longer, &plain).await?;
            }
        }
    }
    Ok(())
}

pub(super) async fn reordered(env: &Env) -> Outcome {
    for suite in SUITES {
        let plain = plaintext(3 * suite.chunk_len() + 100);
        let sealed = encrypt_all(&*env.quiet, suite, &plain, &context()?).await?;
        let (head, chunks) = split(&sealed, suite);
        for (what, order) in [
            ("swapped", &[1, 0, 2, 3][..]),
            ("doubled", &[0, 0, 1, 2, 3]),
            ("doubled in place", &[0, 0, 2, 3]),
            ("left out", &[0, 2, 3]),
            ("first left out", &[1, 2, 3]),
            ("last one first", &[3, 0, 1, 2]),
            ("last one early", &[0, 3]),
            ("last one doubled", &[0, 1, 2, 3, 3]),
        ] {
            let pick = |i: &usize| chunks.get(*i).copied().unwrap_or_default();
            let body: Vec<u8> = order.iter().flat_map(pick).copied().collect();
            must_not_open(env, what, &[head, &body].concat(), &plain).await?;
        }
    }
    Ok(())
}

pub(super) async fn spliced(env: &Env) -> Outcome {
    let plain = plaintext(2 * SMALL.chunk_len() + 9);
    let one = encrypt_all(&*env.quiet, SMALL, &plain, &context()?).await?;
    let two = encrypt_all(&*env.quiet, SMALL, &plain, &context()?).await?;
    let head = head_len(&one);
    check!(head == head_len(&two), "two headers of one sealer differ in length");
    let chunk = SMALL.sealed_chunk_len();
    for at in [head - 56 - 32, head - 56, head - 32, head, head + chunk, head + 2 * chunk] {
        let (front, back) = (one.get(..at), two.get(at..));
        let mixed = [front.unwrap_or_default(), back.unwrap_or_default()].concat();
        must_not_open(env, &format!("joined at {at}"), &mixed, &plain).await?;
    }
    Ok(())
}
