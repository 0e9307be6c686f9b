//! What each key is bound as.

use std::sync::Arc;

use bulla::{Error, ErrorKind, Result};

use crate::{arn::canonical, bound::Bound, keys::Keys, metadata::Purpose, settings::AwsKmsBuilder};

/// What a key is bound as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Sealing,
    Signing,
    Either,
    Opening,
}

impl AwsKmsBuilder {
    /// The keys in their canonical spelling, sealing key and signing key first.
    pub(crate) fn wanted(&self) -> Result<Vec<(String, Role)>> {
        let main = [
            (&self.sealing_key, Role::Sealing),
            (&self.signing_key, Role::Signing),
            (&self.any_key, Role::Either),
        ];
        let main = main.into_iter().filter_map(|(key, role)| Some((key.as_ref()?, role)));
        let wanted = main.chain(self.also_open.iter().map(|key| (key, Role::Opening)));
        let wanted = wanted.map(|(key, role)| Ok((canonical(key)?, role)));
        let wanted: Vec<_> = wanted.collect::<Result<_>>()?;
        if wanted.is_empty() {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                "no key is bound; give a sealing key, a signing key, or keys to open",
            ));
        }
        Ok(wanted)
    }
}

/// Takes a key up in its role. A key that is there already, under whatever name, is the same one.
pub(crate) fn add(keys: &mut Keys, new: Bound, role: Role) -> Result<()> {
    let seals = new.purpose == Purpose::Seal;
    let wrong = match role {
        Role::Sealing if !seals => Some("signs; bind it with `signing_key`"),
        Role::Signing if seals => Some("seals; bind it with `sealing_key`"),
        _ => None,
    };
    if let Some(wrong) = wrong {
        let message = format!("key {} {wrong}", new.arn.as_str());
        return Err(Error::new(ErrorKind::Unsupported, message));
    }
    let place = keys.all.iter().position(|known| known.arn.is_same_key(&new.arn));
    let bound = match place.and_then(|place| keys.all.get_mut(place)) {
        Some(known) => {
            // Not shared yet, unless it has a role: then its alias is shown no more.
            if let Some(known) = Arc::get_mut(known) {
                known.aliases.extend(new.aliases);
            }
            Arc::clone(known)
        }
        None => {
            let bound = Arc::new(new);
            keys.all.push(Arc::clone(&bound));
            bound
        }
    };
    let place = match role {
        Role::Sealing => &mut keys.sealing,
        Role::Signing => &mut keys.signing,
        Role::Either if seals => &mut keys.sealing,
        Role::Either => &mut keys.signing,
        Role::Opening => return Ok(()),
    };
    match place.replace(Arc::clone(&bound)) {
        Some(other) if !Arc::ptr_eq(&other, &bound) => Err(Error::new(
            ErrorKind::InvalidInput,
            format!(
                "{} and {} can't both be the key to {}; bind one of them with `also_open`",
                other.name,
                bound.name,
                if seals { "seal with" } else { "sign with" }
            ),
        )),
        _ => Ok(()),
    }
}
