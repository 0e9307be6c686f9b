//! A KMS by the book, behind the SDK's own code but for the network.
//!
//! For what no emulator is honest about: wrong keys, tampering, every error. Its errors have the
//! names, statuses and bodies of the API reference ("Common Error Types" and the Errors section of
//! each action, <https://docs.aws.amazon.com/kms/latest/APIReference/>).

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use aws_sdk_kms::{
    Config,
    config::{BehaviorVersion, Credentials, HttpClient, Region, SharedHttpClient},
};
use aws_smithy_http_client::test_util::infallible_client_fn;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bulla::{
    CryptoProvider,
    provider::{SOFTWARE_WRAP_OVERHEAD, SoftwareKek},
};
use bulla_aws_kms::AwsKms;
use futures_util::FutureExt as _;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};

pub(crate) const ONE: &str =
    "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
pub(crate) const TWO: &str =
    "arn:aws:kms:eu-west-1:111122223333:key/0987dcba-09fe-87dc-65ba-ab0987654321";
/// One multi-Region key in two regions.
pub(crate) const WEST: &str =
    "arn:aws:kms:eu-west-1:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab";
pub(crate) const EAST: &str =
    "arn:aws:kms:us-east-2:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab";
pub(crate) const REQUEST_ID: &str = "d7b4a1f3-6e2c-4b8e-9a57-0c1d2e3f4a5b";

pub(crate) type Answer = http::Response<String>;

/// A configuration whose requests this answers.
pub(crate) fn config(client: impl HttpClient + 'static) -> Config {
    Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-west-1"))
        .credentials_provider(Credentials::new("AKIDEXAMPLE", "secret", None, None, "test"))
        .http_client(client)
        .build()
}

/// A provider on a KMS that does what the book says.
pub(crate) async fn provider(key: &str) -> Arc<dyn CryptoProvider> {
    let keys = Arc::new(Keys::new());
    let builder = AwsKms::builder()
        .kms_config(config(client(move |operation, request| keys.answer(operation, request))));
    Arc::new(builder.sealing_key(key).build().await.unwrap())
}

/// Lets a function answer, given the operation and the request.
pub(crate) fn client(
    answer: impl Fn(&str, &Value) -> Answer + Send + Sync + 'static,
) -> SharedHttpClient {
    infallible_client_fn(move |request| {
        let target = request.headers()["x-amz-target"].to_str().unwrap().to_owned();
        let body = request.into_body().collect().now_or_never().unwrap().unwrap();
        let body = serde_json::from_slice(&body.to_bytes()).unwrap();
        answer(target.strip_prefix("TrentService.").unwrap(), &body)
    })
}

pub(crate) fn ok(body: &Value) -> Answer {
    http::Response::builder()
        .status(200)
        .header("content-type", "application/x-amz-json-1.1")
        .header("x-amzn-requestid", REQUEST_ID)
        .body(body.to_string())
        .unwrap()
}

pub(crate) fn error(status: u16, code: &str, message: &str) -> Answer {
    let mut answer = ok(&json!({ "__type": code, "message": message }));
    *answer.status_mut() = status.try_into().unwrap();
    answer
}

pub(crate) fn described(arn: &str, state: &str, spec: &str, usage: &str) -> Value {
    json!({ "KeyMetadata": {
        "AWSAccountId": "111122223333",
        "Arn": arn,
        "CreationDate": 1_499_988_169.234,
        "Enabled": state == "Enabled",
        "KeyId": id(arn),
        "KeyManager": "CUSTOMER",
        "KeySpec": spec,
        "KeyState": state,
        "KeyUsage": usage,
        "MultiRegion": id(arn).starts_with("mrk-"),
        "Origin": "AWS_KMS",
    }})
}

/// Keys that seal; replicas have the same material.
struct Keys(Mutex<BTreeMap<&'static str, SoftwareKek>>);

impl Keys {
    fn new() -> Self {
        let keys = [(ONE, 1), (TWO, 2), (WEST, 3), (EAST, 3)]
            .map(|(arn, byte)| (arn, SoftwareKek::from_bytes(&[byte; 32])));
        Self(Mutex::new(keys.into()))
    }

    fn answer(&self, operation: &str, request: &Value) -> Answer {
        self.act(operation, request).unwrap_or_else(|refused| *refused)
    }

    fn act(&self, operation: &str, request: &Value) -> Result<Answer, Box<Answer>> {
        let seal = |plaintext: &[u8], context| {
            let (arn, sealed) = self.seal(request, "KeyId", plaintext, context)?;
            Ok::<_, Box<Answer>>(json!({ "KeyId": arn, "CiphertextBlob": sealed }))
        };
        let mut said = match operation {
            "DescribeKey" => {
                let arn = self.named(request, "KeyId")?;
                return Ok(ok(&described(arn, "Enabled", "SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT")));
            }
            "GenerateDataKey" => {
                let key = bulla::DataKey::generate().unwrap();
                let mut said = seal(key.expose(), "EncryptionContext")?;
                said["Plaintext"] = STANDARD.encode(key.expose()).into();
                return Ok(ok(&said));
            }
            "Encrypt" => seal(&bytes(request, "Plaintext"), "EncryptionContext")?,
            "Decrypt" => {
                let (arn, plain) = self.open(request, "KeyId", "EncryptionContext")?;
                json!({ "KeyId": arn, "Plaintext": STANDARD.encode(plain) })
            }
            "ReEncrypt" => {
                let (from, plain) = self.open(request, "SourceKeyId", "SourceEncryptionContext")?;
                let (key, context) = ("DestinationKeyId", "DestinationEncryptionContext");
                let (arn, sealed) = self.seal(request, key, &plain, context)?;
                return Ok(ok(
                    &json!({ "KeyId": arn, "SourceKeyId": from, "CiphertextBlob": sealed,
                    "SourceEncryptionAlgorithm": "SYMMETRIC_DEFAULT",
                    "DestinationEncryptionAlgorithm": "SYMMETRIC_DEFAULT" }),
                ));
            }
            other => return Err(error(400, "UnknownOperationException", other).into()),
        };
        said["EncryptionAlgorithm"] = "SYMMETRIC_DEFAULT".into();
        Ok(ok(&said))
    }

    /// The key that a member of the request names.
    fn named(&self, request: &Value, member: &str) -> Result<&'static str, Box<Answer>> {
        let arn = request[member].as_str().unwrap();
        let keys = self.0.lock().unwrap();
        let known = keys.keys().find(|known| **known == arn).copied();
        known.ok_or_else(|| {
            error(400, "NotFoundException", &format!("Key '{arn}' does not exist")).into()
        })
    }

    fn seal(
        &self,
        request: &Value,
        key: &str,
        plaintext: &[u8],
        context: &str,
    ) -> Result<(&'static str, String), Box<Answer>> {
        let arn = self.named(request, key)?;
        let sealed = self.0.lock().unwrap()[arn].wrap(plaintext, &aad(request, context)).unwrap();
        Ok((arn, STANDARD.encode([arn.as_bytes(), &sealed].concat())))
    }

    fn open(
        &self,
        request: &Value,
        key: &str,
        context: &str,
    ) -> Result<(&'static str, Vec<u8>), Box<Answer>> {
        let arn = self.named(request, key)?;
        let blob = bytes(request, "CiphertextBlob");
        let invalid = || Box::new(error(400, "InvalidCiphertextException", ""));
        let keys = self.0.lock().unwrap();
        let mut by = keys.keys().filter_map(|by| Some((*by, blob.strip_prefix(by.as_bytes())?)));
        let (by, sealed) = by.next().ok_or_else(invalid)?;
        if id(by) != id(arn) {
            let message = "The key ID in the request does not identify a CMK that can perform this \
                           operation.";
            return Err(error(400, "IncorrectKeyException", message).into());
        }
        if sealed.len() < SOFTWARE_WRAP_OVERHEAD {
            return Err(invalid());
        }
        let plain = keys[arn].unwrap(sealed, &aad(request, context)).map_err(|_| invalid())?;
        Ok((arn, plain.to_vec()))
    }
}

/// What replicas of one key have in common.
fn id(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap()
}

fn bytes(request: &Value, member: &str) -> Vec<u8> {
    STANDARD.decode(request[member].as_str().unwrap()).unwrap()
}

/// The context, in one spelling.
fn aad(request: &Value, member: &str) -> Vec<u8> {
    let context: BTreeMap<String, String> =
        serde_json::from_value(request[member].clone()).unwrap_or_default();
    serde_json::to_vec(&context).unwrap()
}
