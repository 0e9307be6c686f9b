//! TLS, and the ways to log in that take somebody else: an issuer of JWTs, Kubernetes, a certification
//! authority.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    reason = "helpers of tests are tests too"
)]

mod world;

use std::{fs, path::PathBuf, sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bulla::{
    CryptoProvider, DataKeys, EncryptionContext, ErrorKind,
    jwt::{Claims, ProviderKeys, Signer},
};
use bulla_testworld::OpenBao;
use bulla_vault::{Auth, LEAST_PRIVILEGE_POLICY, Secret, Vault, VaultBuilder};
use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};
use world::builder;

async fn seals(builder: VaultBuilder) -> bulla::Result<Vault> {
    let vault = builder.sealing_key("orders").build().await?;
    vault.generate_data_key(&EncryptionContext::new()).await?;
    Ok(vault)
}

fn prepare(bao: &OpenBao) {
    bao.key("orders", "");
    bao.policy("app", LEAST_PRIVILEGE_POLICY);
}

/// A certification authority of this test's own, and files with what it signs.
struct Authority {
    issuer: rcgen::Issuer<'static, KeyPair>,
    pem: String,
    dir: TempDir,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("ca.pem"), &pem).unwrap();
        Self { issuer: rcgen::Issuer::new(params, key), pem, dir }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Certificate and key, in PEM.
    fn sign(&self, name: &str, usage: ExtendedKeyUsagePurpose) -> (String, String) {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        params.extended_key_usages.push(usage);
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }

    fn client(&self, name: &str) -> (PathBuf, PathBuf) {
        let (certificate, key) = self.sign(name, ExtendedKeyUsagePurpose::ClientAuth);
        let paths = (self.path(&format!("{name}.pem")), self.path(&format!("{name}-key.pem")));
        fs::write(&paths.0, certificate).unwrap();
        fs::write(&paths.1, key).unwrap();
        paths
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_trusts_the_authority_that_was_given_and_certificates_log_in() {
    let ours = Authority::new();
    let (certificate, key) = ours.sign("localhost", ExtendedKeyUsagePurpose::ServerAuth);
    let Some(bao) = OpenBao::with_tls(certificate, key) else { return };
    prepare(&bao);
    let at = |ca: &Authority| Vault::builder().address(bao.tls_url()).ca_file(ca.path("ca.pem"));
    let with_token = |ca: &Authority| at(ca).auth(Auth::token(bao.root()));
    seals(with_token(&ours)).await.unwrap();
    // Not one of another authority, nor of the platform's.
    let theirs = Authority::new();
    for builder in
        [with_token(&theirs), Vault::builder().address(bao.tls_url()).auth(Auth::token(bao.root()))]
    {
        let error = seals(builder).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.message().contains("no certificate that is trusted here"), "{error}");
    }
    // Nor under another name.
    let by_number = bao.tls_url().replace("localhost", "127.0.0.1");
    let error = seals(with_token(&ours).address(by_number)).await.unwrap_err();
    assert!(error.message().contains("no certificate that is trusted here"), "{error}");

    bao.ok("POST", "sys/auth/cert", &json!({"type": "cert"}));
    let role = json!({"certificate": ours.pem, "allowed_common_names": "app",
        "token_policies": "app"});
    bao.ok("POST", "auth/cert/certs/app", &role);
    let login = |ca: &Authority, name: &str| {
        let (certificate, key) = ca.client(name);
        at(&ours).client_certificate(certificate, key).auth(Auth::certificate(Some("app")))
    };
    seals(login(&ours, "app")).await.unwrap();
    for builder in [login(&ours, "other"), login(&theirs, "app")] {
        let error = seals(builder).await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Denied | ErrorKind::Unavailable), "{error}");
    }
    let without = at(&ours).auth(Auth::certificate(None));
    assert_eq!(seals(without).await.unwrap_err().kind(), ErrorKind::InvalidInput);
    let (certificate, _) = ours.client("app");
    let (_, other) = ours.client("other");
    let mixed = at(&ours).client_certificate(certificate, other).auth(Auth::token("x"));
    assert_eq!(seals(mixed).await.unwrap_err().kind(), ErrorKind::InvalidInput);
    for bad in ["app-key.pem", "nowhere.pem"] {
        let builder = at(&ours).ca_file(ours.path(bad)).auth(Auth::token("x"));
        assert_eq!(seals(builder).await.unwrap_err().kind(), ErrorKind::InvalidInput, "{bad}");
    }
}

/// The issuer is a key of the same server, by the library's own tokens.
#[tokio::test(flavor = "multi_thread")]
async fn a_jwt_that_somebody_issued_logs_in() {
    let Some(bao) = OpenBao::start() else { return };
    prepare(&bao);
    bao.key("issuer", "ecdsa-p256");
    let issuer: Arc<dyn CryptoProvider> =
        Arc::new(builder(&bao).signing_key("issuer").build().await.unwrap());
    let signer = Signer::new(Arc::new(ProviderKeys::builder(issuer).build()));
    let public = bao.ok("GET", "transit/keys/issuer", &json!(null));
    let public = &public["data"]["keys"]["1"]["public_key"];
    bao.ok("POST", "sys/auth/jwt", &json!({"type": "jwt"}));
    bao.ok("POST", "auth/jwt/config", &json!({"jwt_validation_pubkeys": [public]}));
    let role = json!({"role_type": "jwt", "bound_audiences": ["bao"], "user_claim": "sub",
        "bound_subject": "app", "token_policies": "app", "token_ttl": "1h"});
    bao.ok("POST", "auth/jwt/role/app", &role);
    let token = async |subject: &str| {
        let claims = Claims::new().unwrap().with_issuer("us").with_subject(subject);
        let claims = claims.with_audience("bao").with_ttl(Duration::from_secs(600));
        signer.sign(&claims).await.unwrap()
    };
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("jwt");
    let login = || {
        let auth = Auth::jwt("app", Secret::file(&path));
        Vault::builder().address(bao.url()).auth(auth)
    };
    fs::write(&path, token("other").await).unwrap();
    let error = seals(login()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
    fs::write(&path, token("app").await).unwrap();
    let vault = seals(login()).await.unwrap();
    // It is read again for the next login: an old one is not kept.
    fs::write(&path, token("other").await).unwrap();
    bao.ok("PUT", "sys/leases/revoke-prefix/auth/jwt", &json!({}));
    let error = vault.generate_data_key(&EncryptionContext::new()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
}

/// Kubernetes is asked by OpenBao whose token it is. Played here by what answers that one question.
#[tokio::test(flavor = "multi_thread")]
async fn the_service_account_of_a_pod_logs_in() {
    let Some(bao) = OpenBao::start() else { return };
    prepare(&bao);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let kubernetes = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(reviews(listener));
    bao.ok("POST", "sys/auth/kubernetes", &json!({"type": "kubernetes"}));
    let config = json!({"kubernetes_host": kubernetes, "disable_local_ca_jwt": true,
        "kubernetes_ca_cert": Authority::new().pem, "disable_iss_validation": true});
    bao.ok("POST", "auth/kubernetes/config", &config);
    let role = json!({"bound_service_account_names": ["app"],
        "bound_service_account_namespaces": ["shop"], "token_policies": "app", "audience": "bao"});
    bao.ok("POST", "auth/kubernetes/role/app", &role);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("token");
    let login = || {
        let auth = Auth::kubernetes_with("app", Secret::file(&path));
        Vault::builder().address(bao.url()).auth(auth)
    };
    fs::write(&path, pod_token("app")).unwrap();
    seals(login()).await.unwrap();
    fs::write(&path, pod_token("other")).unwrap();
    let error = seals(login()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
    fs::remove_file(&path).unwrap();
    assert_eq!(seals(login()).await.unwrap_err().kind(), ErrorKind::InvalidInput);
}

fn pod_token(account: &str) -> String {
    let claims = json!({"aud": ["bao"], "exp": 4_000_000_000_u64, "iat": 1, "nbf": 1, "iss": "k",
        "sub": format!("system:serviceaccount:shop:{account}"),
        "kubernetes.io": {"namespace": "shop",
            "serviceaccount": {"name": account, "uid": "u-1"}}});
    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.AAAA", part(json!({"alg": "RS256", "kid": "k"})), part(claims))
}

/// TokenReview: every token is good, for the account that it names.
async fn reviews(listener: TcpListener) {
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut bytes = Vec::new();
        let body = loop {
            if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
                break Value::Null;
            }
            let text = String::from_utf8_lossy(&bytes).into_owned();
            let Some((_, body)) = text.split_once("\r\n\r\n") else { continue };
            if let Ok(body) = serde_json::from_str(body) {
                break body;
            }
        };
        let token = body["spec"]["token"].as_str().unwrap_or_default().to_owned();
        let claims = token.split('.').nth(1).and_then(|part| URL_SAFE_NO_PAD.decode(part).ok());
        let claims: Value = serde_json::from_slice(&claims.unwrap_or_default()).unwrap_or_default();
        let answer = json!({"kind": "TokenReview", "apiVersion": "authentication.k8s.io/v1",
            "status": {"authenticated": true, "audiences": ["bao"],
                "user": {"username": claims["sub"], "uid": "u-1", "groups": []}}})
        .to_string();
        let head = format!(
            "HTTP/1.1 201 Created\r\ncontent-type: application/json\r\nconnection: close\r\n\
             content-length: {}\r\n\r\n",
            answer.len()
        );
        drop(stream.write_all(&[head, answer].concat().into_bytes()).await);
    }
}
