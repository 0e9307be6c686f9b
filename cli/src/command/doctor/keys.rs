//! Keys, all asked at once.

use std::{collections::BTreeMap, sync::Arc};

use bulla::{
    Error, ErrorKind, KeyUri, Registry,
    key::KeyState,
    provider::{ContextBinding, KeyInfo},
};
use bulla_config::Key;
use bulla_local::{KeyRecord, Store};

use super::report::{ACCEPTED, Check, KeyFacts, REFUSED, Subject};
use crate::{
    Session,
    failure::{Failure, Outcome},
    passphrases::Passphrases,
    providers::{self, Provider},
};

/// A finding for each key, in their order. A key that is configured shall work; others may have
/// been disabled for good.
pub(super) fn check_all(
    keys: Vec<Key>,
    configured: bool,
    store: &Store,
    passphrases: &Passphrases,
    session: &Session,
) -> Vec<Check> {
    let given = keys.iter().filter_map(|key| match &key.uri {
        KeyUri::Local(local) => Some((local.name().to_owned(), passphrases.given().to_vec())),
        _ => None,
    });
    let given: BTreeMap<_, _> = given.collect();
    let doctor = Arc::new(Doctor {
        registry: providers::registry(store.clone(), given),
        store: store.clone(),
        configured,
        has_passphrases: !passphrases.given().is_empty(),
    });
    let asked: Vec<_> =
        keys.into_iter().map(|key| session.runtime.spawn(Arc::clone(&doctor).check(key))).collect();
    let fault = |_| Check::failed(Subject::Key, &Failure::other("this is a fault in bulla"));
    asked.into_iter().map(|one| session.runtime.block_on(one).unwrap_or_else(fault)).collect()
}

struct Doctor {
    registry: Registry,
    store: Store,
    configured: bool,
    has_passphrases: bool,
}

impl Doctor {
    async fn check(self: Arc<Self>, key: Key) -> Check {
        let mut facts = KeyFacts { uri: key.uri.to_string(), ..KeyFacts::default() };
        let check = match self.examine(&key, &mut facts).await {
            Ok(None) => Check::ok(Subject::Key, facts.to_text()),
            Ok(Some((message, advice))) => Check::warn(Subject::Key, message, advice),
            Err(failure) => Check::failed(Subject::Key, &failure),
        };
        check.of_key(key.name, facts)
    }

    /// Fills in what is known. `Some` is a warning: what is the matter, and what to do.
    async fn examine(
        self: &Arc<Self>,
        key: &Key,
        facts: &mut KeyFacts,
    ) -> Outcome<Option<(String, String)>> {
        providers::check_scheme(&key.uri)?;
        let Some(name) = providers::local_name(&key.uri).map(str::to_owned) else {
            let provider = providers::connect(&self.registry, key).await?;
            describe(&provider, facts).await?;
            return Ok(None);
        };
        let record = self.record(name.clone()).await?;
        facts.key_type = Some(record.key_type.to_string());
        facts.state = Some(record.state().as_str());
        facts.version = Some(record.current.to_string());
        if let Some(found) = self.not_active(record.state(), &name, facts)? {
            return Ok(Some(found));
        }
        let protected = record.version(record.current).is_some_and(|version| version.protected);
        if protected && !self.has_passphrases {
            let message = format!("{}, under a passphrase, so it was not tried", facts.to_text());
            return Ok(Some((message, "give --passphrase-file to try it".to_owned())));
        }
        let provider = providers::connect(&self.registry, key).await?;
        describe(&provider, facts).await?;
        Ok(None)
    }

    async fn record(self: &Arc<Self>, name: String) -> Outcome<KeyRecord> {
        let this = Arc::clone(self);
        let read = tokio::task::spawn_blocking(move || providers::existing(&this.store, &name));
        read.await.unwrap_or_else(|_| Err(Failure::other("this is a fault in bulla")))
    }

    /// What is to be said of a key that does not do all that keys do.
    fn not_active(
        &self,
        state: KeyState,
        name: &str,
        facts: &KeyFacts,
    ) -> Outcome<Option<(String, String)>> {
        let (kind, what, advice) = match state {
            KeyState::Active => return Ok(None),
            KeyState::Deprecated => {
                let advice = format!("`bulla keys rotate {name}` adds a version that seals");
                return Ok(Some((
                    format!("{}: it opens, and seals no more", facts.to_text()),
                    advice,
                )));
            }
            KeyState::Destroyed => (
                ErrorKind::Destroyed,
                "what is sealed to it never opens again",
                format!("`bulla keys rotate {name}` adds a version that seals"),
            ),
            _ => (
                ErrorKind::Disabled,
                "it neither seals nor opens",
                format!("`bulla keys enable {name}` lets it do both again"),
            ),
        };
        if !self.configured {
            return Ok(Some((format!("{}: {what}", facts.to_text()), advice)));
        }
        Err(Failure::from(Error::new(kind, format!("{}: {what}", facts.to_text()))).hint(advice))
    }
}

/// Asks a provider whether it can serve, and what it says of its key.
async fn describe(provider: &Provider, facts: &mut KeyFacts) -> bulla::Result<()> {
    let health = provider.health().await?;
    facts.latency_ms = Some((health.latency.as_secs_f64() * 1e6).round() / 1e3);
    let capabilities = provider.capabilities();
    facts.seals = match capabilities.data_keys {
        ContextBinding::Bound => Some("bound"),
        ContextBinding::LocalOnly => Some("local-only"),
        ContextBinding::Refused => None,
    };
    let policy = provider.sealing_key().and_then(|name| provider.opens(name));
    facts.public_key_wraps = policy
        .filter(|policy| !policy.authenticates)
        .map(|policy| if policy.accept_public_key_wraps { ACCEPTED } else { REFUSED });
    if capabilities.direct != ContextBinding::Refused {
        facts.direct_limit = Some(capabilities.max_direct_len);
    }
    facts.signing = capabilities.signing.iter().map(|algorithm| algorithm.as_str()).collect();
    // What the provider says now, where it says anything.
    for (_, info) in provider.describe_keys().await.into_iter().take(1) {
        let KeyInfo { state, version, kind, .. } = info?;
        facts.key_type = facts.key_type.take().or(Some(kind));
        facts.state = Some(state.as_str());
        facts.version = version.map(|version| version.as_str().to_owned()).or(facts.version.take());
    }
    Ok(())
}
