//! Tokens beside the bare signature of AWS-LC and beside `jsonwebtoken`, same keys, same claims, in turns.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark"
)]

use std::{
    hint::black_box,
    sync::{Arc, LazyLock},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use aws_lc_rs::{
    digest::{self, Digest},
    rand::SystemRandom,
    signature::{self as lc, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RsaKeyPair},
};
use base64::{Engine as _, engine::Simd, engine::general_purpose::NO_PAD};
use bulla::{
    KeyName, KeyVersion, PublicKey, Result, Sign, Signature, SigningAlgorithm, SigningInput,
    jwt::{Claims, Jwk, JwkSet, ProviderKeys, Signer, Verifier},
};
use futures_util::FutureExt;
use serde::de::DeserializeOwned;
use tokio::runtime::Runtime;

/// How many turns each has, and how long one takes at least.
const TURNS: usize = 200;
const TURN: Duration = Duration::from_micros(500);

fn main() {
    let wanted = std::env::args().nth(1).filter(|arg| !arg.starts_with('-'));
    let wanted = |name: &str| wanted.as_ref().is_none_or(|wanted| name == wanted);
    println!(
        "The bare signature beside the least that makes a token of it, bulla and jsonwebtoken:"
    );
    println!("its time, and its share in theirs (median of turns)");
    for name in ALGORITHMS.into_iter().filter(|name| wanted(name)) {
        compare(&format!("sign {name}"), signing(name));
        compare(&format!("verify {name}"), verifying::<Claims>(name));
        compare("  own type", verifying::<Access>(name));
    }
    for count in SETS {
        let took = turns(&mut [among(count)]);
        println!("verify ES256, of {count:4} keys {:10.2} us", fastest(&took[0]));
    }
}

/// What is measured, over and over.
type Work = Box<dyn FnMut()>;

/// The bare work comes first.
fn compare(name: &str, mut all: Vec<Work>) {
    let took = turns(&mut all);
    let share = |other: &Vec<f64>| {
        let mut all: Vec<_> = took[0].iter().zip(other).map(|(bare, other)| bare / other).collect();
        all.sort_unstable_by(f64::total_cmp);
        format!("{:8.3}", all[all.len() / 2])
    };
    let shares: Vec<_> = took[1..].iter().map(share).collect();
    println!("{name:15} {:8.2} us {}", fastest(&took[0]), shares.join(" "));
}

/// Microseconds that each took, turn by turn.
fn turns(all: &mut [Work]) -> Vec<Vec<f64>> {
    let mut took = vec![Vec::with_capacity(TURNS); all.len()];
    let times: Vec<_> = all.iter_mut().map(how_often).collect();
    for turn in 0..TURNS {
        for i in 0..all.len() {
            let at = (turn + i) % all.len();
            let start = Instant::now();
            for _ in 0..times[at] {
                all[at]();
            }
            took[at].push(start.elapsed().as_secs_f64() * 1e6 / f64::from(times[at]));
        }
    }
    took
}

/// How often in a turn.
fn how_often(work: &mut Work) -> u32 {
    let (start, mut times) = (Instant::now(), 0);
    while start.elapsed() < TURN {
        work();
        times += 1;
    }
    times
}

fn fastest(took: &[f64]) -> f64 {
    took.iter().copied().fold(f64::INFINITY, f64::min)
}

static BASE64: LazyLock<Simd> = LazyLock::new(|| Simd::url_safe(NO_PAD));

/// A provider's keys are fetched by a task of it.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap()
});

const ALGORITHMS: [&str; 10] =
    ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"];

/// How many keys there are in a set to choose from.
const SETS: [usize; 3] = [1, 10, 1000];

enum Pair {
    Rsa(RsaKeyPair, &'static dyn lc::RsaEncoding),
    Ec(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
}

/// One algorithm's key, as everybody here wants it.
struct Subject {
    pair: Pair,
    verifying: lc::ParsedPublicKey,
    public: PublicKey,
    pkcs8: Vec<u8>,
    other: jsonwebtoken::Algorithm,
}

static SUBJECTS: LazyLock<Vec<Arc<Subject>>> =
    LazyLock::new(|| ALGORITHMS.iter().map(|name| Arc::new(Subject::new(name))).collect());

fn subject(name: &str) -> &'static Arc<Subject> {
    let at = ALGORITHMS.iter().position(|n| *n == name).unwrap();
    SUBJECTS.get(at).unwrap()
}

impl Subject {
    fn new(name: &str) -> Self {
        use SigningAlgorithm::*;
        use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
        let rsa = |encoding, algorithm, verify: &'static lc::RsaParameters| {
            let pair = RsaKeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).unwrap();
            let der: Pkcs8V1Der<'_> = pair.as_der().unwrap();
            let spki: PublicKeyX509Der<'_> = pair.public_key().as_der().unwrap();
            let (der, spki) = (der.as_ref().to_vec(), spki.as_ref().to_vec());
            let verifying = lc::ParsedPublicKey::new(verify, pair.public_key()).unwrap();
            (Pair::Rsa(pair, encoding), algorithm, verifying, spki, der)
        };
        let ec = |signing, algorithm, verify: &'static lc::EcdsaVerificationAlgorithm| {
            let pair = EcdsaKeyPair::generate(signing).unwrap();
            let der = pair.to_pkcs8v1().unwrap().as_ref().to_vec();
            let spki: PublicKeyX509Der<'_> = pair.public_key().as_der().unwrap();
            let spki = spki.as_ref().to_vec();
            let verifying = lc::ParsedPublicKey::new(verify, pair.public_key()).unwrap();
            (Pair::Ec(pair), algorithm, verifying, spki, der)
        };
        let (pair, algorithm, verifying, spki, pkcs8) = match name {
            "RS256" => rsa(&lc::RSA_PKCS1_SHA256, Rs256, &lc::RSA_PKCS1_2048_8192_SHA256),
            "RS384" => rsa(&lc::RSA_PKCS1_SHA384, Rs384, &lc::RSA_PKCS1_2048_8192_SHA384),
            "RS512" => rsa(&lc::RSA_PKCS1_SHA512, Rs512, &lc::RSA_PKCS1_2048_8192_SHA512),
            "PS256" => rsa(&lc::RSA_PSS_SHA256, Ps256, &lc::RSA_PSS_2048_8192_SHA256),
            "PS384" => rsa(&lc::RSA_PSS_SHA384, Ps384, &lc::RSA_PSS_2048_8192_SHA384),
            "PS512" => rsa(&lc::RSA_PSS_SHA512, Ps512, &lc::RSA_PSS_2048_8192_SHA512),
            "ES256" => {
                ec(&lc::ECDSA_P256_SHA256_FIXED_SIGNING, Es256, &lc::ECDSA_P256_SHA256_FIXED)
            }
            "ES384" => {
                ec(&lc::ECDSA_P384_SHA384_FIXED_SIGNING, Es384, &lc::ECDSA_P384_SHA384_FIXED)
            }
            "ES512" => {
                ec(&lc::ECDSA_P521_SHA512_FIXED_SIGNING, Es512, &lc::ECDSA_P521_SHA512_FIXED)
            }
            _ => {
                let pair = Ed25519KeyPair::generate().unwrap();
                let der = pair.to_pkcs8v1().unwrap().as_ref().to_vec();
                let spki: PublicKeyX509Der<'_> = pair.public_key().as_der().unwrap();
                let spki = spki.as_ref().to_vec();
                let verifying = lc::ParsedPublicKey::new(&lc::ED25519, pair.public_key()).unwrap();
                (Pair::Ed(pair), Ed25519, verifying, spki, der)
            }
        };
        let key = KeyName::new("bench", name).unwrap();
        let mut public = PublicKey::new(key, KeyVersion::parse("1").unwrap(), spki);
        public.current = true;
        public.algorithms = vec![algorithm];
        // `jsonwebtoken` has no ES512.
        let other = name.parse().unwrap_or(jsonwebtoken::Algorithm::HS256);
        Self { pair, verifying, public, pkcs8, other }
    }

    fn sign_digest(&self, input: &SigningInput<'_>) -> Vec<u8> {
        let digest = || {
            let bytes = input.digest().unwrap();
            let algorithm = match bytes.len() {
                32 => &digest::SHA256,
                48 => &digest::SHA384,
                _ => &digest::SHA512,
            };
            Digest::import_less_safe(bytes, algorithm).unwrap()
        };
        match &self.pair {
            Pair::Rsa(pair, encoding) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign_digest(*encoding, &digest(), &mut signature).unwrap();
                signature
            }
            Pair::Ec(pair) => pair.sign_digest(&digest()).unwrap().as_ref().to_vec(),
            Pair::Ed(pair) => pair.sign(input.message().unwrap()).as_ref().to_vec(),
        }
    }

    fn sign_raw(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match &self.pair {
            Pair::Rsa(pair, encoding) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(*encoding, &random, message, &mut signature).unwrap();
                signature
            }
            Pair::Ec(pair) => pair.sign(&random, message).unwrap().as_ref().to_vec(),
            Pair::Ed(pair) => pair.sign(message).as_ref().to_vec(),
        }
    }

    fn jwk(&self) -> Jwk {
        Jwk::from_public_key(&self.public).unwrap()
    }

    fn has_other(&self) -> bool {
        self.other != jsonwebtoken::Algorithm::HS256
    }
}

#[async_trait]
impl Sign for Subject {
    async fn public_keys(&self) -> Result<Vec<PublicKey>> {
        Ok(vec![self.public.clone()])
    }

    async fn sign(&self, _: &PublicKey, input: &SigningInput<'_>) -> Result<Signature> {
        Ok(Signature::new(self.sign_digest(input)))
    }
}

fn claims() -> Claims {
    let claims = Claims::new().unwrap().with_issuer("https://id.example").with_audience("orders");
    claims.with_subject("ada").with_member("scope", "read write").unwrap()
}

fn signer(name: &str) -> Signer<Arc<Subject>> {
    Signer::new(Arc::new(ProviderKeys::new(Arc::clone(subject(name)))))
}

fn token(name: &str) -> String {
    RUNTIME.block_on(signer(name).sign(&claims())).unwrap()
}

fn verifier() -> Verifier {
    Verifier::builder().issuer("https://id.example").audience("orders").typ("JWT").build().unwrap()
}

fn signing(name: &str) -> Vec<Work> {
    let own = subject(name);
    let token = token(name);
    let message = token.rsplit_once('.').unwrap().0.as_bytes().to_vec();
    let bare: Work = Box::new(move || drop(black_box(own.sign_raw(black_box(&message)))));

    // What nobody can leave out: claims as JSON, two texts of base64url, the signature.
    let (header, of) = (token.split_once('.').unwrap().0.to_owned(), claims());
    let floor: Work = Box::new(move || {
        let mut token = String::with_capacity(1024);
        token.push_str(&header);
        token.push('.');
        BASE64.encode_string(serde_json::to_vec(black_box(&of)).unwrap(), &mut token);
        let signature = own.sign_raw(token.as_bytes());
        token.push('.');
        BASE64.encode_string(signature, &mut token);
        drop(black_box(token));
    });

    let (signer, of) = (signer(name), claims());
    RUNTIME.block_on(signer.sign(&of)).unwrap();
    let bulla: Work = Box::new(move || {
        let token = signer.sign(black_box(&of)).now_or_never().expect("the keys are there");
        drop(black_box(token.unwrap()));
    });
    let mut all = vec![bare, floor, bulla];

    if own.has_other() {
        let der = &own.pkcs8;
        let key = match &own.pair {
            Pair::Rsa(..) => {
                // It takes RSA keys as RSAPrivateKey, which is inside of PKCS#8 in version 1 after 26
                // bytes of header for keys of this size.
                jsonwebtoken::EncodingKey::from_rsa_der(der.get(26..).unwrap())
            }
            Pair::Ec(..) => jsonwebtoken::EncodingKey::from_ec_der(der),
            Pair::Ed(..) => jsonwebtoken::EncodingKey::from_ed_der(der),
        };
        let mut header = jsonwebtoken::Header::new(own.other);
        header.kid = own.jwk().kid().map(str::to_owned);
        let claims = claims();
        all.push(Box::new(move || {
            let token = jsonwebtoken::encode(&header, black_box(&claims), &key);
            drop(black_box(token.unwrap()));
        }));
    }
    all
}

/// What a service declares of the claims that it uses.
#[derive(serde::Deserialize)]
#[allow(dead_code, reason = "what counts is that they are read")]
struct Access {
    sub: String,
    scope: String,
}

fn verifying<C: DeserializeOwned + 'static>(name: &str) -> Vec<Work> {
    let own = subject(name);
    let token = token(name);
    let message = token.rsplit_once('.').unwrap().0.as_bytes().to_vec();
    let signature = own.sign_raw(&message);
    let bare: Work = Box::new(move || {
        own.verifying.verify_sig(black_box(&message), black_box(&signature)).unwrap();
    });
    // What nobody can leave out, and nothing that is checked: the header is not even read.
    let text = token.clone();
    let floor: Work = Box::new(move || {
        let (message, signature) = black_box(&text).rsplit_once('.').unwrap();
        let (_, payload) = message.split_once('.').unwrap();
        let signature = BASE64.decode(signature).unwrap();
        own.verifying.verify_sig(message.as_bytes(), &signature).unwrap();
        let payload = BASE64.decode(payload).unwrap();
        drop(black_box(serde_json::from_slice::<C>(&payload).unwrap()));
    });
    let mut all = vec![bare, floor, among_own::<C>(name, [])];

    if own.has_other() {
        let jwk: jsonwebtoken::jwk::Jwk = serde_json::from_str(&own.jwk().to_json()).unwrap();
        let key = jsonwebtoken::DecodingKey::from_jwk(&jwk).unwrap();
        let mut rules = jsonwebtoken::Validation::new(own.other);
        rules.set_issuer(&["https://id.example"]);
        rules.set_audience(&["orders"]);
        all.push(Box::new(move || {
            let read = jsonwebtoken::decode::<C>(black_box(token.as_bytes()), &key, &rules);
            drop(black_box(read.unwrap()));
        }));
    }
    all
}

/// Verifies with the key among others.
fn among_own<C: DeserializeOwned + 'static>(
    name: &str,
    others: impl IntoIterator<Item = Jwk>,
) -> Work {
    let (token, verifier) = (token(name), verifier());
    let keys = JwkSet::new(others.into_iter().chain([subject(name).jwk()])).unwrap();
    Box::new(move || {
        drop(black_box(verifier.verify_with::<C>(black_box(&token), &keys).unwrap()));
    })
}

fn among(count: usize) -> Work {
    let own = subject("ES256").jwk();
    among_own::<Claims>("ES256", (1..count).map(|n| own.clone().with_kid(n.to_string())))
}
