//! Connections: accepted, bounded, and ended.

use std::{
    collections::HashMap,
    future::Future,
    io,
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bulla::{Error, ErrorKind, Result};
use hyper::{server::conn::http2, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustix::net::RecvFlags;
use tokio::{
    io::{AsyncRead, AsyncWrite, Interest},
    net::UnixStream,
    sync::watch,
    task::JoinSet,
    time::{sleep, timeout},
};

use super::{
    Peer, WorkloadSocket, lenient::Lenient, peer::Process, service::Service, state::State,
};

/// For how long a connection may send nothing.
const FIRST_BYTE_WITHIN: Duration = Duration::from_secs(10);

/// For how long those who are connected may go on, once the server stops.
const GRACE: Duration = Duration::from_secs(5);

const PING_EVERY: Duration = Duration::from_secs(30);
const PONG_WITHIN: Duration = Duration::from_secs(20);

/// Clients keep a stream for each kind of SVID and bundle.
const MAX_STREAMS: u32 = 32;

const MAX_HEADERS_LEN: u32 = 16 * 1024;

/// How many may be connected.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) all: usize,
    pub(super) of_one_user: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { all: 448, of_one_user: 128 }
    }
}

pub(super) async fn serve(
    state: Arc<State>,
    limits: Limits,
    socket: WorkloadSocket,
    stop: impl Future<Output = ()>,
) -> Result<()> {
    let (stopping, stopped) = watch::channel(false);
    let counted = Arc::new(Counted { limits, of_users: Mutex::default() });
    let mut connections = JoinSet::new();
    let mut stop = pin!(stop);
    let ended = loop {
        let accepted = tokio::select! {
            biased;
            () = &mut stop => break Ok(()),
            Some(_) = connections.join_next() => continue,
            accepted = socket.listener().accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                let Some((process, place)) = admit(&stream, &counted) else { continue };
                let service =
                    Service::new(Arc::clone(&state), Peer::Process(process), stopped.clone());
                let stopped = stopped.clone();
                connections.spawn(async move {
                    let _place = place;
                    // One that says nothing holds a place, and no more.
                    if let Ok(Ok(())) = timeout(FIRST_BYTE_WITHIN, begun(&stream)).await {
                        converse(stream, service, stopped).await;
                    }
                });
            }
            Err(error) if passes(&error) => {
                tracing::warn!(%error, "no connection can be accepted for now");
                sleep(Duration::from_millis(100)).await;
            }
            Err(error) => break Err(error),
        }
    };
    stopping.send_replace(true);
    let all = async { while connections.join_next().await.is_some() {} };
    let _ = timeout(GRACE, all).await;
    connections.shutdown().await;
    ended.map_err(|error| {
        Error::new(ErrorKind::Io, "the socket can't be listened at any longer").with_source(error)
    })
}

/// Until there is something to read, which is left there. That a socket is readable may be a false alarm.
async fn begun(stream: &UnixStream) -> io::Result<()> {
    let peek = || Ok(rustix::net::recv(stream, &mut [0_u8; 1], RecvFlags::PEEK).map(|_| ())?);
    stream.async_io(Interest::READABLE, peek).await
}

/// Speaks HTTP/2 on one connection until it ends.
pub(super) async fn converse<S>(stream: S, service: Service, mut stopped: watch::Receiver<bool>)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PONG_WITHIN)
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(MAX_HEADERS_LEN)
        .max_send_buf_size(256 * 1024);
    let answer = service_fn(move |request| service.clone().answer(request));
    let mut connection = pin!(builder.serve_connection(TokioIo::new(Lenient::new(stream)), answer));
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = told(&mut stopped) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended");
    }
}

/// Until the server is told to stop, or is no more.
pub(super) async fn told(stopped: &mut watch::Receiver<bool>) {
    drop(stopped.wait_for(|stopped| *stopped).await);
}

/// Places that are taken, by user.
struct Counted {
    limits: Limits,
    of_users: Mutex<HashMap<u32, usize>>,
}

/// A place, until it is dropped.
struct Place {
    counted: Arc<Counted>,
    uid: u32,
}

impl Counted {
    fn take(self: &Arc<Self>, uid: u32) -> Option<Place> {
        let mut users = self.of_users.lock().unwrap_or_else(PoisonError::into_inner);
        let all: usize = users.values().sum();
        let own = users.get(&uid).copied().unwrap_or_default();
        if all >= self.limits.all || own >= self.limits.of_one_user {
            return None;
        }
        users.insert(uid, own + 1);
        Some(Place { counted: Arc::clone(self), uid })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut users = self.counted.of_users.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = users.get_mut(&self.uid) {
            *own -= 1;
            if *own == 0 {
                users.remove(&self.uid);
            }
        }
    }
}

fn admit(stream: &UnixStream, counted: &Arc<Counted>) -> Option<(Process, Place)> {
    let process = match Process::of(stream) {
        Ok(process) => process,
        Err(error) => {
            tracing::warn!(%error, "whoever has connected can't be told");
            return None;
        }
    };
    let place = counted.take(process.uid);
    if place.is_none() {
        tracing::warn!(uid = process.uid, "there are too many connections");
    }
    Some((process, place?))
}

/// Whether accepting may succeed later: no descriptors or memory, or a peer that has gone.
fn passes(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let passing =
        [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM, Errno::CONNABORTED, Errno::INTR];
    let code = error.raw_os_error();
    passing.iter().any(|errno| code == Some(errno.raw_os_error()))
}
