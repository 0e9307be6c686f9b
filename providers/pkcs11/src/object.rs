//! Keys on the token: finding them, and what their attributes say.

use std::fmt;

use bulla::{Error, ErrorKind, Result, SigningAlgorithm, provider::Role};
use cryptoki::{
    mechanism::MechanismType,
    object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle},
    types::Ulong,
};

use crate::{
    error::{Fault, fault},
    login::ambiguous,
    public::{self, Pair},
    selection::{KeySelection, hex},
    token::Work,
};

/// What an object is found again by: its class and its CKA_ID.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct ObjectId {
    pub(crate) class: ObjectClass,
    pub(crate) id: Vec<u8>,
}

impl ObjectId {
    /// For messages.
    pub(crate) fn describe(&self) -> String {
        format!("key with id {}", hex(&self.id))
    }
}

impl fmt::Debug for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.id))
    }
}

/// How an AES key wraps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wrapping {
    /// CKM_AES_GCM, by C_Encrypt and C_Decrypt.
    Gcm,
    /// CKM_AES_KEY_WRAP, by C_WrapKey and C_UnwrapKey.
    KeyWrap,
    /// CKM_RSA_PKCS_OAEP with SHA-256, by C_Encrypt and the public half, and C_Decrypt.
    Oaep {
        /// Bytes of the modulus, and of what is wrapped.
        modulus: usize,
    },
}

/// What a key is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    Seal {
        wrapping: Wrapping,
        /// Whether it may seal and not only open.
        seals: bool,
    },
    Sign {
        pair: Pair,
        /// What token and key can do.
        algorithms: Vec<SigningAlgorithm>,
        spki: Vec<u8>,
    },
}

/// A key as the token describes it.
#[derive(Clone, Debug)]
pub(crate) struct Described {
    pub(crate) object: ObjectId,
    pub(crate) label: String,
    pub(crate) token: String,
    pub(crate) purpose: Purpose,
}

const CLASSES: [ObjectClass; 2] = [ObjectClass::SECRET_KEY, ObjectClass::PRIVATE_KEY];

impl Work<'_> {
    /// Finds the one key that this is about, and what it is good for.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if there is none, [`ErrorKind::InvalidInput`] if there are several,
    /// [`ErrorKind::Unsupported`] for one that is of no use here.
    pub(crate) fn describe(&self, key: &KeySelection, role: Role) -> Result<Described, Fault> {
        let what = key.describe();
        let found = self.find(key)?;
        let (class, handle) = match found.as_slice() {
            [one] => *one,
            [] => {
                let message = format!(
                    "no {what} is on token {:?}; check label and id, and whether the PIN is that of \
                     the user who has it",
                    self.login.label
                );
                return Err(Error::new(ErrorKind::NotFound, message).into());
            }
            several => return Err(ambiguous(several.len(), &what).into()),
        };
        let about = Attributes::read(self, handle, &what)?;
        let Some(id) = about.id.clone().filter(|id| !id.is_empty()) else {
            return Err(unsupported(format!(
                "{what} has no id (CKA_ID), which headers name it by; give it one"
            )));
        };
        // It is found by its id from here on.
        let by_id = KeySelection::by_id(id.clone());
        let same = self.find(&by_id)?.len();
        if same > 1 {
            return Err(ambiguous(same, &by_id.describe()).into());
        }
        let mechanisms = self.context.get_mechanism_list(self.login.slot);
        let mechanisms = mechanisms.map_err(|e| fault(&e, "the list of mechanisms"))?;
        let can = |mechanism| mechanisms.contains(&mechanism) && about.allows(mechanism);
        let purpose = match class {
            ObjectClass::SECRET_KEY => about.sealing(&what, can)?,
            // A pair that may do both signs, unless it is bound to seal.
            _ if about.decrypt
                && about.key_type == Some(KeyType::RSA)
                && (role == Role::Sealing || (role != Role::Signing && !about.sign)) =>
            {
                self.oaep(&about, handle, &id, &what, can)?
            }
            _ => self.signing(&about, handle, &id, &what, can)?,
        };
        let object = ObjectId { class, id };
        Ok(Described { object, label: about.label, token: self.login.label.clone(), purpose })
    }

    fn find(&self, key: &KeySelection) -> Result<Vec<(ObjectClass, ObjectHandle)>, Fault> {
        let mut found = Vec::new();
        for class in CLASSES.into_iter().filter(|class| key.class.is_none_or(|c| c == *class)) {
            let handles = self.session.find_objects(&key.template(class));
            let handles = handles.map_err(|e| fault(&e, &key.describe()))?;
            found.extend(handles.into_iter().map(|handle| (class, handle)));
        }
        Ok(found)
    }

    fn signing(
        &self,
        about: &Attributes,
        handle: ObjectHandle,
        id: &[u8],
        what: &str,
        can: impl Fn(MechanismType) -> bool,
    ) -> Result<Purpose, Fault> {
        about.refuse_always_authenticate(what)?;
        if !about.sign {
            return Err(unsupported(format!("{what} may not sign (CKA_SIGN)")));
        }
        // RSA keys have their public numbers in the private half too.
        let half = self.public_half(id, what)?.unwrap_or(handle);
        let (pair, spki) = public::read(self.session, half, what)?;
        let algorithms: Vec<_> = pair.algorithms(can).collect();
        if algorithms.is_empty() {
            return Err(unsupported(format!("the token has no mechanism to sign with {what}")));
        }
        Ok(Purpose::Sign { pair, algorithms, spki })
    }

    fn oaep(
        &self,
        about: &Attributes,
        handle: ObjectHandle,
        id: &[u8],
        what: &str,
        can: impl Fn(MechanismType) -> bool,
    ) -> Result<Purpose, Fault> {
        about.refuse_always_authenticate(what)?;
        if !can(MechanismType::RSA_PKCS_OAEP) || !self.has_oaep_256(handle, what)? {
            return Err(unsupported(format!(
                "{what} has no RSA-OAEP with SHA-256 on this token, which is what it would seal with"
            )));
        }
        let half = self.public_half(id, what)?;
        let (pair, _) = public::read(self.session, half.unwrap_or(handle), what)?;
        let seals = match half {
            Some(half) => Attributes::read(self, half, what)?.encrypt,
            None => false,
        };
        let wrapping = Wrapping::Oaep { modulus: pair.signature_len() };
        Ok(Purpose::Seal { wrapping, seals })
    }

    fn public_half(&self, id: &[u8], what: &str) -> Result<Option<ObjectHandle>, Fault> {
        let template = [
            Attribute::Token(true),
            Attribute::Class(ObjectClass::PUBLIC_KEY),
            Attribute::Id(id.to_vec()),
        ];
        let halves = self.session.find_objects(&template).map_err(|e| fault(&e, what))?;
        Ok(halves.first().copied())
    }
}

/// The attributes of a key that matter here. One that the token does not tell is as if it were false.
#[derive(Default)]
struct Attributes {
    id: Option<Vec<u8>>,
    label: String,
    key_type: Option<KeyType>,
    value_len: Option<Ulong>,
    encrypt: bool,
    decrypt: bool,
    wrap: bool,
    unwrap: bool,
    sign: bool,
    always_authenticate: bool,
    allowed: Vec<MechanismType>,
}

impl Attributes {
    fn read(work: &Work<'_>, handle: ObjectHandle, what: &str) -> Result<Self, Fault> {
        const WANTED: &[AttributeType] = &[
            AttributeType::Id,
            AttributeType::Label,
            AttributeType::KeyType,
            AttributeType::ValueLen,
            AttributeType::Encrypt,
            AttributeType::Decrypt,
            AttributeType::Wrap,
            AttributeType::Unwrap,
            AttributeType::Sign,
            AttributeType::AlwaysAuthenticate,
            AttributeType::AllowedMechanisms,
        ];
        let told = work.session.get_attributes(handle, WANTED).map_err(|e| fault(&e, what))?;
        let mut own = Self::default();
        for attribute in told {
            match attribute {
                Attribute::Id(id) => own.id = Some(id),
                Attribute::Label(label) => own.label = String::from_utf8_lossy(&label).into_owned(),
                Attribute::KeyType(key_type) => own.key_type = Some(key_type),
                Attribute::ValueLen(len) => own.value_len = Some(len),
                Attribute::Encrypt(is) => own.encrypt = is,
                Attribute::Decrypt(is) => own.decrypt = is,
                Attribute::Wrap(is) => own.wrap = is,
                Attribute::Unwrap(is) => own.unwrap = is,
                Attribute::Sign(is) => own.sign = is,
                Attribute::AlwaysAuthenticate(is) => own.always_authenticate = is,
                Attribute::AllowedMechanisms(list) => own.allowed = list,
                _ => {}
            }
        }
        Ok(own)
    }

    /// An empty list allows all.
    fn allows(&self, mechanism: MechanismType) -> bool {
        self.allowed.is_empty() || self.allowed.contains(&mechanism)
    }

    fn refuse_always_authenticate(&self, what: &str) -> Result<(), Fault> {
        match self.always_authenticate {
            false => Ok(()),
            true => Err(unsupported(format!(
                "{what} wants its PIN before each use (CKA_ALWAYS_AUTHENTICATE), which is not done here"
            ))),
        }
    }

    /// AES-GCM where key and token have it, since that binds the context; AES Key Wrap otherwise.
    fn sealing(&self, what: &str, can: impl Fn(MechanismType) -> bool) -> Result<Purpose, Fault> {
        let aes_256 =
            self.key_type == Some(KeyType::AES) && self.value_len.is_none_or(|len| *len == 32);
        if !aes_256 {
            return Err(unsupported(format!("{what} is no AES key of 256 bits")));
        }
        let (wrapping, seals) = if self.decrypt && can(MechanismType::AES_GCM) {
            (Wrapping::Gcm, self.encrypt)
        } else if self.unwrap && can(MechanismType::AES_KEY_WRAP) {
            (Wrapping::KeyWrap, self.wrap)
        } else {
            return Err(unsupported(format!(
                "{what} can do neither AES-GCM (CKA_ENCRYPT, CKA_DECRYPT) nor AES Key Wrap \
                 (CKA_WRAP, CKA_UNWRAP) on this token"
            )));
        };
        Ok(Purpose::Seal { wrapping, seals })
    }
}

pub(crate) fn unsupported(message: String) -> Fault {
    Fault::Final(Error::new(ErrorKind::Unsupported, message))
}
