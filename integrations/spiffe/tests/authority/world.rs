//! Keys, requests and verifiers.

use std::{
    path::Path,
    process::{Command, Output},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use bulla::{PublicKey, Result, Sign, Signature, SigningInput};
use bulla_local::{KeyType, Local, Protection, Store};
use bulla_spiffe::authority::{CaPolicy, IssuedX509Svid, X509Authority};
use rustls_pki_types::{CertificateDer, UnixTime};
use spiffe::{SpiffeId, TrustDomain};
use tempfile::TempDir;
use webpki::{ALL_VERIFICATION_ALGS, EndEntityCert, KeyUsage, anchor_from_trusted_cert};

/// A provider's key, whose signatures are counted.
pub(crate) struct Signer {
    local: Local,
    pub(crate) calls: AtomicUsize,
    /// Signs with this one instead, and says nothing.
    pub(crate) swapped: Option<Arc<Self>>,
    pub(crate) directory: TempDir,
}

impl Signer {
    pub(crate) fn new(key_type: KeyType) -> Self {
        let directory = TempDir::new().unwrap();
        let store = Store::at(directory.path().join("keys"));
        store.create_key("ca", key_type, &Protection::None).unwrap();
        let local = Local::builder(store).signing_key("ca").build().unwrap();
        Self { local, calls: AtomicUsize::new(0), swapped: None, directory }
    }

    pub(crate) fn arc(key_type: KeyType) -> Arc<Self> {
        Arc::new(Self::new(key_type))
    }

    pub(crate) fn calls(&self) -> usize {
        self.calls.load(SeqCst)
    }
}

#[async_trait]
impl Sign for Signer {
    async fn public_keys(&self) -> Result<Vec<PublicKey>> {
        self.local.public_keys().await
    }

    async fn sign(&self, key: &PublicKey, input: &SigningInput<'_>) -> Result<Signature> {
        self.calls.fetch_add(1, SeqCst);
        match &self.swapped {
            None => self.local.sign(key, input).await,
            Some(other) => {
                let keys = other.local.public_keys().await?;
                other.local.sign(&keys[0], input).await
            }
        }
    }
}

pub(crate) fn domain() -> TrustDomain {
    TrustDomain::new("example.org").unwrap()
}

pub(crate) fn orders() -> SpiffeId {
    SpiffeId::new("spiffe://example.org/orders").unwrap()
}

pub(crate) async fn authority(signer: &Arc<Signer>) -> X509Authority {
    let signer = Arc::clone(signer);
    X509Authority::builder(domain(), signer).self_signed(CaPolicy::root()).await.unwrap()
}

/// OpenSSL's command, which must succeed.
pub(crate) fn openssl(directory: &Path, arguments: &str) -> Output {
    let output = try_openssl(directory, arguments);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "openssl {arguments}: {error}");
    output
}

pub(crate) fn try_openssl(directory: &Path, arguments: &str) -> Output {
    let mut command = Command::new("openssl");
    command.current_dir(directory).args(arguments.split_ascii_whitespace());
    command.output().expect("openssl is installed")
}

/// A request in DER, whose key OpenSSL makes: `options` as in `openssl req`.
pub(crate) fn request(options: &str) -> Vec<u8> {
    let directory = TempDir::new().unwrap();
    let arguments =
        format!("req -new -nodes -subj /CN=somebody -keyout key -out csr -outform DER {options}");
    openssl(directory.path(), &arguments);
    std::fs::read(directory.path().join("csr")).unwrap()
}

pub(crate) const P256: &str = "-newkey ec -pkeyopt ec_paramgen_curve:P-256";

/// What webpki says, as a server's and as a client's certificate.
pub(crate) fn webpki(
    issued: &IssuedX509Svid,
    roots: &[Vec<u8>],
    at: SystemTime,
) -> Result<(), webpki::Error> {
    let leaf = CertificateDer::from(issued.chain()[0].as_slice());
    let behind: Vec<_> =
        issued.chain()[1..].iter().map(|der| CertificateDer::from(der.as_slice())).collect();
    let roots: Vec<_> = roots.iter().map(|der| CertificateDer::from(der.as_slice())).collect();
    let anchors: Vec<_> =
        roots.iter().map(|root| anchor_from_trusted_cert(root).unwrap()).collect();
    let leaf = EndEntityCert::try_from(&leaf)?;
    let time = UnixTime::since_unix_epoch(at.duration_since(SystemTime::UNIX_EPOCH).unwrap());
    for usage in [KeyUsage::server_auth(), KeyUsage::client_auth()] {
        leaf.verify_for_usage(ALL_VERIFICATION_ALGS, &anchors, &behind, time, usage, None, None)?;
    }
    Ok(())
}

/// What `openssl verify` says, as a server's and as a client's certificate, by RFC 5280's letter.
pub(crate) fn openssl_verify(
    issued: &IssuedX509Svid,
    roots: &[Vec<u8>],
) -> std::result::Result<(), String> {
    let directory = TempDir::new().unwrap();
    let at = directory.path();
    let pem = |der: &[Vec<u8>]| {
        let encode = |der: &Vec<u8>| {
            std::fs::write(at.join("one.der"), der).unwrap();
            openssl(at, "x509 -inform DER -in one.der").stdout
        };
        der.iter().map(encode).collect::<Vec<_>>().concat()
    };
    std::fs::write(at.join("roots"), pem(roots)).unwrap();
    std::fs::write(at.join("leaf"), pem(&issued.chain()[..1])).unwrap();
    std::fs::write(at.join("behind"), pem(&issued.chain()[1..])).unwrap();
    let behind = if issued.chain().len() > 1 { "-untrusted behind" } else { "" };
    for purpose in ["sslserver", "sslclient"] {
        let arguments =
            format!("verify -x509_strict -purpose {purpose} -CAfile roots {behind} leaf");
        let output = try_openssl(at, &arguments);
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned());
        }
    }
    Ok(())
}

pub(crate) fn hours(hours: u64) -> Duration {
    Duration::from_secs(3600 * hours)
}
