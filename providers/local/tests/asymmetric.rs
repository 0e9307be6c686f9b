//! Asymmetric keys: signatures, import, export, and OpenSSL's opinion of them.
#![cfg(feature = "aws-lc-rs")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    reason = "helpers of tests are tests too"
)]

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::LazyLock,
};

use aws_lc_rs::signature::{self as lc, UnparsedPublicKey, VerificationAlgorithm};
use bulla::{
    Context, CryptoProvider, CryptoProviderExt, ErrorKind, KeyVersion, Sign, SigningAlgorithm,
    SigningInput, key::KeyState, provider::ContextBinding,
};
use bulla_local::{ExportFormat, KeyType, Local, Passphrase, Protection, Store};
use proptest::prelude::*;
use tempfile::TempDir;

const OPENSSL: &str = "/usr/bin/openssl";

struct Place {
    dir: TempDir,
    store: Store,
}

fn place() -> Place {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::at(dir.path().join("bulla"));
    Place { dir, store }
}

impl Place {
    fn create(&self, key_type: KeyType) -> Local {
        self.store.create_key("k", key_type, &Protection::None).unwrap();
        self.signer()
    }

    fn signer(&self) -> Local {
        Local::builder(self.store.clone()).signing_key("k").build().unwrap()
    }

    fn write(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.dir.path().join(name);
        fs::write(&path, content).unwrap();
        path
    }

    fn import(&self, name: &str, material: &[u8]) -> Result<KeyType, ErrorKind> {
        let imported = self.store.import(name, material, &Protection::None);
        imported.map(|key| key.key_type).map_err(|e| e.kind())
    }

    fn private(&self, name: &str, format: ExportFormat) -> String {
        self.store.export(name, None, format, None).unwrap().to_string()
    }

    fn public(&self, name: &str, format: ExportFormat) -> String {
        self.store.export_public(name, None, format).unwrap()
    }
}

/// Runs OpenSSL and returns its output, or `None` if it fails.
fn try_openssl(arguments: &[&str]) -> Option<Vec<u8>> {
    let output = Command::new(OPENSSL).args(arguments).output().unwrap();
    output.status.success().then_some(output.stdout)
}

fn openssl(arguments: &[&str]) -> Vec<u8> {
    try_openssl(arguments).unwrap_or_else(|| panic!("openssl {arguments:?}"))
}

fn has_openssl() -> bool {
    let there = Path::new(OPENSSL).exists();
    if !there {
        eprintln!("SKIPPED: there is no {OPENSSL} to compare with");
    }
    there
}

fn pairs() -> impl Iterator<Item = KeyType> {
    KeyType::ALL.into_iter().filter(|t| !t.seals())
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn verifier(algorithm: SigningAlgorithm) -> &'static dyn VerificationAlgorithm {
    use SigningAlgorithm::*;
    match algorithm {
        Rs256 => &lc::RSA_PKCS1_2048_8192_SHA256,
        Rs384 => &lc::RSA_PKCS1_2048_8192_SHA384,
        Rs512 => &lc::RSA_PKCS1_2048_8192_SHA512,
        Ps256 => &lc::RSA_PSS_2048_8192_SHA256,
        Ps384 => &lc::RSA_PSS_2048_8192_SHA384,
        Ps512 => &lc::RSA_PSS_2048_8192_SHA512,
        Es256 => &lc::ECDSA_P256_SHA256_FIXED,
        Es384 => &lc::ECDSA_P384_SHA384_FIXED,
        Es512 => &lc::ECDSA_P521_SHA512_FIXED,
        Ed25519 => &lc::ED25519,
        other => panic!("{other}"),
    }
}

/// The DER form of r‖s, which OpenSSL takes.
fn ecdsa_der(fixed: &[u8]) -> Vec<u8> {
    let integer = |bytes: &[u8]| {
        let start = bytes.iter().position(|b| *b != 0).unwrap();
        let bytes = &bytes[start..];
        let pad = usize::from(bytes[0] >= 0x80);
        let len = u8::try_from(bytes.len() + pad).unwrap();
        [&[2, len], &[0][..pad], bytes].concat()
    };
    let (r, s) = fixed.split_at(fixed.len() / 2);
    let body = [integer(r), integer(s)].concat();
    let len = u8::try_from(body.len()).unwrap();
    let head = if len < 0x80 { vec![0x30, len] } else { vec![0x30, 0x81, len] };
    [head, body].concat()
}

fn openssl_verifies(
    place: &Place,
    algorithm: SigningAlgorithm,
    message: &[u8],
    signature: &[u8],
) -> bool {
    use SigningAlgorithm::*;
    let public = place.write("public.pem", place.public("k", ExportFormat::Pem).as_bytes());
    let message = place.write("message", message);
    let ecdsa = matches!(algorithm, Es256 | Es384 | Es512);
    let signature = if ecdsa { ecdsa_der(signature) } else { signature.to_vec() };
    let signature = place.write("signature", &signature);
    let (public, message, signature) = (text(&public), text(&message), text(&signature));
    if algorithm == Ed25519 {
        let raw = ["pkeyutl", "-verify", "-pubin", "-rawin", "-inkey", public];
        return try_openssl(&[&raw[..], &["-in", message, "-sigfile", signature]].concat())
            .is_some();
    }
    let digest = format!("-sha{}", algorithm.digest_len().unwrap() * 8);
    let mut arguments = vec!["dgst", &digest, "-verify", public, "-signature", signature];
    if matches!(algorithm, Ps256 | Ps384 | Ps512) {
        arguments.extend(["-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest"]);
    }
    arguments.push(message);
    try_openssl(&arguments).is_some()
}

#[tokio::test]
async fn every_signature_verifies() {
    let with_openssl = has_openssl();
    let message = b"a message to sign";
    for key_type in pairs() {
        let place = place();
        let local = place.create(key_type);
        assert_eq!(local.capabilities().signing, key_type.signing_algorithms());
        assert_eq!(local.capabilities().data_keys, ContextBinding::Refused);
        let keys = local.public_keys().await.unwrap();
        let [key] = keys.as_slice() else { panic!("{keys:?}") };
        assert!(key.current && key.state == KeyState::Active);
        assert_eq!(key.algorithms, key_type.signing_algorithms());
        for algorithm in key_type.signing_algorithms().iter().copied() {
            let input = SigningInput::new(algorithm, message);
            let signature = local.sign(key, &input).await.unwrap();
            let len = match key_type {
                KeyType::Rsa2048 => 256,
                KeyType::Rsa3072 => 384,
                KeyType::Rsa4096 => 512,
                KeyType::P384 => 96,
                KeyType::P521 => 132,
                _ => 64,
            };
            assert_eq!(signature.as_bytes().len(), len, "{algorithm}");
            let public = UnparsedPublicKey::new(verifier(algorithm), &key.spki);
            public.verify(message, signature.as_bytes()).unwrap();
            assert!(public.verify(b"another", signature.as_bytes()).is_err());
            if with_openssl {
                let ok = openssl_verifies(&place, algorithm, message, signature.as_bytes());
                assert!(ok, "OpenSSL rejects {algorithm} by {key_type}");
            }
        }
        for foreign in [SigningAlgorithm::Rs256, SigningAlgorithm::Es256, SigningAlgorithm::Ed25519]
        {
            if !key.algorithms.contains(&foreign) {
                let input = SigningInput::new(foreign, message);
                let kind = local.sign(key, &input).await.unwrap_err().kind();
                assert_eq!(kind, ErrorKind::InvalidInput);
            }
        }
    }
}

#[tokio::test]
async fn signing_pins_the_version_and_heeds_its_state() {
    let place = place();
    let local = place.create(KeyType::P256);
    let first = local.public_keys().await.unwrap().remove(0);
    let input = SigningInput::new(SigningAlgorithm::Es256, b"m");
    assert_eq!(local.rotate_signing_key().unwrap().as_str(), "2");
    let keys = local.public_keys().await.unwrap();
    assert_eq!(keys.iter().map(|k| k.current).collect::<Vec<_>>(), [false, true]);
    assert_ne!(keys[0].spki, keys[1].spki);
    let signature = local.sign(&first, &input).await.unwrap();
    let public = UnparsedPublicKey::new(verifier(SigningAlgorithm::Es256), &first.spki);
    public.verify(b"m", signature.as_bytes()).unwrap();

    let kind = async |state: KeyState| {
        place.store.set_state("k", Some(1), state).unwrap();
        local.reload().unwrap();
        local.sign(&first, &input).await.unwrap_err().kind()
    };
    assert_eq!(kind(KeyState::Deprecated).await, ErrorKind::Disabled);
    assert_eq!(local.public_keys().await.unwrap()[0].state, KeyState::Deprecated);
    assert_eq!(kind(KeyState::Disabled).await, ErrorKind::Disabled);
    place.store.destroy("k", Some(1)).unwrap();
    local.reload().unwrap();
    assert_eq!(local.sign(&first, &input).await.unwrap_err().kind(), ErrorKind::Destroyed);
    assert_eq!(local.public_keys().await.unwrap().len(), 1);

    let mut unknown = first.clone();
    unknown.version = KeyVersion::parse("3").unwrap();
    assert_eq!(local.sign(&unknown, &input).await.unwrap_err().kind(), ErrorKind::NotFound);
    // Another process rotates; the new version can be signed with at once.
    place.store.rotate("k", &Protection::None).unwrap();
    local.sign(&unknown, &input).await.unwrap();

    local.close().await.unwrap();
    assert_eq!(local.sign(&unknown, &input).await.unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(local.public_keys().await.unwrap_err().kind(), ErrorKind::Closed);
}

#[tokio::test]
async fn keys_have_one_use() {
    let place = place();
    place.create(KeyType::Ed25519);
    let store = &place.store;
    store.create_key("aes", KeyType::Aes256, &Protection::None).unwrap();
    store.create_key("verify", KeyType::P256, &Protection::None).unwrap();
    for builder in [
        Local::builder(store.clone()).sealing_key("k"),
        Local::builder(store.clone()).signing_key("aes"),
    ] {
        assert_eq!(builder.build().unwrap_err().kind(), ErrorKind::InvalidInput);
    }
    let local = Local::builder(store.clone()).sealing_key("aes").signing_key("k");
    let local = local.also_open("verify").open_all().build().unwrap();
    let keys = local.public_keys().await.unwrap();
    assert_eq!(keys.len(), 2);
    // Of the key that only verifies, no version makes new signatures.
    let current = keys.iter().filter(|key| key.current);
    assert!(current.eq(keys.iter().filter(|key| key.algorithms == [SigningAlgorithm::Ed25519])));
    let context = Context::new();
    let sealed = local.seal(b"x", &context).await.unwrap();
    local.open(&sealed, &context).await.unwrap();
    for key in local.public_keys().await.unwrap() {
        assert!(local.opens(&key.key).is_none());
    }
}

#[tokio::test]
async fn a_protected_pair_shows_its_public_half_only() {
    let place = place();
    let passphrase = Passphrase::new("p".to_owned());
    let protection = Protection::Passphrase(passphrase.clone());
    place.store.create_key("k", KeyType::Rsa2048, &protection).unwrap();
    let public = place.public("k", ExportFormat::Pem);
    assert!(public.starts_with("-----BEGIN PUBLIC KEY-----\n"));
    let export = |passphrase: Option<&Passphrase>| {
        let exported = place.store.export("k", None, ExportFormat::Pem, passphrase);
        exported.map(|pem| pem.len()).map_err(|e| e.kind())
    };
    assert_eq!(export(None), Err(ErrorKind::InvalidInput));
    let wrong = Passphrase::new("q".to_owned());
    assert_eq!(export(Some(&wrong)), Err(ErrorKind::NotAuthentic));
    assert!(export(Some(&passphrase)).is_ok());

    let builder = || Local::builder(place.store.clone()).signing_key("k");
    assert_eq!(builder().build().unwrap_err().kind(), ErrorKind::InvalidInput);
    let local = builder().passphrase(passphrase).build().unwrap();
    let key = local.public_keys().await.unwrap().remove(0);
    local.sign(&key, &SigningInput::new(SigningAlgorithm::Ps256, b"m")).await.unwrap();
}

#[test]
fn what_is_exported_can_be_imported() {
    for key_type in KeyType::ALL {
        let place = place();
        place.store.create_key("k", key_type, &Protection::None).unwrap();
        let jwk = place.private("k", ExportFormat::Jwk);
        assert_eq!(place.import("from-jwk", jwk.as_bytes()), Ok(key_type));
        assert_eq!(place.private("from-jwk", ExportFormat::Jwk), jwk);
        if key_type.seals() {
            let pem = place.store.export("k", None, ExportFormat::Pem, None);
            assert_eq!(pem.unwrap_err().kind(), ErrorKind::Unsupported);
            let public = place.store.export_public("k", None, ExportFormat::Pem);
            assert_eq!(public.unwrap_err().kind(), ErrorKind::InvalidInput);
            continue;
        }
        let pem = place.private("k", ExportFormat::Pem);
        assert!(pem.starts_with("-----BEGIN PRIVATE KEY-----\n") && pem.ends_with("-----\n"));
        assert_eq!(place.import("from-pem", pem.as_bytes()), Ok(key_type));
        for name in ["from-jwk", "from-pem"] {
            assert_eq!(place.private(name, ExportFormat::Pem), pem);
            for format in [ExportFormat::Pem, ExportFormat::Jwk] {
                assert_eq!(place.public(name, format), place.public("k", format));
            }
        }
        // The public half is refused as a key, whichever way it is written.
        for format in [ExportFormat::Pem, ExportFormat::Jwk] {
            let public = place.public("k", format);
            assert_eq!(place.import("public", public.as_bytes()), Err(ErrorKind::InvalidInput));
            assert!(!public.contains("\"d\""));
        }
    }
}

#[test]
fn openssl_reads_what_is_exported() {
    if !has_openssl() {
        return;
    }
    for key_type in pairs() {
        let place = place();
        place.create(key_type);
        let private = place.write("private.pem", place.private("k", ExportFormat::Pem).as_bytes());
        openssl(&["pkey", "-in", text(&private), "-check", "-noout"]);
        let public = openssl(&["pkey", "-in", text(&private), "-pubout"]);
        assert_eq!(String::from_utf8(public).unwrap(), place.public("k", ExportFormat::Pem));
    }
}

#[test]
fn older_forms_are_what_openssl_reads_and_import_takes() {
    for key_type in KeyType::ALL {
        let place = place();
        place.store.create_key("k", key_type, &Protection::None).unwrap();
        let is_rsa = key_type.as_str().starts_with("rsa-");
        let is_ec = key_type.as_str().starts_with("p-");
        for (format, fits, label) in [
            (ExportFormat::Pkcs1, is_rsa, "RSA PRIVATE KEY"),
            (ExportFormat::Sec1, is_ec, "EC PRIVATE KEY"),
        ] {
            if !fits {
                let refused = place.store.export("k", None, format, None);
                assert_eq!(refused.unwrap_err().kind(), ErrorKind::Unsupported);
                continue;
            }
            let older = place.private("k", format);
            assert!(older.starts_with(&format!("-----BEGIN {label}-----\n")), "{older}");
            assert_eq!(place.import("again", older.as_bytes()), Ok(key_type));
            let pem = place.private("k", ExportFormat::Pem);
            assert_eq!(place.private("again", ExportFormat::Pem), pem);
            let public = place.store.export_public("k", None, format);
            assert_eq!(public.unwrap_err().kind(), ErrorKind::Unsupported);
            if has_openssl() {
                let path = place.write("older.pem", older.as_bytes());
                openssl(&["pkey", "-in", text(&path), "-check", "-noout"]);
                let public = openssl(&["pkey", "-in", text(&path), "-pubout"]);
                let public = String::from_utf8(public).unwrap();
                assert_eq!(public, place.public("k", ExportFormat::Pem));
            }
        }
    }
}

#[test]
fn what_openssl_writes_can_be_imported() {
    if !has_openssl() {
        return;
    }
    let place = place();
    let path = place.dir.path().join("made.pem");
    let made = text(&path);
    let check = |name: &str, material: &[u8], key_type: KeyType| {
        assert_eq!(place.import(name, material), Ok(key_type), "{name}");
        let public = openssl(&["pkey", "-in", made, "-pubout"]);
        let expected = String::from_utf8(public).unwrap();
        assert_eq!(place.public(name, ExportFormat::Pem), expected, "{name}");
    };
    for (bits, key_type) in
        [("2048", KeyType::Rsa2048), ("3072", KeyType::Rsa3072), ("4096", KeyType::Rsa4096)]
    {
        openssl(&["genrsa", "-out", made, bits]);
        check(&format!("pkcs8-{bits}"), &fs::read(&path).unwrap(), key_type);
        let pkcs1 = openssl(&["rsa", "-in", made, "-traditional"]);
        assert!(pkcs1.starts_with(b"-----BEGIN RSA PRIVATE KEY-----"));
        check(&format!("pkcs1-{bits}"), &pkcs1, key_type);
    }
    for (curve, key_type) in
        [("prime256v1", KeyType::P256), ("secp384r1", KeyType::P384), ("secp521r1", KeyType::P521)]
    {
        let sec1 = openssl(&["ecparam", "-name", curve, "-genkey"]);
        assert!(sec1.starts_with(b"-----BEGIN EC PARAMETERS-----"));
        fs::write(&path, &sec1).unwrap();
        check(&format!("sec1-{curve}"), &sec1, key_type);
        let pkcs8 = openssl(&["pkcs8", "-topk8", "-nocrypt", "-in", made]);
        check(&format!("pkcs8-{curve}"), &pkcs8, key_type);
        let crlf = String::from_utf8(pkcs8).unwrap().replace('\n', "\r\n");
        check(&format!("crlf-{curve}"), crlf.as_bytes(), key_type);
        let private_only = openssl(&["ec", "-in", made, "-no_public"]);
        check(&format!("private-only-{curve}"), &private_only, key_type);
    }
    openssl(&["genpkey", "-algorithm", "ed25519", "-out", made]);
    check("ed25519", &fs::read(&path).unwrap(), KeyType::Ed25519);

    let refuse = |material: &[u8], kind: ErrorKind| {
        assert_eq!(place.import("refused", material), Err(kind));
        assert_eq!(place.store.key("refused").unwrap_err().kind(), ErrorKind::NotFound);
    };
    let two = [fs::read(&path).unwrap(), fs::read(&path).unwrap()].concat();
    refuse(&two, ErrorKind::InvalidInput);
    let encrypted = openssl(&["pkcs8", "-topk8", "-passout", "pass:x", "-in", made]);
    refuse(&encrypted, ErrorKind::Unsupported);
    openssl(&["genrsa", "-traditional", "-out", made, "2048"]);
    let old = openssl(&["rsa", "-traditional", "-aes128", "-passout", "pass:x", "-in", made]);
    assert!(old.windows(10).any(|w| w == b"Proc-Type:"));
    refuse(&old, ErrorKind::Unsupported);
    refuse(&openssl(&["genrsa", "-3", "2048"]), ErrorKind::Unsupported);
    refuse(&openssl(&["genrsa", "2560"]), ErrorKind::Unsupported);
    refuse(&openssl(&["genrsa", "1024"]), ErrorKind::InvalidInput);
    refuse(&openssl(&["ecparam", "-name", "secp256k1", "-genkey"]), ErrorKind::Unsupported);
    refuse(&openssl(&["genpkey", "-algorithm", "x25519"]), ErrorKind::Unsupported);
}

proptest! {
    #[test]
    fn no_damage_to_an_import_panics(
        which in 0..6usize,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3u8), 1..4),
    ) {
        static TEXTS: LazyLock<Vec<String>> = LazyLock::new(|| {
            let types = [KeyType::Rsa2048, KeyType::P521, KeyType::Ed25519];
            let exported = types.map(|key_type| {
                let place = place();
                place.create(key_type);
                [ExportFormat::Pem, ExportFormat::Jwk].map(|format| place.private("k", format))
            });
            exported.into_iter().flatten().collect()
        });
        let mut text = TEXTS[which].clone().into_bytes();
        for (at, byte, how) in changes {
            let at = at.index(text.len().max(1));
            match how {
                0 if at < text.len() => text[at] = byte,
                1 => text.insert(at.min(text.len()), byte),
                _ => text.truncate(at),
            }
        }
        let _ = place().import("k", &text);
    }
}

/// RFC 8037, appendix A.
const RFC8037: &str = r#"{"kty":"OKP","crv":"Ed25519",
    "d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
    "x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;

/// RFC 7517, appendix A.2, where `use` is `enc`.
const RFC7517: &str = r#"{"kty":"EC","crv":"P-256",
    "x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
    "y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM",
    "d":"870MB6gfuTJ4HtUnUvYMyJpr5eUZNP4Bk43bVdj3eAE",
    "use":"sig","kid":"1"}"#;

#[tokio::test]
async fn published_keys_give_published_signatures() {
    use base64ct::{Base64UrlUnpadded, Encoding};
    let place = place();
    assert_eq!(place.import("ec", RFC7517.as_bytes()), Ok(KeyType::P256));
    assert_eq!(place.import("k", RFC8037.as_bytes()), Ok(KeyType::Ed25519));
    let local = place.signer();
    let key = local.public_keys().await.unwrap().remove(0);
    let message = b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
    let signed = local.sign(&key, &SigningInput::new(SigningAlgorithm::Ed25519, message)).await;
    assert_eq!(
        Base64UrlUnpadded::encode_string(signed.unwrap().as_bytes()),
        "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
    );
}

#[test]
fn contradictory_and_foreign_jwks_are_refused() {
    let place = place();
    let refuse = |jwk: &str, kind: ErrorKind| {
        assert_eq!(place.import("refused", jwk.as_bytes()), Err(kind), "{jwk}");
    };
    for jwk in [RFC8037, RFC7517] {
        for (from, to) in [
            ("\"x\":\"", "\"x\":\"A"),
            ("\"d\":\"", "\"d\":\"A"),
            ("\"d\":\"", "\"dd\":\""),
            ("\"x\":\"", "\"xx\":\""),
            ("\"kty\":", "\"kty\":1,\"t\":"),
            ("}", ""),
            ("\"d\":", "\"d\":\"AA\",\"d\":"),
        ] {
            refuse(&jwk.replacen(from, to, 1), ErrorKind::InvalidInput);
        }
    }
    // Each half is a key of its own; together they are none.
    refuse(&RFC8037.replace("11qY", "12qY"), ErrorKind::InvalidInput);
    refuse(&RFC7517.replace("870M", "871M"), ErrorKind::InvalidInput);
    refuse(&RFC8037.replace("Ed25519", "X25519"), ErrorKind::Unsupported);
    refuse(&RFC7517.replace("P-256", "secp256k1"), ErrorKind::Unsupported);
    refuse(&RFC7517.replace("P-256", "P-384"), ErrorKind::InvalidInput);
    refuse(r#"{"kty":"oct","k":"AAAA"}"#, ErrorKind::InvalidInput);
    refuse(r#"{"kty":"oct"}"#, ErrorKind::InvalidInput);
    refuse(r#"{"kty":"AKP"}"#, ErrorKind::Unsupported);
    refuse(r#"{"keys":[]}"#, ErrorKind::InvalidInput);
    refuse("", ErrorKind::InvalidInput);
    refuse("\u{30}\u{82}", ErrorKind::InvalidInput);
    refuse("-----BEGIN PRIVATE KEY-----\nAAAA\n", ErrorKind::InvalidInput);
    refuse(
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        ErrorKind::InvalidInput,
    );

    let rsa = {
        place.store.create_key("rsa", KeyType::Rsa2048, &Protection::None).unwrap();
        place.private("rsa", ExportFormat::Jwk)
    };
    for member in ["n", "e", "d", "p", "q", "dp", "dq", "qi"] {
        let (from, to) = (format!("\"{member}\":"), format!("\"not-{member}\":"));
        refuse(&rsa.replacen(&from, &to, 1), ErrorKind::InvalidInput);
        let (from, to) = (format!("\"{member}\":\""), format!("\"{member}\":\"BBBB"));
        refuse(&rsa.replacen(&from, &to, 1), ErrorKind::InvalidInput);
    }
    refuse(&rsa.replacen("{", "{\"oth\":[],", 1), ErrorKind::Unsupported);
}

#[test]
fn jwks_for_another_use_are_refused() {
    let place = place();
    let with = |jwk: &str, members: &str| jwk.replacen('{', &format!("{{{members},"), 1);
    let ec = RFC7517.replace("\"use\":\"sig\",", "");
    place.store.create_key("rsa", KeyType::Rsa2048, &Protection::None).unwrap();
    let rsa = place.private("rsa", ExportFormat::Jwk);
    for (at, (jwk, members)) in [
        (&*ec, r#""alg":"ES256""#),
        (&ec, r#""key_ops":["sign"]"#),
        (&ec, r#""use":"sig","key_ops":["verify","sign"]"#),
        (RFC8037, r#""alg":"EdDSA""#),
        (RFC8037, r#""alg":"Ed25519""#),
        (&rsa, r#""alg":"RS256""#),
        (&rsa, r#""alg":"PS512""#),
    ]
    .into_iter()
    .enumerate()
    {
        place.import(&format!("good-{at}"), with(jwk, members).as_bytes()).unwrap();
    }
    for (jwk, members) in [
        (&*ec, r#""alg":"ES384""#),
        (&ec, r#""alg":"ECDH-ES""#),
        (&ec, r#""use":"enc""#),
        (&ec, r#""key_ops":["deriveKey"]"#),
        (&ec, r#""key_ops":["verify"]"#),
        (&ec, r#""key_ops":["sign","deriveBits"]"#),
        (RFC8037, r#""alg":"ES256""#),
        (&rsa, r#""alg":"RSA-OAEP-256""#),
        (&rsa, r#""use":"enc""#),
        (&rsa, r#""key_ops":["decrypt"]"#),
    ] {
        let refused = place.import("bad", with(jwk, members).as_bytes());
        assert_eq!(refused, Err(ErrorKind::InvalidInput), "{members}");
    }
}

#[tokio::test]
async fn another_public_key_in_the_file_is_not_served() {
    let place = place();
    let passphrase = Passphrase::new("p".to_owned());
    for protection in [Protection::None, Protection::Passphrase(passphrase.clone())] {
        let store = Store::at(place.dir.path().join(format!("{protection:?}")));
        let id = store.create_key("k", KeyType::P256, &protection).unwrap().id;
        let evil = store.create_key("evil", KeyType::P256, &Protection::None).unwrap().id;
        let path = |id: &str| store.path().join("keys").join(id).join("v1.json");
        let read = |id: &str| -> serde_json::Value {
            serde_json::from_slice(&fs::read(path(id)).unwrap()).unwrap()
        };
        let good = store.export_public("k", None, ExportFormat::Pem).unwrap();
        let local = Local::builder(store.clone()).signing_key("k");
        let local = local.passphrase(passphrase.clone()).build().unwrap();
        let mut file = read(&id);
        file["public"] = read(&evil)["public"].clone();
        fs::write(path(&id), file.to_string()).unwrap();

        // The provider loaded the pair before, and asks it.
        let served = local.public_keys().await.unwrap().remove(0);
        let input = SigningInput::new(SigningAlgorithm::Es256, b"m");
        let signature = local.sign(&served, &input).await.unwrap();
        let public = UnparsedPublicKey::new(verifier(SigningAlgorithm::Es256), &served.spki);
        public.verify(b"m", signature.as_bytes()).unwrap();
        let exported = store.export_public("k", None, ExportFormat::Pem);
        match protection {
            Protection::None => assert_eq!(exported.unwrap_err().kind(), ErrorKind::Damaged),
            // Nothing to compare with, short of the passphrase.
            Protection::Passphrase(_) => assert_ne!(exported.unwrap(), good),
            other => unreachable!("{other:?} is not among those tried"),
        }

        // A disabled version is never loaded, and yet not taken on trust unless it is protected.
        store.set_state("k", None, KeyState::Disabled).unwrap();
        let local = Local::builder(store).also_open("k").signing_key("evil").build().unwrap();
        let served = local.public_keys().await;
        match protection {
            Protection::None => assert_eq!(served.unwrap_err().kind(), ErrorKind::Damaged),
            Protection::Passphrase(_) => assert_eq!(served.unwrap().len(), 2),
            other => unreachable!("{other:?} is not among those tried"),
        }
    }
}

#[test]
fn a_file_with_another_public_key_or_type_is_refused() {
    let place = place();
    let one = place.store.create_key("k", KeyType::P256, &Protection::None).unwrap();
    let two = place.store.create_key("other", KeyType::P256, &Protection::None).unwrap();
    let read = |id: &str, file: &str| {
        let path = place.store.path().join("keys").join(id).join(file);
        let json: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        (path, json)
    };
    let (path, mut file) = read(&one.id, "v1.json");
    let whole = file.clone();
    for public in [read(&two.id, "v1.json").1["public"].clone(), "AAAA".into(), "?".into()] {
        file["public"] = public;
        fs::write(&path, file.to_string()).unwrap();
        let error = Local::builder(place.store.clone()).signing_key("k").build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Damaged, "{error}");
    }
    fs::write(&path, whole.to_string()).unwrap();
    place.signer();
    for other in pairs().filter(|t| *t != KeyType::P256) {
        let (path, mut key) = read(&one.id, "key.json");
        key["type"] = other.as_str().into();
        fs::write(&path, key.to_string()).unwrap();
        let error = Local::builder(place.store.clone()).signing_key("k").build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Damaged, "{error}");
        let public = place.store.export_public("k", None, ExportFormat::Pem);
        assert_eq!(public.unwrap_err().kind(), ErrorKind::Damaged);
    }
}
