//! From names to what seals and opens.

use bulla::{
    Error, ErrorKind, Opener, Registry, Result, Sealer, SharedProvider,
    envelope::{SealerBuilder, WritePolicy},
};

use crate::config::{Config, Key, is_name};

/// The keys that a name stands for: of a group, or the one of that name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recipients {
    /// The keys. The first one generates the data keys.
    pub keys: Vec<Key>,
    /// How many of them must take part when data is sealed.
    pub write: WritePolicy,
    /// The length to which headers of streams are padded, in bytes, if it was given.
    pub header_len: Option<u16>,
}

impl Config {
    /// A sealer to the default key or group, to set more on and build.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] if there is no default; as for [`sealer`](Self::sealer).
    pub fn default_sealer(&self, registry: &Registry) -> Result<SealerBuilder<SharedProvider>> {
        let name = self.default_name().ok_or_else(|| {
            let names = self.known_names();
            refused(format!("{} has no `default`: set it; {names}", self.origin()))
        })?;
        self.sealer(registry, name)
    }

    /// A sealer to a key or group, with that group's write policy and header length, to set more on and
    /// build.
    ///
    /// A group that need not be complete, such as with `write = { at-least = 1 }`, is sealed to without
    /// those of its keys that `registry` has no provider for, as long as there are enough others. What
    /// [`connect`](Self::connect) says of a key is then all that is ever said of it: when
    /// [`connect_missing`](Self::connect_missing) has connected to it, make the sealer anew.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] if there is no such name, and [`ErrorKind::NotFound`] if too few of its
    /// keys are in the registry.
    pub fn sealer(&self, registry: &Registry, name: &str) -> Result<SealerBuilder<SharedProvider>> {
        let recipients = self.recipients(name)?;
        let (mut found, mut missing) = (Vec::new(), None);
        for key in &recipients.keys {
            match registry.get(&key.name) {
                Ok(provider) => found.push(provider),
                Err(error) => missing = missing.or(Some(error)),
            }
        }
        let enough = match recipients.write {
            WritePolicy::AtLeast(least) => found.len() >= least,
            _ => found.len() == recipients.keys.len(),
        };
        match missing {
            Some(error) if !enough => Err(error),
            _ => Ok(recipients.sealer(found)),
        }
    }

    /// An opener with every key of this configuration that `registry` has a provider for now.
    #[must_use]
    pub fn opener(&self, registry: &Registry) -> Opener<SharedProvider> {
        Opener::new(self.keys().filter_map(|key| registry.get(&key.name).ok()))
    }

    /// The keys that a name stands for.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] if there is no such key or group; the message has the names there are.
    pub fn recipients(&self, name: &str) -> Result<Recipients> {
        if let Some(key) = self.key(name) {
            return Ok(Recipients::from_iter([key.clone()]));
        }
        let Some(group) = self.group(name) else {
            // What can't be a name may be anything, such as a pasted secret.
            let name = if is_name(name) { format!("`{name}`") } else { "of that name".to_owned() };
            let names = self.known_names();
            return Err(refused(format!("{} has no key or group {name}; {names}", self.origin())));
        };
        let keys = group.recipients.iter().filter_map(|name| self.key(name).cloned());
        Ok(Recipients { keys: keys.collect(), write: group.write, header_len: group.header_len })
    }

    /// The names of keys and groups there are, as a part of a sentence.
    fn known_names(&self) -> String {
        let names: Vec<_> = self.names().collect();
        if names.is_empty() {
            return "it names no key".to_owned();
        }
        format!("the names there are {}", names.join(", "))
    }
}

impl Recipients {
    /// A sealer to these providers of their keys, by their write policy and header length.
    #[must_use]
    pub fn sealer(
        &self,
        providers: impl IntoIterator<Item = SharedProvider>,
    ) -> SealerBuilder<SharedProvider> {
        let sealer = Sealer::builder().write_policy(self.write);
        let sealer = match self.header_len {
            Some(len) => sealer.header_len(len),
            None => sealer,
        };
        providers.into_iter().fold(sealer, SealerBuilder::recipient)
    }
}

impl FromIterator<Key> for Recipients {
    /// All of these keys, with a header as long as needed.
    fn from_iter<I: IntoIterator<Item = Key>>(keys: I) -> Self {
        Self { keys: keys.into_iter().collect(), ..Self::default() }
    }
}

fn refused(message: String) -> Error {
    Error::new(ErrorKind::InvalidInput, message)
}
