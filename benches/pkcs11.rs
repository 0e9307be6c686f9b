//! What calls through `bulla-pkcs11` take beside the same calls by the bare `cryptoki` crate, on SoftHSM,
//! for 1, 8 and 64 callers at once over at most 16 sessions.
//!
//! SoftHSM is found below `BULLA_PKCS11_ROOT`, where the lane `pkcs11` has unpacked it. The bare client is
//! what an asynchronous program would write: a semaphore, a list of sessions, and a thread that may block for
//! each call. Both take turns, in short rounds, so that whatever else the machine does meets both.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a benchmark stops where it can't go on, and prints"
)]

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use bulla::{
    CryptoProvider as _, DataKey, DataKeys as _, EncryptionContext, PublicKey, Sign as _,
    SigningAlgorithm, SigningInput, Wrapped,
};
use bulla_pkcs11::Pkcs11;
use bulla_testworld::{SoftHsm, tokens};
use cryptoki::{
    context::Pkcs11 as Context,
    mechanism::{Mechanism, aead::GcmParams},
    object::{Attribute, ObjectClass, ObjectHandle},
    session::Session,
};
use tokio::sync::Semaphore;

const SESSIONS: usize = 16;

/// Rounds of each, in turns.
const ROUNDS: usize = 150;

/// Calls of all callers together in a round.
const CALLS: usize = 256;

#[derive(Clone, Copy)]
enum Operation {
    Wrap,
    Unwrap,
    Sign,
}

const OPERATIONS: [(&str, Operation); 3] =
    [("wrap", Operation::Wrap), ("unwrap", Operation::Unwrap), ("sign", Operation::Sign)];

/// What both sides do.
trait Client: Clone + Send + Sync + 'static {
    fn call(&self, operation: Operation) -> impl Future<Output = ()> + Send;
}

fn main() {
    // `cargo test --benches` only wants to know that it starts.
    if !std::env::args().any(|arg| arg == "--bench") {
        return;
    }
    let Some(hsm) = SoftHsm::in_same_program() else { return };
    let threads = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    threads.block_on(measure(&hsm));
}

async fn measure(hsm: &SoftHsm) {
    let (context, session) = tokens::session(hsm);
    tokens::aes(&session, "aes", &[1], true);
    tokens::pairs(&session);
    let bare = Bare::new(&context, &session);
    let ours = Ours::new(hsm).await;
    for (name, operation) in OPERATIONS {
        let took = direct(&bare, &session, operation);
        println!("{name} from one thread, without a hop: {took:.0} µs\n");
    }
    println!(
        "| callers | operation | bare p50 | bulla p50 | ratio | bare p99 | bulla p99 | ratio |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for callers in [1, 8, 64] {
        for (name, operation) in OPERATIONS {
            let (mut theirs, mut own) = (Vec::new(), Vec::new());
            for round in 0..=ROUNDS {
                let (a, b) =
                    (turn(&bare, callers, operation).await, turn(&ours, callers, operation).await);
                // The first opens sessions.
                if round > 0 {
                    theirs.extend(a);
                    own.extend(b);
                }
            }
            report(callers, name, theirs, own);
        }
    }
}

/// The median of calls on the thread that makes them, in µs: what a program takes that is not asynchronous.
fn direct(bare: &Bare, session: &Session, operation: Operation) -> f64 {
    let mut took: Vec<_> = (0..4000)
        .map(|_| {
            let start = Instant::now();
            bare.0.call(session, operation);
            start.elapsed()
        })
        .collect();
    took.sort_unstable();
    took[took.len() / 2].as_secs_f64() * 1e6
}

async fn turn(client: &impl Client, callers: usize, operation: Operation) -> Vec<Duration> {
    let tasks: Vec<_> = (0..callers)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move {
                let mut took = Vec::new();
                for _ in 0..CALLS / callers {
                    let start = Instant::now();
                    client.call(operation).await;
                    took.push(start.elapsed());
                }
                took
            })
        })
        .collect();
    let mut took = Vec::new();
    for task in tasks {
        took.extend(task.await.unwrap());
    }
    took
}

fn report(callers: usize, operation: &str, mut theirs: Vec<Duration>, mut own: Vec<Duration>) {
    theirs.sort_unstable();
    own.sort_unstable();
    let at =
        |times: &[Duration], percent: usize| times[times.len() * percent / 100].as_secs_f64() * 1e6;
    let mut row = format!("| {callers} | {operation} |");
    for percent in [50, 99] {
        let (bare, ours) = (at(&theirs, percent), at(&own, percent));
        row += &format!(" {bare:.0} µs | {ours:.0} µs | {:.2} |", ours / bare);
    }
    println!("{row}");
}

#[derive(Clone)]
struct Ours {
    provider: Arc<Pkcs11>,
    key: Arc<DataKey>,
    wrapped: Arc<Wrapped>,
    public: Arc<PublicKey>,
}

impl Ours {
    async fn new(hsm: &SoftHsm) -> Self {
        let builder = Pkcs11::builder().module(&hsm.module).token("t").pin(SoftHsm::PIN);
        let builder = builder.sealing_key("aes").signing_key("p256").max_sessions(SESSIONS);
        let provider = builder.build().await.unwrap();
        let (key, wrapped) = provider.generate_data_key(&EncryptionContext::new()).await.unwrap();
        let public = provider.public_keys().await.unwrap().remove(0);
        assert_eq!(provider.label(), "pkcs11");
        Self {
            provider: Arc::new(provider),
            key: Arc::new(key),
            wrapped: Arc::new(wrapped),
            public: Arc::new(public),
        }
    }
}

impl Client for Ours {
    async fn call(&self, operation: Operation) {
        let context = EncryptionContext::new();
        match operation {
            Operation::Wrap => {
                drop(self.provider.wrap_data_key(&self.key, &context).await.unwrap());
            }
            Operation::Unwrap => {
                drop(self.provider.unwrap_data_key(&self.wrapped, &context).await.unwrap());
            }
            Operation::Sign => {
                let input = SigningInput::new(SigningAlgorithm::Es256, b"message");
                drop(self.provider.sign(&self.public, &input).await.unwrap());
            }
        }
    }
}

#[derive(Clone)]
struct Bare(Arc<Inner>);

struct Inner {
    permits: Arc<Semaphore>,
    sessions: Mutex<Vec<Session>>,
    aes: ObjectHandle,
    pair: ObjectHandle,
    wrapped: Vec<u8>,
}

/// What ours binds, for a fair comparison: as many bytes.
const AAD: &[u8] = b"bulla data key 1";

impl Bare {
    fn new(context: &Context, session: &Session) -> Self {
        let find = |label: &[u8], class| {
            let template = [Attribute::Label(label.to_vec()), Attribute::Class(class)];
            session.find_objects(&template).unwrap()[0]
        };
        let aes = find(b"aes", ObjectClass::SECRET_KEY);
        let pair = find(b"p256", ObjectClass::PRIVATE_KEY);
        let slot = session.get_session_info().unwrap().slot_id();
        let open = |_| context.open_ro_session(slot).unwrap();
        Self(Arc::new(Inner {
            permits: Arc::new(Semaphore::new(SESSIONS)),
            sessions: Mutex::new((0..SESSIONS).map(open).collect()),
            aes,
            pair,
            wrapped: encrypt(session, aes),
        }))
    }
}

impl Client for Bare {
    async fn call(&self, operation: Operation) {
        let permit = Arc::clone(&self.0.permits).acquire_owned().await.unwrap();
        let inner = Arc::clone(&self.0);
        let call = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            let session = inner.sessions.lock().unwrap().pop().unwrap();
            inner.call(&session, operation);
            inner.sessions.lock().unwrap().push(session);
        });
        call.await.unwrap();
    }
}

impl Inner {
    fn call(&self, session: &Session, operation: Operation) {
        match operation {
            Operation::Wrap => drop(encrypt(session, self.aes)),
            Operation::Unwrap => {
                let (nonce, body) = self.wrapped.split_first_chunk::<12>().unwrap();
                let mut nonce = *nonce;
                let params = GcmParams::new(&mut nonce, AAD, 128.into()).unwrap();
                drop(session.decrypt(&Mechanism::AesGcm(params), self.aes, body).unwrap());
            }
            Operation::Sign => {
                let input = SigningInput::new(SigningAlgorithm::Es256, b"message");
                let digest = input.digest().unwrap();
                drop(session.sign(&Mechanism::Ecdsa, self.pair, digest).unwrap());
            }
        }
    }
}

fn encrypt(session: &Session, key: ObjectHandle) -> Vec<u8> {
    let mut nonce = [0; 12];
    getrandom::fill(&mut nonce).unwrap();
    let params = GcmParams::new(&mut nonce, AAD, 128.into()).unwrap();
    let sealed = session.encrypt(&Mechanism::AesGcm(params), key, &[7; 32]).unwrap();
    [&nonce[..], &sealed].concat()
}
