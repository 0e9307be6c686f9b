//! A provider beside a bare client, in turns: wrapping and unwrapping a data key, and signing, by 1, 8 and 64
//! callers at once. Rounds of the two alternate, so that whatever else the machine does meets both.

use std::{
    future::Future,
    sync::Arc,
    time::{Duration, Instant},
};

use bulla::{
    CryptoProvider, DataKey, DataKeys as _, EncryptionContext, PublicKey, Sign as _,
    SigningAlgorithm, SigningInput, Wrapped,
    resilience::{Policy, Resilient},
};
use futures_util::future::join_all;

/// Calls of each system in all, shared by the callers, and how many rounds they are made in.
const CALLS: usize = 64_000;
const ROUNDS: usize = 200;

/// What is signed, with ES256.
pub(crate) const MESSAGE: &[u8] = b"message";

#[derive(Clone, Copy, Debug)]
pub(crate) enum Call {
    Wrap,
    Unwrap,
    Sign,
}

/// The client without us. A call that fails panics.
pub(crate) trait Bare: Send + Sync + 'static {
    fn call(&self, call: Call) -> impl Future<Output = ()> + Send;
}

/// A provider as a service has it, and what the bare client needs to do the same.
pub(crate) struct Ours {
    provider: Resilient,
    pub(crate) key: DataKey,
    pub(crate) wrapped: Wrapped,
    pub(crate) public: PublicKey,
}

impl Ours {
    pub(crate) async fn new(provider: impl CryptoProvider) -> Arc<Self> {
        let provider = Resilient::new(Arc::new(provider), Policy::default());
        let (key, wrapped) = provider.generate_data_key(&EncryptionContext::new()).await.unwrap();
        let public = provider.public_keys().await.unwrap().remove(0);
        Arc::new(Self { provider, key, wrapped, public })
    }

    async fn call(&self, call: Call) {
        let empty = EncryptionContext::new();
        match call {
            Call::Wrap => drop(self.provider.wrap_data_key(&self.key, &empty).await.unwrap()),
            Call::Unwrap => {
                drop(self.provider.unwrap_data_key(&self.wrapped, &empty).await.unwrap());
            }
            Call::Sign => {
                let input = SigningInput::new(SigningAlgorithm::Es256, MESSAGE);
                drop(self.provider.sign(&self.public, &input).await.unwrap());
            }
        }
    }
}

/// Measures all calls, and prints a table: of each system the median and the 99th percentile of all calls,
/// and beside the medians the median of what the two rounds of a turn had for a ratio, which a machine that is
/// slow for a while moves least.
pub(crate) async fn compare(ours: &Arc<Ours>, bare: impl Bare) {
    let bare = Arc::new(bare);
    println!(
        "{:8} {:>7}  {:>26}  {:>26}",
        "call", "callers", "p50 us: bare, bulla, ratio", "p99 us: bare, bulla, ratio"
    );
    for call in [Call::Wrap, Call::Unwrap, Call::Sign] {
        for callers in [1, 8, 64] {
            compare_one(ours, &bare, call, callers).await;
        }
    }
}

async fn compare_one<B: Bare>(ours: &Arc<Ours>, bare: &Arc<B>, call: Call, callers: usize) {
    let (mut theirs, mut own, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        let mut took = [Vec::new(), Vec::new()];
        for is_ours in if round % 2 == 1 { [true, false] } else { [false, true] } {
            took[usize::from(is_ours)] = match is_ours {
                true => {
                    round_of(callers, ours, move |ours| async move { ours.call(call).await }).await
                }
                false => {
                    round_of(callers, bare, move |bare| async move { bare.call(call).await }).await
                }
            };
        }
        // The first round opens connections.
        if round > 0 {
            let [bare, ours] = &took;
            ratios.push(at(ours, 0.5) / at(bare, 0.5));
            let [bare, ours] = took;
            theirs.extend(bare);
            own.extend(ours);
        }
    }
    ratios.sort_unstable_by(f64::total_cmp);
    let (bare, bulla) = ([at(&theirs, 0.5), at(&theirs, 0.99)], [at(&own, 0.5), at(&own, 0.99)]);
    let figures = |i: usize, ratio: f64| format!("{:8.0} {:8.0} {ratio:8.3}", bare[i], bulla[i]);
    let name = format!("{call:?}").to_lowercase();
    let (median, p99) = (figures(0, ratios[ratios.len() / 2]), figures(1, bulla[1] / bare[1]));
    println!("{name:8} {callers:7}  {median:>26}  {p99:>26}");
}

/// What so large a share of the calls took at most, in microseconds.
fn at(calls: &[Duration], share: f64) -> f64 {
    let mut sorted = calls.to_vec();
    sorted.sort_unstable();
    sorted[(sorted.len() as f64 * share) as usize].as_secs_f64() * 1e6
}

async fn round_of<T, F>(
    callers: usize,
    who: &Arc<T>,
    call: impl Fn(Arc<T>) -> F + Copy + Send + 'static,
) -> Vec<Duration>
where
    T: Send + Sync + 'static,
    F: Future<Output = ()> + Send,
{
    let each = CALLS / ROUNDS / callers;
    let caller = |_| {
        let who = Arc::clone(who);
        tokio::spawn(async move {
            let mut took = Vec::with_capacity(each);
            for _ in 0..each {
                let start = Instant::now();
                call(Arc::clone(&who)).await;
                took.push(start.elapsed());
            }
            took
        })
    };
    let all = join_all((0..callers).map(caller)).await;
    all.into_iter().flat_map(Result::unwrap).collect()
}
