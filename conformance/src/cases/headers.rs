//! Heads with something wrong.

use bulla::{ErrorKind, format::Suite};

use crate::{
    case::{DAMAGED, Env, Failure, Outcome, check, context, must_fail},
    damage::{flip, head_len, with_u16},
};

pub(super) async fn header_flips(env: &Env) -> Outcome {
    let sealed = env.quiet.seal(Suite::default(), b"secret", &context()?).await?;
    env.quiet.open(&sealed, &context()?).await?;
    for at in 0..head_len(&sealed) {
        let opened = env.quiet.open(&flip(&sealed, at), &context()?).await;
        must_fail(&format!("byte {at} of the head flipped"), opened, DAMAGED)?;
    }
    Ok(())
}

pub(super) async fn truncated_heads(env: &Env) -> Outcome {
    let sealed = env.quiet.seal(Suite::default(), b"secret", &context()?).await?;
    for at in 0..=head_len(&sealed) {
        let cut = sealed.get(..at).unwrap_or_default();
        let opened = env.quiet.open(cut, &context()?).await;
        must_fail(&format!("cut after {at} bytes"), opened, DAMAGED)?;
    }
    Ok(())
}

/// What refusing a message of a few hundred bytes may allocate: it is parsed into less than a few
/// times its declared header, which is 64 KiB at most.
const BOUND: usize = 512 * 1024;

pub(super) async fn hostile_lengths(env: &Env) -> Outcome {
    let allocated = env.allocated.ok_or_else(|| Failure("no allocator counts".to_owned()))?;
    let sealed = env.quiet.seal(Suite::default(), b"secret", &context()?).await?;
    env.quiet.open(&sealed, &context()?).await?;
    for at in 8..head_len(&sealed) - 56 - 33 {
        for value in [0x00ff, 0x7fff, 0xffff] {
            let bad = with_u16(&sealed, at, value);
            if bad == sealed {
                continue;
            }
            let before = allocated();
            let opened = env.quiet.open(&bad, &context()?).await;
            let used = allocated().saturating_sub(before);
            must_fail(&format!("{value:#x} at {at}"), opened, DAMAGED)?;
            check!(used < BOUND, "{value:#x} at {at} allocated {used} bytes");
        }
    }
    // A text that claims to be long, and a prefix with nothing behind it.
    let opened = env.quiet.open(b"bulla\x01\x01\x00\xff\xff", &context()?).await;
    must_fail("a bare prefix", opened, &[ErrorKind::Malformed])
}
