//! Tokens for one vault: one fetch for all who want one, and for nothing else.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use azure_core::{
    credentials::{AccessToken, TokenCredential, TokenRequestOptions},
    error::{Error as SdkError, ErrorKind as SdkKind},
    time::OffsetDateTime,
};
use bulla::{
    Error, ErrorKind, Result,
    flight::{Flight, SingleFlight, Start},
};

use crate::{
    credential::Source,
    error::{self, Foreign, Told},
};

/// A token that was had so recently is handed out again, whoever asks: callers whose requests were refused
/// at the same time ask one after the other.
const YOUNG: Duration = Duration::from_secs(10);

/// So long, credentials that were refused are not tried again.
const REFUSED: Duration = Duration::from_secs(10);

/// The credential that the SDK asks.
///
/// The SDK takes what a token is for from the challenge of whoever answers. It is held against what the
/// vault's host says: no token for something else is ever asked for.
///
/// The SDK asks when its own token is about to expire, and when a request was refused (401). Credentials of
/// `azure_identity` would then answer from a cache what was just refused, so each fetch begins with new ones.
#[derive(Clone)]
pub(crate) struct Tokens(Arc<Inner>);

struct Inner {
    scope: String,
    source: Source,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    held: Option<(AccessToken, Instant)>,
    refused: Option<(Error, Instant)>,
    flight: SingleFlight<AccessToken>,
}

impl Tokens {
    pub(crate) fn new(scope: String, source: Source) -> Self {
        Self(Arc::new(Inner { scope, source, state: Mutex::default() }))
    }

    async fn token(&self) -> Result<AccessToken> {
        let start = Start::prepare()?;
        let flight = {
            let mut state = self.0.state();
            if let Some(answer) = state.recent() {
                return answer;
            }
            match state.flight.join() {
                Some(flight) => flight,
                None => {
                    let flight = state.flight.begin(&start);
                    drop(state);
                    self.start(start);
                    flight
                }
            }
        };
        flight.landed().await
    }

    fn start(&self, start: Start<AccessToken>) {
        let (fetching, keeping) = (Arc::clone(&self.0), Arc::clone(&self.0));
        start.start(async move { fetching.fetch().await }, move |flight, fetched| {
            keeping.land(flight, fetched)
        });
    }
}

impl Inner {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn fetch(&self) -> Result<AccessToken> {
        let credential = self.source.credential().await?;
        let fetched = credential.get_token(&[&self.scope], None).await;
        fetched.map_err(|error| error::of_credentials(&error))
    }

    fn land(&self, flight: &Flight<AccessToken>, fetched: &Result<AccessToken>) {
        let mut state = self.state();
        if !state.flight.end(flight) {
            return;
        }
        let now = Instant::now();
        match fetched {
            Ok(token) => {
                state.held = Some((token.clone(), now));
                state.refused = None;
            }
            Err(error) if error.kind() == ErrorKind::Denied => {
                state.refused = Some((error.clone(), now));
            }
            Err(_) => {}
        }
    }
}

impl State {
    /// What was had, or refused, so recently that nobody is asked again.
    fn recent(&self) -> Option<Result<AccessToken>> {
        if let Some((error, _)) = self.refused.as_ref().filter(|(_, at)| at.elapsed() < REFUSED) {
            return Some(Err(error.clone()));
        }
        let is_young = |(token, at): &&(AccessToken, Instant)| {
            at.elapsed() < YOUNG && token.expires_on > OffsetDateTime::now_utc()
        };
        self.held.as_ref().filter(is_young).map(|(token, _)| Ok(token.clone()))
    }
}

#[async_trait]
impl TokenCredential for Tokens {
    async fn get_token(
        &self,
        scopes: &[&str],
        _: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        if scopes != [&*self.0.scope] {
            return Err(SdkError::new(SdkKind::Credential, Foreign));
        }
        self.token().await.map_err(|error| SdkError::new(SdkKind::Credential, Told(error)))
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens").field("scope", &self.0.scope).finish_non_exhaustive()
    }
}
