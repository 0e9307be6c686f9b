//! `bulla serve`.

#[cfg(not(feature = "serve"))]
use crate::failure::Failure;
use crate::{args::Serve, failure::Outcome};

/// Without the feature. With it, the server runs where signals are waited for, and this is not called.
pub(crate) fn run(_: &Serve) -> Outcome<()> {
    #[cfg(not(feature = "serve"))]
    return Err(Failure::usage(
        "this build of bulla serves nothing; build it with `--features serve`",
    ));
    #[cfg(feature = "serve")]
    Ok(())
}

#[cfg(feature = "serve")]
pub(crate) use with_server::{prepare, until};

#[cfg(feature = "serve")]
mod with_server {
    use std::{
        future::Future,
        io,
        net::SocketAddr,
        path::{Path, PathBuf},
        sync::Arc,
        time::Duration,
    };

    use axum::{
        Router,
        extract::{Request, State},
        http::{StatusCode, header},
        middleware::{self, Next},
        response::{IntoResponse, Response},
        routing::get,
    };
    use axum_server::{Handle, tls_rustls::RustlsConfig};
    use bulla::jwt::KeySource;
    use bulla_oidc::serve::Publisher;
    use bulla_tokens::ring::{KeyRing, MakeKey, Phase, RingKeys};
    use hyper_util::{
        rt::{TokioExecutor, TokioTimer},
        server::conn::auto::Builder,
    };
    use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

    use crate::{
        Session,
        args::Serve,
        failure::{Failure, Outcome},
        providers::{OpensNothing, maker, ring_at},
        say, shown,
    };

    /// How long requests that are under way have when it is to end.
    const LAST_REQUESTS: Duration = Duration::from_secs(10);

    /// How long a client has for a request, from when it may begin.
    const REQUEST: Duration = Duration::from_secs(10);

    /// All that can be wrong was found right, and nobody is listened to yet.
    pub(crate) struct Prepared {
        ring: KeyRing,
        keys: Arc<RingKeys>,
        publisher: Publisher,
        maker: Option<Arc<dyn MakeKey>>,
        listen: SocketAddr,
        tls: Option<(PathBuf, PathBuf)>,
        metrics: PrometheusHandle,
    }

    pub(crate) fn prepare(args: &Serve, session: &Session) -> Outcome<Prepared> {
        let ring = ring_at(&args.ring);
        let name = shown::path(&args.ring);
        let known = session.runtime.block_on(ring.load());
        let known = known.map_err(|error| Failure::from(error).at(&name))?;
        let keys = Arc::new(RingKeys::new(ring.clone(), OpensNothing));
        let source: Arc<dyn KeySource> = Arc::new(RingKeys::keys_of(Arc::clone(&keys)));
        let publisher = Publisher::builder(&args.issuer, source)
            .max_age(known.policy().jwks_max_age)
            .build()
            .map_err(|error| Failure::from(error).at("--issuer"))?;
        let maker = match args.rotate {
            true => Some(maker(&args.new, known.name(), session)?),
            false => None,
        };
        let metrics = PrometheusBuilder::new()
            .install_recorder()
            .map_err(|error| Failure::other(format!("metrics: {error}")))?;
        let tls = args.tls_cert.clone().zip(args.tls_key.clone());
        Ok(Prepared { ring, keys, publisher, maker, listen: args.listen, tls, metrics })
    }

    /// Serves until `ended` is, and then until the last request is.
    pub(crate) async fn until<S>(prepared: Prepared, ended: S) -> Outcome<()>
    where
        S: Future<Output = ()> + Send,
    {
        let Prepared { ring, keys, publisher, maker, listen, tls, metrics } = prepared;
        let router = publisher.router().merge(own(keys, metrics));
        let router = router.layer(middleware::from_fn(counted));
        let rotating = maker.map(|maker| {
            let ring = ring.clone();
            tokio::spawn(async move { ring.keep_rotating(maker).await })
        });
        let handle = Handle::new();
        let bound = handle.clone();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let jwks = publisher.jwks_uri();
        tokio::spawn(async move {
            if let Some(address) = bound.listening().await {
                say::note(&format!("serving on {scheme}://{address}; keys are at {jwks}"));
            }
        });
        let serving = serve(router, listen, tls, handle.clone());
        let mut serving = std::pin::pin!(serving);
        let outcome = tokio::select! {
            failed = &mut serving => failed,
            () = ended => {
                handle.graceful_shutdown(Some(LAST_REQUESTS));
                serving.await
            }
        };
        if let Some(rotating) = rotating {
            rotating.abort();
        }
        outcome
    }

    async fn serve(
        router: Router,
        listen: SocketAddr,
        tls: Option<(PathBuf, PathBuf)>,
        handle: Handle<SocketAddr>,
    ) -> Outcome<()> {
        let service = router.into_make_service();
        let served = match tls {
            None => {
                let mut server = axum_server::bind(listen).handle(handle);
                hurry(server.http_builder());
                server.serve(service).await
            }
            Some((cert, key)) => {
                // The server's own configuration takes what the process has.
                let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
                let config = RustlsConfig::from_pem_file(&cert, &key).await;
                let config = config.map_err(|error| tls_failure(&cert, &key, &error))?;
                let mut server = axum_server::bind_rustls(listen, config).handle(handle);
                hurry(server.http_builder());
                server.serve(service).await
            }
        };
        served.map_err(|error| Failure::io(&listen.to_string(), &error))
    }

    /// Hangs up on who does not end a request, or asks for nothing more.
    fn hurry(http: &mut Builder<TokioExecutor>) {
        http.http1().timer(TokioTimer::new()).header_read_timeout(REQUEST);
    }

    fn tls_failure(cert: &Path, key: &Path, error: &io::Error) -> Failure {
        let both = format!("{}, {}", shown::path(cert), shown::path(key));
        Failure::io(&both, error)
            .hint("they are the certificate with its chain, and its key, in PEM")
    }

    fn own(keys: Arc<RingKeys>, metrics: PrometheusHandle) -> Router {
        let ready = get(ready).with_state(Arc::clone(&keys));
        let metrics = get(rendered).with_state((keys, metrics));
        let alive = get(|| async { "ok\n" });
        Router::new().route("/healthz", alive).route("/readyz", ready).route("/metrics", metrics)
    }

    async fn ready(State(keys): State<Arc<RingKeys>>) -> Response {
        match keys.ring().await {
            Ok(_) => "ok\n".into_response(),
            // What is wrong is for the log, and not for whoever asks.
            Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "the ring can't be read\n").into_response(),
        }
    }

    async fn rendered(
        State((keys, metrics)): State<(Arc<RingKeys>, PrometheusHandle)>,
    ) -> Response {
        if let Ok(ring) = keys.ring().await {
            for phase in [Phase::Published, Phase::Signing, Phase::Retired] {
                let count = ring.live().filter(|key| key.phase == phase).count();
                #[allow(clippy::cast_precision_loss, reason = "there are 32 at most")]
                metrics::gauge!("bulla_ring_keys", "phase" => phase.as_str()).set(count as f64);
            }
            if let Some((when, _)) = ring.next_due() {
                let since = when.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
                metrics::gauge!("bulla_ring_next_due_timestamp_seconds").set(since.as_secs_f64());
            }
        }
        ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], metrics.render()).into_response()
    }

    /// Counts answers by what was asked for, of what is served here: anybody can ask for anything else.
    async fn counted(request: Request, next: Next) -> Response {
        let path = request.uri().path();
        let known = ["jwks.json", "openid-configuration", "healthz", "readyz", "metrics"];
        let what = known.into_iter().find(|known| path.ends_with(known)).unwrap_or("other");
        let response = next.run(request).await;
        let status = response.status().as_u16().to_string();
        metrics::counter!("bulla_serve_requests_total", "what" => what, "status" => status)
            .increment(1);
        response
    }
}
