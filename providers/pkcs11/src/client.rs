//! The calls that use keys. Those that find tokens and keys, log in and look at attributes are in
//! `module`, `selection`, `pin`, `login`, `token`, `object` and `public`.

use bulla::{Error, ErrorKind, Result, SigningAlgorithm};
use cryptoki::{
    error::{Error as Reported, RvError},
    mechanism::{
        Mechanism, MechanismType,
        aead::GcmParams,
        eddsa::{EddsaParams, EddsaSignatureScheme},
        rsa::{PkcsMgfType, PkcsOaepParams, PkcsOaepSource, PkcsPssParams},
    },
    object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle},
};
use zeroize::{Zeroize as _, Zeroizing};

use crate::{
    capabilities::KEY_WRAP_LEN,
    error::{Fault, fault},
    object::ObjectId,
    token::Work,
};

/// Bytes of a nonce of AES-GCM.
pub(crate) const NONCE_LEN: usize = 12;

/// Bytes of a tag of AES-GCM.
pub(crate) const TAG_LEN: usize = 16;

/// Bits of the same.
const TAG_BITS: u64 = 128;

impl Work<'_> {
    /// AES-GCM: nonce, ciphertext and tag. The nonce that counts is the one that the token used, since
    /// some put their own in the place of what they were given.
    pub(crate) fn encrypt(
        &self,
        key: &ObjectId,
        plaintext: &[u8],
        aad: &[u8],
    ) -> Result<Vec<u8>, Fault> {
        let handle = self.handle(key)?;
        let mut nonce = [0; NONCE_LEN];
        getrandom::fill(&mut nonce).map_err(|_| {
            Error::new(ErrorKind::Internal, "the operating system's random generator failed")
        })?;
        let mechanism = gcm(&mut nonce, aad)?;
        let sealed = self.session.encrypt(&mechanism, handle, plaintext);
        let sealed = sealed.map_err(|e| self.doubt(&e, key, handle, not_served))?;
        if sealed.len() != plaintext.len() + TAG_LEN {
            return Err(odd(key).into());
        }
        Ok([&nonce[..], &sealed].concat())
    }

    /// What [`encrypt`](Self::encrypt) made.
    pub(crate) fn decrypt(
        &self,
        key: &ObjectId,
        sealed: &[u8],
        aad: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, Fault> {
        let split = sealed.split_first_chunk::<NONCE_LEN>();
        let (nonce, body) = split.filter(|(_, body)| body.len() >= TAG_LEN).ok_or_else(forged)?;
        let handle = self.handle(key)?;
        let mut nonce = *nonce;
        let mechanism = gcm(&mut nonce, aad)?;
        let opened = self.session.decrypt(&mechanism, handle, body).map(Zeroizing::new);
        // SoftHSM, for one, has no other word for a tag that is wrong than CKR_GENERAL_ERROR.
        let opened = opened.map_err(|e| self.doubt(&e, key, handle, not_authentic))?;
        match opened.len() == body.len() - TAG_LEN {
            true => Ok(opened),
            false => Err(odd(key).into()),
        }
    }

    /// AES Key Wrap (RFC 3394) of 32 bytes, which are an object of the session meanwhile.
    pub(crate) fn wrap(&self, key: &ObjectId, data_key: &[u8; 32]) -> Result<Vec<u8>, Fault> {
        let handle = self.handle(key)?;
        let mut template = transient().to_vec();
        template.push(Attribute::Value(data_key.to_vec()));
        let object = self.session.create_object(&template);
        wipe(&mut template);
        let object = object.map_err(|e| self.doubt(&e, key, handle, not_served))?;
        let wrapped = self.session.wrap_key(&Mechanism::AesKeyWrap, handle, object);
        drop(self.session.destroy_object(object));
        let mut wrapped = wrapped.map_err(|e| self.doubt(&e, key, handle, not_served))?;
        // A token may ask for more room than it fills, as NSS does, and cryptoki gives all of it.
        wrapped.truncate(KEY_WRAP_LEN);
        match wrapped.len() == KEY_WRAP_LEN {
            true => Ok(wrapped),
            false => Err(odd(key).into()),
        }
    }

    /// What [`wrap`](Self::wrap) made.
    pub(crate) fn unwrap(
        &self,
        key: &ObjectId,
        wrapped: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, Fault> {
        let handle = self.handle(key)?;
        let mechanism = Mechanism::AesKeyWrap;
        let object = self.session.unwrap_key(&mechanism, handle, wrapped, &transient());
        let object = object.map_err(|e| self.doubt(&e, key, handle, not_authentic))?;
        let read = self.session.get_attributes(object, &[AttributeType::Value]);
        drop(self.session.destroy_object(object));
        let read = read.map_err(|e| self.doubt(&e, key, handle, not_served))?;
        match read.into_iter().next() {
            Some(Attribute::Value(value)) => Ok(Zeroizing::new(value)),
            _ => Err(odd(key).into()),
        }
    }

    /// RSA-OAEP by the public half of a pair, which anybody may use who has it.
    pub(crate) fn oaep_encrypt(
        &self,
        pair: &ObjectId,
        data_key: &[u8; 32],
        modulus: usize,
    ) -> Result<Vec<u8>, Fault> {
        let public = ObjectId { class: ObjectClass::PUBLIC_KEY, id: pair.id.clone() };
        let handle = self.handle(&public)?;
        let wrapped = self.session.encrypt(&oaep(), handle, data_key);
        let wrapped = wrapped.map_err(|e| self.doubt(&e, &public, handle, not_served))?;
        match wrapped.len() == modulus {
            true => Ok(wrapped),
            false => Err(odd(&public).into()),
        }
    }

    /// What [`oaep_encrypt`](Self::oaep_encrypt) made. Whatever is wrong with it is the same error, or
    /// senders could find out about other messages (Manger, CRYPTO 2001).
    pub(crate) fn oaep_decrypt(
        &self,
        pair: &ObjectId,
        wrapped: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, Fault> {
        let handle = self.handle(pair)?;
        let opened = self.session.decrypt(&oaep(), handle, wrapped).map(Zeroizing::new);
        opened.map_err(|e| self.doubt(&e, pair, handle, not_authentic))
    }

    /// Whether a private key can be used for RSA-OAEP with SHA-256. Tokens tell of the mechanism, and not of
    /// the digests that it takes.
    pub(crate) fn has_oaep_256(&self, private: ObjectHandle, what: &str) -> Result<bool, Fault> {
        // A session of its own, since a decryption is left begun in it.
        let session = self.login.open(self.context)?;
        let begun = session.decrypt_init(&oaep(), private);
        drop(session.close());
        match begun {
            Ok(()) => Ok(true),
            Err(Reported::Pkcs11(
                RvError::ArgumentsBad | RvError::MechanismParamInvalid | RvError::MechanismInvalid,
                _,
            )) => Ok(false),
            Err(error) => Err(fault(&error, what)),
        }
    }

    /// A signature in the form of JWS. `input` is a digest, or the message for Ed25519.
    pub(crate) fn sign(
        &self,
        key: &ObjectId,
        algorithm: SigningAlgorithm,
        input: &[u8],
    ) -> Result<Vec<u8>, Fault> {
        let (mechanism, prefix) = signing(algorithm)?;
        let handle = self.handle(key)?;
        let signed = self.session.sign(&mechanism, handle, &[prefix, input].concat());
        signed.map_err(|e| self.doubt(&e, key, handle, not_served))
    }

    /// Whether the token has the key and shows it, as it does to who is logged in.
    pub(crate) fn look(&self, key: &ObjectId) -> Result<(), Fault> {
        let handle = self.handle(key)?;
        let seen = self.session.get_attributes(handle, &[AttributeType::Id]);
        match seen.map_err(|e| fault(&e, &key.describe()))?.as_slice() {
            [Attribute::Id(id)] if *id == key.id => Ok(()),
            _ => Err(Fault::lost(odd(key))),
        }
    }

    fn handle(&self, key: &ObjectId) -> Result<ObjectHandle, Fault> {
        self.login.handle(self.context, self.session, key)
    }

    /// Finds out what a code means that says nothing: with a token that is out or logged out, that; with
    /// one that still shows the key, what `otherwise` makes of it.
    fn doubt(
        &self,
        reported: &Reported,
        key: &ObjectId,
        handle: ObjectHandle,
        otherwise: fn(&Reported, Error) -> Fault,
    ) -> Fault {
        let error = match fault(reported, &key.describe()) {
            Fault::Doubtful(error) => error,
            other => return other,
        };
        match self.session.get_attributes(handle, &[AttributeType::Id]) {
            Ok(_) => otherwise(reported, error),
            Err(_) => Fault::lost(error),
        }
    }
}

/// A failure to open, if it was the opening that failed and not what comes before.
fn not_authentic(reported: &Reported, error: Error) -> Fault {
    use cryptoki::context::Function;
    match reported {
        Reported::Pkcs11(_, Function::Decrypt | Function::UnwrapKey) => forged(),
        _ => Fault::Final(error),
    }
}

fn not_served(_: &Reported, error: Error) -> Fault {
    Fault::Final(error)
}

fn forged() -> Fault {
    Fault::Final(Error::not_authentic())
}

/// An answer that has not the length that it must have.
fn odd(key: &ObjectId) -> Error {
    let message = format!("the token's answer about the {} can't be right", key.describe());
    Error::new(ErrorKind::Unavailable, message)
}

/// RFC 8017, section 7.1, with SHA-256 as the hash and in the mask, and without a label.
fn oaep() -> Mechanism<'static> {
    let source = PkcsOaepSource::empty();
    PkcsOaepParams::new(MechanismType::SHA256, PkcsMgfType::MGF1_SHA256, source).into()
}

fn gcm<'a>(nonce: &'a mut [u8; NONCE_LEN], aad: &'a [u8]) -> Result<Mechanism<'a>, Fault> {
    let params = GcmParams::new(nonce, aad, TAG_BITS.into());
    params.map(Mechanism::AesGcm).map_err(|e| fault(&e, "a key"))
}

/// A data key as an object of the session: it must come out again, or go in.
fn transient() -> [Attribute; 6] {
    [
        Attribute::Class(ObjectClass::SECRET_KEY),
        Attribute::KeyType(KeyType::AES),
        Attribute::Token(false),
        Attribute::Private(false),
        Attribute::Sensitive(false),
        Attribute::Extractable(true),
    ]
}

fn wipe(template: &mut [Attribute]) {
    for attribute in template {
        if let Attribute::Value(value) = attribute {
            value.zeroize();
        }
    }
}

/// The mechanism, and what stands before a digest: its name in DER, for PKCS #1 v1.5 (RFC 8017,
/// section 9.2, note 1).
fn signing(algorithm: SigningAlgorithm) -> Result<(Mechanism<'static>, &'static [u8]), Fault> {
    use SigningAlgorithm::*;
    Ok(match algorithm {
        Rs256 => (Mechanism::RsaPkcs, SHA256),
        Rs384 => (Mechanism::RsaPkcs, SHA384),
        Rs512 => (Mechanism::RsaPkcs, SHA512),
        Ps256 => (pss(MechanismType::SHA256, PkcsMgfType::MGF1_SHA256, 32), &[]),
        Ps384 => (pss(MechanismType::SHA384, PkcsMgfType::MGF1_SHA384, 48), &[]),
        Ps512 => (pss(MechanismType::SHA512, PkcsMgfType::MGF1_SHA512, 64), &[]),
        Es256 | Es384 | Es512 => (Mechanism::Ecdsa, &[]),
        Ed25519 => (Mechanism::Eddsa(EddsaParams::new(EddsaSignatureScheme::Ed25519)), &[]),
        other => {
            let message = format!("PKCS #11 keys are not used with {other}");
            return Err(Error::new(ErrorKind::Unsupported, message).into());
        }
    })
}

fn pss(hash_alg: MechanismType, mgf: PkcsMgfType, salt: u64) -> Mechanism<'static> {
    Mechanism::RsaPkcsPss(PkcsPssParams { hash_alg, mgf, s_len: salt.into() })
}

const SHA256: &[u8] = &[
    0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05,
    0x00, 0x04, 0x20,
];
const SHA384: &[u8] = &[
    0x30, 0x41, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02, 0x05,
    0x00, 0x04, 0x30,
];
const SHA512: &[u8] = &[
    0x30, 0x51, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x03, 0x05,
    0x00, 0x04, 0x40,
];
