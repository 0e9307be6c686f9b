//! The five methods of the Workload API.

use std::{
    convert::Infallible,
    future::{Future, ready},
    pin::Pin,
    sync::Arc,
    time::{Duration, SystemTime},
};

use bulla::{Error, ErrorKind};
use futures_util::{Stream, StreamExt as _, stream};
use http::{Request as HttpRequest, Response as HttpResponse};
use http_body::Body as HttpBody;
use prost::{Message, bytes::Bytes};
use prost_types::{ListValue, Struct, Value, value::Kind};
use serde_json::{Map, Value as Json};
use spiffe::SpiffeId;
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};
use tonic::{Code, Request, Response, Status, body::Body, server::Grpc};
use tonic_prost::ProstCodec;
use tower::service_fn;

use super::{
    Entry, Peer, serve,
    state::{Served, State},
    wire,
};
use crate::{Bundle, JwtSvidIssuer, JwtSvidVerifier};

/// Bytes in the longest request: a token of 16 KiB, an audience, and as much again.
const MAX_REQUEST_LEN: usize = 64 * 1024;

/// Until when a request must have come and been answered, or its stream begun.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// How often a stream is looked at again: whether whoever has it still fits an entry, and what bundles there are.
const LOOK_AGAIN: Duration = Duration::from_secs(30);

/// Audiences in a request, and bytes in one.
const MAX_AUDIENCES: usize = 16;
const MAX_AUDIENCE_LEN: usize = 2048;

/// After what could not be made, how long until it is tried again: this, doubled up to the other.
const MIN_BACKOFF: Duration = Duration::from_secs(1);
const MAX_BACKOFF: Duration = Duration::from_secs(30);

/// The members of a token that are read here are not nested deeper than what `jwt` reads.
const MAX_DEPTH: usize = 32;

/// One connection's part of the service. Clones are of the same.
#[derive(Clone)]
pub(super) struct Service {
    state: Arc<State>,
    peer: Peer,
    stopping: watch::Receiver<bool>,
}

type Streamed<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

impl Service {
    pub(super) fn new(state: Arc<State>, peer: Peer, stopping: watch::Receiver<bool>) -> Self {
        Self { state, peer, stopping }
    }

    /// Answers a call, whatever it is.
    pub(super) async fn answer<B>(
        self,
        request: HttpRequest<B>,
    ) -> Result<HttpResponse<Body>, Infallible>
    where
        B: HttpBody + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>> + Send,
    {
        // What keeps a browser, or a server that is made to fetch things, from asking (SPIFFE Workload Endpoint,
        // section 6.2.2).
        let mut marks = request.headers().get_all("workload.spiffe.io").iter();
        if marks.next().is_none_or(|mark| mark.as_bytes() != b"true") || marks.next().is_some() {
            let status = Status::invalid_argument("security header missing from request");
            return Ok(status.into_http());
        }
        let answered = timeout(ANSWER_WITHIN, self.route(request)).await;
        Ok(answered.unwrap_or_else(|_| Status::deadline_exceeded("that took too long").into_http()))
    }

    async fn route<B>(self, request: HttpRequest<B>) -> HttpResponse<Body>
    where
        B: HttpBody + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>> + Send,
    {
        match request.uri().path() {
            "/SpiffeWorkloadAPI/FetchX509SVID" => {
                let call = |_: Request<wire::Nothing>| self.clone().watched(Self::x509_svids);
                grpc().server_streaming(service_fn(call), request).await
            }
            "/SpiffeWorkloadAPI/FetchX509Bundles" => {
                let call = |_: Request<wire::Nothing>| self.clone().watched(Self::x509_bundles);
                grpc().server_streaming(service_fn(call), request).await
            }
            "/SpiffeWorkloadAPI/FetchJWTBundles" => {
                let call = |_: Request<wire::Nothing>| self.clone().watched(Self::jwt_bundles);
                grpc().server_streaming(service_fn(call), request).await
            }
            "/SpiffeWorkloadAPI/FetchJWTSVID" => {
                let call = |request: Request<wire::JwtSvidRequest>| {
                    let this = self.clone();
                    async move { this.jwt_svids(request.into_inner()).await.map(Response::new) }
                };
                grpc().unary(service_fn(call), request).await
            }
            "/SpiffeWorkloadAPI/ValidateJWTSVID" => {
                let call = |request: Request<wire::ValidateJwtSvidRequest>| {
                    let this = self.clone();
                    async move { this.validate(request.into_inner()).await.map(Response::new) }
                };
                grpc().unary(service_fn(call), request).await
            }
            _ => Status::unimplemented("the Workload API has no such method").into_http(),
        }
    }

    async fn x509_svids(
        self,
        served: Served,
    ) -> Result<(wire::X509SvidResponse, SystemTime), Status> {
        let entries = self.entries(&served).await?;
        let mut again = self.later();
        let mut svids = Vec::with_capacity(entries.len());
        for entry in &entries {
            let kept = self.state.x509_svid(&served, entry).await.map_err(told)?;
            again = again.min(kept.again);
            svids.push(wire::X509Svid {
                spiffe_id: entry.id.to_string(),
                x509_svid: kept.value.chain.clone(),
                x509_svid_key: kept.value.key.clone(),
                bundle: served.x509_bundle(),
                hint: entry.hint.clone(),
            });
        }
        let federated_bundles = self.state.federated(&served, &entries, roots).await;
        Ok((wire::X509SvidResponse { svids, crl: Vec::new(), federated_bundles }, again))
    }

    async fn x509_bundles(
        self,
        served: Served,
    ) -> Result<(wire::X509BundlesResponse, SystemTime), Status> {
        let entries = self.entries(&served).await?;
        let mut bundles = self.state.federated(&served, &entries, roots).await;
        bundles.insert(served.authority.trust_domain().id_string(), served.x509_bundle());
        Ok((wire::X509BundlesResponse { crl: Vec::new(), bundles }, self.later()))
    }

    async fn jwt_bundles(
        self,
        served: Served,
    ) -> Result<(wire::JwtBundlesResponse, SystemTime), Status> {
        let entries = self.entries(&served).await?;
        let issuer = self.jwt()?;
        let keys = issuer.keys().keys(None).await.map_err(told)?;
        let own = Bundle::new(issuer.trust_domain().clone()).with_jwt_authorities(&keys);
        let own = own.and_then(|bundle| bundle.to_jwks()).map_err(told)?;
        let set = |bundle: &Bundle| bundle.to_jwks().ok().map(Bytes::from);
        let mut bundles = self.state.federated(&served, &entries, set).await;
        bundles.insert(issuer.trust_domain().id_string(), own.into());
        Ok((wire::JwtBundlesResponse { bundles }, self.later()))
    }

    async fn jwt_svids(
        self,
        request: wire::JwtSvidRequest,
    ) -> Result<wire::JwtSvidResponse, Status> {
        let issuer = self.jwt()?;
        check_audience(&request.audience)?;
        let served = self.state.served.borrow().clone();
        let mut entries = self.entries(&served).await?;
        if !request.spiffe_id.is_empty() {
            let wanted = SpiffeId::new(&request.spiffe_id).map_err(|_| {
                Status::invalid_argument("the SPIFFE ID that was asked for is none")
            })?;
            entries.retain(|entry| entry.id == wanted);
            if entries.is_empty() {
                return Err(no_identity());
            }
        }
        let mut svids = Vec::with_capacity(entries.len());
        for entry in &entries {
            let kept =
                self.state.jwt_svid(&issuer, entry, &request.audience).await.map_err(told)?;
            svids.push(wire::JwtSvid {
                spiffe_id: entry.id.to_string(),
                svid: kept.value.token().to_owned(),
                hint: entry.hint.clone(),
            });
        }
        Ok(wire::JwtSvidResponse { svids })
    }

    async fn validate(
        self,
        request: wire::ValidateJwtSvidRequest,
    ) -> Result<wire::ValidateJwtSvidResponse, Status> {
        self.jwt()?;
        check_audience(std::slice::from_ref(&request.audience))?;
        let served = self.state.served.borrow().clone();
        self.entries(&served).await?;
        let verifier = JwtSvidVerifier::builder(self.state.bundles.clone());
        let verifier = verifier.audience(request.audience).build().map_err(told)?;
        let svid = verifier.verify(&request.svid).await.map_err(|error| match error.kind() {
            // What a token is refused for is no secret from whoever has it.
            ErrorKind::InvalidToken | ErrorKind::NotAuthentic => {
                Status::invalid_argument(format!("the token is not accepted: {}", error.message()))
            }
            _ => told(error),
        })?;
        let claims = match serde_json::to_value(svid.claims()) {
            Ok(Json::Object(claims)) => Some(structure(claims, MAX_DEPTH)?),
            _ => return Err(Status::internal("the token's claims can't be told")),
        };
        Ok(wire::ValidateJwtSvidResponse { spiffe_id: svid.id().to_string(), claims })
    }

    /// A stream of what `make` makes, each time that it is other than before. It ends when the server stops, and when
    /// whoever asks has no identity any longer.
    async fn watched<T, F>(
        self,
        make: impl Fn(Self, Served) -> F + Send + 'static,
    ) -> Result<Response<Streamed<T>>, Status>
    where
        T: Clone + PartialEq + Send + 'static,
        F: Future<Output = Result<(T, SystemTime), Status>> + Send + 'static,
    {
        let mut served = self.state.served.subscribe();
        let now = served.borrow_and_update().clone();
        // What goes wrong at first is the call's error.
        let (first, again) = make(self.clone(), now).await?;
        let backoff = MIN_BACKOFF;
        let watch = Watch { service: self, make, served, last: first.clone(), again, backoff };
        let rest = stream::unfold(Some(watch), async |watch| {
            let mut watch = watch?;
            match watch.next().await {
                Ok(next) => Some((Ok(next), Some(watch))),
                Err(status) => Some((Err(status), None)),
            }
        });
        Ok(Response::new(Box::pin(stream::once(ready(Ok(first))).chain(rest))))
    }

    async fn entries(&self, served: &Served) -> Result<Vec<Arc<Entry>>, Status> {
        let entries = self.state.entries_of(served, &self.peer).await;
        if entries.is_empty() { Err(no_identity()) } else { Ok(entries) }
    }

    /// When there is no reason for sooner.
    fn later(&self) -> SystemTime {
        (self.state.clock)() + LOOK_AGAIN
    }

    fn jwt(&self) -> Result<Arc<JwtSvidIssuer>, Status> {
        let jwt = self.state.jwt.as_ref().map(Arc::clone);
        jwt.ok_or_else(|| Status::unimplemented("this server has no JWT-SVIDs"))
    }
}

/// A stream on its way.
struct Watch<T, M> {
    service: Service,
    make: M,
    served: watch::Receiver<Served>,
    last: T,
    again: SystemTime,
    backoff: Duration,
}

impl<T, F, M> Watch<T, M>
where
    T: Clone + PartialEq + Send,
    F: Future<Output = Result<(T, SystemTime), Status>> + Send,
    M: Fn(Service, Served) -> F + Send,
{
    /// What is next: when what is served has changed, when it is time, or when it failed, after a while.
    async fn next(&mut self) -> Result<T, Status> {
        loop {
            let now = (self.service.state.clock)();
            let wait = self.again.duration_since(now).unwrap_or_default();
            tokio::select! {
                biased;
                () = serve::told(&mut self.service.stopping) => return Err(stopped()),
                changed = self.served.changed() => changed.map_err(|_| stopped())?,
                () = sleep(wait.clamp(MIN_BACKOFF, LOOK_AGAIN)) => {}
            }
            let served = self.served.borrow_and_update().clone();
            let made = timeout(ANSWER_WITHIN, (self.make)(self.service.clone(), served)).await;
            match made.unwrap_or_else(|_| Err(Status::unavailable("that took too long"))) {
                Ok((next, again)) => {
                    (self.again, self.backoff) = (again, MIN_BACKOFF);
                    if next != self.last {
                        self.last = next.clone();
                        return Ok(next);
                    }
                }
                // Workloads have what they were given last, until it expires.
                Err(status) if matches!(status.code(), Code::Unavailable | Code::Internal) => {
                    self.again = (self.service.state.clock)() + self.backoff;
                    self.backoff = (self.backoff * 2).min(MAX_BACKOFF);
                }
                Err(status) => return Err(status),
            }
        }
    }
}

fn roots(bundle: &Bundle) -> Option<Bytes> {
    let roots: Vec<u8> =
        bundle.x509_authorities().iter().flat_map(|root| root.iter().copied()).collect();
    (!roots.is_empty()).then(|| roots.into())
}

fn grpc<T, U>() -> Grpc<ProstCodec<U, T>>
where
    T: Message + Default + 'static,
    U: Message + 'static,
{
    Grpc::new(ProstCodec::default()).max_decoding_message_size(MAX_REQUEST_LEN)
}

fn check_audience(audience: &[String]) -> Result<(), Status> {
    if audience.is_empty() || audience.len() > MAX_AUDIENCES {
        return Err(Status::invalid_argument("there must be 1 to 16 audiences"));
    }
    if audience.iter().any(|one| one.is_empty() || one.len() > MAX_AUDIENCE_LEN) {
        return Err(Status::invalid_argument("an audience has 1 to 2,048 bytes"));
    }
    Ok(())
}

/// The words are SPIRE's, since clients look for them and wait longer before they ask again.
fn no_identity() -> Status {
    Status::permission_denied("no identity issued")
}

fn stopped() -> Status {
    Status::unavailable("the server is stopping")
}

/// What a workload is told of a failure: that there was one. What it was is in the log.
fn told(error: Error) -> Status {
    if matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::InvalidToken) {
        tracing::debug!(%error, "a request is not accepted");
        return Status::invalid_argument("the authority does not accept this request");
    }
    tracing::warn!(%error, "an SVID could not be given out");
    if error.is_retryable() {
        return Status::unavailable("the authority can't be reached now");
    }
    Status::internal("the authority can't do this now")
}

fn structure(object: Map<String, Json>, depth: usize) -> Result<Struct, Status> {
    let fields = object.into_iter().map(|(name, value)| Ok((name, member(value, depth)?)));
    Ok(Struct { fields: fields.collect::<Result<_, Status>>()? })
}

fn member(value: Json, depth: usize) -> Result<Value, Status> {
    let Some(depth) = depth.checked_sub(1) else {
        return Err(Status::invalid_argument("the token's claims are nested too deep"));
    };
    let kind = match value {
        Json::Null => Kind::NullValue(0),
        Json::Bool(it) => Kind::BoolValue(it),
        // As the standard's message has it: integers over 2^53 lose their last digits.
        Json::Number(it) => Kind::NumberValue(it.as_f64().unwrap_or(f64::MAX)),
        Json::String(it) => Kind::StringValue(it),
        Json::Array(values) => {
            let values = values.into_iter().map(|value| member(value, depth));
            Kind::ListValue(ListValue { values: values.collect::<Result<_, _>>()? })
        }
        Json::Object(object) => Kind::StructValue(structure(object, depth)?),
    };
    Ok(Value { kind: Some(kind) })
}
