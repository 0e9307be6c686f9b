//! Tokens beside the bare signature of AWS-LC and beside `jsonwebtoken`, same keys, same claims.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a benchmark")]

use std::sync::{Arc, LazyLock};

use async_trait::async_trait;
use aws_lc_rs::{
    digest::{self, Digest},
    rand::SystemRandom,
    signature::{self as lc, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RsaKeyPair},
};
use bulla::{
    KeyName, KeyVersion, PublicKey, Result, Sign, Signature, SigningAlgorithm, SigningInput,
    jwt::{Claims, Jwk, JwkSet, ProviderKeys, Signer, Verifier},
};
use divan::{Bencher, black_box};
use futures_util::FutureExt;

fn main() {
    divan::main();
}

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
    signer(name).sign(&claims()).now_or_never().expect("no I/O").unwrap()
}

fn verifier() -> Verifier {
    Verifier::builder().issuer("https://id.example").audience("orders").typ("JWT").build().unwrap()
}

#[divan::bench(args = ALGORITHMS, sample_count = 200)]
fn sign_raw(bencher: Bencher<'_, '_>, name: &str) {
    let token = token(name);
    let (message, _) = token.rsplit_once('.').unwrap();
    let subject = subject(name);
    bencher.bench(|| subject.sign_raw(black_box(message).as_bytes()));
}

#[divan::bench(args = ALGORITHMS, sample_count = 200)]
fn sign_bulla(bencher: Bencher<'_, '_>, name: &str) {
    let (signer, claims) = (signer(name), claims());
    bencher.bench(|| signer.sign(black_box(&claims)).now_or_never().expect("no I/O").unwrap());
}

#[divan::bench(args = ALGORITHMS, sample_count = 200)]
fn sign_jsonwebtoken(bencher: Bencher<'_, '_>, name: &str) {
    let subject = subject(name);
    if !subject.has_other() {
        return;
    }
    let der = &subject.pkcs8;
    let key = match &subject.pair {
        Pair::Rsa(..) => {
            // It takes RSA keys as RSAPrivateKey, which is inside of PKCS#8 in version 1 after 26
            // bytes of header for keys of this size.
            jsonwebtoken::EncodingKey::from_rsa_der(der.get(26..).unwrap())
        }
        Pair::Ec(..) => jsonwebtoken::EncodingKey::from_ec_der(der),
        Pair::Ed(..) => jsonwebtoken::EncodingKey::from_ed_der(der),
    };
    let mut header = jsonwebtoken::Header::new(subject.other);
    header.kid = subject.jwk().kid().map(str::to_owned);
    let claims = claims();
    bencher.bench(|| jsonwebtoken::encode(&header, black_box(&claims), &key).unwrap());
}

#[divan::bench(args = ALGORITHMS, sample_count = 500)]
fn verify_raw(bencher: Bencher<'_, '_>, name: &str) {
    let token = token(name);
    let (message, _) = token.rsplit_once('.').unwrap();
    let subject = subject(name);
    let signature = subject.sign_raw(message.as_bytes());
    bencher.bench(|| {
        subject.verifying.verify_sig(black_box(message).as_bytes(), &signature).unwrap();
    });
}

#[divan::bench(args = ALGORITHMS, sample_count = 500)]
fn verify_bulla(bencher: Bencher<'_, '_>, name: &str) {
    let (token, verifier) = (token(name), verifier());
    let keys = JwkSet::new([subject(name).jwk()]).unwrap();
    bencher.bench(|| verifier.verify_with::<Claims>(black_box(&token), &keys).unwrap());
}

#[divan::bench(args = ALGORITHMS, sample_count = 500)]
fn verify_jsonwebtoken(bencher: Bencher<'_, '_>, name: &str) {
    let subject = subject(name);
    if !subject.has_other() {
        return;
    }
    let jwk: jsonwebtoken::jwk::Jwk = serde_json::from_str(&subject.jwk().to_json()).unwrap();
    let key = jsonwebtoken::DecodingKey::from_jwk(&jwk).unwrap();
    let mut rules = jsonwebtoken::Validation::new(subject.other);
    rules.set_issuer(&["https://id.example"]);
    rules.set_audience(&["orders"]);
    let token = token(name);
    bencher.bench(|| {
        jsonwebtoken::decode::<Claims>(black_box(token.as_bytes()), &key, &rules).unwrap()
    });
}

/// ES256, with the key among others.
#[divan::bench(args = SETS, sample_count = 500)]
fn verify_in_a_set_of(bencher: Bencher<'_, '_>, count: usize) {
    let (token, verifier) = (token("ES256"), verifier());
    let own = subject("ES256").jwk();
    let others = (1..count).map(|n| own.clone().with_kid(n.to_string()));
    let keys = JwkSet::new(others.chain([own.clone()])).unwrap();
    bencher.bench(|| verifier.verify_with::<Claims>(black_box(&token), &keys).unwrap());
}
