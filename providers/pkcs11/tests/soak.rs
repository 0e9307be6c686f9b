//! Many calls, with memory, files and sessions that don't grow, on SoftHSM: 5,000 of them, or 100,000 with
//! `cargo xtask test --lane pkcs11 --all`.

#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "helpers of tests are tests too"
)]

mod world;

use std::{env, fs, sync::Arc, time::Instant};

use bulla::{Context, CryptoProvider, CryptoProviderExt, SigningInput, signing::verify};
use bulla_testworld::SoftHsm;
use futures_util::future::join_all;

const CALLERS: usize = 8;

/// Bytes of memory that the process has, and files that it has open.
#[derive(Clone, Copy, Debug)]
struct Figures {
    resident: usize,
    files: usize,
}

impl Figures {
    fn now() -> Self {
        let status = fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        let kib: usize = line.trim().trim_end_matches(" kB").parse().unwrap();
        Self { resident: kib * 1024, files: fs::read_dir("/proc/self/fd").unwrap().count() }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_calls_leave_nothing_behind() {
    let Some(hsm) = SoftHsm::in_child("many_calls_leave_nothing_behind") else { return };
    let calls = if env::var_os("BULLA_LONG_TESTS").is_some() { 100_000 } else { 5_000 };
    world::make_keys(&hsm);
    let builder = world::builder(&hsm).sealing_key("k").signing_key("p256").max_sessions(CALLERS);
    let provider = Arc::new(builder.build().await.unwrap());
    // The first calls open sessions, start threads and fill the allocator's caches.
    work(&provider, calls / 10).await;
    let start = (Instant::now(), Figures::now());
    work(&provider, calls).await;
    let (took, end) = (start.0.elapsed(), Figures::now());
    eprintln!("{calls} calls in {took:?}: {:?} before, {end:?} after", start.1);
    assert!(end.files <= start.1.files, "{:?} {end:?}", start.1);
    assert!(end.resident < start.1.resident + (4 << 20), "{:?} {end:?}", start.1);
    provider.close().await.unwrap();
    assert!(!world::is_logged_in(&hsm), "a session was left open");
}

/// A third each of sealing, opening and signing.
async fn work(provider: &Arc<impl CryptoProvider + 'static>, calls: usize) {
    let callers = (0..CALLERS).map(|caller| {
        let provider = Arc::clone(provider);
        tokio::spawn(async move {
            let context = Context::new().with_key("caller", caller.to_string()).unwrap();
            let public = provider.public_keys().await.unwrap().remove(0);
            let input = SigningInput::new(public.algorithms[0], b"message");
            for _ in 0..calls / CALLERS / 3 {
                let sealed = provider.seal(b"card number", &context).await.unwrap();
                assert_eq!(&*provider.open(&sealed, &context).await.unwrap(), b"card number");
                let signature = provider.sign(&public, &input).await.unwrap();
                verify(&public, &input, &signature).unwrap();
            }
        })
    });
    join_all(callers).await.into_iter().for_each(Result::unwrap);
}
