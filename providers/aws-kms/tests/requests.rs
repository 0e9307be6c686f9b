//! What each call asks of KMS: the table in the README.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests are tests too"
)]

mod paper;

use std::sync::{Arc, Mutex};

use bulla::{
    Context, CryptoProvider, DataKey, DataKeys, Encrypt, EncryptionContext, ErrorKind, Opener,
    Sealer, Sign, SigningAlgorithm, SigningInput, Wrapped, envelope::Rewrap, key::WrapAlgorithm,
};
use bulla_aws_kms::AwsKms;
use paper::{ONE, TWO, described, error, ok};
use serde_json::json;

const VERIFIES: &str =
    "arn:aws:kms:eu-west-1:111122223333:key/5678abcd-12ab-34cd-56ef-1234567890ab";

#[derive(Clone, Default)]
struct Asked(Arc<Mutex<Vec<String>>>);

impl Asked {
    /// What was asked since the last look.
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

/// A provider with a key that seals, one that signs and one that verifies.
async fn provider(asked: &Asked, refuse: &'static str) -> AwsKms {
    let noted = Asked::clone(asked);
    let client = paper::client(move |operation, request| {
        noted.0.lock().unwrap().push(operation.to_owned());
        let key = request["KeyId"].as_str().unwrap_or(ONE);
        if operation == refuse {
            return error(400, "KMSInvalidStateException", "pending");
        }
        ok(&match operation {
            "DescribeKey" if key == ONE => {
                described(key, "Enabled", "SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT")
            }
            "DescribeKey" => described(key, "Enabled", "ECC_NIST_EDWARDS25519", "SIGN_VERIFY"),
            _ => json!({
                "KeyId": key, "SourceKeyId": key, "CiphertextBlob": "AAAA", "PublicKey": "AAAA",
                "Plaintext": "A".repeat(43) + "=", "Signature": "A".repeat(86) + "==",
            }),
        })
    });
    let builder = AwsKms::builder().kms_config(paper::config(client));
    let builder = builder.sealing_key(ONE).signing_key(TWO).also_open(VERIFIES);
    builder.build().await.unwrap()
}

#[tokio::test]
async fn every_call_asks_what_the_table_says() {
    let asked = Asked::default();
    let kms = provider(&asked, "nothing").await;
    assert_eq!(asked.take(), ["DescribeKey"; 3], "one for each key when it is built");

    let context = EncryptionContext::new();
    let (data_key, wrapped) = kms.generate_data_key(&context).await.unwrap();
    assert_eq!(asked.take(), ["GenerateDataKey"]);
    kms.wrap_data_key(&data_key, &context).await.unwrap();
    assert_eq!(asked.take(), ["Encrypt"]);
    kms.unwrap_data_key(&wrapped, &context).await.unwrap();
    assert_eq!(asked.take(), ["Decrypt"]);
    let direct = kms.encrypt(b"x", &context).await.unwrap();
    assert_eq!(asked.take(), ["Encrypt"]);
    kms.decrypt(&direct, &context).await.unwrap();
    assert_eq!(asked.take(), ["Decrypt"]);
    kms.reencrypt(&direct, &context, &context).await.unwrap();
    assert_eq!(asked.take(), ["ReEncrypt"]);

    // The state of a key is asked for each time, its public half once.
    let keys = kms.public_keys().await.unwrap();
    assert_eq!(asked.take(), ["DescribeKey", "GetPublicKey", "DescribeKey", "GetPublicKey"]);
    kms.public_keys().await.unwrap();
    assert_eq!(asked.take(), ["DescribeKey", "DescribeKey"]);
    let input = SigningInput::new(SigningAlgorithm::Ed25519, b"message");
    let current = keys.iter().find(|key| key.current).unwrap();
    let signature = kms.sign(current, &input).await.unwrap();
    assert_eq!(asked.take(), ["Sign"]);
    assert!(kms.verify(current, &input, &signature).is_err());
    assert!(asked.take().is_empty(), "verified on this machine");

    kms.health().await.unwrap();
    assert_eq!(asked.take(), ["DescribeKey"]);
    assert_eq!(kms.describe_keys().await.len(), 3);
    assert_eq!(asked.take(), ["DescribeKey"; 3]);
    kms.close().await.unwrap();
    assert!(asked.take().is_empty());
}

/// The message is opened, and the new wrap is made and compared.
#[tokio::test]
async fn a_rewrap_encrypts_and_decrypts() {
    let asked = Asked::default();
    let kms = provider(&asked, "nothing").await;
    asked.take();
    let sealed = Sealer::new(&kms).unwrap().seal(b"x", &Context::new()).await.unwrap();
    assert_eq!(asked.take(), ["GenerateDataKey"]);
    let plan = Rewrap::new().add_recipient(&kms);
    Opener::new([&kms]).rewrap_value(&sealed, &plan).await.unwrap();
    assert_eq!(asked.take(), ["Decrypt", "Encrypt", "Decrypt"]);
}

/// KMS has one word for every state that is in the way.
#[tokio::test]
async fn a_state_that_is_in_the_way_is_asked_for() {
    let asked = Asked::default();
    let wrapped = Wrapped {
        key: bulla::KeyName::new("awskms", ONE).unwrap(),
        version: None,
        algorithm: WrapAlgorithm::Native,
        blob: vec![1; 184],
    };
    let kms = provider(&asked, "Decrypt").await;
    asked.take();
    let error = kms.unwrap_data_key(&wrapped, &EncryptionContext::new()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Disabled);
    assert_eq!(asked.take(), ["Decrypt", "DescribeKey"]);
    let kms = provider(&asked, "Encrypt").await;
    asked.take();
    let data_key = DataKey::from_bytes(&[1; 32]);
    kms.wrap_data_key(&data_key, &EncryptionContext::new()).await.unwrap_err();
    assert_eq!(asked.take(), ["Encrypt", "DescribeKey"]);
}
