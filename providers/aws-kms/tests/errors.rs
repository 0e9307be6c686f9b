//! The table of errors, on recorded bodies: no emulator raises them all.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests are tests too"
)]

mod paper;

use std::{
    error::Error as _,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use bulla::{
    CryptoProvider, DataKeys, Encrypt, EncryptionContext, Error, ErrorKind, KeyName, Sign,
    Signature, SigningAlgorithm, SigningInput, Wrapped, key::WrapAlgorithm,
};
use bulla_aws_kms::{AwsKms, AwsKmsBuilder};
use paper::{Answer, ONE, REQUEST_ID, client, described, error, ok};
use serde_json::json;

/// A context whose value KMS might quote.
fn context() -> EncryptionContext {
    EncryptionContext::from_pairs([("tenant", "quoted-in-errors")]).unwrap()
}

fn wrapped() -> Wrapped {
    let key = KeyName::new("awskms", ONE).unwrap();
    Wrapped { key, version: None, algorithm: WrapAlgorithm::Native, blob: vec![1; 184] }
}

fn builder(answer: impl Fn(&str) -> Answer + Send + Sync + 'static) -> AwsKmsBuilder {
    AwsKms::builder().label("aws").kms_config(paper::config(client(move |op, _| answer(op))))
}

/// A provider whose key is fine, and for which everything but DescribeKey is answered so.
async fn provider(answer: impl Fn(&str) -> Answer + Send + Sync + 'static) -> AwsKms {
    let builder = builder(move |op| match op {
        "DescribeKey" => ok(&described(ONE, "Enabled", "SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT")),
        op => answer(op),
    });
    builder.sealing_key(ONE).build().await.unwrap()
}

async fn unwrap(answer: impl Fn(&str) -> Answer + Send + Sync + 'static) -> Error {
    provider(answer).await.unwrap_data_key(&wrapped(), &context()).await.unwrap_err()
}

#[tokio::test]
async fn every_code_has_its_kind() {
    use ErrorKind::*;
    for (status, code, kind) in [
        (400, "InvalidCiphertextException", NotAuthentic),
        (400, "IncorrectKeyException", NotAuthentic),
        (400, "KMSInvalidSignatureException", NotAuthentic),
        (400, "ThrottlingException", Throttled),
        (400, "Throttling", Throttled),
        (400, "ThrottledException", Throttled),
        (400, "RequestThrottled", Throttled),
        (400, "RequestThrottledException", Throttled),
        (429, "TooManyRequestsException", Throttled),
        (400, "RequestLimitExceeded", Throttled),
        (503, "SlowDown", Throttled),
        (400, "LimitExceededException", QuotaExceeded),
        (402, "ServiceQuotaExceededException", QuotaExceeded),
        (400, "AccessDeniedException", Denied),
        (403, "AccessDenied", Denied),
        (400, "NotAuthorized", Denied),
        (403, "OptInRequired", Denied),
        (403, "ExpiredToken", Denied),
        (400, "ExpiredTokenException", Denied),
        (400, "UnrecognizedClientException", Denied),
        (403, "InvalidClientTokenId", Denied),
        (400, "InvalidSignatureException", Denied),
        (403, "SignatureDoesNotMatch", Denied),
        (400, "IncompleteSignature", Denied),
        (400, "MissingAuthenticationTokenException", Denied),
        (400, "RequestExpired", Denied),
        (400, "NotFoundException", NotFound),
        (400, "DisabledException", Disabled),
        (400, "InvalidKeyUsageException", InvalidInput),
        (400, "InvalidGrantTokenException", InvalidInput),
        (400, "InvalidArnException", InvalidInput),
        (400, "ValidationException", InvalidInput),
        (400, "ValidationError", InvalidInput),
        (400, "UnsupportedOperationException", Unsupported),
        (500, "KMSInternalException", Unavailable),
        (500, "DependencyTimeoutException", Unavailable),
        (500, "KeyUnavailableException", Unavailable),
        (500, "InternalFailure", Unavailable),
        (500, "InternalServerError", Unavailable),
        (503, "ServiceUnavailable", Unavailable),
        (503, "ServiceUnavailableException", Unavailable),
        (400, "RequestTimeoutException", Timeout),
        // Codes that are not known here go by the status.
        (401, "Strange", Denied),
        (403, "Strange", Denied),
        (408, "Strange", Timeout),
        (429, "Strange", Throttled),
        (504, "Strange", Timeout),
        (500, "Strange", Unavailable),
        (400, "Strange", Internal),
        (418, "", Internal),
    ] {
        let error = unwrap(move |_| error(status, code, "tenant=quoted-in-errors")).await;
        assert_eq!(error.kind(), kind, "{status} {code}: {error}");
        assert_eq!(error.request_id(), Some(REQUEST_ID), "{code}");
        assert_eq!(error.provider(), Some("aws"));
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("quoted-in-errors"), "{shown}");
        assert!(error.source().unwrap().to_string().contains(code), "{shown}");
    }
}

/// The service prefixes codes with its namespace, or a URL follows them.
#[tokio::test]
async fn codes_are_found_in_all_their_spellings() {
    for code in [
        "com.amazonaws.kms#ThrottlingException",
        "ThrottlingException",
        "ThrottlingException:http://internal.amazon.com/coral/com.amazon.coral.availability/",
    ] {
        let error = unwrap(move |_| error(400, code, "")).await;
        assert_eq!(error.kind(), ErrorKind::Throttled, "{code}");
    }
}

#[tokio::test]
async fn messages_say_what_to_do() {
    for (code, text) in [
        ("AccessDeniedException", "grant kms:Decrypt on it to this principal"),
        ("ExpiredTokenException", "have expired; renew them"),
        ("UnrecognizedClientException", "check access key, secret"),
        ("NotFoundException", "in this account and region"),
        ("InvalidKeyUsageException", "not of the kind or usage"),
    ] {
        let error = unwrap(move |_| error(400, code, "")).await;
        assert!(error.message().contains(text), "{code}: {error}");
    }
    let error = provider(|_| error(400, "AccessDeniedException", "")).await;
    let error = error.generate_data_key(&context()).await.unwrap_err();
    assert!(error.message().contains("grant kms:GenerateDataKey on it"), "{error}");
}

#[tokio::test]
async fn retry_after_is_kept_and_bounded() {
    for (header, seconds) in [
        ("2", Some(2)),
        ("0", Some(0)),
        ("999999999", Some(3600)),
        ("soon", None),
        ("-1", None),
        ("Wed, 21 Oct 2026 07:28:00 GMT", None),
    ] {
        let error = unwrap(move |_| {
            let mut answer = error(400, "ThrottlingException", "Rate exceeded");
            answer.headers_mut().insert("retry-after", header.parse().unwrap());
            answer
        });
        let wait = error.await.retry_after();
        assert_eq!(wait, seconds.map(Duration::from_secs), "{header}");
    }
}

/// An answer that KMS can't have given is an outage, never bad data.
#[tokio::test]
async fn odd_answers_are_outages() {
    let key = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    let answers: Vec<(&str, Answer)> = vec![
        ("no JSON", http::Response::new("<html>".to_owned())),
        ("cut", http::Response::new("{\"KeyId\": \"arn".to_owned())),
        ("empty", ok(&json!({}))),
        ("no plaintext", ok(&json!({ "KeyId": ONE }))),
        ("another key", ok(&json!({ "KeyId": paper::TWO, "Plaintext": key }))),
        ("no key", ok(&json!({ "Plaintext": key }))),
        ("no base64", ok(&json!({ "KeyId": ONE, "Plaintext": "*" }))),
        ("a gateway", {
            let mut answer = http::Response::new("<h1>Bad gateway</h1>".to_owned());
            *answer.status_mut() = http::StatusCode::BAD_GATEWAY;
            answer
        }),
    ];
    for (what, answer) in answers {
        let (parts, body) = answer.into_parts();
        let parts_id = parts.headers.get("x-amzn-requestid").cloned();
        let error = unwrap(move |_| http::Response::from_parts(parts.clone(), body.clone())).await;
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{what}: {error}");
        let told = parts_id.is_some().then_some(REQUEST_ID);
        assert_eq!(error.request_id(), told, "{what}");
        let shown = format!("{error:?}");
        assert!(!shown.contains(key), "{what}: {shown}");
    }
}

#[tokio::test]
async fn only_keys_of_32_bytes_come_out() {
    for (len, base64) in [(16, "AAAAAAAAAAAAAAAAAAAAAA=="), (33, &"A".repeat(44))] {
        let body = json!({ "KeyId": ONE, "Plaintext": base64, "CiphertextBlob": "AAAA" });
        let provider = provider(move |_| ok(&body)).await;
        let error = provider.unwrap_data_key(&wrapped(), &context()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotAuthentic, "{len}");
        let error = provider.generate_data_key(&context()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotAuthentic, "{len}");
    }
}

/// The answer that the AWS CLI's documentation shows for generate-data-key (Apache-2.0).
#[tokio::test]
async fn an_answer_of_the_real_service_is_understood() {
    const PLAINTEXT: &str = "VdzKNHGzUAzJeRBVY+uUmofUGGiDzyB3+i9fVkh3piw=";
    const BLOB: &str = "AQEDAHjRYf5WytIc0C857tFSnBaPn2F8DgfmThbJlGfR8P3WlwAAAH4wfAYJKoZIhvcNAQcGoG8w\
                        bQIBADBoBgkqhkiG9w0BBwEwHgYJYIZIAWUDBAEuMBEEDEFogLqPWZconQhwHAIBEIA7d9AC7Ge\
                        JJM34njQvg4Wf1d5sw0NIo1MrBqZa+YdhV8MrkBQPeac0ReRVNDt9qleAt+SHgIRF8P0H+7U=";
    let body = json!({ "KeyId": ONE, "Plaintext": PLAINTEXT, "CiphertextBlob": BLOB });
    let provider = provider(move |_| ok(&body)).await;
    let (key, wrapped) = provider.generate_data_key(&context()).await.unwrap();
    assert_eq!(key.expose()[..3], [0x55, 0xdc, 0xca]);
    assert_eq!((wrapped.key.id(), wrapped.blob.len()), (ONE, 167));
}

/// The documentation shows the policy that is tested.
#[test]
fn the_readme_has_the_policy() {
    let readme = include_str!("../README.md");
    assert!(readme.contains(bulla_aws_kms::LEAST_PRIVILEGE_POLICY));
}

#[tokio::test]
async fn wraps_longer_than_announced_are_refused() {
    let key = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    let body = json!({ "KeyId": ONE, "Plaintext": key, "CiphertextBlob": "A".repeat(4 * 200) });
    let error = provider(move |_| ok(&body)).await.generate_data_key(&context()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
}

/// KMS raises an exception for a bad signature. What answers `false` instead means the same, and
/// what answers neither means nothing.
#[tokio::test]
async fn a_signature_that_is_not_valid_is_not_authentic() {
    for (answer, kind) in [
        (ok(&json!({ "KeyId": ONE, "SignatureValid": false })), ErrorKind::NotAuthentic),
        (error(400, "KMSInvalidSignatureException", ""), ErrorKind::NotAuthentic),
        (ok(&json!({ "SignatureValid": true })), ErrorKind::Unavailable),
        (error(500, "KMSInternalException", ""), ErrorKind::Unavailable),
    ] {
        let (parts, body) = answer.into_parts();
        let builder = builder(move |op| match op {
            "DescribeKey" => ok(&described(ONE, "Enabled", "RSA_2048", "SIGN_VERIFY")),
            _ => http::Response::from_parts(parts.clone(), body.clone()),
        });
        let provider = builder.signing_key(ONE).build().await.unwrap();
        let mut key = bulla::PublicKey::new(
            KeyName::new("awskms", ONE).unwrap(),
            bulla::KeyVersion::parse("1").unwrap(),
            vec![],
        );
        let input = SigningInput::new(SigningAlgorithm::Rs256, b"m");
        let signature = Signature::new(vec![1; 256]);
        // Pinned to another algorithm where it was read: nobody is asked.
        key.algorithms = vec![SigningAlgorithm::Ps256];
        let here = provider.verify(&key, &input, &signature).unwrap_err();
        let there = provider.verify_remotely(&key, &input, &signature).await.unwrap_err();
        assert_eq!([here.kind(), there.kind()], [ErrorKind::InvalidInput; 2]);
        key.algorithms = vec![SigningAlgorithm::Rs256];
        let error = provider.verify_remotely(&key, &input, &signature).await.unwrap_err();
        assert_eq!(error.kind(), kind);
    }
}

/// What KMS returns is looked at before it is passed on.
#[tokio::test]
async fn what_is_no_signature_is_an_outage() {
    for (spec, algorithm, signature) in [
        ("RSA_2048", SigningAlgorithm::Ps256, "AAAA".to_owned()),
        ("RSA_2048", SigningAlgorithm::Ps256, "A".repeat(4 * 86)),
        ("ECC_NIST_P256", SigningAlgorithm::Es256, "A".repeat(84) + "AA=="),
        ("ECC_NIST_EDWARDS25519", SigningAlgorithm::Ed25519, "A".repeat(84)),
    ] {
        let builder = builder(move |op| match op {
            "DescribeKey" => ok(&described(ONE, "Enabled", spec, "SIGN_VERIFY")),
            "GetPublicKey" => ok(&json!({ "KeyId": ONE, "PublicKey": "AAAA" })),
            _ => ok(&json!({ "KeyId": ONE, "Signature": signature })),
        });
        let provider = builder.signing_key(ONE).build().await.unwrap();
        let key = provider.public_keys().await.unwrap().remove(0);
        let error = provider.sign(&key, &SigningInput::new(algorithm, b"m")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    }
}

/// KMSInvalidStateException says nothing of the state: DescribeKey does.
#[tokio::test]
async fn the_state_of_a_key_is_looked_up() {
    for (state, kind) in [
        ("Disabled", ErrorKind::Disabled),
        ("PendingDeletion", ErrorKind::PendingDeletion),
        ("PendingReplicaDeletion", ErrorKind::PendingDeletion),
        ("PendingImport", ErrorKind::Disabled),
        ("Unavailable", ErrorKind::Unavailable),
        ("Creating", ErrorKind::Unavailable),
        ("SomethingNew", ErrorKind::Disabled),
        // It changed back in between.
        ("Enabled", ErrorKind::Disabled),
    ] {
        let built = std::sync::atomic::AtomicBool::new(false);
        let builder = builder(move |op| match op {
            "DescribeKey" => {
                let now = match built.swap(true, SeqCst) {
                    true => state,
                    false => "Enabled",
                };
                ok(&described(ONE, now, "SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT"))
            }
            _ => error(400, "KMSInvalidStateException", "arn:... is pending deletion."),
        });
        let provider = builder.sealing_key(ONE).build().await.unwrap();
        let error = provider.unwrap_data_key(&wrapped(), &context()).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{state}: {error}");
        assert_eq!(error.request_id(), Some(REQUEST_ID));
    }
}

/// The same when a provider is built, and what could be done about it.
#[tokio::test]
async fn keys_are_looked_at_when_a_provider_is_built() {
    use ErrorKind::*;
    const SEAL: (&str, &str) = ("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT");
    const RSA: (&str, &str) = ("RSA_2048", "SIGN_VERIFY");
    for (state, (spec, usage), sealing, expected) in [
        ("Enabled", SEAL, true, None),
        ("Updating", SEAL, true, None),
        ("Enabled", RSA, false, None),
        ("Disabled", SEAL, true, Some((Disabled, "kms:EnableKey"))),
        ("PendingDeletion", SEAL, true, Some((PendingDeletion, "kms:CancelKeyDeletion"))),
        ("PendingReplicaDeletion", SEAL, true, Some((PendingDeletion, "replicas"))),
        ("PendingImport", SEAL, true, Some((Disabled, "kms:ImportKeyMaterial"))),
        ("Unavailable", SEAL, true, Some((Unavailable, "custom key store"))),
        ("Creating", SEAL, true, Some((Unavailable, "try again"))),
        ("Enabled", RSA, true, Some((Unsupported, "signing_key"))),
        ("Enabled", SEAL, false, Some((Unsupported, "sealing_key"))),
        ("Enabled", ("RSA_2048", "ENCRYPT_DECRYPT"), true, Some((Unsupported, "SYMMETRIC"))),
        ("Enabled", ("HMAC_256", "GENERATE_VERIFY_MAC"), true, Some((Unsupported, "SYMMETRIC"))),
        ("Enabled", ("ECC_SECG_P256K1", "SIGN_VERIFY"), false, Some((Unsupported, "RSA_*"))),
        ("Enabled", ("ECC_NIST_P256", "KEY_AGREEMENT"), false, Some((Unsupported, "RSA_*"))),
        ("Enabled", ("ML_DSA_65", "SIGN_VERIFY"), false, Some((Unsupported, "RSA_*"))),
        ("Enabled", ("NEW_SPEC", "SIGN_VERIFY"), false, Some((Unsupported, "RSA_*"))),
    ] {
        let builder = builder(move |_| ok(&described(ONE, state, spec, usage)));
        let builder = match sealing {
            true => builder.sealing_key(ONE),
            false => builder.signing_key(ONE),
        };
        let built = builder.build().await;
        match expected {
            None => assert!(built.is_ok(), "{state} {spec}: {}", built.unwrap_err()),
            Some((kind, text)) => {
                let error = built.unwrap_err();
                assert_eq!(error.kind(), kind, "{state} {spec}: {error}");
                assert!(error.message().contains(text), "{state} {spec}: {error}");
                assert_eq!(error.provider(), Some("aws"));
            }
        }
    }
    let denied = builder(|_| error(400, "AccessDeniedException", "")).sealing_key(ONE).build();
    let denied = denied.await.unwrap_err();
    assert_eq!(denied.kind(), Denied);
    let text = format!("kms:DescribeKey on {ONE} is not allowed; grant kms:DescribeKey");
    assert!(denied.message().contains(&text), "{denied}");
}

#[tokio::test]
async fn a_bad_configuration_is_refused_before_the_network() {
    let builder = || builder(|_| panic!("a request was made"));
    let elsewhere = ONE.replace("eu-west-1", "us-east-1");
    for (what, builder) in [
        ("no key", builder()),
        ("no key id", builder().sealing_key("orders")),
        ("an AWS managed key", builder().sealing_key("alias/aws/s3")),
        ("options in a key", builder().sealing_key("alias/x?endpoint=https://evil.example")),
        ("plain http", builder().sealing_key(ONE).endpoint("http://kms.example.com")),
        ("no URL", builder().sealing_key(ONE).endpoint("kms.example.com&region=x")),
        ("another region", builder().sealing_key(elsewhere).region("eu-west-1")),
        ("a profile besides", builder().sealing_key(ONE).profile("prod")),
    ] {
        let error = builder.build().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{what}: {error}");
    }
}

#[tokio::test]
async fn what_can_not_be_a_wrap_is_refused_before_the_network() {
    let provider = provider(|_| panic!("a request was made")).await;
    let good = wrapped();
    for bad in [
        Wrapped { blob: vec![], ..good.clone() },
        Wrapped { blob: vec![0; 6145], ..good.clone() },
        Wrapped { algorithm: WrapAlgorithm::RsaOaep256, ..good.clone() },
        Wrapped { version: Some(bulla::KeyVersion::parse("1").unwrap()), ..good.clone() },
    ] {
        let error = provider.unwrap_data_key(&bad, &context()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotAuthentic);
        assert!(!provider.is_current(&bad) || bad.version.is_none());
    }
    let other = Wrapped { key: KeyName::new("awskms", paper::TWO).unwrap(), ..good };
    let error = provider.unwrap_data_key(&other, &context()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoRecipient);
}

/// Wherever the endpoint comes from: data keys are not sent in the clear.
#[tokio::test]
async fn plain_http_goes_to_this_machine_only() {
    let asked = Arc::new(AtomicUsize::new(0));
    let build = async |url: &str| {
        let asked = Arc::clone(&asked);
        let client = client(move |_, _| {
            asked.fetch_add(1, SeqCst);
            ok(&described(ONE, "Enabled", "SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT"))
        });
        let config = paper::config(client).to_builder().endpoint_url(url).build();
        AwsKms::builder().kms_config(config).sealing_key(ONE).build().await.map(drop)
    };
    for url in ["http://kms.example.com", "http://127.0.0.1.example.com", "http://10.0.0.1:80"] {
        let error = build(url).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{url}: {error}");
        assert!(error.message().contains("AWS_ENDPOINT_URL"), "{error}");
    }
    assert_eq!(asked.load(SeqCst), 0);
    for url in
        ["https://kms.example.com", "http://127.0.0.1:1", "http://localhost", "http://[::1]:1"]
    {
        build(url).await.unwrap_or_else(|error| panic!("{url}: {error}"));
    }
    assert_eq!(asked.load(SeqCst), 4);
}

/// The key that is bound is the one that was asked for.
#[tokio::test]
async fn a_description_of_another_key_is_not_believed() {
    let there = ONE.replace("eu-west-1", "us-east-1");
    for (asked, answer) in [
        (ONE, paper::TWO),
        (ONE, &*there),
        ("1234abcd-12ab-34cd-56ef-1234567890ab", paper::TWO),
        ("alias/orders", &there),
        ("arn:aws:kms:eu-west-1:444455556666:alias/orders", ONE),
    ] {
        let answer = described(answer, "Enabled", "SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT");
        let error = builder(move |_| ok(&answer)).sealing_key(asked).build().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{asked}: {error}");
        assert_eq!(error.request_id(), Some(REQUEST_ID));
    }
}

#[tokio::test]
async fn one_key_seals() {
    let builder = || {
        AwsKms::builder().kms_config(paper::config(client(|_, request| {
            let key = request["KeyId"].as_str().unwrap();
            ok(&described(key, "Enabled", "SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT"))
        })))
    };
    let bulla::KeyUri::AwsKms(uri) = format!("awskms:///{}", paper::TWO).parse().unwrap() else {
        panic!("this is a key of AWS KMS")
    };
    let error = builder().sealing_key(ONE).uri(&uri).build().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.message().contains("`also_open`"), "{error}");
    builder().sealing_key(paper::TWO).uri(&uri).also_open(ONE).build().await.unwrap();
}

/// ReEncrypt is about two keys, and either may be at fault.
#[tokio::test]
async fn reencryption_names_both_keys() {
    let build = async |code: &'static str, state: &'static str| {
        let config = paper::config(client(move |operation, request| {
            let key = request["KeyId"].as_str().unwrap_or_default();
            match operation {
                // TWO is well only when the provider is built.
                "DescribeKey" if key == paper::TWO && BUILT.load(SeqCst) > 1 => {
                    ok(&described(key, state, "SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT"))
                }
                "DescribeKey" => {
                    BUILT.fetch_add(1, SeqCst);
                    ok(&described(key, "Enabled", "SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT"))
                }
                _ => error(400, code, ""),
            }
        }));
        BUILT.store(0, SeqCst);
        let builder = AwsKms::builder().kms_config(config).sealing_key(paper::TWO).also_open(ONE);
        let provider = builder.build().await.unwrap();
        provider.reencrypt(&wrapped(), &context(), &context()).await.unwrap_err()
    };
    static BUILT: AtomicUsize = AtomicUsize::new(0);
    let denied = build("AccessDeniedException", "Enabled").await;
    assert_eq!(denied.kind(), ErrorKind::Denied);
    for part in ["grant kms:ReEncryptFrom and kms:ReEncryptTo on", ONE, paper::TWO] {
        assert!(denied.message().contains(part), "{denied}");
    }
    let gone = build("KMSInvalidStateException", "PendingDeletion").await;
    assert_eq!(gone.kind(), ErrorKind::PendingDeletion, "{gone}");
    assert!(gone.message().contains(paper::TWO), "{gone}");
}

/// Nothing listens there, and nobody has credentials.
#[tokio::test]
async fn what_never_reaches_kms_says_why() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let config = aws_sdk_kms::Config::builder()
        .behavior_version(aws_sdk_kms::config::BehaviorVersion::latest())
        .region(aws_sdk_kms::config::Region::new("eu-west-1"))
        .endpoint_url(format!("http://{closed}"));
    let build = async |config: aws_sdk_kms::config::Builder| {
        let builder = AwsKms::builder().kms_config(config.build()).sealing_key(ONE);
        builder.build().await.unwrap_err()
    };
    let credentials = aws_sdk_kms::config::Credentials::new("a", "b", None, None, "test");
    let error = build(config.clone().credentials_provider(credentials)).await;
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(error.message().contains("connection refused"), "{error}");

    let none = aws_config::environment::EnvironmentVariableCredentialsProvider::new();
    let error = build(config.credentials_provider(none)).await;
    assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
    assert!(error.message().contains("set AWS_ACCESS_KEY_ID"), "{error}");
}

#[tokio::test]
async fn a_closed_provider_asks_nobody() {
    let provider = Arc::new(provider(|_| panic!("a request was made")).await);
    provider.close().await.unwrap();
    let error = provider.unwrap_data_key(&wrapped(), &context()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed);
}
