//! A second token: that of NSS, which has RSA-OAEP with SHA-256 and no Ed25519. And what is told where there
//! is no such OAEP.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "helpers of tests are tests too"
)]

mod world;

use std::sync::Arc;

use bulla::{
    Context, CryptoProvider, CryptoProviderExt, DataKeys, EncryptionContext, ErrorKind, KeyUri,
    Registry, Sign, SigningInput, key::WrapAlgorithm, resilience::Policy, signing::verify,
};
use bulla_conformance::{
    CASES, Env,
    alloc_counter::{self, AllocCounter},
    run,
};
use bulla_pkcs11::{KeyType, Pkcs11, Pkcs11Builder, Pkcs11Scheme};
use bulla_testworld::{Nss, SoftHsm, tokens};

#[global_allocator]
static ALLOCATOR: AllocCounter = alloc_counter::COUNTER;

fn builder(nss: &Nss) -> Pkcs11Builder {
    Pkcs11::builder().module(&nss.module).token("t").pin(Nss::PIN)
}

async fn conforms(one: Pkcs11Builder, two: Pkcs11Builder) {
    let (one, two) = (one.build().await.unwrap(), two.build().await.unwrap());
    let env = Env::new(Arc::new(one), Arc::new(two)).allocated(alloc_counter::allocated);
    let report = run(&env).await;
    eprintln!("{report}");
    report.assert_passed();
    assert_eq!(report.passed().count(), CASES.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_with_rsa_oaep_conform() {
    let Some(nss) = Nss::in_child("keys_with_rsa_oaep_conform") else { return };
    let (_context, session) = nss.session();
    tokens::rsa(&session, "one", &[1], false);
    tokens::rsa(&session, "two", &[2], false);
    let bound = |label| builder(&nss).sealing_key(label).accept_public_key_wraps();
    conforms(bound("one"), bound("two")).await;
}

/// Asked how long a ciphertext will be, it forgets the tag, and `cryptoki` offers no other room than that.
#[tokio::test]
async fn aes_gcm_of_nss_is_told_to_be_of_no_use() {
    let Some(nss) = Nss::in_child("aes_gcm_of_nss_is_told_to_be_of_no_use") else { return };
    let (_context, session) = nss.session();
    tokens::aes(&session, "one", &[1], true);
    let provider = builder(&nss).sealing_key("one").build().await.unwrap();
    let error = provider.generate_data_key(&EncryptionContext::new()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_nss_with_aes_key_wrap_conform() {
    let Some(nss) = Nss::in_child("keys_of_nss_with_aes_key_wrap_conform") else { return };
    let (_context, session) = nss.session();
    tokens::aes(&session, "one", &[1], false);
    tokens::aes(&session, "two", &[2], false);
    conforms(builder(&nss).sealing_key("one"), builder(&nss).sealing_key("two")).await;
}

/// Who has the public key can seal, so the owner has to say that this is fine.
#[tokio::test]
async fn what_is_sealed_to_a_pair_opens_if_the_owner_says_so() {
    let Some(nss) = Nss::in_child("what_is_sealed_to_a_pair_opens_if_the_owner_says_so") else {
        return;
    };
    let (_context, session) = nss.session();
    tokens::rsa(&session, "pair", &[1], true);
    let plain = builder(&nss).sealing_key("pair").build().await.unwrap();
    assert!(!plain.capabilities().wrap_authenticates);
    let context = Context::new().with_key("tenant", "acme").unwrap();
    let sealed = plain.seal(b"secret", &context).await.unwrap();
    let error = plain.open(&sealed, &context).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
    let accepting = builder(&nss).sealing_key("pair").accept_public_key_wraps();
    let accepting = accepting.build().await.unwrap();
    assert_eq!(&*accepting.open(&sealed, &context).await.unwrap(), b"secret");

    let empty = EncryptionContext::new();
    let (_, wrapped) = accepting.generate_data_key(&empty).await.unwrap();
    assert_eq!((wrapped.algorithm, wrapped.blob.len()), (WrapAlgorithm::RsaOaep256, 256));
    // A pair that may do both signs where it is not said to seal.
    let signs = builder(&nss).signing_key("pair").build().await.unwrap();
    assert!(signs.sealing_key().is_none() && !signs.capabilities().signing.is_empty());
}

/// The same by a key URI, as a configuration with `accept-public-key-wraps` has it.
#[tokio::test]
async fn a_configuration_says_so_too() {
    let Some(nss) = Nss::in_child("a_configuration_says_so_too") else { return };
    let (_context, session) = nss.session();
    tokens::rsa(&session, "pair", &[1], false);
    let pin = std::env::temp_dir().join(format!("bulla-nss-pin-{}", std::process::id()));
    std::fs::write(&pin, Nss::PIN).unwrap();
    let (module, source) = (nss.module.display(), pin.display());
    let uri = format!("pkcs11:token=t;object=pair?module-path={module}&pin-source=file:{source}");
    let uri: KeyUri = uri.parse().unwrap();
    let registry = Registry::builder().scheme("pkcs11", Arc::new(Pkcs11Scheme)).build();
    let plain = registry.connect("plain", &uri).await.unwrap();
    let accepting = registry.connect_accepting_public_key_wraps("all", &uri, Policy::default());
    let accepting = accepting.await.unwrap();
    std::fs::remove_file(&pin).unwrap();
    let context = Context::new().with_key("tenant", "acme").unwrap();
    let sealed = plain.seal(b"secret", &context).await.unwrap();
    assert_eq!(plain.open(&sealed, &context).await.unwrap_err().kind(), ErrorKind::Denied);
    assert_eq!(&*accepting.open(&sealed, &context).await.unwrap(), b"secret");
}

#[tokio::test]
async fn pairs_of_nss_sign_what_verifies() {
    let Some(nss) = Nss::in_child("pairs_of_nss_sign_what_verifies") else { return };
    let (_context, session) = nss.session();
    let mut signed = 0;
    for kind in ["rsa", "p256", "p384", "p521"] {
        tokens::pair(&session, kind);
        let provider = builder(&nss).signing_key(kind).build().await.unwrap();
        let key = provider.public_keys().await.unwrap().remove(0);
        for algorithm in &key.algorithms {
            let input = SigningInput::new(*algorithm, b"message");
            verify(&key, &input, &provider.sign(&key, &input).await.unwrap()).unwrap();
            signed += 1;
        }
    }
    assert_eq!(signed, 9);
}

#[tokio::test]
async fn keys_are_made_on_nss_too() {
    let Some(nss) = Nss::in_child("keys_are_made_on_nss_too") else { return };
    let (_context, _session) = nss.session();
    for key_type in KeyType::ALL {
        let made = builder(&nss).also_open(key_type.as_str()).create_key(key_type).await;
        if key_type == KeyType::Ed25519 {
            // This version has none.
            assert_eq!(made.unwrap_err().kind(), ErrorKind::Unsupported);
            continue;
        }
        let again = builder(&nss).also_open(key_type.as_str()).create_key(key_type).await;
        assert_eq!(again.unwrap_err().kind(), ErrorKind::AlreadyExists);
        let bound = builder(&nss).also_open(key_type.as_str()).build().await.unwrap();
        assert_eq!(bound.describe_keys().await.remove(0).0, made.unwrap().name);
    }
}

#[tokio::test]
async fn oaep_without_sha_256_is_not_taken() {
    let Some(hsm) = SoftHsm::in_child("oaep_without_sha_256_is_not_taken") else { return };
    let (_context, session) = tokens::session(&hsm);
    tokens::rsa(&session, "pair", &[1], false);
    let error = world::builder(&hsm).sealing_key("pair").build().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.message().contains("RSA-OAEP with SHA-256"), "{error}");
}
