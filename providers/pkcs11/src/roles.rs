//! What each key is bound as.

use std::sync::Arc;

use bulla::{Error, ErrorKind, Result};

use crate::{bound::Bound, keys::Keys, object::Purpose};

/// What a key is bound as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Sealing,
    Signing,
    Either,
    Opening,
}

/// Takes a key up in its role.
pub(crate) fn add(keys: &mut Keys, new: Bound, role: Role) -> Result<()> {
    let seals = new.seals();
    let wrong = match (role, &new.purpose) {
        (Role::Sealing, Purpose::Sign { .. }) => Some("signs; bind it with `signing_key`"),
        (Role::Signing, Purpose::Seal { .. }) => Some("seals; bind it with `sealing_key`"),
        (Role::Sealing | Role::Either, Purpose::Seal { seals: false, .. }) => Some(
            "opens and may not seal (CKA_ENCRYPT, CKA_WRAP; of a pair, its public half); bind it with `also_open`",
        ),
        _ => None,
    };
    if let Some(wrong) = wrong {
        let message = format!("key {} {wrong}", new.name);
        return Err(Error::new(ErrorKind::Unsupported, message));
    }
    let bound = match keys.find(&new.name) {
        Some(known) => Arc::clone(known),
        None => {
            let bound = Arc::new(new);
            keys.all.push(Arc::clone(&bound));
            bound
        }
    };
    let place = match role {
        Role::Opening => return Ok(()),
        _ if seals => &mut keys.sealing,
        _ => &mut keys.signing,
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
