//! The calls. The only file that has the SDK make one.

use bulla::{Error, Result};
use bytes::Bytes;
use google_cloud_auth::credentials::Credentials;
use google_cloud_gax::{
    client_builder::internal::with_follow_redirects, error::Error as SdkError,
    retry_policy::NeverRetry,
};
use google_cloud_kms_v1::{
    client::KeyManagementService,
    model::{CryptoKeyVersion, Digest},
};
use tracing::{Dispatch, instrument::WithSubscriber as _};
use zeroize::{Zeroize as _, Zeroizing};

use crate::{
    checksum,
    credentials::Renewing,
    error::{Asked, from_builder, from_sdk, is_invalid_argument, is_unauthenticated, odd_answer},
    metadata::{Described, DescribedKey, Signing},
    resource::{Version, version_in, version_name},
};

/// For building a provider, and for those who go without a `Resilient`, whose timeouts are shorter.
const ATTEMPT_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(30);

/// The most versions of a key that are looked at, and how many are in one answer.
const MAX_VERSIONS: usize = 1000;
const PAGE: i32 = 100;
const MAX_PAGES: usize = 100;

/// What is signed.
#[derive(Clone, Debug)]
pub(crate) enum ToSign {
    Digest(Digest),
    Message(Bytes),
}

/// A public key, as KMS has it.
#[derive(Debug)]
pub(crate) struct Sent {
    pub(crate) pem: String,
    pub(crate) signing: Option<Signing>,
}

#[derive(Clone)]
pub(crate) struct Kms {
    client: KeyManagementService,
    credentials: Renewing,
}

impl Kms {
    pub(crate) async fn new(
        endpoint: Option<&str>,
        universe: Option<&str>,
        credentials: Renewing,
    ) -> Result<Self> {
        // Retries are for the wrapper, which counts them: here they would multiply. Redirects would take a
        // data key to wherever they lead.
        let builder = KeyManagementService::builder()
            .with_credentials(Credentials::from(credentials.clone()))
            .with_retry_policy(NeverRetry)
            .with_attempt_timeout(ATTEMPT_TIMEOUT);
        let builder = with_follow_redirects(builder, false);
        let builder = match endpoint {
            Some(endpoint) => builder.with_endpoint(endpoint),
            None => builder,
        };
        let builder = match universe {
            Some(universe) => builder.with_universe_domain(universe),
            None => builder,
        };
        let client = builder.build().await.map_err(|error| from_builder(&error))?;
        Ok(Self { client, credentials })
    }

    /// GetCryptoKey.
    pub(crate) async fn key(&self, key: &str) -> Result<DescribedKey> {
        let asked = Asked { permission: "cloudkms.cryptoKeys.get", resource: key };
        let call = || self.client.get_crypto_key().set_name(key).send();
        let answer = self.ask(asked, call).await?;
        let described = DescribedKey::new(key, &answer)?;
        described.ok_or_else(|| odd_answer(asked, "is not about that key"))
    }

    /// GetCryptoKeyVersion.
    pub(crate) async fn version(&self, key: &str, version: Version) -> Result<Described> {
        let name = version_name(key, version);
        let asked = Asked { permission: "cloudkms.cryptoKeyVersions.get", resource: &name };
        let call = || self.client.get_crypto_key_version().set_name(&name).send();
        let described = Described::new(key, &self.ask(asked, call).await?);
        described
            .filter(|described| described.number == version)
            .ok_or_else(|| odd_answer(asked, "is not about that version"))
    }

    /// ListCryptoKeyVersions: all of them, but for those that were destroyed, the oldest first.
    pub(crate) async fn versions(&self, key: &str) -> Result<Vec<Described>> {
        let asked = Asked { permission: "cloudkms.cryptoKeyVersions.list", resource: key };
        let mut found: Vec<CryptoKeyVersion> = Vec::new();
        let mut token = String::new();
        for _ in 0..MAX_PAGES {
            let call = || {
                let call = self.client.list_crypto_key_versions().set_parent(key);
                call.set_page_size(PAGE).set_page_token(&token).send()
            };
            let mut answer = self.ask(asked, call).await?;
            found.append(&mut answer.crypto_key_versions);
            if found.len() > MAX_VERSIONS {
                let message = format!("key {key} has more than {MAX_VERSIONS} versions");
                return Err(Error::new(bulla::ErrorKind::Unsupported, message));
            }
            token = answer.next_page_token;
            if token.is_empty() {
                break;
            }
        }
        if !token.is_empty() {
            return Err(odd_answer(asked, "does not end"));
        }
        let described = found.iter().map(|version| Described::new(key, version));
        let described: Option<Vec<_>> = described.collect();
        let mut described = described.ok_or_else(|| odd_answer(asked, "is not about that key"))?;
        described.retain(|version| version.state() != bulla::key::KeyState::Destroyed);
        described.sort_by_key(|version| version.number);
        described.dedup_by_key(|version| version.number);
        Ok(described)
    }

    /// Encrypt, by the primary version or the one that is pinned: the ciphertext, and the version.
    pub(crate) async fn encrypt(
        &self,
        key: &str,
        pinned: Option<Version>,
        plaintext: &[u8],
        aad: Vec<u8>,
    ) -> Result<(Version, Vec<u8>)> {
        let named = pinned.map(|version| version_name(key, version));
        let name = named.as_deref().unwrap_or(key);
        let asked = Asked { permission: "cloudkms.cryptoKeyVersions.useToEncrypt", resource: name };
        let (plain_crc, aad_crc) = (checksum::of(plaintext), checksum::of(&aad));
        // Wiped when the SDK lets go of it. What it makes of it is out of reach.
        let plaintext = Bytes::from_owner(Zeroizing::new(plaintext.to_vec()));
        let aad = Bytes::from(aad);
        let call = || {
            let call = self.client.encrypt().set_name(name);
            let call = call.set_plaintext(plaintext.clone()).set_plaintext_crc32c(plain_crc);
            let call = call.set_additional_authenticated_data(aad.clone());
            call.set_additional_authenticated_data_crc32c(aad_crc).send()
        };
        let answer = self.ask(asked, call).await?;
        if !(answer.verified_plaintext_crc32c
            && answer.verified_additional_authenticated_data_crc32c
            && checksum::fits(&answer.ciphertext, answer.ciphertext_crc32c))
        {
            return Err(odd_answer(asked, "or the request was damaged on its way"));
        }
        let version = version_in(key, &answer.name)
            .filter(|version| pinned.is_none_or(|pinned| pinned == *version))
            .ok_or_else(|| odd_answer(asked, "is not about that key"))?;
        match answer.ciphertext.is_empty() {
            true => Err(odd_answer(asked, "has no ciphertext in it")),
            false => Ok((version, answer.ciphertext.into())),
        }
    }

    /// Decrypt: the plaintext, and whether the primary version did it.
    ///
    /// KMS answers alike to what is forged and to what was damaged on its way to it, and one of the two is no
    /// forgery. So what it refuses is sent once more, and not authentic if it refuses it again.
    pub(crate) async fn decrypt(
        &self,
        key: &str,
        ciphertext: &[u8],
        aad: Vec<u8>,
    ) -> Result<(Zeroizing<Vec<u8>>, bool)> {
        let permission = "cloudkms.cryptoKeyVersions.useToDecrypt";
        let asked = Asked { permission, resource: key };
        let (cipher_crc, aad_crc) = (checksum::of(ciphertext), checksum::of(&aad));
        let (ciphertext, aad) = (Bytes::copy_from_slice(ciphertext), Bytes::from(aad));
        let call = || {
            let call = self.client.decrypt().set_name(key);
            let call = call.set_ciphertext(ciphertext.clone()).set_ciphertext_crc32c(cipher_crc);
            let call = call.set_additional_authenticated_data(aad.clone());
            call.set_additional_authenticated_data_crc32c(aad_crc).send()
        };
        let sent = match self.send(&call).await {
            Err(error) if is_invalid_argument(&error) => self.send(&call).await,
            sent => sent,
        };
        let answer = sent.map_err(|error| match is_invalid_argument(&error) {
            true => Error::not_authentic(),
            false => from_sdk(&error, asked),
        })?;
        let crc = answer.plaintext_crc32c;
        let plaintext = secret(answer.plaintext);
        match checksum::fits(&plaintext, crc) {
            true => Ok((plaintext, answer.used_primary)),
            false => Err(odd_answer(asked, "was damaged on its way")),
        }
    }

    /// AsymmetricSign. ECDSA signatures come as DER.
    pub(crate) async fn sign(&self, key: &str, version: Version, input: ToSign) -> Result<Vec<u8>> {
        let name = version_name(key, version);
        let asked = Asked { permission: "cloudkms.cryptoKeyVersions.useToSign", resource: &name };
        let call = || {
            let call = self.client.asymmetric_sign().set_name(&name);
            match input.clone() {
                ToSign::Message(message) => {
                    let crc = checksum::of(&message);
                    call.set_data(message).set_data_crc32c(crc).send()
                }
                ToSign::Digest(digest) => {
                    let crc = checksum::of(digest_bytes(&digest));
                    call.set_digest(digest).set_digest_crc32c(crc).send()
                }
            }
        };
        let answer = self.ask(asked, call).await?;
        let verified = match input {
            ToSign::Message(_) => answer.verified_data_crc32c,
            ToSign::Digest(_) => answer.verified_digest_crc32c,
        };
        if answer.name != name {
            return Err(odd_answer(asked, "is not about that version"));
        }
        match verified && checksum::fits(&answer.signature, answer.signature_crc32c) {
            true => Ok(answer.signature.into()),
            false => Err(odd_answer(asked, "or the request was damaged on its way")),
        }
    }

    /// GetPublicKey.
    pub(crate) async fn public_key(&self, key: &str, version: Version) -> Result<Sent> {
        let name = version_name(key, version);
        let permission = "cloudkms.cryptoKeyVersions.viewPublicKey";
        let asked = Asked { permission, resource: &name };
        let call = || self.client.get_public_key().set_name(&name).send();
        let answer = self.ask(asked, call).await?;
        if answer.name != name {
            return Err(odd_answer(asked, "is not about that version"));
        }
        match checksum::fits(answer.pem.as_bytes(), answer.pem_crc32c) {
            true => Ok(Sent { pem: answer.pem, signing: Signing::of(&answer.algorithm) }),
            false => Err(odd_answer(asked, "was damaged on its way")),
        }
    }

    async fn ask<T, F>(&self, asked: Asked<'_>, call: impl Fn() -> F + Sync) -> Result<T>
    where
        F: Future<Output = Result<T, SdkError>> + Send,
    {
        self.send(&call).await.map_err(|error| from_sdk(&error, asked))
    }

    /// One request, or two if the token is not accepted and another one can be had.
    ///
    /// Where `GOOGLE_CLOUD_RUST_LOGGING` is set, the SDK logs requests and answers as they are, data keys
    /// included. So nobody listens while it makes a call.
    async fn send<T, F>(&self, call: &(impl Fn() -> F + Sync)) -> Result<T, SdkError>
    where
        F: Future<Output = Result<T, SdkError>> + Send,
    {
        let unheard = || call().with_subscriber(Dispatch::none());
        match unheard().await {
            Err(error) if is_unauthenticated(&error) && self.credentials.renew() => unheard().await,
            answer => answer,
        }
    }
}

fn digest_bytes(digest: &Digest) -> &[u8] {
    match &digest.digest {
        Some(google_cloud_kms_v1::model::digest::Digest::Sha256(bytes))
        | Some(google_cloud_kms_v1::model::digest::Digest::Sha384(bytes))
        | Some(google_cloud_kms_v1::model::digest::Digest::Sha512(bytes)) => bytes,
        _ => &[],
    }
}

/// Copies the secret out of the SDK's hands, and wipes what it had if nobody else has it.
fn secret(bytes: Bytes) -> Zeroizing<Vec<u8>> {
    let own = Zeroizing::new(bytes.to_vec());
    if let Ok(mut theirs) = bytes.try_into_mut() {
        theirs.as_mut().zeroize();
    }
    own
}
