//! What is in a certificate, and who accepts it.

use std::{
    collections::HashSet,
    sync::Arc,
    time::{Duration, SystemTime},
};

use bulla::{ErrorKind, SigningAlgorithm};
use bulla_local::KeyType;
use bulla_spiffe::authority::{CaPolicy, IssuedX509Svid, NameConstraints, X509Authority};
use der::{Decode as _, Encode as _};
use spiffe::{SpiffeId, TrustDomain};
use x509_cert::{
    Certificate, Version,
    ext::pkix::{
        AuthorityKeyIdentifier, BasicConstraints, ExtendedKeyUsage, KeyUsage, SubjectAltName,
        SubjectKeyIdentifier, name::GeneralName,
    },
};

use crate::world::{
    P256, Signer, authority, domain, hours, openssl_verify, orders, request, webpki,
};

fn leaf(issued: &IssuedX509Svid) -> Certificate {
    Certificate::from_der(&issued.chain()[0]).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_algorithm_is_accepted_by_webpki_and_openssl() {
    use SigningAlgorithm::{
        Ed25519, Es256, Es384, Es512, Ps256, Ps384, Ps512, Rs256, Rs384, Rs512,
    };
    let request = request(P256);
    for (key_type, algorithms) in [
        (KeyType::P256, &[Es256][..]),
        (KeyType::P384, &[Es384]),
        (KeyType::P521, &[Es512]),
        (KeyType::Ed25519, &[Ed25519]),
        (KeyType::Rsa2048, &[Rs256, Rs384, Rs512, Ps256, Ps384, Ps512]),
    ] {
        let signer = Signer::arc(key_type);
        for algorithm in algorithms {
            let builder = X509Authority::builder(domain(), Arc::clone(&signer) as _);
            let built = builder.algorithm(*algorithm).self_signed(CaPolicy::root()).await;
            let authority = built.unwrap();
            let issued = authority.issue(&request, &orders(), None).await.unwrap();
            webpki(&issued, &authority.roots(), SystemTime::now()).unwrap();
            openssl_verify(&issued, &authority.roots()).unwrap();
        }
    }
}

#[tokio::test]
async fn an_rsa_key_signs_with_rs256_unless_it_is_told_otherwise() {
    let signer = Signer::arc(KeyType::Rsa2048);
    let authority = authority(&signer).await;
    let issued = authority.issue(&request(P256), &orders(), None).await.unwrap();
    let oid = leaf(&issued).signature_algorithm().oid.to_string();
    assert_eq!(oid, "1.2.840.113549.1.1.11");
    let other = X509Authority::builder(domain(), signer).algorithm(SigningAlgorithm::Es256);
    let error = other.self_signed(CaPolicy::root()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

#[tokio::test]
async fn a_leaf_is_what_the_standard_says() {
    let authority = authority(&Signer::arc(KeyType::P256)).await;
    let issued = authority.issue(&request(P256), &orders(), None).await.unwrap();
    let leaf = leaf(&issued);
    let body = leaf.tbs_certificate();
    assert_eq!(body.version(), Version::V3);
    assert!(body.subject().is_empty());
    let (critical, names) = body.get_extension::<SubjectAltName>().unwrap().unwrap();
    let [GeneralName::UniformResourceIdentifier(uri)] = names.0.as_slice() else {
        panic!("{names:?}");
    };
    assert_eq!((critical, uri.as_str()), (true, "spiffe://example.org/orders"));
    let (critical, basic) = body.get_extension::<BasicConstraints>().unwrap().unwrap();
    assert_eq!((critical, basic.ca, basic.path_len_constraint), (true, false, None));
    let (critical, usage) = body.get_extension::<KeyUsage>().unwrap().unwrap();
    assert!(critical && usage.digital_signature());
    assert!(!usage.key_cert_sign() && !usage.crl_sign() && !usage.key_encipherment());
    let (_, extended) = body.get_extension::<ExtendedKeyUsage>().unwrap().unwrap();
    let purposes: Vec<_> = extended.0.iter().map(ToString::to_string).collect();
    assert_eq!(purposes, ["1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2"]);
    let (_, own) = body.get_extension::<SubjectKeyIdentifier>().unwrap().unwrap();
    assert_eq!(own.0.as_bytes().len(), 20);
    let root = Certificate::from_der(&authority.certificates()[0]).unwrap();
    let (_, roots) =
        root.tbs_certificate().get_extension::<SubjectKeyIdentifier>().unwrap().unwrap();
    let (_, issuer) = body.get_extension::<AuthorityKeyIdentifier>().unwrap().unwrap();
    assert_eq!(issuer.key_identifier, Some(roots.0));
    assert_eq!(body.issuer(), root.tbs_certificate().subject());
    assert_eq!(body.extensions().unwrap().len(), 6);
}

#[tokio::test]
async fn a_root_is_one_of_its_trust_domain_and_of_no_path() {
    let authority = authority(&Signer::arc(KeyType::P256)).await;
    let root = Certificate::from_der(&authority.certificates()[0]).unwrap();
    let body = root.tbs_certificate();
    assert_eq!(body.subject(), body.issuer());
    let (_, names) = body.get_extension::<SubjectAltName>().unwrap().unwrap();
    let [GeneralName::UniformResourceIdentifier(uri)] = names.0.as_slice() else {
        panic!("{names:?}");
    };
    assert_eq!(uri.as_str(), "spiffe://example.org");
    let (critical, usage) = body.get_extension::<KeyUsage>().unwrap().unwrap();
    assert!(critical && usage.key_cert_sign() && !usage.digital_signature());
    assert_eq!(authority.roots(), authority.certificates());
}

#[tokio::test]
async fn serial_numbers_are_long_positive_and_not_repeated() {
    let authority = authority(&Signer::arc(KeyType::P256)).await;
    let request = request(P256);
    let mut seen = HashSet::new();
    for _ in 0..50 {
        let issued = authority.issue(&request, &orders(), None).await.unwrap();
        let serial = issued.serial().to_vec();
        assert_eq!(serial.len(), 20);
        assert!(serial[0] < 0x80);
        assert_eq!(leaf(&issued).tbs_certificate().serial_number().as_bytes(), serial);
        assert!(seen.insert(serial));
    }
}

#[tokio::test]
async fn a_life_is_an_hour_or_as_asked_and_bounded() {
    let now = SystemTime::UNIX_EPOCH + Duration::from_millis(1_800_000_000_750);
    let second = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    let signer = Signer::arc(KeyType::P256);
    let builder = || X509Authority::builder(domain(), Arc::clone(&signer) as _).clock(move || now);
    let authority = builder().self_signed(CaPolicy::root()).await.unwrap();
    let request = request(P256);
    let issued = authority.issue(&request, &orders(), None).await.unwrap();
    // No earlier than its issuer, which is backdated as much.
    assert_eq!(issued.not_before(), second - Duration::from_secs(60));
    assert_eq!(issued.not_after(), second + hours(1));
    let validity = *leaf(&issued).tbs_certificate().validity();
    assert_eq!(validity.not_before.to_system_time(), issued.not_before());
    assert_eq!(validity.not_after.to_system_time(), issued.not_after());
    let long = authority.issue(&request, &orders(), Some(hours(24))).await.unwrap();
    assert_eq!(long.not_after(), second + hours(24));
    for life in [hours(24) + Duration::from_secs(1), Duration::ZERO, Duration::MAX] {
        let error = authority.issue(&request, &orders(), Some(life)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }
    for refused in [
        builder().max_life(hours(24 * 7 + 1)),
        builder().life(hours(25)),
        builder().life(Duration::ZERO),
        builder().backdate(hours(2)),
    ] {
        let error = refused.self_signed(CaPolicy::root()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }
}

#[tokio::test]
async fn nothing_outlives_its_authority() {
    let start = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    let signer = Signer::arc(KeyType::P256);
    let mut policy = CaPolicy::root();
    policy.life = hours(2);
    let at = |hours_later: u64| {
        let now = start + hours(hours_later);
        X509Authority::builder(domain(), Arc::clone(&signer) as _).clock(move || now)
    };
    let root = at(0).self_signed(policy).await.unwrap().certificates();
    let later = at(1).with_certificates(root.clone()).await.unwrap();
    let issued = later.issue(&request(P256), &orders(), Some(hours(3))).await.unwrap();
    assert_eq!(issued.not_after(), start + hours(2));
    let error = at(2).with_certificates(root).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Disabled);
}

#[tokio::test]
async fn an_id_is_of_the_trust_domain_and_has_a_path() {
    let signer = Signer::arc(KeyType::P256);
    let authority = authority(&signer).await;
    let request = request(P256);
    let before = signer.calls();
    for id in ["spiffe://example.com/orders", "spiffe://example.org", "spiffe://a.example.org/x"] {
        let id = SpiffeId::new(id).unwrap();
        let error = authority.issue(&request, &id, None).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{id}");
    }
    assert_eq!(signer.calls(), before);
}

#[tokio::test]
async fn a_provider_that_signs_with_another_key_is_found_out() {
    let mut signer = Signer::new(KeyType::P256);
    signer.swapped = Some(Signer::arc(KeyType::P256));
    let builder = X509Authority::builder(domain(), Arc::new(signer));
    let error = builder.self_signed(CaPolicy::root()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Internal);
}

/// A root that may certify its trust domain alone: what each verifier makes of it.
#[tokio::test]
async fn names_are_constrained_as_far_as_a_verifier_knows() {
    let request = request(P256);
    let root_of = async |names: NameConstraints, life: Duration| {
        let signer = Signer::arc(KeyType::P256);
        let mut policy = CaPolicy::root();
        (policy.names, policy.life) = (names, life);
        let builder = X509Authority::builder(domain(), Arc::clone(&signer) as _);
        (signer, builder.self_signed(policy).await.unwrap())
    };
    let day = hours(24);
    for names in [NameConstraints::None, NameConstraints::NoHosts, NameConstraints::TrustDomain] {
        let (_, authority) = root_of(names, day).await;
        let issued = authority.issue(&request, &orders(), None).await.unwrap();
        openssl_verify(&issued, &authority.roots()).unwrap();
        let by_webpki = webpki(&issued, &authority.roots(), SystemTime::now());
        // When webpki learns of URIs, this says so, and the default may become the stricter one.
        let knows = names != NameConstraints::TrustDomain;
        assert_eq!(by_webpki.is_ok(), knows, "{names:?}: {by_webpki:?}");
    }

    // The same key, made to certify another trust domain by somebody who could.
    for (names, accepted) in
        [(NameConstraints::NoHosts, true), (NameConstraints::TrustDomain, false)]
    {
        let (signer, ours) = root_of(names, day).await;
        let other = TrustDomain::new("example.com").unwrap();
        let theirs = X509Authority::builder(other, signer);
        let theirs = theirs.self_signed(CaPolicy::root()).await.unwrap();
        let id = SpiffeId::new("spiffe://example.com/orders").unwrap();
        let issued = theirs.issue(&request, &id, None).await.unwrap();
        // One key is one name and one key id: our root is taken for theirs.
        assert_eq!(openssl_verify(&issued, &ours.roots()).is_ok(), accepted, "{names:?}");
    }
}

#[tokio::test]
async fn what_is_written_is_der() {
    let authority = authority(&Signer::arc(KeyType::P256)).await;
    let issued = authority.issue(&request(P256), &orders(), None).await.unwrap();
    for der in [&issued.chain()[0], &authority.certificates()[0]] {
        assert_eq!(&Certificate::from_der(der).unwrap().to_der().unwrap(), der);
    }
    assert_eq!(issued.chain_der(), issued.chain().concat());
}
