//! The calls. The only file that has the SDK make one.

use std::{collections::BTreeMap, error::Error as StdError};

use aws_sdk_kms::{
    config::http::HttpResponse,
    error::{ProvideErrorMetadata, SdkError},
    operation::RequestId,
    primitives::Blob,
    types::{DataKeySpec, MessageType, SigningAlgorithmSpec},
};
use bulla::{Error, Result};
use zeroize::Zeroizing;

use crate::{
    arn::KeyArn,
    error::{Asked, INVALID_STATE, from_sdk, odd_answer},
    metadata::Described,
};

/// What KMS binds beside the key.
pub(crate) type Pairs = BTreeMap<String, String>;

/// What is signed: a digest or a message, and how.
#[derive(Clone, Debug)]
pub(crate) struct ToSign<'a> {
    pub(crate) algorithm: SigningAlgorithmSpec,
    pub(crate) message_type: MessageType,
    pub(crate) bytes: &'a [u8],
}

#[derive(Clone, Debug)]
pub(crate) struct Kms(aws_sdk_kms::Client);

impl Kms {
    pub(crate) fn new(config: aws_sdk_kms::Config) -> Self {
        Self(aws_sdk_kms::Client::from_conf(config))
    }

    /// DescribeKey. The key may be an id, an alias or an ARN of either.
    pub(crate) async fn describe(&self, key: &str) -> Result<Described> {
        let asked = Asked { action: "kms:DescribeKey", key };
        let sent = self.0.describe_key().key_id(key).send().await;
        let answer = sent.map_err(|error| from_sdk(&error, asked))?;
        let id = answer.request_id().map(str::to_owned);
        let odd = |what| odd_answer(asked, id.as_deref(), what);
        let described = answer.key_metadata.and_then(Described::new);
        let described = described.ok_or_else(|| odd("lacks the key's ARN, kind or state"))?;
        let region = self.0.config().region().map(AsRef::as_ref).unwrap_or_default();
        match described.arn.answers(key, region) {
            true => Ok(described),
            false => Err(odd("is not about that key")),
        }
    }

    /// GenerateDataKey: the key, and the same encrypted.
    pub(crate) async fn generate(
        &self,
        key: &KeyArn,
        pairs: Pairs,
    ) -> Result<(Zeroizing<Vec<u8>>, Vec<u8>)> {
        let asked = Asked { action: "kms:GenerateDataKey", key: key.as_str() };
        let call = self.0.generate_data_key().key_id(key.as_str()).key_spec(DataKeySpec::Aes256);
        let sent = call.set_encryption_context(context(pairs)).send().await;
        let mut answer = self.settle(sent, &[key], asked).await?;
        let plaintext = secret(answer.plaintext.take());
        about(key, answer.key_id.as_deref(), &answer, asked)?;
        let plaintext =
            plaintext.ok_or_else(|| odd_answer(asked, answer.request_id(), "has no key in it"))?;
        Ok((plaintext, bytes(answer.ciphertext_blob.take(), &answer, asked)?))
    }

    /// Encrypt.
    pub(crate) async fn encrypt(
        &self,
        key: &KeyArn,
        plaintext: &[u8],
        pairs: Pairs,
    ) -> Result<Vec<u8>> {
        let asked = Asked { action: "kms:Encrypt", key: key.as_str() };
        let call = self.0.encrypt().key_id(key.as_str()).plaintext(Blob::new(plaintext));
        let sent = call.set_encryption_context(context(pairs)).send().await;
        let mut answer = self.settle(sent, &[key], asked).await?;
        about(key, answer.key_id.as_deref(), &answer, asked)?;
        bytes(answer.ciphertext_blob.take(), &answer, asked)
    }

    /// Decrypt, always by a key that is named: KMS must not choose it by the ciphertext.
    pub(crate) async fn decrypt(
        &self,
        key: &KeyArn,
        ciphertext: &[u8],
        pairs: Pairs,
    ) -> Result<Zeroizing<Vec<u8>>> {
        let asked = Asked { action: "kms:Decrypt", key: key.as_str() };
        let call = self.0.decrypt().key_id(key.as_str()).ciphertext_blob(Blob::new(ciphertext));
        let sent = call.set_encryption_context(context(pairs)).send().await;
        let mut answer = self.settle(sent, &[key], asked).await?;
        let plaintext = secret(answer.plaintext.take());
        about(key, answer.key_id.as_deref(), &answer, asked)?;
        plaintext.ok_or_else(|| odd_answer(asked, answer.request_id(), "has no plaintext in it"))
    }

    /// ReEncrypt: KMS decrypts and encrypts, and the plaintext does not leave it.
    pub(crate) async fn reencrypt(
        &self,
        from: (&KeyArn, Pairs),
        to: (&KeyArn, Pairs),
        ciphertext: &[u8],
    ) -> Result<Vec<u8>> {
        let action = "kms:ReEncryptFrom and kms:ReEncryptTo";
        let both = match from.0 == to.0 {
            true => from.0.as_str().to_owned(),
            false => format!("{} and {}", from.0.as_str(), to.0.as_str()),
        };
        let asked = Asked { action, key: &both };
        let call = self.0.re_encrypt().ciphertext_blob(Blob::new(ciphertext));
        let call = call.source_key_id(from.0.as_str()).destination_key_id(to.0.as_str());
        let call = call.set_source_encryption_context(context(from.1));
        let sent = call.set_destination_encryption_context(context(to.1)).send().await;
        let mut answer = self.settle(sent, &[from.0, to.0], asked).await?;
        about(from.0, answer.source_key_id.as_deref(), &answer, asked)?;
        about(to.0, answer.key_id.as_deref(), &answer, asked)?;
        bytes(answer.ciphertext_blob.take(), &answer, asked)
    }

    /// GetPublicKey, as SubjectPublicKeyInfo.
    pub(crate) async fn public_key(&self, key: &KeyArn) -> Result<Vec<u8>> {
        let asked = Asked { action: "kms:GetPublicKey", key: key.as_str() };
        let sent = self.0.get_public_key().key_id(key.as_str()).send().await;
        let mut answer = self.settle(sent, &[key], asked).await?;
        about(key, answer.key_id.as_deref(), &answer, asked)?;
        bytes(answer.public_key.take(), &answer, asked)
    }

    /// Sign. ECDSA signatures come as DER.
    pub(crate) async fn sign(&self, key: &KeyArn, input: ToSign<'_>) -> Result<Vec<u8>> {
        let asked = Asked { action: "kms:Sign", key: key.as_str() };
        let call = self.0.sign().key_id(key.as_str()).message(Blob::new(input.bytes));
        let call = call.message_type(input.message_type).signing_algorithm(input.algorithm);
        let mut answer = self.settle(call.send().await, &[key], asked).await?;
        about(key, answer.key_id.as_deref(), &answer, asked)?;
        bytes(answer.signature.take(), &answer, asked)
    }

    /// Verify. ECDSA signatures go as DER. KMS raises an exception for a bad signature; what
    /// answers `false` instead means the same.
    pub(crate) async fn verify(
        &self,
        key: &KeyArn,
        input: ToSign<'_>,
        signature: Vec<u8>,
    ) -> Result<()> {
        let asked = Asked { action: "kms:Verify", key: key.as_str() };
        let call = self.0.verify().key_id(key.as_str()).message(Blob::new(input.bytes));
        let call = call.message_type(input.message_type).signing_algorithm(input.algorithm);
        let sent = call.signature(Blob::new(signature)).send().await;
        let answer = self.settle(sent, &[key], asked).await?;
        about(key, answer.key_id.as_deref(), &answer, asked)?;
        if answer.signature_valid { Ok(()) } else { Err(Error::not_authentic()) }
    }

    /// The answer, or what went wrong. If that was the state of a key, DescribeKey says which.
    async fn settle<T, E>(
        &self,
        sent: Result<T, SdkError<E, HttpResponse>>,
        keys: &[&KeyArn],
        asked: Asked<'_>,
    ) -> Result<T>
    where
        E: ProvideErrorMetadata + RequestId + StdError + Send + Sync + 'static,
    {
        let error = match sent {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        let mapped = from_sdk(&error, asked);
        if error.code() != Some(INVALID_STATE) {
            return Err(mapped);
        }
        drop(error);
        for key in keys {
            let state = match self.describe(key.as_str()).await {
                Ok(described) => described.check_usable(),
                // What the state is, and whether it lasts, nobody can tell now.
                Err(error) if error.is_retryable() => Err(error),
                Err(_) => Ok(()),
            };
            let Err(state) = state else { continue };
            let told = mapped.told_as(state.kind(), state.message().to_owned());
            return Err(match state.retry_after() {
                Some(wait) => told.with_retry_after(wait),
                None => told,
            });
        }
        Err(mapped)
    }
}

fn context(pairs: Pairs) -> Option<std::collections::HashMap<String, String>> {
    Some(pairs.into_iter().collect())
}

/// Takes the secret out of the SDK's hands, without a copy.
fn secret(blob: Option<Blob>) -> Option<Zeroizing<Vec<u8>>> {
    blob.map(|blob| Zeroizing::new(blob.into_inner()))
}

fn bytes(blob: Option<Blob>, answer: &impl RequestId, asked: Asked<'_>) -> Result<Vec<u8>> {
    let bytes = blob.map(Blob::into_inner).filter(|bytes| !bytes.is_empty());
    bytes.ok_or_else(|| odd_answer(asked, answer.request_id(), "lacks its result"))
}

/// An answer names the key that did the work: it must be the one that was asked for.
fn about(
    key: &KeyArn,
    answered: Option<&str>,
    answer: &impl RequestId,
    asked: Asked<'_>,
) -> Result<()> {
    if answered == Some(key.as_str()) {
        return Ok(());
    }
    Err(odd_answer(asked, answer.request_id(), "is not about that key"))
}
