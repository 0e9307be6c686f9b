//! What DescribeKey says of a key, and what can be done with it.

use aws_sdk_kms::types::{KeyMetadata, KeySpec, KeyState as State, KeyUsageType};
use bulla::{Error, ErrorKind, Result, SigningAlgorithm, key::KeyState};

use crate::arn::KeyArn;

/// What a key of a kind that can be bound is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Seals and opens: SYMMETRIC_DEFAULT.
    Seal,
    /// Signs.
    Sign(Pair),
}

/// The kinds of asymmetric keys that sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pair {
    /// With the bytes of the modulus.
    Rsa(usize),
    /// P-256.
    P256,
    /// P-384.
    P384,
    /// P-521.
    P521,
    /// Ed25519.
    Ed25519,
}

impl Pair {
    /// One of each kind.
    pub(crate) const ALL: &[Self] =
        &[Self::Rsa(256), Self::P256, Self::P384, Self::P521, Self::Ed25519];

    pub(crate) const fn algorithms(self) -> &'static [SigningAlgorithm] {
        use SigningAlgorithm::*;
        match self {
            Self::Rsa(_) => &[Rs256, Rs384, Rs512, Ps256, Ps384, Ps512],
            Self::P256 => &[Es256],
            Self::P384 => &[Es384],
            Self::P521 => &[Es512],
            Self::Ed25519 => &[Ed25519],
        }
    }
}

/// One answer of DescribeKey.
#[derive(Debug)]
pub(crate) struct Described {
    pub(crate) arn: KeyArn,
    /// KMS's word for the kind of key.
    pub(crate) spec: String,
    state: State,
    usage: Option<KeyUsageType>,
}

impl Described {
    /// `None` if what every answer has is missing.
    pub(crate) fn new(metadata: KeyMetadata) -> Option<Self> {
        Some(Self {
            arn: KeyArn::parse(metadata.arn.as_deref()?)?,
            spec: metadata.key_spec?.as_str().to_owned(),
            state: metadata.key_state?,
            usage: metadata.key_usage,
        })
    }

    pub(crate) fn state(&self) -> KeyState {
        match self.state {
            // Both can be used: an Updating key is a primary that is being moved.
            State::Enabled | State::Updating => KeyState::Active,
            State::PendingDeletion | State::PendingReplicaDeletion => KeyState::PendingDeletion,
            _ => KeyState::Disabled,
        }
    }

    /// Why the key can't be used in its state, if it can't.
    pub(crate) fn check_usable(&self) -> Result<()> {
        let arn = self.arn.as_str();
        let (kind, what) = match self.state {
            State::Enabled | State::Updating => return Ok(()),
            State::Disabled => {
                (ErrorKind::Disabled, "is disabled; enable it (kms:EnableKey)".to_owned())
            }
            State::PendingDeletion => (
                ErrorKind::PendingDeletion,
                "is scheduled for deletion; to keep it, cancel that (kms:CancelKeyDeletion) and \
                 enable it"
                    .to_owned(),
            ),
            State::PendingReplicaDeletion => (
                ErrorKind::PendingDeletion,
                "will be deleted once its replicas are; to keep it, cancel that \
                 (kms:CancelKeyDeletion)"
                    .to_owned(),
            ),
            State::PendingImport => (
                ErrorKind::Disabled,
                "waits for its key material; import it (kms:ImportKeyMaterial)".to_owned(),
            ),
            State::Creating => {
                (ErrorKind::Unavailable, "is still being created; try again shortly".to_owned())
            }
            State::Unavailable => (
                ErrorKind::Unavailable,
                "is in a custom key store that is not connected; connect it".to_owned(),
            ),
            ref other => (ErrorKind::Disabled, format!("is in state {:?}", other.as_str())),
        };
        Err(Error::new(kind, format!("key {arn} {what}")))
    }

    /// What the key can be bound for.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] for a kind of key that this provider has no use for.
    pub(crate) fn purpose(&self) -> Result<Purpose> {
        let pair = match (&self.usage, KeySpec::from(self.spec.as_str())) {
            (Some(KeyUsageType::EncryptDecrypt), KeySpec::SymmetricDefault) => {
                return Ok(Purpose::Seal);
            }
            (Some(KeyUsageType::SignVerify), spec) => match spec {
                KeySpec::Rsa2048 => Some(Pair::Rsa(256)),
                KeySpec::Rsa3072 => Some(Pair::Rsa(384)),
                KeySpec::Rsa4096 => Some(Pair::Rsa(512)),
                KeySpec::EccNistP256 => Some(Pair::P256),
                KeySpec::EccNistP384 => Some(Pair::P384),
                KeySpec::EccNistP521 => Some(Pair::P521),
                KeySpec::EccNistEdwards25519 => Some(Pair::Ed25519),
                _ => None,
            },
            _ => None,
        };
        pair.map(Purpose::Sign).ok_or_else(|| {
            let usage = self.usage.as_ref().map_or("unknown", KeyUsageType::as_str);
            Error::new(
                ErrorKind::Unsupported,
                format!(
                    "key {} is {} for {usage}; sealing takes SYMMETRIC_DEFAULT for \
                     ENCRYPT_DECRYPT, and signing RSA_*, ECC_NIST_P* or ECC_NIST_EDWARDS25519 for \
                     SIGN_VERIFY",
                    self.arn.as_str(),
                    self.spec
                ),
            )
        })
    }
}
