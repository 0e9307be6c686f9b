//! Sessions of the tests' own on a token of SoftHSM, and keys on it.

use cryptoki::{
    context::{CInitializeArgs, CInitializeFlags, Pkcs11 as Context},
    error::{Error, RvError},
    mechanism::Mechanism,
    object::Attribute,
    session::{Session, UserType},
    types::AuthPin,
};

use crate::SoftHsm;

/// A session of the tests' own. Whoever comes first, provider or test, initialises the library and logs in;
/// that the other finds it so is as it should be.
pub fn session(hsm: &SoftHsm) -> (Context, Session) {
    let context = Context::new(&hsm.module).unwrap();
    drop(context.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)));
    let slots = context.get_slots_with_token().unwrap();
    let slot = slots.into_iter().find(|s| context.get_token_info(*s).unwrap().label() == "t");
    let session = context.open_rw_session(slot.unwrap()).unwrap();
    match session.login(UserType::User, Some(&AuthPin::from(SoftHsm::PIN))) {
        Ok(()) | Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => {}
        Err(error) => panic!("{error}"),
    }
    (context, session)
}

/// An AES key: one for AES-GCM, or one for AES Key Wrap.
pub fn aes(session: &Session, label: &str, id: &[u8], gcm: bool) {
    let template = [
        Attribute::Token(true),
        Attribute::Private(true),
        Attribute::Sensitive(true),
        Attribute::Extractable(false),
        Attribute::ValueLen(32_u64.into()),
        Attribute::Encrypt(gcm),
        Attribute::Decrypt(gcm),
        Attribute::Wrap(!gcm),
        Attribute::Unwrap(!gcm),
        Attribute::Label(label.as_bytes().to_vec()),
        Attribute::Id(id.to_vec()),
    ];
    session.generate_key(&Mechanism::AesKeyGen, &template).unwrap();
}

/// An RSA pair that anybody may encrypt to, and that signs too if it is told so.
pub fn rsa(session: &Session, label: &str, id: &[u8], signs: bool) {
    let named = [
        Attribute::Token(true),
        Attribute::Label(label.as_bytes().to_vec()),
        Attribute::Id(id.to_vec()),
    ];
    let public = [
        Attribute::Encrypt(true),
        Attribute::Verify(signs),
        Attribute::ModulusBits(2048_u64.into()),
        Attribute::PublicExponent(vec![1, 0, 1]),
    ];
    let private = [
        Attribute::Private(true),
        Attribute::Sensitive(true),
        Attribute::Extractable(false),
        Attribute::Decrypt(true),
        Attribute::Sign(signs),
    ];
    let (public, private) = ([&named[..], &public].concat(), [&named[..], &private].concat());
    session.generate_key_pair(&Mechanism::RsaPkcsKeyPairGen, &public, &private).unwrap();
}

/// A pair of each kind that signs: their labels.
pub fn pairs(session: &Session) -> [&'static str; 5] {
    KINDS.map(|kind| {
        pair(session, kind);
        kind
    })
}

const KINDS: [&str; 5] = ["rsa", "p256", "p384", "p521", "ed25519"];

/// A pair that signs, of the kind that its label says.
pub fn pair(session: &Session, kind: &str) {
    let curve = |params: &[u8]| vec![Attribute::EcParams(params.to_vec())];
    let ec = Mechanism::EccKeyPairGen;
    let rsa = [Attribute::ModulusBits(2048_u64.into()), Attribute::PublicExponent(vec![1, 0, 1])];
    let (mechanism, size) = match kind {
        "rsa" => (Mechanism::RsaPkcsKeyPairGen, rsa.to_vec()),
        "p256" => (ec, curve(&[6, 8, 42, 134, 72, 206, 61, 3, 1, 7])),
        "p384" => (ec, curve(&[6, 5, 43, 129, 4, 0, 34])),
        "p521" => (ec, curve(&[6, 5, 43, 129, 4, 0, 35])),
        "ed25519" => (Mechanism::EccEdwardsKeyPairGen, curve(&[6, 3, 43, 101, 112])),
        other => panic!("no kind {other}"),
    };
    let named = [
        Attribute::Token(true),
        Attribute::Label(kind.as_bytes().to_vec()),
        Attribute::Id(kind.as_bytes().to_vec()),
    ];
    let public = [&named[..], &[Attribute::Verify(true)], &size].concat();
    let private = [&named[..], &[Attribute::Private(true), Attribute::Sign(true)]].concat();
    session.generate_key_pair(&mechanism, &public, &private).unwrap();
}
