//! The calls. The only file that has the SDK make one.

use std::{collections::BTreeSet, fmt, sync::Arc};

use arc_swap::ArcSwap;
use azure_core::{
    credentials::TokenCredential,
    http::{ClientOptions, RetryOptions, Transport as SdkTransport},
};
use azure_security_keyvault_keys::{
    KeyClient, KeyClientOptions,
    models::{Key, KeyClientGetKeyOptions, KeyClientSignOptions, KeyClientWrapKeyOptions},
};
use bulla::{Error, ErrorKind, KeyVersion, Result};
use bytes::Bytes;
use futures_util::TryStreamExt as _;
use zeroize::Zeroizing;

use crate::{
    answer::Answer,
    body,
    bound::Bound,
    cloud::Cloud,
    error::{Asked, Refusal, from_sdk, odd},
    id::KeyId,
    metadata::{Described, Validity, Wrapping},
    tokens::Tokens,
    transport::Network,
};

/// The most versions of a key that are looked at.
const MAX_VERSIONS: usize = 1000;

/// The keys of one vault.
#[derive(Debug)]
pub(crate) struct KeyVault {
    sdk: ArcSwap<Sdk>,
    new: New,
}

/// What takes to begin anew.
#[derive(Debug)]
struct New {
    endpoint: String,
    tokens: Arc<Tokens>,
    network: Network,
    host: String,
}

struct Sdk(KeyClient);

impl KeyVault {
    pub(crate) fn new(cloud: &Cloud, tokens: Tokens, network: &Network) -> Result<Self> {
        let (endpoint, host) = (format!("https://{}", cloud.host), cloud.host.clone());
        let new = New { endpoint, tokens: Arc::new(tokens), network: network.clone(), host };
        Ok(Self { sdk: ArcSwap::from_pointee(new.sdk()?), new })
    }

    /// Get Key: one version, or the latest. If there is none, it is looked for among the deleted.
    pub(crate) async fn describe(
        &self,
        id: &KeyId,
        version: Option<&KeyVersion>,
    ) -> Result<Described> {
        match self.look_at(id, version).await {
            Ok(described) => Ok(described),
            Err(Refusal { error, status: Some(404), .. }) => Err(self.deleted(id, error).await),
            Err(refusal) => Err(refusal.error),
        }
    }

    /// Wrap Key, by the version that is pinned or the latest, and which that was.
    pub(crate) async fn wrap(
        &self,
        bound: &Bound,
        wrapping: Wrapping,
        key: &[u8],
    ) -> Result<(KeyVersion, Vec<u8>)> {
        let asked = asked("wrapKey", bound);
        let body = body::operation(wrapping.alg(), key)?;
        let version = bound.id.pinned.as_ref();
        let options = KeyClientWrapKeyOptions {
            key_version: version.map(|version| version.as_str().to_owned()),
            ..KeyClientWrapKeyOptions::default()
        };
        let sdk = self.sdk.load_full();
        let sent = sdk.0.wrap_key(&bound.id.key, body.into(), Some(options)).await;
        let answer = match self.settle(sent, asked) {
            Ok(body) => read(body, asked)?,
            Err(refusal) => return Err(self.why(bound, version, asked.operation, refusal).await),
        };
        let by = made_by(bound, &answer, version, asked)?;
        let mut value = answer.value;
        Ok((by, std::mem::take(&mut *value)))
    }

    /// Unwrap Key, by exactly that version.
    ///
    /// # Errors
    /// [`ErrorKind::NotAuthentic`] if the service refuses the value (400) and there is nothing about the
    /// version that would explain it: it calls what does not unwrap a wrong parameter.
    pub(crate) async fn unwrap(
        &self,
        bound: &Bound,
        version: &KeyVersion,
        wrapping: Wrapping,
        blob: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>> {
        let asked = asked("unwrapKey", bound);
        let body = body::operation(wrapping.alg(), blob)?;
        let sdk = self.sdk.load_full();
        let sent = sdk.0.unwrap_key(&bound.id.key, version.as_str(), body.into(), None).await;
        let answer = match self.settle(sent, asked) {
            Ok(body) => read(body, asked)?,
            Err(refusal) => {
                return Err(self.why(bound, Some(version), asked.operation, refusal).await);
            }
        };
        made_by(bound, &answer, Some(version), asked)?;
        Ok(answer.value)
    }

    /// Sign: of a digest, by exactly that version.
    pub(crate) async fn sign(
        &self,
        bound: &Bound,
        version: &KeyVersion,
        alg: &str,
        digest: &[u8],
    ) -> Result<Vec<u8>> {
        let asked = asked("sign", bound);
        let body = body::operation(alg, digest)?;
        let options = KeyClientSignOptions {
            key_version: Some(version.as_str().to_owned()),
            ..KeyClientSignOptions::default()
        };
        let sdk = self.sdk.load_full();
        let sent = sdk.0.sign(&bound.id.key, body.into(), Some(options)).await;
        let answer = match self.settle(sent, asked) {
            Ok(body) => read(body, asked)?,
            Err(refusal) => {
                return Err(self.why(bound, Some(version), asked.operation, refusal).await);
            }
        };
        made_by(bound, &answer, Some(version), asked)?;
        let mut value = answer.value;
        Ok(std::mem::take(&mut *value))
    }

    /// Get Key Versions: all of them, in no order, and whether each may be used.
    pub(crate) async fn versions(&self, bound: &Bound) -> Result<Vec<(KeyVersion, Validity)>> {
        let asked = Asked { operation: "list", key: bound.name.id() };
        let sdk = self.sdk.load_full();
        let pager = sdk.0.list_key_properties_versions(&bound.id.key, None);
        let mut pages = pager.map_err(|e| self.refused(&e, asked).error)?.into_pages();
        let mut found = Vec::new();
        let mut seen = BTreeSet::new();
        // Each page names the next, where the transport lets nothing lead to another host.
        while let Some(page) = pages.try_next().await.map_err(|e| self.refused(&e, asked).error)? {
            let page = page.into_model().map_err(|_| odd(asked, "is no list of versions"))?;
            let before = found.len();
            for item in page.value {
                let version = item.kid.as_deref().and_then(|kid| bound.id.version_of(kid));
                let version = version.ok_or_else(|| odd(asked, "is about another key"))?;
                if seen.insert(version.as_str().to_owned()) {
                    found.push((version, Validity::of(item.attributes.as_ref())));
                }
            }
            if found.len() > MAX_VERSIONS || (page.next_link.is_some() && found.len() == before) {
                return Err(odd(asked, "has no end, or more than 1,000 versions"));
            }
        }
        Ok(found)
    }

    async fn look_at(
        &self,
        id: &KeyId,
        version: Option<&KeyVersion>,
    ) -> Result<Described, Refusal> {
        let name = format!("{}/{}", id.host, id.key);
        let asked = Asked { operation: "get", key: &name };
        let options = KeyClientGetKeyOptions {
            key_version: version.map(|version| version.as_str().to_owned()),
            ..KeyClientGetKeyOptions::default()
        };
        let sdk = self.sdk.load_full();
        let sent = sdk.0.get_key(&id.key, Some(options)).await;
        let answer = sent.map_err(|error| self.refused(&error, asked))?;
        let odd = |how| Refusal { error: odd(asked, how), status: None, begin_anew: false };
        let key: Key = answer.into_model().map_err(|_| odd("can't be read"))?;
        let described = Described::new(id, key).ok_or_else(|| odd("is not about that key"))?;
        match version.is_none_or(|version| described.version == *version) {
            true => Ok(described),
            false => Err(odd("is about another version")),
        }
    }

    /// Whether a key that is not there was deleted and can be recovered. Who may not ask is told what
    /// was known.
    async fn deleted(&self, id: &KeyId, not_found: Error) -> Error {
        let sdk = self.sdk.load_full();
        match sdk.0.get_deleted_key(&id.key, None).await {
            Ok(_) => {
                let message = format!(
                    "key {}/{} is deleted; to keep it, recover it (az keyvault key recover)",
                    id.host, id.key
                );
                not_found.told_as(ErrorKind::PendingDeletion, message)
            }
            Err(_) => not_found,
        }
    }

    /// Why an operation was refused: the service says it in few words, and a look at the key in more.
    async fn why(
        &self,
        bound: &Bound,
        version: Option<&KeyVersion>,
        operation: &str,
        refusal: Refusal,
    ) -> Error {
        let Refusal { error, status, .. } = refusal;
        let Some(status @ (400 | 403 | 404)) = status else { return error };
        let described = match self.look_at(&bound.id, version).await {
            Ok(described) => described,
            Err(Refusal { status: Some(404), error: not_found, .. }) => {
                return self.deleted(&bound.id, not_found).await;
            }
            // What is the matter nobody can tell now.
            Err(Refusal { error: later, .. }) if later.is_retryable() => return later,
            Err(_) => return error,
        };
        let (name, is_unwrap) = (bound.name.id(), operation == "unwrapKey");
        if let Err(state) = described.check_usable(name, is_unwrap) {
            return error.told_as(state.kind(), state.message().to_owned());
        }
        if !described.may(operation) {
            let message =
                format!("key {name} is not for {operation}, by the operations it is limited to");
            return error.told_as(ErrorKind::Unsupported, message);
        }
        match status {
            400 if is_unwrap => Error::not_authentic().with_source(error),
            400 if bound.wrapping() == Some(Wrapping::KeyWrap) => {
                let message = format!("{operation} on {name} is refused; is it a key of 256 bits?");
                error.told_as(ErrorKind::InvalidInput, message)
            }
            _ => error,
        }
    }

    fn settle<T>(
        &self,
        sent: azure_core::Result<azure_core::http::Response<T>>,
        asked: Asked<'_>,
    ) -> Result<Bytes, Refusal> {
        match sent {
            Ok(answer) => Ok(answer.into_body().into()),
            Err(error) => Err(self.refused(&error, asked)),
        }
    }

    fn refused(&self, error: &azure_core::Error, asked: Asked<'_>) -> Refusal {
        let refusal = from_sdk(error, asked);
        if refusal.begin_anew
            && let Ok(sdk) = self.new.sdk()
        {
            self.sdk.store(Arc::new(sdk));
        }
        refusal
    }
}

impl New {
    fn sdk(&self) -> Result<Sdk> {
        let client_options = ClientOptions {
            transport: Some(SdkTransport::new(Arc::new(self.network.to_vault(&self.host)))),
            // Retries are for the wrapper, which counts them: here they would multiply.
            retry: RetryOptions::none(),
            ..ClientOptions::default()
        };
        let options = KeyClientOptions {
            client_options,
            verify_challenge_resource: Some(true),
            ..KeyClientOptions::default()
        };
        let tokens: Arc<dyn TokenCredential> = Arc::clone(&self.tokens) as _;
        KeyClient::new(&self.endpoint, tokens, Some(options)).map(Sdk).map_err(|_| {
            Error::new(ErrorKind::Internal, "the client of Key Vault could not be set up")
        })
    }
}

impl fmt::Debug for Sdk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyClient")
    }
}

fn asked<'a>(operation: &'static str, bound: &'a Bound) -> Asked<'a> {
    Asked { operation, key: bound.name.id() }
}

fn read(body: Bytes, asked: Asked<'_>) -> Result<Answer> {
    Answer::take(body).ok_or_else(|| odd(asked, "can't be read"))
}

/// The version that an answer says it was made by: of this key, and the one that was asked for.
fn made_by(
    bound: &Bound,
    answer: &Answer,
    version: Option<&KeyVersion>,
    asked: Asked<'_>,
) -> Result<KeyVersion> {
    let by = bound.id.version_of(&answer.kid).filter(|by| version.is_none_or(|own| own == by));
    by.ok_or_else(|| odd(asked, "is about another key or version"))
}
