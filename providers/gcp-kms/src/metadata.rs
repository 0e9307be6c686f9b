//! What KMS says of a key and of its versions, and what can be done with them.

use bulla::{Error, ErrorKind, Result, SigningAlgorithm, key::KeyState};
use google_cloud_kms_v1::model::{
    CryptoKey, CryptoKeyVersion, ProtectionLevel,
    crypto_key::CryptoKeyPurpose,
    crypto_key_version::{CryptoKeyVersionAlgorithm as Algorithm, CryptoKeyVersionState as State},
};

use crate::resource::{Version, may_be_same, version_in};

/// The kinds of pairs that sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pair {
    /// With the bytes of the modulus.
    Rsa(usize),
    P256,
    P384,
    Ed25519,
}

/// How a version signs: KMS fixes algorithm and digest when a version is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Signing {
    pub(crate) pair: Pair,
    pub(crate) algorithm: SigningAlgorithm,
}

/// What keys of Cloud KMS can sign.
pub(crate) const ALL_SIGNING: [SigningAlgorithm; 7] = {
    use SigningAlgorithm::*;
    [Rs256, Rs512, Ps256, Ps512, Es256, Es384, Ed25519]
};

impl Signing {
    /// `None` for an algorithm that this provider has no use for.
    pub(crate) fn of(algorithm: &Algorithm) -> Option<Self> {
        use SigningAlgorithm::*;
        let (pair, algorithm) = match algorithm {
            Algorithm::RsaSignPkcs12048Sha256 => (Pair::Rsa(256), Rs256),
            Algorithm::RsaSignPkcs13072Sha256 => (Pair::Rsa(384), Rs256),
            Algorithm::RsaSignPkcs14096Sha256 => (Pair::Rsa(512), Rs256),
            Algorithm::RsaSignPkcs14096Sha512 => (Pair::Rsa(512), Rs512),
            Algorithm::RsaSignPss2048Sha256 => (Pair::Rsa(256), Ps256),
            Algorithm::RsaSignPss3072Sha256 => (Pair::Rsa(384), Ps256),
            Algorithm::RsaSignPss4096Sha256 => (Pair::Rsa(512), Ps256),
            Algorithm::RsaSignPss4096Sha512 => (Pair::Rsa(512), Ps512),
            Algorithm::EcSignP256Sha256 => (Pair::P256, Es256),
            Algorithm::EcSignP384Sha384 => (Pair::P384, Es384),
            Algorithm::EcSignEd25519 => (Pair::Ed25519, Ed25519),
            _ => return None,
        };
        Some(Self { pair, algorithm })
    }
}

/// One version, as KMS describes it.
#[derive(Clone, Debug)]
pub(crate) struct Described {
    pub(crate) number: Version,
    state: State,
    /// KMS's word for the algorithm.
    pub(crate) algorithm: String,
    pub(crate) signing: Option<Signing>,
    /// Whether plaintext and additional data have to share the few bytes that an HSM takes.
    pub(crate) in_hsm: bool,
}

impl Described {
    /// `None` if it is not about that key.
    pub(crate) fn new(key: &str, told: &CryptoKeyVersion) -> Option<Self> {
        Some(Self {
            number: version_in(key, &told.name)?,
            state: told.state.clone(),
            algorithm: told.algorithm.name().unwrap_or("of an unknown algorithm").to_owned(),
            signing: Signing::of(&told.algorithm),
            in_hsm: !matches!(told.protection_level, ProtectionLevel::Software),
        })
    }

    pub(crate) fn is_enabled(&self) -> bool {
        self.state == State::Enabled
    }

    pub(crate) fn state(&self) -> KeyState {
        match self.state {
            State::Enabled => KeyState::Active,
            State::DestroyScheduled => KeyState::PendingDeletion,
            State::Destroyed => KeyState::Destroyed,
            _ => KeyState::Disabled,
        }
    }

    /// Why the version can't be used in its state, if it can't.
    pub(crate) fn check_usable(&self, key: &str) -> Result<()> {
        let state = match self.state {
            State::Enabled => return Ok(()),
            ref other => other.name().unwrap_or("of an unknown state"),
        };
        let version = self.number;
        let (kind, what) = explain_state(state);
        Err(Error::new(kind, format!("version {version} of key {key} {what}")))
    }
}

/// What a state of a version comes to, by KMS's word for it.
pub(crate) fn explain_state(state: &str) -> (ErrorKind, &'static str) {
    match state {
        "DISABLED" => (ErrorKind::Disabled, "is disabled; enable it"),
        "DESTROY_SCHEDULED" => (
            ErrorKind::PendingDeletion,
            "is scheduled for destruction; to keep it, restore it and enable it",
        ),
        "DESTROYED" => (ErrorKind::Destroyed, "was destroyed"),
        "PENDING_GENERATION" => {
            (ErrorKind::Unavailable, "is still being generated; try again shortly")
        }
        "PENDING_IMPORT" => (ErrorKind::Disabled, "waits for its key material; import it"),
        "IMPORT_FAILED" => (ErrorKind::Disabled, "could not be imported; import it again"),
        "GENERATION_FAILED" => (ErrorKind::Disabled, "could not be generated; make another one"),
        _ => (ErrorKind::Disabled, "is in a state that does not allow its use"),
    }
}

/// What a key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    Seal,
    Sign,
}

/// A key, as KMS describes it.
#[derive(Debug)]
pub(crate) struct DescribedKey {
    /// The name by which KMS knows it.
    pub(crate) name: String,
    pub(crate) used_to: Use,
    /// Of a key that seals, the version that it seals with.
    pub(crate) primary: Option<Described>,
}

impl DescribedKey {
    /// # Errors
    /// [`ErrorKind::Unsupported`] for a kind of key that is of no use here. `Ok(None)` if it is not about
    /// the key that was asked for.
    pub(crate) fn new(asked: &str, told: &CryptoKey) -> Result<Option<Self>> {
        if !may_be_same(asked, &told.name) {
            return Ok(None);
        }
        let used_to = match told.purpose {
            CryptoKeyPurpose::EncryptDecrypt => Use::Seal,
            CryptoKeyPurpose::AsymmetricSign => Use::Sign,
            ref other => {
                let other = other.name().unwrap_or("unknown");
                return Err(Error::new(
                    ErrorKind::Unsupported,
                    format!(
                        "key {asked} has the purpose {other}; sealing takes ENCRYPT_DECRYPT, and \
                         signing ASYMMETRIC_SIGN"
                    ),
                ));
            }
        };
        let primary = match &told.primary {
            None => None,
            Some(primary) => match Described::new(&told.name, primary) {
                None => return Ok(None),
                described => described,
            },
        };
        Ok(Some(Self { name: told.name.clone(), used_to, primary }))
    }

    /// The version that seals.
    ///
    /// # Errors
    /// [`ErrorKind::Disabled`] if there is none.
    pub(crate) fn sealing(&self) -> Result<&Described> {
        self.primary.as_ref().ok_or_else(|| {
            let message = format!("key {} has no primary version; make one primary", self.name);
            Error::new(ErrorKind::Disabled, message)
        })
    }
}

/// The version that signs: the one that is pinned, or the newest of those that are enabled and, if that is
/// known, sign by that algorithm.
pub(crate) fn current(
    versions: &[Described],
    pinned: Option<Version>,
    algorithm: Option<SigningAlgorithm>,
) -> Option<&Described> {
    let fits = |version: &&Described| match (pinned, algorithm) {
        (Some(pinned), _) => version.number == pinned,
        (None, None) => version.is_enabled() && version.signing.is_some(),
        (None, Some(one)) => {
            version.is_enabled() && version.signing.is_some_and(|own| own.algorithm == one)
        }
    };
    versions.iter().filter(fits).max_by_key(|version| version.number)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "projects/p/locations/l/keyRings/r/cryptoKeys/k";

    fn version(number: Version, state: State, algorithm: Algorithm) -> Described {
        let told = CryptoKeyVersion::new()
            .set_name(format!("{KEY}/cryptoKeyVersions/{number}"))
            .set_state(state)
            .set_algorithm(algorithm)
            .set_protection_level(ProtectionLevel::Software);
        Described::new(KEY, &told).unwrap()
    }

    #[test]
    fn the_newest_version_that_is_enabled_signs() {
        let versions = [
            version(1, State::Enabled, Algorithm::EcSignP256Sha256),
            version(3, State::Disabled, Algorithm::EcSignP256Sha256),
            version(2, State::Enabled, Algorithm::EcSignP256Sha256),
            version(4, State::PendingGeneration, Algorithm::EcSignP256Sha256),
            version(5, State::Enabled, Algorithm::EcSignP384Sha384),
            version(6, State::Enabled, Algorithm::EcSignSecp256K1Sha256),
        ];
        let number = |pinned, algorithm| current(&versions, pinned, algorithm).map(|v| v.number);
        assert_eq!(number(None, None), Some(5));
        assert_eq!(number(None, Some(SigningAlgorithm::Es256)), Some(2));
        assert_eq!(number(None, Some(SigningAlgorithm::Rs256)), None);
        assert_eq!(number(Some(1), Some(SigningAlgorithm::Es256)), Some(1));
        assert_eq!(number(Some(9), None), None);
    }

    #[test]
    fn states_are_told_apart() {
        let kind = |state| {
            version(1, state, Algorithm::GoogleSymmetricEncryption)
                .check_usable(KEY)
                .map_err(|error| error.kind())
        };
        assert_eq!(kind(State::Enabled), Ok(()));
        assert_eq!(kind(State::Disabled), Err(ErrorKind::Disabled));
        assert_eq!(kind(State::DestroyScheduled), Err(ErrorKind::PendingDeletion));
        assert_eq!(kind(State::Destroyed), Err(ErrorKind::Destroyed));
        assert_eq!(kind(State::PendingGeneration), Err(ErrorKind::Unavailable));
        assert_eq!(kind(State::from(77)), Err(ErrorKind::Disabled));
    }

    #[test]
    fn keys_for_other_purposes_are_refused() {
        let key = |purpose| CryptoKey::new().set_name(KEY).set_purpose(purpose);
        for purpose in [
            CryptoKeyPurpose::AsymmetricDecrypt,
            CryptoKeyPurpose::Mac,
            CryptoKeyPurpose::RawEncryptDecrypt,
            CryptoKeyPurpose::Unspecified,
            CryptoKeyPurpose::from(77),
        ] {
            let error = DescribedKey::new(KEY, &key(purpose)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unsupported);
        }
        let seals =
            DescribedKey::new(KEY, &key(CryptoKeyPurpose::EncryptDecrypt)).unwrap().unwrap();
        assert_eq!(seals.sealing().unwrap_err().kind(), ErrorKind::Disabled);
        let other = key(CryptoKeyPurpose::EncryptDecrypt).set_name(KEY.replace("/k", "/other"));
        assert!(DescribedKey::new(KEY, &other).unwrap().is_none());
    }
}
