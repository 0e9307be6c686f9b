//! What `Resilient` adds to a call that is ready at once.
#![allow(clippy::expect_used, reason = "a benchmark")]

use std::sync::Arc;

use bulla::{
    CryptoProvider,
    resilience::{Policy, Resilient},
};
use bulla_conformance::Memory;
use divan::Bencher;

fn main() {
    divan::main();
}

fn bench(bencher: Bencher<'_, '_>, provider: &dyn CryptoProvider) {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let _entered = runtime.enter();
    bencher.bench_local(|| {
        // No runtime around the measured call: it is ready at its first poll.
        let call = provider.health();
        futures_util::FutureExt::now_or_never(call).expect("ready").expect("healthy")
    });
}

#[divan::bench(sample_count = 1000)]
fn bare(bencher: Bencher<'_, '_>) {
    bench(bencher, &Memory::new("bench"));
}

#[divan::bench(sample_count = 1000)]
fn resilient(bencher: Bencher<'_, '_>) {
    let wrapped = Resilient::new(Arc::new(Memory::new("bench")), Policy::default());
    bench(bencher, &wrapped);
}
