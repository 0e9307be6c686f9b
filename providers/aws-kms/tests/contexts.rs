//! Contexts, tampering, ReEncrypt and rotation, on Moto: the other emulator's ciphertexts are not
//! authenticated.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    reason = "helpers of tests are tests too"
)]

mod world;

use bulla::{Context, CryptoProvider, CryptoProviderExt, DataKeys, Encrypt, ErrorKind, Wrapped};
use bulla_testworld::{Moto, Python};
use world::{REGION, builder, client, context, provider};

#[tokio::test]
async fn contexts_are_bound_as_kms_has_them() {
    let Some(python) = Python::for_aws() else { return };
    let server = Moto::start(&python);
    let url = server.url();
    let key = world::symmetric(&url).await;
    let provider = provider(&url, &key).await;
    let acme = context(&[("tenant", "acme"), ("é", "ü \u{1f511}\n\"\\")]);
    let (data_key, wrapped) = provider.generate_data_key(&acme).await.unwrap();
    // What KMS itself binds is the pairs and the use: its own client opens with these.
    let mut pairs = vec![("bulla", "1:data-key")];
    pairs.extend(acme.iter());
    let bare = client(&url, REGION).decrypt();
    let bare = bare.ciphertext_blob(aws_sdk_kms::primitives::Blob::new(wrapped.blob.clone()));
    let opened = bare.set_encryption_context(Some(world::map(&pairs))).send().await.unwrap();
    assert_eq!(opened.plaintext.unwrap().as_ref(), data_key.expose());
    for wrong in [
        context(&[]),
        context(&[("tenant", "acme")]),
        context(&[("tenant", "evil"), ("é", "ü \u{1f511}\n\"\\")]),
    ] {
        let error = provider.unwrap_data_key(&wrapped, &wrong).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotAuthentic);
    }
    let error = provider.decrypt(&wrapped, &acme).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotAuthentic);
}

#[tokio::test]
async fn altered_wraps_do_not_open() {
    let Some(python) = Python::for_aws() else { return };
    let server = Moto::start(&python);
    let url = server.url();
    let key = world::symmetric(&url).await;
    let provider = provider(&url, &key).await;
    let acme = context(&[("tenant", "acme")]);
    let (_, wrapped) = provider.generate_data_key(&acme).await.unwrap();
    // Behind the key id in clear, for a change of which Moto answers with AccessDenied.
    for at in 36..wrapped.blob.len() {
        let mut blob = wrapped.blob.clone();
        blob[at] ^= 1;
        let error = provider.unwrap_data_key(&Wrapped { blob, ..wrapped.clone() }, &acme).await;
        assert_eq!(error.unwrap_err().kind(), ErrorKind::NotAuthentic, "{at}");
    }
}

#[tokio::test]
async fn altered_payloads_do_not_decrypt() {
    let Some(python) = Python::for_aws() else { return };
    let server = Moto::start(&python);
    let url = server.url();
    let provider = provider(&url, &world::symmetric(&url).await).await;
    let acme = Context::from(context(&[("tenant", "acme")]));
    let sealed = provider.encrypt_direct(b"pin", &acme).await.unwrap();
    let blob = bulla::format::DirectMessage::parse(&sealed).unwrap().wrapped().blob.len();
    // Behind the key id in clear, as above.
    for at in sealed.len() - blob + 36..sealed.len() {
        let mut bad = sealed.clone();
        bad[at] ^= 1;
        let error = provider.decrypt_direct(&bad, &acme).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotAuthentic, "{at}");
    }
}

/// Moto calls it AccessDenied, where KMS says IncorrectKeyException; that name is in the table of
/// errors. What is judged here is that the key is named at all.
#[tokio::test]
async fn another_key_does_not_open() {
    let Some(python) = Python::for_aws() else { return };
    let server = Moto::start(&python);
    let url = server.url();
    let (one, two) = (world::symmetric(&url).await, world::symmetric(&url).await);
    let (one, two) = (provider(&url, &one).await, provider(&url, &two).await);
    let (_, wrapped) = one.generate_data_key(&context(&[])).await.unwrap();
    let relabelled = Wrapped { key: two.sealing_key().unwrap().clone(), ..wrapped };
    let error = two.unwrap_data_key(&relabelled, &context(&[])).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied);
}

#[tokio::test]
async fn payloads_are_reencrypted_inside_kms() {
    let Some(python) = Python::for_aws() else { return };
    let server = Moto::start(&python);
    let url = server.url();
    let (old, new) = (world::symmetric(&url).await, world::symmetric(&url).await);
    let before = provider(&url, &old).await;
    let after = builder(&url).sealing_key(&new).also_open(&old).build().await.unwrap();
    let (from, to) = (context(&[("row", "1")]), context(&[("row", "2")]));
    let sealed = before.encrypt(b"pin", &from).await.unwrap();
    let moved = after.reencrypt(&sealed, &from, &to).await.unwrap();
    assert_eq!(moved.key.id(), new);
    assert!(after.is_current(&moved) && !after.is_current(&sealed));
    assert_eq!(&*after.decrypt(&moved, &to).await.unwrap(), b"pin");
    for error in [
        after.decrypt(&moved, &from).await.unwrap_err(),
        after.reencrypt(&sealed, &to, &to).await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::NotAuthentic);
    }
    // A data key is no payload, whatever one does with it.
    let (_, wrapped) = before.generate_data_key(&from).await.unwrap();
    let error = after.reencrypt(&wrapped, &from, &to).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotAuthentic);
    let error = before.reencrypt(&moved, &to, &to).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoRecipient);
}

#[tokio::test]
async fn rotated_keys_open_what_they_sealed() {
    let Some(python) = Python::for_aws() else { return };
    let server = Moto::start(&python);
    let url = server.url();
    let key = world::symmetric(&url).await;
    let provider = provider(&url, &key).await;
    let context = Context::new().with_key("tenant", "acme").unwrap();
    let sealed = provider.seal(b"before", &context).await.unwrap();
    client(&url, REGION).rotate_key_on_demand().key_id(&key).send().await.unwrap();
    assert_eq!(&*provider.open(&sealed, &context).await.unwrap(), b"before");
    let sealed = provider.seal(b"after", &context).await.unwrap();
    assert_eq!(&*provider.open(&sealed, &context).await.unwrap(), b"after");
}

#[tokio::test]
async fn direct_mode_has_the_limits_of_kms() {
    let Some(python) = Python::for_aws() else { return };
    let server = Moto::start(&python);
    let url = server.url();
    let provider = provider(&url, &world::symmetric(&url).await).await;
    let sealed = provider.encrypt(&[7; 4096], &context(&[])).await.unwrap();
    assert_eq!(&*provider.decrypt(&sealed, &context(&[])).await.unwrap(), [7; 4096]);
    for len in [0, 4097] {
        let error = provider.encrypt(&vec![7; len], &context(&[])).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.message().contains("`seal`"), "{error}");
    }
    // The longest context that the core allows passes.
    let long = context(&[("tenant", &"x".repeat(bulla::EncryptionContext::MAX_ENCODED_LEN - 12))]);
    let (_, wrapped) = provider.generate_data_key(&long).await.unwrap();
    provider.unwrap_data_key(&wrapped, &long).await.unwrap();
}
