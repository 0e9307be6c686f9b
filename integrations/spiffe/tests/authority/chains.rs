//! Authorities below authorities, and those that come back.

use std::{sync::Arc, time::SystemTime};

use bulla::{ErrorKind, Opener, Sealer};
use bulla_local::{KeyType, Local, Protection, SealedKeys, Store};
use bulla_spiffe::authority::{CaPolicy, X509Authority};
use spiffe::TrustDomain;

use crate::world::{
    P256, Signer, authority, domain, hours, openssl_verify, orders, request, webpki,
};

#[tokio::test]
async fn an_authority_comes_back_with_its_certificate() {
    let signer = Signer::arc(KeyType::P256);
    let first = authority(&signer).await;
    let calls = signer.calls();
    let builder = || X509Authority::builder(domain(), Arc::clone(&signer) as _);
    let again = builder().with_certificates(first.certificates()).await.unwrap();
    assert_eq!(signer.calls(), calls);
    let issued = again.issue(&request(P256), &orders(), None).await.unwrap();
    webpki(&issued, &first.roots(), SystemTime::now()).unwrap();
    assert_eq!(again.not_after(), first.not_after());
}

#[tokio::test]
async fn a_certificate_that_is_not_the_keys_is_refused() {
    let (one, other) = (Signer::arc(KeyType::P256), Signer::arc(KeyType::P256));
    let (ours, theirs) = (authority(&one).await, authority(&other).await);
    let builder = || X509Authority::builder(domain(), Arc::clone(&one) as _);
    let issued = ours.issue(&request(P256), &orders(), None).await.unwrap();
    let leaf = issued.chain()[0].clone();
    for (certificates, kind) in [
        (theirs.certificates(), ErrorKind::NotFound),
        (vec![], ErrorKind::InvalidInput),
        (vec![leaf], ErrorKind::InvalidInput),
        (vec![vec![0x30; 20 * 1024]], ErrorKind::InvalidInput),
        ([ours.certificates(), theirs.certificates()].concat(), ErrorKind::InvalidInput),
        (std::iter::repeat_n(ours.certificates().concat(), 9).collect(), ErrorKind::InvalidInput),
    ] {
        let error = builder().with_certificates(certificates).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
    }
    let elsewhere = TrustDomain::new("example.com").unwrap();
    let builder = X509Authority::builder(elsewhere, Arc::clone(&one) as _);
    let error = builder.with_certificates(ours.certificates()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

#[tokio::test]
async fn a_damaged_certificate_is_an_error_and_no_panic() {
    let signer = Signer::arc(KeyType::P256);
    let good = authority(&signer).await.certificates().concat();
    let builder = || X509Authority::builder(domain(), Arc::clone(&signer) as _);
    for at in 0..good.len() {
        for mask in [0x01, 0x41, 0x80, 0xff] {
            let mut bad = good.clone();
            bad[at] ^= mask;
            builder().with_certificates([bad]).await.unwrap_err();
        }
        builder().with_certificates([good[..at].to_vec()]).await.unwrap_err();
    }
    builder().with_certificates([good]).await.unwrap();
}

/// The private half of the authority is sealed by a KMS's key, and certified by another one of it: one signature, and
/// then none.
#[tokio::test(flavor = "multi_thread")]
async fn a_fleet_is_issued_for_one_signature() {
    let kms = Signer::arc(KeyType::P384);
    let store = Store::at(kms.directory.path().join("sealing"));
    store.create_key("sealing", KeyType::Aes256, &Protection::None).unwrap();
    let sealing = Arc::new(Local::builder(store).sealing_key("sealing").build().unwrap());
    let root = authority(&kms).await;
    let before = kms.calls();

    let sealer = Sealer::new(Arc::clone(&sealing)).unwrap();
    let sealed = SealedKeys::create(&sealer, "svids", "1", KeyType::P256).await.unwrap();
    let keys = SealedKeys::builder("svids").version("1", sealed);
    let keys = Arc::new(keys.open(&Opener::new([sealing])).await.unwrap());
    let below = X509Authority::builder(domain(), keys);
    let below = below.delegated_by(&root, CaPolicy::intermediate()).await.unwrap();
    assert_eq!(kms.calls(), before + 1);

    let request = request(P256);
    for workload in 0..10_000 {
        let id = spiffe::SpiffeId::new(format!("spiffe://example.org/w/{workload}")).unwrap();
        let issued = below.issue(&request, &id, None).await.unwrap();
        if workload == 0 {
            assert_eq!(issued.chain().len(), 2);
            webpki(&issued, &root.roots(), SystemTime::now()).unwrap();
            openssl_verify(&issued, &root.roots()).unwrap();
        }
    }
    assert_eq!(kms.calls(), before + 1);
    assert_eq!(below.roots(), root.roots());
}

#[tokio::test]
async fn an_authority_below_ends_with_the_one_above_and_certifies_none() {
    let root = authority(&Signer::arc(KeyType::P256)).await;
    let builder = || X509Authority::builder(domain(), Signer::arc(KeyType::P256) as _);
    let mut policy = CaPolicy::intermediate();
    policy.life = hours(24 * 1000);
    let below = builder().delegated_by(&root, policy).await.unwrap();
    assert_eq!(below.not_after(), root.not_after());
    let error = builder().delegated_by(&below, CaPolicy::intermediate()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    let elsewhere = TrustDomain::new("example.com").unwrap();
    let builder = X509Authority::builder(elsewhere, Signer::arc(KeyType::P256) as _);
    let error = builder.delegated_by(&root, CaPolicy::intermediate()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

#[tokio::test]
async fn a_new_key_is_trusted_beside_the_old_one() {
    let (old, new) = (Signer::arc(KeyType::P256), Signer::arc(KeyType::P256));
    let old = authority(&old).await;
    let builder = X509Authority::builder(domain(), new).also_trust(old.roots().concat());
    let new = builder.self_signed(CaPolicy::root()).await.unwrap();
    assert_eq!(new.roots().len(), 2);
    let request = request(P256);
    for authority in [&old, &new] {
        let issued = authority.issue(&request, &orders(), None).await.unwrap();
        webpki(&issued, &new.roots(), SystemTime::now()).unwrap();
        openssl_verify(&issued, &new.roots()).unwrap();
    }
    let builder = X509Authority::builder(domain(), Signer::arc(KeyType::P256) as _);
    let error = builder.also_trust(b"none".to_vec()).self_signed(CaPolicy::root()).await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::InvalidInput);
}
