//! Writes the corpora anew: `cargo run --manifest-path fuzz/Cargo.toml --example corpus`. They are
//! random where messages are, so a run changes them all; it is for a new format or a new target.

use std::{fs, path::Path};

use bulla::{format::{Preamble, Suite}, stream::EncryptWriter, Context, CryptoProviderExt as _, Sealer};
use bulla_fuzz::{context, seal, token, vault, wait};
use bulla_local::{ExportFormat, KeyType, Protection, Store};

fn main() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let put = |target: &str, name: &str, bytes: &[u8]| {
        let dir = root.join(target);
        fs::create_dir_all(&dir).expect("a directory");
        fs::write(dir.join(name), bytes).expect("a file");
    };
    for (name, sealed) in messages() {
        let (head, _) = Preamble::split(&sealed).expect("a head");
        put("header", &name, head.header().as_bytes());
        put("open", &name, &sealed);
        put("stream", &name, &sealed);
        put("text", &name, bulla::format::to_text(&sealed).as_bytes());
    }
    let direct = wait(vault().encrypt_direct(b"direct", &context())).expect("encrypts");
    put("open", "direct", &direct);
    for (name, uri) in URIS {
        put("key_uri", name, uri.as_bytes());
    }
    for (name, text) in CONFIGS {
        put("config", name, text.as_bytes());
    }
    for (name, file) in key_files() {
        put("key_file", &name, &file);
    }
    put("context", "pairs", &[3; 40]);
    let claims =
        serde_json::json!({ "iss": "us", "exp": 4_102_444_800_u32, "x": [1, { "y": null }] });
    put("jws", "signed", token::sign(&claims).as_bytes());
    for (name, key) in JWKS {
        put("jwk", name, key.as_bytes());
        put("jwks", name, format!(r#"{{"keys":[{key},{}]}}"#, token::PUBLIC).as_bytes());
    }
    for (name, text) in METADATA {
        put("discovery", name, text.as_bytes());
    }
}

fn messages() -> Vec<(String, Vec<u8>)> {
    let mut messages = Vec::new();
    for (name, len) in [("empty", 0), ("short", 5), ("long", 300)] {
        messages.push((name.to_owned(), seal(&vec![7; len], false)));
        messages.push((format!("{name}-both"), seal(&vec![7; len], true)));
    }
    let plain = Context::new().with_item("row", "7").expect("a pair");
    messages.push(("no-context".into(), wait(vault().seal(b"v", &plain)).expect("seals")));
    for (name, suite, len) in
        [("stream-1", Suite::Aes256Gcm64KiB, 65_536), ("stream-2", Suite::Cobblestone256, 40_000)]
    {
        let sealer = Sealer::builder().recipient(vault()).suite(suite).build().expect("a sealer");
        let header = wait(sealer.begin(&context())).expect("begins");
        let mut writer = EncryptWriter::new(header, Vec::new());
        std::io::Write::write_all(&mut writer, &vec![7; len]).expect("writes");
        messages.push((name.to_owned(), writer.finish().expect("finishes")));
    }
    messages
}

fn key_files() -> Vec<(String, Vec<u8>)> {
    let dir = tempfile::tempdir().expect("a directory");
    let store = Store::at(dir.path().join("store"));
    let mut files = Vec::new();
    for key_type in [KeyType::Aes256, KeyType::P256, KeyType::Ed25519, KeyType::Rsa2048] {
        let name = key_type.to_string();
        let record = store.create_key(&name, key_type, &Protection::None).expect("a key");
        for file in ["key.json", "state.json", "v1.json"] {
            let path = dir.path().join("store/keys").join(&record.id).join(file);
            files.push((format!("{name}-{file}"), fs::read(path).expect("a file")));
        }
        for format in
            [ExportFormat::Pem, ExportFormat::Jwk, ExportFormat::Pkcs1, ExportFormat::Sec1]
        {
            if let Ok(text) = store.export(&name, None, format, None) {
                files.push((format!("{name}-{format:?}"), text.as_bytes().to_vec()));
            }
        }
    }
    files
}

const URIS: &[(&str, &str)] = &[
    ("local", "local:app"),
    (
        "aws-alias",
        "awskms:///alias/app?region=eu-west-1&profile=prod&endpoint=http://127.0.0.1:1/x",
    ),
    (
        "aws-arn",
        "awskms:///arn:aws:kms:eu-west-1:111122223333:key/mrk-0123456789abcdef0123456789abcdef",
    ),
    ("gcp", "gcpkms:///projects/p/locations/global/keyRings/r/cryptoKeys/k"),
    ("azure", "azurekeyvault://vault.vault.azure.net/key/0123456789abcdef0123456789abcdef"),
    ("vault", "vault://vault.example.com:8200/transit/app"),
    ("pkcs11", "pkcs11:token=t;object=app;id=%01%02?module-path=/usr/lib/softhsm/libsofthsm2.so"),
];

const CONFIGS: &[(&str, &str)] = &[
    ("one", "[keys.app]\nuri = \"local:app\"\n"),
    (
        "all",
        r#"default = "both"

[keys.app]
uri = "local:app"
policy = "patient"

[keys.backup]
uri = "awskms:///alias/app?region=eu-west-1"

[groups.both]
recipients = ["app", "backup"]
write = { at-least = 1 }
header-len = 2048

[policies.patient]
attempt-timeout = "2s"
deadline = "10s"
max-attempts = 3
backoff = { base = "100ms", cap = "2s" }
retry-budget = { percent = 25, reserve = 5 }
breaker = { failures = 6, cool-down = "1m" }
"#,
    ),
];

/// The keys of RFC 7517, appendix A.1 (P-256), and of RFC 7515, appendix A.2 (RSA).
const JWKS: &[(&str, &str)] = &[
    (
        "p256",
        r#"{"kty":"EC","crv":"P-256","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM","use":"sig","kid":"1"}"#,
    ),
    (
        "rsa",
        r#"{"kty":"RSA","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ","e":"AQAB","alg":"RS256","key_ops":["verify"]}"#,
    ),
];

const METADATA: &[(&str, &str)] = &[
    (
        "https",
        r#"{"issuer":"https://id.example/a","jwks_uri":"https://keys.example/a?b=c","id_token_signing_alg_values_supported":["RS256"],"x":{"y":[1,2.5,null]}}"#,
    ),
    ("local", r#"{"issuer":"http://localhost:1","jwks_uri":"http://[::1]:2/keys"}"#),
];
