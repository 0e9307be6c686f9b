//! Tokens that go away under load, other users of the library, processes that start together, and callers
//! who give up, on SoftHSM.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    reason = "helpers of tests are tests too"
)]

mod world;

use std::{
    collections::BTreeMap,
    env, fs,
    future::poll_fn,
    path::PathBuf,
    pin::pin,
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::Poll,
    thread,
    time::{Duration, Instant},
};

use bulla::{
    CryptoProvider, DataKeys, Encrypt, EncryptionContext, ErrorKind, Sign, SigningInput,
    resilience::{Policy, Resilient},
    signing::verify,
};
use bulla_testworld::SoftHsm;
use cryptoki::context::Pkcs11 as Context;
use futures_util::future::join_all;

/// Says in a child of a child that it is one.
const TASK: &str = "BULLA_PKCS11_TASK";

/// Longer than anything here takes, on any machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Callers who seal, open and sign until they are told to stop, and what became of their calls.
struct Load {
    provider: Arc<dyn CryptoProvider>,
    done: AtomicUsize,
    failed: Mutex<BTreeMap<String, usize>>,
    stop: AtomicBool,
}

impl Load {
    fn new(provider: impl CryptoProvider + 'static) -> Arc<Self> {
        Arc::new(Self {
            provider: Arc::new(provider),
            done: AtomicUsize::new(0),
            failed: Mutex::default(),
            stop: AtomicBool::new(false),
        })
    }

    fn start(self: &Arc<Self>, callers: usize) -> Vec<tokio::task::JoinHandle<()>> {
        (0..callers).map(|caller| tokio::spawn(Arc::clone(self).call(caller))).collect()
    }

    /// A wrong result panics, and so fails the test that waits for it.
    async fn call(self: Arc<Self>, caller: usize) {
        let provider = &self.provider;
        let context = EncryptionContext::from_pairs([("caller", caller.to_string())]).unwrap();
        let public = provider.public_keys().await.unwrap().remove(0);
        let mut kept = None;
        for round in 0_u64.. {
            if self.stop.load(Ordering::Relaxed) {
                return;
            }
            let outcome = match round % 3 {
                0 => provider.generate_data_key(&context).await.map(|made| kept = Some(made)),
                1 => match &kept {
                    Some((key, wrapped)) => provider
                        .unwrap_data_key(wrapped, &context)
                        .await
                        .map(|opened| assert!(opened.ct_eq(key))),
                    None => continue,
                },
                _ => {
                    let input = SigningInput::new(public.algorithms[0], b"message");
                    provider
                        .sign(&public, &input)
                        .await
                        .map(|signature| verify(&public, &input, &signature).unwrap())
                }
            };
            match outcome {
                Ok(()) => drop(self.done.fetch_add(1, Ordering::Relaxed)),
                Err(error) => {
                    let kind = error.kind().as_str().to_owned();
                    if !expected(error.kind()) {
                        eprintln!("{error:?}");
                    }
                    *self.failed.lock().unwrap().entry(kind).or_default() += 1;
                    // An open breaker refuses at once.
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
            }
        }
    }

    /// Waits until that many more calls have succeeded.
    async fn serves(&self, more: usize) {
        let wanted = self.done.load(Ordering::Relaxed) + more;
        let until = Instant::now() + PATIENCE;
        while self.done.load(Ordering::Relaxed) < wanted {
            assert!(Instant::now() < until, "it does not serve: {:?}", self.failed.lock().unwrap());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits until a call has failed that has begun by now.
    async fn fails(&self) {
        let count = || self.failed.lock().unwrap().values().sum::<usize>();
        let (wanted, until) = (count() + 1, Instant::now() + PATIENCE);
        while count() < wanted {
            assert!(Instant::now() < until, "nothing fails");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn end(&self, tasks: Vec<tokio::task::JoinHandle<()>>) {
        self.stop.store(true, Ordering::Relaxed);
        let ended = tokio::time::timeout(PATIENCE, join_all(tasks)).await.expect("a call hangs");
        ended.into_iter().for_each(Result::unwrap);
        let failed = self.failed.lock().unwrap();
        eprintln!("{} calls done, failed: {failed:?}", self.done.load(Ordering::Relaxed));
        for kind in failed.keys() {
            let documented = [ErrorKind::Unavailable, ErrorKind::CircuitOpen, ErrorKind::Timeout];
            assert!(documented.iter().any(|known| known.as_str() == kind), "{failed:?}");
        }
    }
}

fn expected(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::Unavailable | ErrorKind::CircuitOpen | ErrorKind::Timeout)
}

fn quick() -> Policy {
    let policy = Policy::builder()
        .attempt_timeout(Duration::from_secs(10))
        .deadline(Duration::from_secs(20))
        .cool_down(Duration::from_millis(200))
        .backoff(Duration::from_millis(1), Duration::from_millis(20));
    policy.build().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_token_that_is_taken_out_under_load_serves_again() {
    let Some(hsm) = SoftHsm::in_child("a_token_that_is_taken_out_under_load_serves_again") else {
        return;
    };
    world::make_keys(&hsm);
    let provider = world::builder(&hsm).sealing_key("k").signing_key("p256").build().await.unwrap();
    let load = Load::new(Resilient::new(Arc::new(provider), quick()));
    let tasks = load.start(16);
    let place: PathBuf = fs::read_dir(&hsm.tokens).unwrap().next().unwrap().unwrap().path();
    let away = hsm.tokens.with_extension("away");
    for _ in 0..3 {
        load.serves(200).await;
        fs::rename(&place, &away).unwrap();
        load.fails().await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        fs::rename(&away, &place).unwrap();
        load.serves(200).await;
    }
    load.end(tasks).await;
}

/// 500 futures of each operation, each dropped after it was polled a few times.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn calls_that_are_given_up_leave_no_session_behind() {
    let Some(hsm) = SoftHsm::in_child("calls_that_are_given_up_leave_no_session_behind") else {
        return;
    };
    world::make_keys(&hsm);
    let builder = world::builder(&hsm).sealing_key("k").signing_key("p256").max_sessions(3);
    let provider = Arc::new(builder.build().await.unwrap());
    let context = EncryptionContext::new();
    let (key, wrapped) = provider.generate_data_key(&context).await.unwrap();
    let sealed = provider.encrypt(b"payload", &context).await.unwrap();
    let public = provider.public_keys().await.unwrap().remove(0);
    let input = SigningInput::new(public.algorithms[0], b"message");
    let mut ended = 0;
    for round in 0..500_u64 {
        let mut calls = pin!(async {
            tokio::join!(
                provider.generate_data_key(&context),
                provider.wrap_data_key(&key, &context),
                provider.unwrap_data_key(&wrapped, &context),
                provider.encrypt(b"payload", &context),
                provider.decrypt(&sealed, &context),
                provider.reencrypt(&sealed, &context, &context),
                provider.sign(&public, &input),
                provider.describe_keys(),
                provider.health(),
            )
        });
        // From calls that have just been handed over to those that are likely done.
        for _ in 0..=round % 10 {
            let ready = poll_fn(|task| Poll::Ready(calls.as_mut().poll(task).is_ready())).await;
            if ready {
                ended += 1;
                break;
            }
            thread::sleep(Duration::from_micros(50));
        }
    }
    // The first poll hands over and can't be the last.
    assert!(ended <= 450, "{ended}");
    let calls = (0..32).map(|_| async {
        let opened = provider.unwrap_data_key(&wrapped, &context).await.unwrap();
        assert!(opened.ct_eq(&key));
    });
    tokio::time::timeout(PATIENCE, join_all(calls)).await.expect("the sessions are used up");
    assert!(world::is_logged_in(&hsm));
    provider.close().await.unwrap();
    assert!(!world::is_logged_in(&hsm), "a session was left open");
}

/// The standard (PKCS #11 3.1, section 5.4.2) leaves it open what becomes of calls that are under way in
/// other threads: SoftHSM crashes, or they hang. So the library is ended between calls.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_library_that_others_end_again_and_again_serves() {
    let Some(hsm) = SoftHsm::in_child("a_library_that_others_end_again_and_again_serves") else {
        return;
    };
    world::make_keys(&hsm);
    let provider = world::builder(&hsm).sealing_key("k").signing_key("p256").build().await.unwrap();
    let context = EncryptionContext::new();
    let (key, wrapped) = provider.generate_data_key(&context).await.unwrap();
    for _ in 0..20 {
        let other = Context::new(&hsm.module).unwrap();
        other.finalize().unwrap();
        // All find it ended, and one begins it anew.
        let calls = (0..16).map(|_| provider.unwrap_data_key(&wrapped, &context));
        for opened in join_all(calls).await {
            assert!(opened.unwrap().ct_eq(&key));
        }
    }
}

/// Runs a test of this file again, as a child that does its task on the same token.
fn child(test: &str) -> Child {
    let mut child = Command::new(env::current_exe().unwrap());
    child.args([test, "--exact", "--nocapture"]).env(TASK, "yes");
    child.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

#[tokio::test]
async fn processes_that_start_together_all_serve() {
    const TEST: &str = "processes_that_start_together_all_serve";
    let Some(hsm) = SoftHsm::in_child(TEST) else { return };
    if env::var_os(TASK).is_some() {
        let provider = world::builder(&hsm).sealing_key("k").build().await.unwrap();
        let context = EncryptionContext::new();
        let (key, wrapped) = provider.generate_data_key(&context).await.unwrap();
        return assert!(provider.unwrap_data_key(&wrapped, &context).await.unwrap().ct_eq(&key));
    }
    world::make_keys(&hsm);
    for together in [2, 2, 2, 2, 8, 8, 8, 8] {
        let children: Vec<_> = (0..together).map(|_| child(TEST)).collect();
        for child in children {
            let output = child.wait_with_output().unwrap();
            let errors = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "of {together}: {errors}");
        }
    }
}

/// The other side of a fork has none of the threads, and so no runtime, and a library that wants to be
/// initialised again. It makes a runtime and a provider of its own.
#[test]
fn both_sides_of_a_fork_serve() {
    let Some(hsm) = SoftHsm::in_child("both_sides_of_a_fork_serve") else { return };
    world::make_keys(&hsm);
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let own = runtime();
    let provider = own.block_on(world::builder(&hsm).sealing_key("k").build()).unwrap();
    let context = EncryptionContext::new();
    let (key, wrapped) = own.block_on(provider.generate_data_key(&context)).unwrap();
    let child = match fork::fork().unwrap() {
        fork::Fork::Parent(child) => child,
        fork::Fork::Child => {
            let opened = runtime().block_on(async {
                let provider = world::builder(&hsm).sealing_key("k").build().await?;
                provider.unwrap_data_key(&wrapped, &context).await
            });
            // Back in the test's runner, nobody would be there.
            std::process::exit(match opened {
                Ok(opened) => i32::from(!opened.ct_eq(&key)),
                Err(error) => {
                    eprintln!("{error:?}");
                    2
                }
            });
        }
    };
    let until = Instant::now() + PATIENCE;
    let status = loop {
        match fork::waitpid_nohang(child).unwrap() {
            Some(status) => break status,
            None => assert!(Instant::now() < until, "the child hangs"),
        }
        thread::sleep(Duration::from_millis(5));
    };
    assert_eq!(status, 0);
    let opened = own.block_on(provider.unwrap_data_key(&wrapped, &context));
    assert!(opened.unwrap().ct_eq(&key));
}
