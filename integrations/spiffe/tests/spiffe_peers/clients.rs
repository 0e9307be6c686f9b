//! This crate's clients at a Workload API of others.

use std::{sync::Arc, time::Duration};

use bulla::ErrorKind;
use bulla_spiffe::{Bundle, BundleSet, JwtSvidVerifier, trust_domain, workload::WorkloadApi};
use bulla_testworld::GoSpiffe;
use spiffe::X509Source;
use tokio::time::timeout;

const ID: &str = "spiffe://domain.test/workload";
const PATIENCE: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread")]
async fn x509_svids_come_and_are_renewed() {
    let Some(go) = GoSpiffe::find() else { return };
    let domain = go.trust_domain(ID);
    let api = WorkloadApi::at(domain.endpoint()).unwrap().first_within(PATIENCE);
    let source = api.x509_source().await.unwrap();
    assert_eq!(source.svid().unwrap().spiffe_id().to_string(), ID);
    assert_eq!(serial(&source), domain.serial());

    let mut calls = Vec::new();
    for _ in 0..3 {
        let mut updated = source.updated();
        let next = domain.rotate();
        timeout(PATIENCE, updated.changed()).await.unwrap().unwrap();
        assert_eq!(serial(&source), next);
        calls.push(domain.count("FetchX509SVID"));
    }
    // One for what a source begins with, and one for all that comes after it.
    assert_eq!(calls[1..], [2, 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_kept_costs_no_call() {
    let Some(go) = GoSpiffe::find() else { return };
    let domain = go.trust_domain(ID);
    let svids = WorkloadApi::at(domain.endpoint()).unwrap().jwt_svids();
    let at_once = (0..64).map(|number| {
        let svids = svids.clone();
        let audience = if number % 2 == 0 { ["orders", "billing"] } else { ["billing", "orders"] };
        tokio::spawn(async move { svids.svid(audience).await.unwrap() })
    });
    let at_once: Vec<_> = at_once.collect();
    let mut tokens = Vec::new();
    for task in at_once {
        tokens.push(task.await.unwrap().token().to_owned());
    }
    for _ in 0..10_000 {
        tokens.push(svids.svid(["orders", "billing"]).await.unwrap().token().to_owned());
    }
    assert_eq!(domain.count("FetchJWTSVID"), 1);
    assert!(tokens.iter().all(|token| *token == tokens[0]));

    // What Go has signed is good here.
    let bundles = BundleSet::new();
    let document = domain.bundle().to_string();
    bundles.insert(Bundle::from_json(trust_domain("domain.test").unwrap(), document).unwrap());
    let verifier = JwtSvidVerifier::builder(bundles).audience("orders").build().unwrap();
    assert_eq!(verifier.verify(&tokens[0]).await.unwrap().id().to_string(), ID);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_refused_or_not_answered_is_told() {
    let Some(go) = GoSpiffe::find() else { return };
    let domain = go.trust_domain(ID);
    let api = WorkloadApi::at(domain.endpoint()).unwrap();
    let svids = api.jwt_svids_builder().timeout(Duration::from_millis(500)).build();
    // What has failed is asked for again after a second: so each for an audience of its own.
    let refused =
        [(7, ErrorKind::Denied), (14, ErrorKind::Unavailable), (12, ErrorKind::Unsupported)];
    for (code, kind) in refused {
        domain.fail_with(code);
        let error = svids.svid([code.to_string()]).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{code}: {error}");
    }
    domain.hang();
    assert_eq!(svids.svid(["hangs"]).await.unwrap_err().kind(), ErrorKind::Timeout);
    let first = api.first_within(Duration::from_millis(500)).x509_source().await;
    assert_eq!(first.err().unwrap().kind(), ErrorKind::Timeout);
    domain.fail_with(0);
    svids.svid(["orders"]).await.unwrap();
    tokio::time::sleep(Duration::from_millis(1100)).await;
    svids.svid(["hangs"]).await.unwrap();
}

/// The serial number of a source's certificate, as the peers write it.
pub(crate) fn serial(source: &X509Source) -> String {
    use x509_cert::{Certificate, der::Decode as _};
    let svid: Arc<_> = source.svid().unwrap();
    let leaf = Certificate::from_der(svid.leaf().as_bytes()).unwrap();
    let bytes = leaf.tbs_certificate().serial_number().as_bytes().to_vec();
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    hex.trim_start_matches('0').to_owned()
}
