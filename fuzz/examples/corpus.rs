//! Writes the corpora anew: `cargo run --manifest-path fuzz/Cargo.toml --example corpus`. They are
//! random where messages are, so a run changes them all; it is for a new format or a new target.

use std::{fs, path::Path};

use bulla::{format::{Preamble, Suite}, stream::EncryptWriter, Context, CryptoProviderExt as _, Sealer};
use bulla_fuzz::{context, pipeline, seal, token, vault, wait};
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
    let packed = pipeline::compress(&vec![7; 300]).expect("compresses");
    let (head, _) = Preamble::split(&packed).expect("a head");
    put("header", "compressed", head.header().as_bytes());
    put("open", "compressed", &packed);
    for (name, frame) in frames(&packed) {
        put("compressed", name, &frame);
    }
    for (name, value) in VALUES {
        put("value", name, value);
    }
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
    let (x509, jwt) = BUNDLE_KEYS;
    for (name, keys) in [("both", [x509, jwt].join(",")), ("jwt", jwt.to_owned()), ("empty", String::new())] {
        let document = format!(r#"{{"keys":[{keys}],"spiffe_sequence":1,"spiffe_refresh_hint":60}}"#);
        put("bundle", name, document.as_bytes());
    }
    for (name, claims) in SVID_CLAIMS {
        put("jwt_svid", name, claims.as_bytes());
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

/// Frames that are whole, and some that are not to be taken.
fn frames(packed: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let whole = pipeline::frame(packed);
    let magic = 0xFD2F_B528_u32.to_le_bytes();
    // 64 blocks of 128 KiB of zeros each, in four bytes each.
    let mut bomb = [&magic[..], &[0x00, 0x38]].concat();
    bomb.extend([0x02, 0x00, 0x10, 0x00].repeat(63));
    bomb.extend([0x03, 0x00, 0x10, 0x00]);
    vec![
        ("twice", [&whole[..], &whole].concat()),
        ("cut", whole[..whole.len() - 1].to_vec()),
        ("wide", [&magic[..], &[0x00, 0xff, 0x01, 0x00, 0x00]].concat()),
        ("dictionary", [&magic[..], &[0x01, 0x38, 0x09, 0x01, 0x00, 0x00]].concat()),
        ("skippable", vec![0x50, 0x2a, 0x4d, 0x18, 2, 0, 0, 0, 1, 2]),
        ("bomb", bomb),
        ("whole", whole),
    ]
}

/// RFC 8949, appendix A, and what must end early.
const VALUES: &[(&str, &[u8])] = &[
    ("card", b"\xa3\x66number\x644711\x64year\x19\x07\xea\x64tags\xa1\x61a\x82\x01\x20"),
    ("nested", b"\xa2\x61a\x01\x61b\x82\x02\x03"),
    ("bignum", b"\xc2\x49\x01\x00\x00\x00\x00\x00\x00\x00\x00"),
    ("indefinite", b"\xbf\x61a\x01\x61b\x9f\x02\x03\xff\xff"),
    ("chunks", b"\x5f\x42\x01\x02\x43\x03\x04\x05\xff"),
    ("half", b"\xf9\x7e\x00"),
    ("claims", b"\x9b\x7f\xff\xff\xff\xff\xff\xff\xff"),
    ("deep", &[0x81; 300]),
    ("date", b"\xc0\x742013-03-21T20:04:00Z"),
];

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

/// Of go-spiffe's test data (commit e9973f6, Apache-2.0).
const BUNDLE_KEYS: (&str, &str) = (
    r#"{"use":"x509-svid","kty":"EC","crv":"P-384","x":"WjB-nSGSxIYiznb84xu5WGDZj80nL7W1c3zf48Why0ma7Y7mCBKzfQkrgDguI4j0","y":"Z-0_tDH_r8gtOtLLrIpuMwWHoe4vbVBFte1vj6Xt6WeE8lXwcCvLs_mcmvPqVK9j","x5c":["MIIBzDCCAVOgAwIBAgIJAJM4DhRH0vmuMAoGCCqGSM49BAMEMB4xCzAJBgNVBAYTAlVTMQ8wDQYDVQQKDAZTUElGRkUwHhcNMTgwNTEzMTkzMzQ3WhcNMjMwNTEyMTkzMzQ3WjAeMQswCQYDVQQGEwJVUzEPMA0GA1UECgwGU1BJRkZFMHYwEAYHKoZIzj0CAQYFK4EEACIDYgAEWjB+nSGSxIYiznb84xu5WGDZj80nL7W1c3zf48Why0ma7Y7mCBKzfQkrgDguI4j0Z+0/tDH/r8gtOtLLrIpuMwWHoe4vbVBFte1vj6Xt6WeE8lXwcCvLs/mcmvPqVK9jo10wWzAdBgNVHQ4EFgQUh6XzV6LwNazA+GTEVOdu07o5yOgwDwYDVR0TAQH/BAUwAwEB/zAOBgNVHQ8BAf8EBAMCAQYwGQYDVR0RBBIwEIYOc3BpZmZlOi8vbG9jYWwwCgYIKoZIzj0EAwQDZwAwZAIwE4Me13qMC9i6Fkx0h26y09QZIbuRqA9puLg9AeeAAyo5tBzRl1YL0KNEp02VKSYJAjBdeJvqjJ9wW55OGj1JQwDFD7kWeEB6oMlwPbI/5hEY3azJi16I0uN1JSYTSWGSqWc="]}"#,
    r#"{"use":"jwt-svid","kty":"EC","kid":"C6vs25welZOx6WksNYfbMfiw9l96pMnD","crv":"P-256","x":"ngLYQnlfF6GsojUwqtcEE3WgTNG2RUlsGhK73RNEl5k","y":"tKbiDSUSsQ3F1P7wteeHNXIcU-cx6CgSbroeQrQHTLM"}"#,
);

const SVID_CLAIMS: &[(&str, &str)] = &[
    ("claims", r#"{"sub":"spiffe://example.org/a","aud":["a"],"exp":4102444800,"iat":1}"#),
    (
        "others",
        r#"{"sub":"spiffe://example.org/a/b","aud":"a","exp":4102444800.5,"jti":"x","y":{"z":[null,1]}}"#,
    ),
];

const METADATA: &[(&str, &str)] = &[
    (
        "https",
        r#"{"issuer":"https://id.example/a","jwks_uri":"https://keys.example/a?b=c","id_token_signing_alg_values_supported":["RS256"],"x":{"y":[1,2.5,null]}}"#,
    ),
    ("local", r#"{"issuer":"http://localhost:1","jwks_uri":"http://[::1]:2/keys"}"#),
];
