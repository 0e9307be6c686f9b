//! One key of the provider.

use bulla::{
    KeyName, Result,
    provider::{Bindings, BoundKey, Role},
};

use crate::{
    object::{Described, ObjectId, Purpose, Wrapping},
    public::Pair,
    selection::hex,
};

pub(crate) const SCHEME: &str = "pkcs11";

/// A key as the token described it when the provider was built.
#[derive(Debug)]
pub(crate) struct Bound {
    pub(crate) name: KeyName,
    pub(crate) object: ObjectId,
    pub(crate) label: String,
    pub(crate) purpose: Purpose,
}

impl Bound {
    pub(crate) fn new(described: Described) -> Result<Self> {
        let Described { object, label, token, purpose } = described;
        let name = name(&token, &object.id)?;
        Ok(Self { name, object, label, purpose })
    }

    /// For people.
    pub(crate) fn kind(&self) -> String {
        match &self.purpose {
            Purpose::Seal { wrapping: Wrapping::Oaep { modulus }, .. } => {
                Pair::Rsa(*modulus).describe()
            }
            Purpose::Seal { .. } => "aes-256".to_owned(),
            Purpose::Sign { pair, .. } => pair.describe(),
        }
    }
}

/// The name is the token's label and the key's CKA_ID. Both are the owner's to set, and so stay what they
/// are when keys are restored to another device, whose serial number is another.
pub(crate) fn name(token: &str, id: &[u8]) -> Result<KeyName> {
    KeyName::new(SCHEME, format!("{token}/{}", hex(id)))
}

/// The keys of one provider.
pub(crate) type Keys = Bindings<Bound>;

impl BoundKey for Bound {
    fn name(&self) -> &KeyName {
        &self.name
    }

    fn seals(&self) -> bool {
        matches!(self.purpose, Purpose::Seal { .. })
    }

    fn answers_to(&self, name: &KeyName) -> bool {
        self.name == *name
    }

    fn refuses(&self, role: Role) -> Option<&'static str> {
        let may_not_seal = matches!(self.purpose, Purpose::Seal { seals: false, .. });
        (may_not_seal && role != Role::Opening).then_some(
            "opens and may not seal (CKA_ENCRYPT, CKA_WRAP; of a pair, its public half); bind it with \
             `also_open`",
        )
    }

    fn mentioned_again(&mut self, _: Self) {}
}
