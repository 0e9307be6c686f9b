//! Certification requests, good and bad.

use bulla::ErrorKind;
use bulla_local::KeyType;
use der::{Decode as _, Encode as _};
use x509_cert::{
    Certificate,
    ext::pkix::{BasicConstraints, SubjectAltName},
    request::CertReq,
};

use crate::world::{P256, Signer, authority, orders, request};

#[tokio::test(flavor = "multi_thread")]
async fn requests_of_openssl_are_read() {
    let authority = authority(&Signer::arc(KeyType::P256)).await;
    for options in [
        P256,
        "-newkey ec -pkeyopt ec_paramgen_curve:P-384 -sha384",
        "-newkey ec -pkeyopt ec_paramgen_curve:P-521 -sha512",
        "-newkey rsa:2048",
        "-newkey rsa:2048 -sha512",
        "-newkey rsa:2048 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:32 -sha256",
        "-newkey ed25519",
    ] {
        let request = request(options);
        let issued = authority.issue(&request, &orders(), None).await.unwrap();
        let leaf = Certificate::from_der(&issued.chain()[0]).unwrap();
        let asked = CertReq::from_der(&request).unwrap();
        assert_eq!(leaf.tbs_certificate().subject_public_key_info(), &asked.info.public_key);
    }
}

/// Whoever asks does not say who it is, nor that it is an authority.
#[tokio::test]
async fn what_a_request_asks_for_is_not_looked_at() {
    let authority = authority(&Signer::arc(KeyType::P256)).await;
    let asks = "-addext subjectAltName=URI:spiffe://example.org/admin,DNS:example.org \
                -addext basicConstraints=critical,CA:TRUE -addext keyUsage=keyCertSign";
    let request = request(&format!("{P256} {asks}"));
    let issued = authority.issue(&request, &orders(), None).await.unwrap();
    let leaf = Certificate::from_der(&issued.chain()[0]).unwrap();
    let body = leaf.tbs_certificate();
    let (_, names) = body.get_extension::<SubjectAltName>().unwrap().unwrap();
    assert_eq!(names.0.len(), 1);
    let text = String::from_utf8_lossy(&issued.chain()[0]).into_owned();
    assert!(text.contains("spiffe://example.org/orders") && !text.contains("admin"));
    assert!(body.subject().is_empty());
    assert!(!body.get_extension::<BasicConstraints>().unwrap().unwrap().1.ca);
}

#[tokio::test]
async fn a_request_that_its_key_has_not_signed_is_refused() {
    let signer = Signer::arc(KeyType::P256);
    let authority = authority(&signer).await;
    let calls = signer.calls();
    let mut theirs = CertReq::from_der(&request(P256)).unwrap();
    let ours = CertReq::from_der(&request(P256)).unwrap();
    // Somebody else's key in a request of one's own.
    theirs.signature = ours.signature;
    let error = authority.issue(&theirs.to_der().unwrap(), &orders(), None).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotAuthentic);
    assert_eq!(signer.calls(), calls);
}

#[tokio::test]
async fn damage_is_an_error_and_no_panic() {
    let authority = authority(&Signer::arc(KeyType::P256)).await;
    let good = request(P256);
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 0x41;
        authority.issue(&bad, &orders(), None).await.unwrap_err();
    }
    for len in 0..good.len() {
        authority.issue(&good[..len], &orders(), None).await.unwrap_err();
    }
    let mut longer = good.clone();
    longer.push(0);
    authority.issue(&longer, &orders(), None).await.unwrap_err();
    let error = authority.issue(&vec![0x30; 17 * 1024], &orders(), None).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

#[tokio::test]
async fn what_is_weak_is_refused() {
    let authority = authority(&Signer::arc(KeyType::P256)).await;
    for options in ["-newkey rsa:1024", "-newkey rsa:2048 -sha1", &format!("{P256} -sha1")] {
        let error = authority.issue(&request(options), &orders(), None).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{options}: {error}");
    }
}

#[tokio::test]
async fn a_public_key_alone_will_do_for_who_knows_whose_it_is() {
    let authority = authority(&Signer::arc(KeyType::P256)).await;
    let spki = CertReq::from_der(&request(P256)).unwrap().info.public_key.to_der().unwrap();
    authority.issue_for_key(&spki, &orders(), None).await.unwrap();
    let mut off_the_curve = spki.clone();
    *off_the_curve.last_mut().unwrap() ^= 1;
    for bad in [&spki[1..], &off_the_curve, b""] {
        let error = authority.issue_for_key(bad, &orders(), None).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
    }
}
