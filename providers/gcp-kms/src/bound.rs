//! One key of the provider.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use bulla::{
    Error, ErrorKind, KeyName, Result,
    provider::{Bindings, BoundKey, Role},
};

use crate::{
    client::Kms,
    metadata::{Described, Signing, Use},
    public,
    resource::{SCHEME, Version},
};

/// A key as KMS described it when the provider was built.
#[derive(Debug)]
pub(crate) struct Bound {
    pub(crate) name: KeyName,
    /// The resource name.
    pub(crate) key: String,
    pub(crate) used_to: Use,
    /// The version that seals or signs, if it is not left to KMS, or to which one is the newest.
    pub(crate) pinned: Option<Version>,
    /// Of a key that signs, how it does: versions that do so otherwise don't take its place.
    pub(crate) signing: Option<Signing>,
    pub(crate) in_hsm: bool,
    /// Of a key that seals, the version that KMS was last seen to seal with. Zero if that is not known.
    primary: AtomicU64,
    /// Of a key that signs, its versions' public halves, which never change.
    publics: Mutex<BTreeMap<Version, Arc<Public>>>,
}

/// The public half of a version.
#[derive(Debug)]
pub(crate) struct Public {
    pub(crate) spki: Vec<u8>,
    pub(crate) signing: Signing,
}

/// The keys of one provider.
pub(crate) type Keys = Bindings<Bound>;

impl Bound {
    /// By the version that seals or signs, if there is one.
    pub(crate) fn new(
        key: String,
        used_to: Use,
        pinned: Option<Version>,
        current: Option<&Described>,
    ) -> Result<Self> {
        Ok(Self {
            name: KeyName::new(SCHEME, key.clone())?,
            key,
            used_to,
            pinned,
            signing: current.and_then(|version| version.signing),
            in_hsm: current.is_some_and(|version| version.in_hsm),
            primary: AtomicU64::new(current.map_or(0, |version| version.number)),
            publics: Mutex::default(),
        })
    }

    /// The version that seals, as far as is known.
    pub(crate) fn primary(&self) -> Option<Version> {
        Some(self.primary.load(Relaxed)).filter(|version| *version != 0)
    }

    /// Takes note of the version that KMS says it seals with.
    pub(crate) fn saw(&self, primary: Option<Version>) {
        if self.pinned.is_none() {
            self.primary.store(primary.unwrap_or(0), Relaxed);
        }
    }

    /// The public half of a version, by one GetPublicKey for as long as the provider lives.
    pub(crate) async fn public(&self, kms: &Kms, version: Version) -> Result<Arc<Public>> {
        if let Some(known) = self.known(version) {
            return Ok(known);
        }
        let sent = kms.public_key(&self.key, version).await?;
        let signing = sent.signing.ok_or_else(|| {
            let message = format!("version {version} of key {} is of no use here", self.key);
            Error::new(ErrorKind::Unsupported, message)
        })?;
        let spki = public::spki(signing.pair, &sent.pem).ok_or_else(|| {
            let message = format!("version {version} of key {} has an odd public key", self.key);
            Error::new(ErrorKind::Unavailable, message)
        })?;
        let public = Arc::new(Public { spki, signing });
        let mut publics = self.publics.lock().unwrap_or_else(PoisonError::into_inner);
        publics.insert(version, Arc::clone(&public));
        Ok(public)
    }

    /// The same if it was asked for before.
    pub(crate) fn known(&self, version: Version) -> Option<Arc<Public>> {
        let publics = self.publics.lock().unwrap_or_else(PoisonError::into_inner);
        publics.get(&version).cloned()
    }
}

impl BoundKey for Bound {
    fn name(&self) -> &KeyName {
        &self.name
    }

    fn seals(&self) -> bool {
        self.used_to == Use::Seal
    }

    fn answers_to(&self, name: &KeyName) -> bool {
        self.name == *name
    }

    fn refuses(&self, role: Role) -> Option<&'static str> {
        let more = role == Role::Opening && self.pinned.is_some();
        more.then_some("opens and verifies by all of its versions; give it without one")
    }

    fn mentioned_again(&mut self, _: Self) {}
}
