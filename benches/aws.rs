//! What a call through `bulla-aws-kms` takes beside the same call by a bare `aws-sdk-kms` client,
//! and how many values a second are sealed by 64 callers at once.
//!
//! Both ask the same server: one in this process that answers at once, or the one whose URL is in
//! `BULLA_BENCH_KMS` with the keys `alias/bench-seal` (symmetric) and `alias/bench-sign` (P-256).
//! Calls alternate between the two clients, so that whatever else the machine does meets both.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a benchmark stops where it can't go on, and prints"
)]

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use aws_sdk_kms::{
    Client, Config,
    config::{BehaviorVersion, Credentials, Region, retry::RetryConfig},
    primitives::Blob,
    types::{DataKeySpec, MessageType, SigningAlgorithmSpec},
};
use bulla::{
    Context, CryptoProvider, DataKeys as _, EncryptionContext, Sealer, Sign as _, SigningAlgorithm,
    SigningInput,
    envelope::CachePolicy,
    resilience::{Policy, Resilient},
};
use bulla_aws_kms::AwsKms;
use futures_util::future::join_all;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

const SEAL: &str = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
const SIGN: &str = "arn:aws:kms:eu-west-1:111122223333:key/0987dcba-09fe-87dc-65ba-ab0987654321";

const ROUNDS: usize = 20_000;
const CALLERS: usize = 64;
const SEALS_EACH: usize = 50;

fn main() {
    // `cargo test --benches` only wants to know that it starts.
    if !std::env::args().any(|arg| arg == "--bench") {
        return;
    }
    let threads = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    threads.block_on(async {
        let (url, seal, sign) = match std::env::var("BULLA_BENCH_KMS") {
            Ok(url) => (url, "alias/bench-seal", "alias/bench-sign"),
            Err(_) => (canned().await, SEAL, SIGN),
        };
        measure(&url, seal, sign).await;
    });
}

fn config(url: &str) -> Config {
    Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-west-1"))
        .endpoint_url(url)
        .retry_config(RetryConfig::disabled())
        .credentials_provider(Credentials::new("bench", "bench", None, None, "bench"))
        .build()
}

async fn measure(url: &str, seal: &str, sign: &str) {
    let bare = Client::from_conf(config(url));
    let builder = AwsKms::builder().kms_config(config(url)).sealing_key(seal).signing_key(sign);
    let ours = Resilient::new(Arc::new(builder.build().await.unwrap()), Policy::default());
    let empty = EncryptionContext::new();
    let key = ours.public_keys().await.unwrap().remove(0);
    let input = SigningInput::new(SigningAlgorithm::Es256, b"message");
    let digest = input.digest().unwrap().to_vec();

    let (mut theirs, mut own) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let call = bare.generate_data_key().key_id(seal).key_spec(DataKeySpec::Aes256);
        let call = call.encryption_context("bulla", "1:data-key");
        theirs.push(timed(async { drop(call.send().await.unwrap()) }).await);
        own.push(timed(async { drop(ours.generate_data_key(&empty).await.unwrap()) }).await);
    }
    report("GenerateDataKey", theirs, own);

    let (mut theirs, mut own) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let call = bare.sign().key_id(sign).message(Blob::new(digest.clone()));
        let call = call.message_type(MessageType::Digest);
        let call = call.signing_algorithm(SigningAlgorithmSpec::EcdsaSha256);
        theirs.push(timed(async { drop(call.send().await.unwrap()) }).await);
        own.push(timed(async { drop(ours.sign(&key, &input).await.unwrap()) }).await);
    }
    report("Sign (ES256)", theirs, own);

    let ours: Arc<dyn CryptoProvider> = Arc::new(ours);
    let plain = Sealer::builder().recipient(Arc::clone(&ours));
    let cached = Sealer::builder().recipient(ours).cache(CachePolicy::default());
    throughput("no cache", &plain.build().unwrap()).await;
    throughput("with a cache", &cached.build().unwrap()).await;
}

async fn throughput(what: &str, sealer: &Sealer<Arc<dyn CryptoProvider>>) {
    let context = Context::new().with_key("tenant", "acme").unwrap();
    let caller = async || {
        for _ in 0..SEALS_EACH {
            sealer.seal(b"card number", &context).await.unwrap();
        }
    };
    let took = timed(async { drop(join_all((0..CALLERS).map(|_| caller())).await) }).await;
    let rate = (CALLERS * SEALS_EACH) as f64 / took.as_secs_f64();
    println!("{CALLERS} callers, {what}: {rate:.0} values sealed a second");
}

async fn timed(work: impl Future<Output = ()>) -> Duration {
    let start = Instant::now();
    work.await;
    start.elapsed()
}

fn report(what: &str, mut theirs: Vec<Duration>, mut own: Vec<Duration>) {
    theirs.sort_unstable();
    own.sort_unstable();
    for (name, at) in [("p50", ROUNDS / 2), ("p99", ROUNDS * 99 / 100)] {
        let (bare, ours) = (theirs[at].as_secs_f64() * 1e6, own[at].as_secs_f64() * 1e6);
        let more = ours - bare;
        println!("{what:16} {name}: bare {bare:6.0} us, bulla {ours:6.0} us, {more:+.0} us");
    }
}

/// A server that gives each operation one answer, and its URL.
async fn canned() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream));
        }
    });
    url
}

async fn serve(mut stream: TcpStream) {
    stream.set_nodelay(true).unwrap();
    let mut bytes = Vec::new();
    loop {
        let end = loop {
            if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
                break at + 4;
            }
            if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
                return;
            }
        };
        let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
        let header = |name: &str| {
            head.lines().find_map(|line| line.strip_prefix(name)).map(str::trim).unwrap_or_default()
        };
        let len: usize = header("content-length:").parse().unwrap_or(0);
        let answer = answer(header("x-amz-target:"));
        while bytes.len() < end + len {
            if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
                return;
            }
        }
        let body = match answer {
            Answer::Fixed(body) => body,
            Answer::Described => {
                let asked = String::from_utf8_lossy(&bytes[end..end + len]).into_owned();
                described(asked.contains(SIGN))
            }
        };
        bytes.drain(..end + len);
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/x-amz-json-1.1\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        if stream.write_all([head, body].concat().as_bytes()).await.is_err() {
            return;
        }
    }
}

enum Answer {
    Fixed(String),
    Described,
}

fn answer(target: &str) -> Answer {
    let key = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    // 30 06 02 01 01 02 01 01: the shortest ECDSA signature.
    Answer::Fixed(match target.rsplit('.').next().unwrap_or_default() {
        "generatedatakey" => format!(
            r#"{{"KeyId":"{SEAL}","Plaintext":"{key}","CiphertextBlob":"{}"}}"#,
            "AAAA".repeat(61)
        ),
        "sign" => format!(
            r#"{{"KeyId":"{SIGN}","Signature":"MAYCAQECAQE=","SigningAlgorithm":"ECDSA_SHA_256"}}"#
        ),
        "getpublickey" => format!(r#"{{"KeyId":"{SIGN}","PublicKey":"AAAA"}}"#),
        _ => return Answer::Described,
    })
}

fn described(signs: bool) -> String {
    let (arn, spec, usage) = match signs {
        true => (SIGN, "ECC_NIST_P256", "SIGN_VERIFY"),
        false => (SEAL, "SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT"),
    };
    format!(
        r#"{{"KeyMetadata":{{"Arn":"{arn}","KeyId":"x","KeySpec":"{spec}","KeyState":"Enabled","KeyUsage":"{usage}"}}}}"#
    )
}
