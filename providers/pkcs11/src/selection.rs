//! Which token, and which of its keys.

use bulla::{Error, ErrorKind, Result, key::Pkcs11Uri};
use cryptoki::{
    context::Pkcs11,
    object::{Attribute, ObjectClass},
    slot::{Slot, TokenInfo},
};

use crate::error::{Fault, fault};

/// What is known of a token. What is not said may be anything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TokenSelection {
    pub(crate) label: Option<String>,
    pub(crate) serial: Option<String>,
    pub(crate) manufacturer: Option<String>,
    pub(crate) model: Option<String>,
    pub(crate) slot: Option<u64>,
}

impl TokenSelection {
    pub(crate) fn of(uri: &Pkcs11Uri) -> Self {
        Self {
            label: uri.token().map(str::to_owned),
            serial: uri.serial().map(str::to_owned),
            manufacturer: uri.manufacturer().map(str::to_owned),
            model: uri.model().map(str::to_owned),
            slot: uri.slot_id(),
        }
    }

    /// The one token that this is about.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] if there is none, as it may be plugged in later;
    /// [`ErrorKind::InvalidInput`] if there are several.
    pub(crate) fn find(&self, context: &Pkcs11) -> Result<(Slot, TokenInfo), Fault> {
        let slots = context.get_slots_with_token().map_err(|e| fault(&e, "the list of slots"))?;
        let mut others = Vec::new();
        let mut found = Vec::new();
        for slot in slots {
            // One that can't be asked is not the one that is looked for, or it is out.
            let Ok(info) = context.get_token_info(slot) else { continue };
            if !info.token_initialized() {
                continue;
            }
            match self.matches(slot, &info) {
                true => found.push((slot, info)),
                false => others.push(format!("{:?}", info.label())),
            }
        }
        if found.len() > 1 {
            let message = format!(
                "{} tokens match; tell them apart by `token`, `serial` or `slot-id`",
                found.len()
            );
            return Err(Error::new(ErrorKind::InvalidInput, message).into());
        }
        found.pop().ok_or_else(|| {
            let others = match others.is_empty() {
                true => "there is none".to_owned(),
                false => format!("there are {}", others.join(", ")),
            };
            let message = match &self.label {
                Some(label) => format!("no token {label:?} is in a slot of the module; {others}"),
                None => format!("no token that matches is in a slot of the module; {others}"),
            };
            Fault::lost(Error::new(ErrorKind::Unavailable, message))
        })
    }

    fn matches(&self, slot: Slot, info: &TokenInfo) -> bool {
        let is = |wanted: &Option<String>, own: &str| wanted.as_ref().is_none_or(|w| w == own);
        is(&self.label, info.label())
            && is(&self.serial, info.serial_number())
            && is(&self.manufacturer, info.manufacturer_id())
            && is(&self.model, info.model())
            && self.slot.is_none_or(|wanted| wanted == slot.id())
    }
}

/// Which key of a token: by its label, its id (CKA_ID), or both. A `&str` is a label.
///
/// ```
/// use bulla_pkcs11::{KeySelection, Pkcs11};
///
/// let orders = KeySelection::labelled("orders");
/// let builder = Pkcs11::builder().sealing_key(orders.and_id([2])).also_open(KeySelection::by_id([1]));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct KeySelection {
    pub(crate) label: Option<String>,
    pub(crate) id: Option<Vec<u8>>,
    /// A secret key, or a pair; either, unless said.
    pub(crate) class: Option<ObjectClass>,
}

impl KeySelection {
    /// By its label (CKA_LABEL).
    pub fn labelled(label: impl Into<String>) -> Self {
        Self { label: Some(label.into()), ..Self::default() }
    }

    /// By its id (CKA_ID).
    pub fn by_id(id: impl Into<Vec<u8>>) -> Self {
        Self::default().and_id(id)
    }

    /// And by its id too, which tells keys of one label apart.
    pub fn and_id(mut self, id: impl Into<Vec<u8>>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// # Errors
    /// [`ErrorKind::InvalidInput`] if the URI is of a certificate or data.
    pub(crate) fn of(uri: &Pkcs11Uri) -> Result<Self> {
        let class = match uri.object_type() {
            None => None,
            Some("secret-key") => Some(ObjectClass::SECRET_KEY),
            // Whichever half is named, it is the pair.
            Some("private" | "public") => Some(ObjectClass::PRIVATE_KEY),
            Some(other) => {
                let message = format!("an object of type {other} is no key");
                return Err(Error::new(ErrorKind::InvalidInput, message));
            }
        };
        Ok(Self { label: uri.object().map(str::to_owned), id: uri.id().map(<[u8]>::to_vec), class })
    }

    /// The attributes that objects of one class are looked up by.
    pub(crate) fn template(&self, class: ObjectClass) -> Vec<Attribute> {
        let label = self.label.as_ref().map(|label| Attribute::Label(label.clone().into_bytes()));
        let id = self.id.as_ref().map(|id| Attribute::Id(id.clone()));
        let fixed = [Attribute::Token(true), Attribute::Class(class)];
        fixed.into_iter().chain(label).chain(id).collect()
    }

    /// For messages.
    pub(crate) fn describe(&self) -> String {
        match (&self.label, &self.id) {
            (Some(label), None) => format!("key {label:?}"),
            (Some(label), Some(id)) => format!("key {label:?} with id {}", hex(id)),
            (None, id) => format!("key with id {}", hex(id.as_deref().unwrap_or_default())),
        }
    }
}

impl From<&str> for KeySelection {
    fn from(label: &str) -> Self {
        Self::labelled(label)
    }
}

impl From<String> for KeySelection {
    fn from(label: String) -> Self {
        Self::labelled(label)
    }
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
