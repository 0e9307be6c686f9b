//! What the application says: which keys, and on which token.

use std::path::PathBuf;

use bulla::{Result, SigningAlgorithm, key::Pkcs11Uri, provider::Role};

use crate::{
    pin::Pin,
    provider::Pkcs11,
    selection::{KeySelection, TokenSelection},
};

/// Sessions at once, unless said: what small tokens have.
const MAX_SESSIONS: usize = 16;

/// Binds keys of a PKCS #11 token to a [`Pkcs11`] provider.
#[derive(Clone, Debug)]
#[must_use]
pub struct Pkcs11Builder {
    pub(crate) label: Option<String>,
    pub(crate) module: Option<PathBuf>,
    pub(crate) token: TokenSelection,
    /// Each with its role. What is wrong with one is told by `build`.
    pub(crate) keys: Vec<(Result<KeySelection>, Role)>,
    pub(crate) pin: Result<Pin>,
    pub(crate) algorithm: Option<SigningAlgorithm>,
    pub(crate) max_sessions: usize,
    pub(crate) shared: bool,
    pub(crate) accepts_public_key_wraps: bool,
    /// Attributes of a URI that are not looked at, so that it is refused.
    pub(crate) unknown: Option<&'static str>,
}

impl Pkcs11 {
    /// A provider of keys on one token.
    pub fn builder() -> Pkcs11Builder {
        Pkcs11Builder {
            label: None,
            module: None,
            token: TokenSelection::default(),
            keys: Vec::new(),
            pin: Ok(Pin::default()),
            algorithm: None,
            max_sessions: MAX_SESSIONS,
            shared: false,
            accepts_public_key_wraps: false,
            unknown: None,
        }
    }
}

impl Pkcs11Builder {
    /// The name in errors, logs and metrics. `pkcs11` if none is given.
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// The path of the vendor's PKCS #11 library. Without it, that in `BULLA_PKCS11_MODULE`.
    ///
    /// # Security
    /// Its code runs in this process.
    pub fn module(mut self, path: impl Into<PathBuf>) -> Self {
        self.module = Some(path.into());
        self
    }

    /// The token, by its label. Without it, the one that there is.
    pub fn token(mut self, label: impl Into<String>) -> Self {
        self.token.label = Some(label.into());
        self
    }

    /// The key that new data is sealed to, by its label or as a [`KeySelection`]: an AES key, or an RSA pair.
    /// It may open too, what is sealed to a pair if
    /// [`accept_public_key_wraps`](Self::accept_public_key_wraps) says so.
    pub fn sealing_key(self, key: impl Into<KeySelection>) -> Self {
        self.key(Ok(key.into()), Role::Sealing)
    }

    /// The pair that signs.
    pub fn signing_key(self, key: impl Into<KeySelection>) -> Self {
        self.key(Ok(key.into()), Role::Signing)
    }

    /// One more key: one to open with, or one to verify with.
    pub fn also_open(self, key: impl Into<KeySelection>) -> Self {
        self.key(Ok(key.into()), Role::Opening)
    }

    /// Module, token, source of the PIN and key of a key URI. The key becomes the sealing or the signing
    /// key, whichever it can be.
    pub fn uri(mut self, uri: &Pkcs11Uri) -> Self {
        self.token = TokenSelection::of(uri);
        self.module = uri.module_path().map(PathBuf::from).or(self.module);
        if let Some(source) = uri.pin_source() {
            self.pin = Pin::parse_source(source);
        }
        let unknown = [
            (uri.module_name().is_some(), "module-name"),
            (uri.slot_description().is_some(), "slot-description"),
            (uri.slot_manufacturer().is_some(), "slot-manufacturer"),
            (uri.library_manufacturer().is_some(), "library-manufacturer"),
            (uri.library_version().is_some(), "library-version"),
            (uri.library_description().is_some(), "library-description"),
        ];
        self.unknown = unknown.into_iter().find_map(|(is, name)| is.then_some(name));
        self.key(KeySelection::of(uri), Role::Either)
    }

    /// The user's PIN. Without it, that in `BULLA_PKCS11_PIN`.
    pub fn pin(mut self, pin: impl Into<String>) -> Self {
        self.pin = Ok(Pin::Given(pin.into().into()));
        self
    }

    /// A file with the PIN, which is read at each login: `file:` and an absolute path.
    pub fn pin_source(mut self, source: &str) -> Self {
        self.pin = Pin::parse_source(source);
        self
    }

    /// The one algorithm that an RSA signing key is used with. Without it, all that it can do are.
    pub fn signing_algorithm(mut self, algorithm: SigningAlgorithm) -> Self {
        self.algorithm = Some(algorithm);
        self
    }

    /// Opens what was sealed to RSA keys too.
    ///
    /// # Security
    /// Anybody who has the public key can seal to it, so what opens may be from anybody.
    pub fn accept_public_key_wraps(mut self) -> Self {
        self.accepts_public_key_wraps = true;
        self
    }

    /// The most sessions that are used at once, 16 unless said, and at least one. One more is open to
    /// stay logged in.
    pub fn max_sessions(mut self, sessions: usize) -> Self {
        self.max_sessions = sessions.max(1);
        self
    }

    /// Says that other code in this process uses the module too. It is then never ended and begun anew,
    /// which is the only way in which some modules see a token again that was taken out.
    pub fn shared_module(mut self) -> Self {
        self.shared = true;
        self
    }

    fn key(mut self, key: Result<KeySelection>, role: Role) -> Self {
        self.keys.push((key, role));
        self
    }
}
