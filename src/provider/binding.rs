//! The keys that a provider is bound to, and what each of them is bound as.

use std::sync::Arc;

use super::Capabilities;
use crate::{
    crypto::SigningAlgorithm,
    error::{Error, ErrorKind, Result},
    key::KeyName,
};

/// What a key is bound as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// The key to seal with, which opens too.
    Sealing,
    /// The key to sign with.
    Signing,
    /// One of the two, by what the key is good for: what a URI says.
    Either,
    /// A key that opens, or whose signatures are verified, and no more.
    Opening,
}

/// A key as a provider knows it once it was described: an item of [`Bindings`].
pub trait BoundKey: Sized {
    /// The canonical name.
    fn name(&self) -> &KeyName;

    /// Whether the key seals; if not, it signs.
    fn seals(&self) -> bool;

    /// Whether a name is this key's: its own, and any other that means the same key.
    fn answers_to(&self, name: &KeyName) -> bool;

    /// Why the key can't have a role that its kind allows, and what to do; for example, that its
    /// owner lets it open and not seal.
    fn refuses(&self, role: Role) -> Option<&'static str>;

    /// Takes over what a second mention of the same key adds, such as another alias.
    fn mentioned_again(&mut self, again: Self);
}

/// The keys of one provider: at most one to seal with and one to sign with, and any number that open.
///
/// For those who write providers.
#[derive(Debug)]
pub struct Bindings<K> {
    all: Vec<Arc<K>>,
    sealing: Option<Arc<K>>,
    signing: Option<Arc<K>>,
}

impl<K> Default for Bindings<K> {
    fn default() -> Self {
        Self { all: Vec::new(), sealing: None, signing: None }
    }
}

impl<K: BoundKey> Bindings<K> {
    /// Takes a key up in its role. One that is there already is not taken up twice.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] if the key is of the wrong kind for the role or refuses it;
    /// [`ErrorKind::InvalidInput`] if another key has the role. Both say how to bind it instead.
    pub fn add(&mut self, key: K, role: Role) -> Result<()> {
        let seals = key.seals();
        let wrong = match role {
            Role::Sealing if !seals => Some("signs; bind it with `signing_key`"),
            Role::Signing if seals => Some("seals; bind it with `sealing_key`"),
            _ => key.refuses(role),
        };
        if let Some(wrong) = wrong {
            let message = format!("key {} {wrong}", key.name());
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
        let bound = self.take_up(key);
        let place = match role {
            Role::Opening => return Ok(()),
            _ if seals => &mut self.sealing,
            _ => &mut self.signing,
        };
        match place.replace(Arc::clone(&bound)) {
            Some(other) if !Arc::ptr_eq(&other, &bound) => Err(Error::new(
                ErrorKind::InvalidInput,
                format!(
                    "{} and {} can't both be the key to {}; bind one of them with `also_open`",
                    other.name(),
                    bound.name(),
                    if seals { "seal with" } else { "sign with" }
                ),
            )),
            _ => Ok(()),
        }
    }

    fn take_up(&mut self, key: K) -> Arc<K> {
        match self.all.iter_mut().find(|known| known.answers_to(key.name())) {
            Some(known) => {
                // A key that has a role is shared already, and stays as it is.
                if let Some(known) = Arc::get_mut(known) {
                    known.mentioned_again(key);
                }
                Arc::clone(known)
            }
            None => {
                let bound = Arc::new(key);
                self.all.push(Arc::clone(&bound));
                bound
            }
        }
    }

    /// The same keys in the same roles, each changed to another: `None` if one of them can't be.
    #[must_use]
    pub fn map(&self, to: impl Fn(&K) -> Option<K>) -> Option<Self> {
        let all = self.all.iter().map(|key| to(key).map(Arc::new)).collect::<Option<Vec<_>>>()?;
        let same = |role: &Option<Arc<K>>| {
            let place = self.all.iter().position(|key| is(role.as_ref(), key));
            place.and_then(|place| all.get(place)).cloned()
        };
        let (sealing, signing) = (same(&self.sealing), same(&self.signing));
        Some(Self { all, sealing, signing })
    }

    /// All of them, in the order in which they were taken up.
    pub fn iter(&self) -> impl Iterator<Item = &K> {
        self.all.iter().map(AsRef::as_ref)
    }

    /// The key of this name.
    #[must_use]
    pub fn find(&self, name: &KeyName) -> Option<&K> {
        let exact = self.iter().find(|key| key.name() == name);
        exact.or_else(|| self.iter().find(|key| key.answers_to(name)))
    }

    /// The key of this name, if it opens.
    #[must_use]
    pub fn opening(&self, name: &KeyName) -> Option<&K> {
        self.find(name).filter(|key| key.seals())
    }

    /// The key that a record names, to open it.
    ///
    /// # Errors
    /// [`ErrorKind::NoRecipient`] if no such key is bound.
    pub fn to_open(&self, name: &KeyName) -> Result<&K> {
        self.opening(name).ok_or_else(|| {
            Error::new(
                ErrorKind::NoRecipient,
                format!("key {name} is not among those that this provider may open"),
            )
        })
    }

    /// The key to seal with.
    #[must_use]
    pub fn sealing_key(&self) -> Option<&K> {
        self.sealing.as_deref()
    }

    /// The key to sign with.
    #[must_use]
    pub fn signing_key(&self) -> Option<&K> {
        self.signing.as_deref()
    }

    /// The key to seal with.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] if there is none.
    pub fn to_seal(&self) -> Result<&K> {
        self.sealing_key().ok_or_else(|| none("sealing"))
    }

    /// The key to sign with.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] if there is none.
    pub fn to_sign(&self) -> Result<&K> {
        self.signing_key().ok_or_else(|| none("signing"))
    }

    /// Whether a name is the sealing key's.
    #[must_use]
    pub fn is_sealing_key(&self, name: &KeyName) -> bool {
        self.sealing_key().is_some_and(|key| key.answers_to(name))
    }

    /// Whether a key is the one to sign with.
    #[must_use]
    pub fn is_signing_key(&self, key: &K) -> bool {
        self.signing_key().is_some_and(|signing| std::ptr::eq(signing, key))
    }

    /// The key whose state says most of the provider's: the one to seal with, or to sign with, or the
    /// first.
    #[must_use]
    pub fn main(&self) -> Option<&K> {
        self.sealing_key().or(self.signing_key()).or(self.all.first().map(AsRef::as_ref))
    }
}

impl Capabilities {
    /// Says what the signing key can do: all of its algorithms, or the one that it is pinned to.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] if the pinned one is not among them.
    pub fn set_signing(
        &mut self,
        all: &[SigningAlgorithm],
        pinned: Option<SigningAlgorithm>,
    ) -> Result<()> {
        self.signing = match pinned {
            None => all.to_vec(),
            Some(one) if all.contains(&one) => vec![one],
            Some(one) => {
                let message = format!("the signing key can't do {one}");
                return Err(Error::new(ErrorKind::InvalidInput, message));
            }
        };
        Ok(())
    }
}

fn is<K>(role: Option<&Arc<K>>, key: &Arc<K>) -> bool {
    role.is_some_and(|role| Arc::ptr_eq(role, key))
}

fn none(what: &str) -> Error {
    let message = format!("no {what} key is bound; give one with the builder's `{what}_key`");
    Error::new(ErrorKind::Unsupported, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Key {
        name: KeyName,
        alias: Option<KeyName>,
        seals: bool,
        opens_only: bool,
        mentions: usize,
    }

    fn name(id: &str) -> KeyName {
        KeyName::new("test", id).unwrap()
    }

    fn key(id: &str, seals: bool) -> Key {
        Key { name: name(id), alias: None, seals, opens_only: false, mentions: 1 }
    }

    impl BoundKey for Key {
        fn name(&self) -> &KeyName {
            &self.name
        }

        fn seals(&self) -> bool {
            self.seals
        }

        fn answers_to(&self, name: &KeyName) -> bool {
            self.name == *name || self.alias.as_ref() == Some(name)
        }

        fn refuses(&self, role: Role) -> Option<&'static str> {
            (self.opens_only && role != Role::Opening).then_some("opens; bind it with `also_open`")
        }

        fn mentioned_again(&mut self, again: Self) {
            self.mentions += again.mentions;
        }
    }

    #[test]
    fn a_key_has_the_role_that_its_kind_allows() {
        let mut keys = Bindings::default();
        let error = keys.add(key("a", false), Role::Sealing).unwrap_err();
        assert_eq!(
            (error.kind(), error.message()),
            (ErrorKind::Unsupported, "key test:a signs; bind it with `signing_key`")
        );
        keys.add(key("a", true), Role::Signing).unwrap_err();
        let error = keys.add(Key { opens_only: true, ..key("a", true) }, Role::Either).unwrap_err();
        assert_eq!(error.message(), "key test:a opens; bind it with `also_open`");
        assert_eq!(keys.iter().count(), 0);

        keys.add(key("a", true), Role::Either).unwrap();
        keys.add(key("b", false), Role::Either).unwrap();
        assert_eq!(keys.to_seal().unwrap().name, name("a"));
        assert_eq!(keys.to_sign().unwrap().name, name("b"));
        assert!(keys.opening(&name("b")).is_none());
        assert_eq!(keys.to_open(&name("b")).unwrap_err().kind(), ErrorKind::NoRecipient);
    }

    #[test]
    fn a_role_is_one_keys() {
        let mut keys = Bindings::default();
        keys.add(key("a", true), Role::Sealing).unwrap();
        keys.add(key("a", true), Role::Either).unwrap();
        keys.add(key("b", true), Role::Opening).unwrap();
        let error = keys.add(key("b", true), Role::Sealing).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.message().contains("can't both be the key to seal with"), "{error}");
    }

    #[test]
    fn a_second_mention_is_the_same_key() {
        let mut keys = Bindings::default();
        keys.add(Key { alias: Some(name("z")), ..key("a", true) }, Role::Opening).unwrap();
        keys.add(key("z", true), Role::Sealing).unwrap();
        assert_eq!(keys.iter().map(|key| key.mentions).collect::<Vec<_>>(), [2]);
        assert!(keys.is_sealing_key(&name("z")) && keys.is_sealing_key(&name("a")));
        assert_eq!(keys.main().unwrap().name, name("a"));
    }

    #[test]
    fn what_is_mapped_keeps_its_roles() {
        let mut keys = Bindings::default();
        keys.add(key("a", true), Role::Opening).unwrap();
        keys.add(key("b", true), Role::Sealing).unwrap();
        let other = keys.map(|old| Some(key(&format!("{}-2", old.name.id()), true))).unwrap();
        assert_eq!(other.to_seal().unwrap().name, name("b-2"));
        assert!(other.to_sign().is_err());
        assert!(keys.map(|old| (old.name != name("a")).then(|| key("c", true))).is_none());
    }

    #[test]
    fn an_algorithm_that_is_pinned_is_one_of_the_keys() {
        let all = [SigningAlgorithm::Rs256, SigningAlgorithm::Ps256];
        let mut capabilities = Capabilities::none();
        capabilities.set_signing(&all, None).unwrap();
        assert_eq!(capabilities.signing, all);
        capabilities.set_signing(&all, Some(SigningAlgorithm::Ps256)).unwrap();
        assert_eq!(capabilities.signing, [SigningAlgorithm::Ps256]);
        capabilities.set_signing(&all, Some(SigningAlgorithm::Es256)).unwrap_err();
    }
}
