//! What the service says of a key, and what can be done with it.

use azure_core::time::OffsetDateTime;
use azure_security_keyvault_keys::models::{JsonWebKey, Key, KeyAttributes, KeyType};
use bulla::{
    Error, ErrorKind, KeyVersion, Result,
    key::{KeyState, WrapAlgorithm},
    provider::Role,
};

use crate::{
    id::KeyId,
    public::{self, Pair},
};

/// How a key wraps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wrapping {
    /// RSA-OAEP with SHA-256 and MGF1-SHA-256, with the bytes of the modulus.
    Oaep(usize),
    /// AES Key Wrap by a key of 256 bits.
    KeyWrap,
}

impl Wrapping {
    /// The service's word for it.
    pub(crate) const fn alg(self) -> &'static str {
        match self {
            Self::Oaep(_) => "RSA-OAEP-256",
            Self::KeyWrap => "A256KW",
        }
    }

    pub(crate) const fn algorithm(self) -> WrapAlgorithm {
        match self {
            Self::Oaep(_) => WrapAlgorithm::RsaOaep256,
            Self::KeyWrap => WrapAlgorithm::AesKw,
        }
    }
}

/// What a key is bound for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Opens, and seals too if it may.
    Seal { wrapping: Wrapping, seals: bool },
    /// Signs, and is verified with.
    Sign(Pair),
}

/// One version of a key, as the service described it.
#[derive(Debug)]
pub(crate) struct Described {
    pub(crate) version: KeyVersion,
    /// The service's word for the kind of key.
    pub(crate) kty: String,
    /// Pair and public half, unless it is symmetric.
    pub(crate) public: Option<(Pair, Vec<u8>)>,
    validity: Validity,
    is_symmetric: bool,
    operations: Vec<String>,
}

/// Whether a version may be used, and for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Validity {
    Valid,
    Disabled,
    NotYet,
    Expired,
}

impl Validity {
    /// By the attributes and the wall clock, as the service judges. What is not said is no obstacle.
    pub(crate) fn of(attributes: Option<&KeyAttributes>) -> Self {
        let Some(attributes) = attributes else { return Self::Valid };
        let now = OffsetDateTime::now_utc();
        match attributes {
            a if a.enabled == Some(false) => Self::Disabled,
            a if a.not_before.is_some_and(|from| from > now) => Self::NotYet,
            a if a.expires.is_some_and(|until| until <= now) => Self::Expired,
            _ => Self::Valid,
        }
    }

    /// Outside of its dates a key opens and verifies and does no more.
    pub(crate) const fn state(self) -> KeyState {
        match self {
            Self::Valid => KeyState::Active,
            Self::NotYet | Self::Expired => KeyState::Deprecated,
            Self::Disabled => KeyState::Disabled,
        }
    }
}

impl Described {
    /// `None` if what every answer has is missing, or is another key's.
    pub(crate) fn new(id: &KeyId, key: Key) -> Option<Self> {
        let jwk: JsonWebKey = key.key?;
        let version = id.version_of(jwk.kid.as_deref()?)?;
        let kty = jwk.kty.as_ref()?;
        Some(Self {
            version,
            kty: kty.to_string(),
            is_symmetric: matches!(kty, KeyType::Oct | KeyType::OctHsm),
            public: public::read(&jwk),
            validity: Validity::of(key.attributes.as_ref()),
            operations: jwk.key_ops.unwrap_or_default(),
        })
    }

    pub(crate) fn state(&self) -> KeyState {
        self.validity.state()
    }

    /// Why the key can't be used for this, if it can't.
    pub(crate) fn check_usable(&self, name: &str, opens_only: bool) -> Result<()> {
        let what = match self.validity {
            Validity::Valid => return Ok(()),
            Validity::NotYet | Validity::Expired if opens_only => return Ok(()),
            Validity::Disabled => {
                "is disabled; enable it (az keyvault key set-attributes --enabled true)"
            }
            Validity::NotYet => "is not valid yet; look at its activation date",
            Validity::Expired => {
                "has expired, and neither seals nor signs; add a version, or bind it with `also_open`"
            }
        };
        Err(Error::new(ErrorKind::Disabled, format!("key {name} {what}")))
    }

    pub(crate) fn may(&self, operation: &str) -> bool {
        self.operations.iter().any(|own| own == operation)
    }

    fn wrapping(&self) -> Option<Wrapping> {
        match &self.public {
            Some((Pair::Rsa(modulus), _)) => Some(Wrapping::Oaep(*modulus)),
            None if self.is_symmetric => Some(Wrapping::KeyWrap),
            _ => None,
        }
    }

    /// What the key is bound for in this role.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] for a kind of key that there is no use for, or whose operations its
    /// owner limits to others; [`ErrorKind::InvalidInput`] if it could be either and nobody said which.
    pub(crate) fn purpose(&self, name: &str, role: Role) -> Result<Purpose> {
        let seal = self.wrapping().filter(|_| self.may("unwrapKey"));
        let seal = seal.map(|wrapping| Purpose::Seal { wrapping, seals: self.may("wrapKey") });
        let sign = self.public.as_ref().filter(|_| self.may("sign") || self.may("verify"));
        let sign = sign.map(|(pair, _)| Purpose::Sign(*pair));
        let found = match role {
            Role::Sealing | Role::Opening => seal.or(sign),
            Role::Signing => sign.or(seal),
            Role::Either if seal.is_some() && sign.is_some() => {
                let message = format!(
                    "key {name} may both wrap and sign, and one key is best for one purpose; limit it to \
                     one (az keyvault key set-attributes --ops wrapKey unwrapKey, or --ops sign verify)"
                );
                return Err(Error::new(ErrorKind::InvalidInput, message));
            }
            Role::Either => seal.or(sign),
        };
        found.ok_or_else(|| {
            let operations = self.operations.join(", ");
            let message = format!(
                "key {name} is {} for {operations}; opening takes unwrapKey and an RSA key of 2,048, 3,072 \
                 or 4,096 bits or, on a Managed HSM, a symmetric one, and signing takes sign and an RSA \
                 key or one on P-256, P-384 or P-521",
                self.kty
            );
            Error::new(ErrorKind::Unsupported, message)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const KID: &str = "https://acme.vault.azure.net/keys/k/0123456789abcdef0123456789abcdef";

    fn described(kty: KeyType, operations: &[&str]) -> Described {
        let (id, _) = KeyId::parse("acme", "k").unwrap();
        let mut jwk = JsonWebKey::default();
        (jwk.kid, jwk.kty) = (Some(KID.to_owned()), Some(kty));
        (jwk.n, jwk.e) = (Some(vec![0xff; 256]), Some(vec![1, 0, 1]));
        jwk.key_ops = Some(operations.iter().map(|op| (*op).to_owned()).collect());
        let mut key = Key::default();
        key.key = Some(jwk);
        Described::new(&id, key).unwrap()
    }

    #[test]
    fn operations_say_what_a_key_is_for() {
        let seal = |seals| Purpose::Seal { wrapping: Wrapping::Oaep(256), seals };
        let both = described(KeyType::Rsa, &["sign", "verify", "wrapKey", "unwrapKey"]);
        assert_eq!(both.purpose("k", Role::Sealing).unwrap(), seal(true));
        assert_eq!(both.purpose("k", Role::Opening).unwrap(), seal(true));
        assert_eq!(both.purpose("k", Role::Signing).unwrap(), Purpose::Sign(Pair::Rsa(256)));
        let error = both.purpose("k", Role::Either).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        let opens = described(KeyType::RsaHsm, &["unwrapKey"]);
        assert_eq!(opens.purpose("k", Role::Either).unwrap(), seal(false));
        let signs = described(KeyType::Rsa, &["sign"]);
        assert_eq!(signs.purpose("k", Role::Either).unwrap(), Purpose::Sign(Pair::Rsa(256)));
        let neither = described(KeyType::Rsa, &["encrypt", "decrypt"]);
        assert_eq!(neither.purpose("k", Role::Either).unwrap_err().kind(), ErrorKind::Unsupported);
        let unknown = described(KeyType::UnknownValue("x".to_owned()), &["unwrapKey"]);
        assert_eq!(unknown.purpose("k", Role::Sealing).unwrap_err().kind(), ErrorKind::Unsupported);
    }

    #[test]
    fn a_symmetric_key_wraps_by_aes() {
        let (id, _) = KeyId::parse("acme", "k").unwrap();
        let mut jwk = JsonWebKey::default();
        (jwk.kid, jwk.kty) = (Some(KID.to_owned()), Some(KeyType::OctHsm));
        jwk.key_ops = Some(vec!["wrapKey".to_owned(), "unwrapKey".to_owned()]);
        let mut key = Key::default();
        key.key = Some(jwk);
        let purpose = Described::new(&id, key).unwrap().purpose("k", Role::Either).unwrap();
        assert_eq!(purpose, Purpose::Seal { wrapping: Wrapping::KeyWrap, seals: true });
    }

    #[test]
    fn dates_leave_opening() {
        let day = Duration::from_secs(86_400);
        let now = OffsetDateTime::now_utc();
        let with = |enabled, from, until| {
            let mut attributes = KeyAttributes::default();
            (attributes.enabled, attributes.not_before, attributes.expires) =
                (enabled, from, until);
            Validity::of(Some(&attributes))
        };
        assert_eq!(Validity::of(None), Validity::Valid);
        assert_eq!(with(Some(true), Some(now - day), Some(now + day)), Validity::Valid);
        assert_eq!(with(Some(false), None, None), Validity::Disabled);
        assert_eq!(with(None, Some(now + day), None), Validity::NotYet);
        assert_eq!(with(Some(true), None, Some(now - day)), Validity::Expired);
        let mut key = described(KeyType::Rsa, &["unwrapKey"]);
        key.validity = Validity::Expired;
        assert_eq!(key.state(), KeyState::Deprecated);
        key.check_usable("k", true).unwrap();
        assert_eq!(key.check_usable("k", false).unwrap_err().kind(), ErrorKind::Disabled);
    }
}
