//! What goes wrong with tokens, and signing, on SoftHSM.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "helpers of tests are tests too"
)]

mod world;

use std::fs;

use bulla::{
    CryptoProvider, DataKeys, Encrypt, EncryptionContext, ErrorKind, Sign, SigningInput,
    signing::verify,
};
use bulla_testworld::{SoftHsm, tokens};

#[tokio::test]
async fn a_refused_pin_is_denied_and_not_tried_again() {
    let Some(hsm) = SoftHsm::in_child("a_refused_pin_is_denied_and_not_tried_again") else {
        return;
    };
    for wanted in ["C_Login: PinIncorrect", ""] {
        let built = world::builder(&hsm).pin("9999").sealing_key("k").build().await;
        let error = built.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Denied);
        let source = std::error::Error::source(&error).map(ToString::to_string);
        assert_eq!(source.unwrap_or_default(), wanted);
    }
}

#[tokio::test]
async fn absent_and_ambiguous_keys_are_told_apart() {
    let Some(hsm) = SoftHsm::in_child("absent_and_ambiguous_keys_are_told_apart") else { return };
    let (_context, session) = tokens::session(&hsm);
    tokens::aes(&session, "k", &[1], true);
    tokens::aes(&session, "k", &[2], true);
    let built = |label| world::builder(&hsm).sealing_key(label).build();
    assert_eq!(built("x").await.unwrap_err().kind(), ErrorKind::NotFound);
    let error = built("k").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.message().starts_with("2 keys"), "{error}");
    let away = world::builder(&hsm).token("other").sealing_key("k").build().await.unwrap_err();
    assert_eq!(away.kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn a_forged_payload_is_not_authentic() {
    let Some(hsm) = SoftHsm::in_child("a_forged_payload_is_not_authentic") else { return };
    let (_context, session) = tokens::session(&hsm);
    tokens::aes(&session, "k", &[1], true);
    let provider = world::builder(&hsm).sealing_key("k").build().await.unwrap();
    let context = EncryptionContext::new();
    let mut sealed = provider.encrypt(b"payload", &context).await.unwrap();
    assert_eq!(&*provider.decrypt(&sealed, &context).await.unwrap(), b"payload");
    sealed.blob[20] ^= 1;
    let error = provider.decrypt(&sealed, &context).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotAuthentic);
}

/// The provider has initialised the library, and so may begin it anew.
#[tokio::test]
async fn a_token_that_was_out_serves_again() {
    let Some(hsm) = SoftHsm::in_child("a_token_that_was_out_serves_again") else { return };
    // Before anybody else has.
    let early = world::builder(&hsm).sealing_key("k").build().await.unwrap_err();
    assert_eq!(early.kind(), ErrorKind::NotFound);
    let (_context, session) = tokens::session(&hsm);
    tokens::aes(&session, "k", &[1], true);
    let provider = world::builder(&hsm).sealing_key("k").build().await.unwrap();
    let context = EncryptionContext::new();
    let (key, wrapped) = provider.generate_data_key(&context).await.unwrap();
    let place = fs::read_dir(&hsm.tokens).unwrap().next().unwrap().unwrap().path();
    let away = hsm.tokens.with_extension("away");
    fs::rename(&place, &away).unwrap();
    let error = provider.unwrap_data_key(&wrapped, &context).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    fs::rename(&away, &place).unwrap();
    // Nobody has logged in since the module was begun anew, so nothing keeps it from that.
    assert!(provider.unwrap_data_key(&wrapped, &context).await.unwrap().ct_eq(&key));
    std::mem::forget(session);
}

#[tokio::test]
async fn a_library_that_was_ended_is_begun_anew() {
    let Some(hsm) = SoftHsm::in_child("a_library_that_was_ended_is_begun_anew") else { return };
    let (library, session) = tokens::session(&hsm);
    tokens::aes(&session, "k", &[1], true);
    let provider = world::builder(&hsm).sealing_key("k").build().await.unwrap();
    let context = EncryptionContext::new();
    let (key, wrapped) = provider.generate_data_key(&context).await.unwrap();
    std::mem::forget(session);
    library.finalize().unwrap();
    assert!(provider.unwrap_data_key(&wrapped, &context).await.unwrap().ct_eq(&key));
    provider.close().await.unwrap();
    let error = provider.unwrap_data_key(&wrapped, &context).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed);
}

#[tokio::test]
async fn every_kind_of_pair_signs_what_verifies() {
    let Some(hsm) = SoftHsm::in_child("every_kind_of_pair_signs_what_verifies") else { return };
    let (_context, session) = tokens::session(&hsm);
    let mut signed = 0;
    for label in tokens::pairs(&session) {
        let provider = world::builder(&hsm).signing_key(label).build().await.unwrap();
        let keys = provider.public_keys().await.unwrap();
        for algorithm in &keys[0].algorithms {
            let input = SigningInput::new(*algorithm, b"message");
            let signature = provider.sign(&keys[0], &input).await.unwrap();
            verify(&keys[0], &input, &signature).unwrap();
            let other = SigningInput::new(*algorithm, b"messagE");
            assert!(verify(&keys[0], &other, &signature).is_err());
            signed += 1;
        }
    }
    assert_eq!(signed, 10);
}
