//! A signer with Ed25519 keys in memory that fails, waits and counts as told.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use async_trait::async_trait;

use crate::{
    PublicKey, Sign, Signature, SigningInput,
    crypto::SigningAlgorithm,
    error::{Error, ErrorKind, Result},
    jwt::Jwk,
    key::{KeyName, KeyState, KeyVersion},
};

#[derive(Debug)]
pub(super) struct Fake {
    state: Mutex<State>,
    /// What the next calls fail with, if set.
    pub(super) fails: Mutex<Option<ErrorKind>>,
    /// How long the public keys take.
    pub(super) takes: Mutex<Duration>,
    /// Whether signatures come out wrong.
    pub(super) miscalculates: AtomicBool,
    pub(super) fetched: AtomicUsize,
    pub(super) signed: AtomicUsize,
}

#[derive(Debug)]
struct State {
    states: Vec<KeyState>,
    current: usize,
    /// Distinguishes the key material of fakes.
    salt: u8,
}

impl Fake {
    pub(super) fn new(salt: u8) -> Self {
        Self {
            state: Mutex::new(State { states: vec![KeyState::Active], current: 0, salt }),
            fails: Mutex::default(),
            takes: Mutex::default(),
            miscalculates: AtomicBool::default(),
            fetched: AtomicUsize::default(),
            signed: AtomicUsize::default(),
        }
    }

    pub(super) fn rotate(&self) {
        let mut state = self.state.lock().unwrap();
        state.states.push(KeyState::Active);
        state.current = state.states.len() - 1;
    }

    pub(super) fn set_state(&self, version: usize, to: KeyState) {
        self.state.lock().unwrap().states[version] = to;
    }

    pub(super) fn fail(&self, kind: impl Into<Option<ErrorKind>>) {
        *self.fails.lock().unwrap() = kind.into();
    }

    pub(super) fn take(&self, time: Duration) {
        *self.takes.lock().unwrap() = time;
    }

    pub(super) fn fetches(&self) -> usize {
        self.fetched.load(Relaxed)
    }

    /// The current version's signature.
    pub(super) fn signature(&self, message: &[u8]) -> Vec<u8> {
        let current = self.state.lock().unwrap().current;
        sign(self.key(current), message)
    }

    /// The current version.
    pub(super) fn jwk(&self) -> Jwk {
        let keys = self.public();
        Jwk::from_public_key(keys.iter().find(|key| key.current).unwrap()).unwrap()
    }

    pub(super) fn kid(&self) -> String {
        self.jwk().thumbprint()
    }

    fn key(&self, version: usize) -> [u8; 32] {
        let mut key = [self.state.lock().unwrap().salt; 32];
        key[0] = u8::try_from(version).unwrap();
        key
    }

    fn public(&self) -> Vec<PublicKey> {
        let (states, current) = {
            let state = self.state.lock().unwrap();
            (state.states.clone(), state.current)
        };
        let keys = states.into_iter().enumerate().map(|(version, state)| {
            let name = KeyName::new("fake", "same").unwrap();
            let number = KeyVersion::parse(&version.to_string()).unwrap();
            let prefix = [0x30, 0x2a, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 3, 0x21, 0]; // RFC 8410
            let spki = [&prefix[..], &public(self.key(version))].concat();
            let mut key = PublicKey::new(name, number, spki);
            key.state = state;
            key.current = version == current;
            key.algorithms = vec![SigningAlgorithm::Ed25519];
            key
        });
        keys.collect()
    }

    fn check(&self) -> Result<()> {
        match *self.fails.lock().unwrap() {
            Some(kind) => Err(Error::new(kind, "as the test asked")),
            None => Ok(()),
        }
    }
}

#[async_trait]
impl Sign for Fake {
    async fn public_keys(&self) -> Result<Vec<PublicKey>> {
        self.fetched.fetch_add(1, Relaxed);
        let before = self.public();
        let takes = *self.takes.lock().unwrap();
        if !takes.is_zero() {
            tokio::time::sleep(takes).await;
        }
        self.check()?;
        Ok(before)
    }

    async fn sign(&self, key: &PublicKey, input: &SigningInput<'_>) -> Result<Signature> {
        self.signed.fetch_add(1, Relaxed);
        self.check()?;
        let version: usize = key.version.as_str().parse().unwrap();
        if self.state.lock().unwrap().states[version] != KeyState::Active {
            return Err(Error::new(ErrorKind::Disabled, "not an active version"));
        }
        let mut signature = sign(self.key(version), input.message().unwrap());
        if self.miscalculates.load(Relaxed) {
            signature[3] ^= 1;
        }
        Ok(Signature::new(signature))
    }
}

#[cfg(feature = "aws-lc-rs")]
fn pair(key: [u8; 32]) -> aws_lc_rs::signature::Ed25519KeyPair {
    aws_lc_rs::signature::Ed25519KeyPair::from_seed_unchecked(&key).unwrap()
}

#[cfg(feature = "aws-lc-rs")]
fn sign(key: [u8; 32], message: &[u8]) -> Vec<u8> {
    pair(key).sign(message).as_ref().to_vec()
}

#[cfg(feature = "aws-lc-rs")]
fn public(key: [u8; 32]) -> Vec<u8> {
    use aws_lc_rs::signature::KeyPair as _;
    pair(key).public_key().as_ref().to_vec()
}

#[cfg(not(feature = "aws-lc-rs"))]
fn sign(key: [u8; 32], message: &[u8]) -> Vec<u8> {
    use ed25519_dalek::Signer as _;
    ed25519_dalek::SigningKey::from_bytes(&key).sign(message).to_bytes().to_vec()
}

#[cfg(not(feature = "aws-lc-rs"))]
fn public(key: [u8; 32]) -> Vec<u8> {
    ed25519_dalek::SigningKey::from_bytes(&key).verifying_key().to_bytes().to_vec()
}
