//! Connections to where keys are: resolved, judged, opened, encrypted.

use std::{
    convert::Infallible,
    future::{Future, Ready, poll_fn, ready},
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
    vec,
};

use bulla::{Error, ErrorKind, Result};
use http::Uri;
use hyper_util::{
    client::legacy::connect::{HttpConnector, dns::Name, proxy::Tunnel},
    rt::TokioIo,
};
use rustls::pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, lookup_host},
};
use tokio_rustls::TlsConnector;
use tower_service::Service;
use url::{Host, Url};

use crate::{
    address,
    bounded::Bounded,
    network::{AddressPolicy, Network, Word},
};

/// Bytes that are read of a connection, TLS and its certificates included, where nothing larger is asked for.
pub(crate) const MAX_WIRE: usize = 1024 * 1024;

/// Addresses of one name that are tried.
const MAX_ADDRESSES: usize = 16;

pub(crate) struct Connector {
    pub(crate) tls: TlsConnector,
    pub(crate) policy: AddressPolicy,
    pub(crate) proxy: Option<Url>,
    /// The time for all of it.
    pub(crate) timeout: Duration,
    pub(crate) resolve: Resolve,
    /// Bytes that are read of a connection.
    pub(crate) wire: usize,
}

pub(crate) type Resolve = Arc<dyn Fn(String, u16) -> Resolving + Send + Sync>;

type Resolving = Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send>>;

pub(crate) struct Connected {
    pub(crate) io: Box<dyn Io>,
    /// Where the other end is; the Internet if a proxy alone knows.
    pub(crate) network: Network,
}

pub(crate) trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

type Wire = TokioIo<Bounded<TcpStream>>;

/// The resolver of the system.
pub(crate) fn system() -> Resolve {
    Arc::new(|host, port| {
        Box::pin(async move { Ok(lookup_host((host, port)).await?.take(MAX_ADDRESSES).collect()) })
    })
}

impl Connector {
    /// Connects to an address, if the policy admits what it leads to.
    pub(crate) async fn connect(&self, url: &Url, word: Word) -> Result<Connected> {
        let connecting = tokio::time::timeout(self.timeout, self.open(url, word));
        connecting.await.unwrap_or_else(|_| {
            let message = "no connection to the issuer's server came about in time";
            Err(Error::new(ErrorKind::Timeout, message))
        })
    }

    async fn open(&self, url: &Url, word: Word) -> Result<Connected> {
        let (wire, network) = match &self.proxy {
            Some(proxy) if !address::is_loopback(url) => self.tunnel(proxy, url, word).await?,
            _ => self.directly(url, word).await?,
        };
        let wire = wire.into_inner();
        if url.scheme() != "https" {
            return Ok(Connected { io: Box::new(wire), network });
        }
        let encrypted = self.tls.connect(server_name(url)?, wire).await.map_err(|error| {
            let message = "the issuer's server has no certificate that is trusted here, or no TLS";
            Error::new(ErrorKind::Unavailable, message).with_source(error)
        })?;
        Ok(Connected { io: Box::new(encrypted), network })
    }

    async fn directly(&self, url: &Url, word: Word) -> Result<(Wire, Network)> {
        let mut addresses = self.addresses(url).await?;
        // Those that are judged are those that are connected to: names are not looked up again.
        addresses.retain(|at| self.policy.admits(word, Network::of(at.ip())));
        if addresses.is_empty() {
            return Err(not_admitted());
        }
        let wire = self.dialer(addresses).call(dialed(url)?).await.map_err(unreachable)?;
        let peer = wire.inner().get_ref().peer_addr().map_err(unreachable)?;
        Ok((wire, Network::of(peer.ip())))
    }

    /// Has the proxy connect, which resolves names itself: only numbers are judged here.
    async fn tunnel(&self, proxy: &Url, url: &Url, word: Word) -> Result<(Wire, Network)> {
        let network = literal(url).map_or(Network::Internet, Network::of);
        if !self.policy.admits(word, network) {
            return Err(not_admitted());
        }
        let dialer = self.dialer(self.addresses(proxy).await?);
        let mut tunnel = Tunnel::new(dialed(proxy)?, dialer);
        let uri = url.as_str().parse().map_err(unreachable)?;
        poll_fn(|cx| tunnel.poll_ready(cx)).await.map_err(unreachable)?;
        let wire = tunnel.call(uri).await.map_err(|error| {
            let message = "the proxy can't be reached, or did not connect to the issuer's server";
            Error::new(ErrorKind::Unavailable, message).with_source(error)
        })?;
        Ok((wire, network))
    }

    async fn addresses(&self, url: &Url) -> Result<Vec<SocketAddr>> {
        let port = url.port_or_known_default().unwrap_or_default();
        let at = |ip: IpAddr| SocketAddr::from((ip, port));
        match url.host() {
            Some(Host::Ipv4(ip)) => Ok(vec![at(ip.into())]),
            Some(Host::Ipv6(ip)) => Ok(vec![at(ip.into())]),
            // No resolver is asked where this host is.
            Some(Host::Domain("localhost")) => {
                Ok(vec![at(Ipv4Addr::LOCALHOST.into()), at(Ipv6Addr::LOCALHOST.into())])
            }
            Some(Host::Domain(name)) => {
                (self.resolve)(name.to_owned(), port).await.map_err(unreachable)
            }
            None => Ok(Vec::new()),
        }
    }

    fn dialer(&self, addresses: Vec<SocketAddr>) -> Dialer {
        let mut http = HttpConnector::new_with_resolver(Judged(addresses));
        http.set_connect_timeout(Some(self.timeout));
        http.set_nodelay(true);
        Dialer { http, wire: self.wire }
    }
}

/// A URI whose host is no number, since the connector looks numbers up in none of the addresses.
fn dialed(url: &Url) -> Result<Uri> {
    let port = url.port_or_known_default().unwrap_or_default();
    format!("http://keys:{port}/").parse().map_err(unreachable)
}

fn literal(url: &Url) -> Option<IpAddr> {
    match url.host()? {
        Host::Ipv4(ip) => Some(ip.into()),
        Host::Ipv6(ip) => Some(ip.into()),
        Host::Domain(_) => None,
    }
}

fn server_name(url: &Url) -> Result<ServerName<'static>> {
    if let Some(ip) = literal(url) {
        return Ok(ServerName::IpAddress(ip.into()));
    }
    ServerName::try_from(url.host_str().unwrap_or_default().to_owned()).map_err(|_| {
        Error::new(ErrorKind::InvalidInput, "the host of the address is no name for TLS")
    })
}

fn not_admitted() -> Error {
    let message = "keys are not fetched from there: the address leads to this host, or to a network \
                   that the policy for addresses does not admit";
    Error::new(ErrorKind::InvalidInput, message)
}

fn unreachable(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    let error = io::Error::other(error);
    Error::new(ErrorKind::Unavailable, "the issuer's server can't be reached").with_source(error)
}

/// Opens a connection to one of the addresses, of which only so much is read.
#[derive(Clone)]
struct Dialer {
    http: HttpConnector<Judged>,
    wire: usize,
}

impl Service<Uri> for Dialer {
    type Response = Wire;
    type Error = <HttpConnector<Judged> as Service<Uri>>::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Wire, Self::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.http.poll_ready(cx)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let (connecting, wire) = (self.http.call(uri), self.wire);
        Box::pin(async move {
            let stream = connecting.await?.into_inner();
            Ok(TokioIo::new(Bounded::new(stream, wire)))
        })
    }
}

/// A resolver that says what was found and judged before, whatever it is asked for.
#[derive(Clone)]
struct Judged(Vec<SocketAddr>);

impl Service<Name> for Judged {
    type Response = vec::IntoIter<SocketAddr>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Name) -> Self::Future {
        ready(Ok(self.0.clone().into_iter()))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use tokio::net::TcpListener;

    use super::*;

    const EVERY_POLICY: [AddressPolicy; 3] =
        [AddressPolicy::AsConfigured, AddressPolicy::PublicOnly, AddressPolicy::PrivateToo];

    const ELSEWHERE: [Word; 3] = [
        Word::Owner { this_host: false },
        Word::Metadata(Network::Internet),
        Word::Metadata(Network::Private),
    ];

    fn connector(policy: AddressPolicy, resolve: Resolve) -> Connector {
        let timeout = Duration::from_secs(3);
        Connector {
            tls: crate::tls::connector(&[]).unwrap(),
            policy,
            proxy: None,
            timeout,
            resolve,
            wire: MAX_WIRE,
        }
    }

    /// A resolver that says one thing after the other.
    fn saying(answers: Vec<Vec<&str>>) -> Resolve {
        let parse = |ip: &str| ip.parse::<IpAddr>().unwrap();
        let answers: Vec<Vec<_>> =
            answers.into_iter().rev().map(|ips| ips.into_iter().map(parse).collect()).collect();
        let left = Mutex::new(answers);
        Arc::new(move |_, port| {
            let ips = left.lock().unwrap().pop().unwrap();
            Box::pin(async move { Ok(ips.into_iter().map(|ip| (ip, port).into()).collect()) })
        })
    }

    /// A server on this host and a count of who came.
    async fn listener() -> (TcpListener, u16) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        (listener, port)
    }

    async fn nobody_came(listener: &TcpListener) {
        let wait = Duration::from_millis(50);
        tokio::time::timeout(wait, listener.accept()).await.unwrap_err();
    }

    async fn kind(connector: &Connector, url: &str, word: Word) -> ErrorKind {
        let url = Url::parse(url).unwrap();
        connector.connect(&url, word).await.map(|_| ()).unwrap_err().kind()
    }

    #[tokio::test]
    async fn no_spelling_of_this_host_leads_here_from_elsewhere() {
        let (listener, port) = listener().await;
        for host in [
            "127.0.0.1",
            "localhost",
            "0.0.0.0",
            "0",
            "127.1",
            "2130706433",
            "0x7f.1",
            "[::1]",
            "[::]",
            "[::ffff:127.0.0.1]",
            "[::127.0.0.1]",
            "[64:ff9b::127.0.0.1]",
            "[2002:7f00:1::]",
            "169.254.169.254",
            "[::ffff:169.254.169.254]",
            "[fe80::1]",
        ] {
            for (policy, word) in EVERY_POLICY.iter().flat_map(|p| ELSEWHERE.map(|w| (*p, w))) {
                let connector = connector(policy, saying(Vec::new()));
                let kind = kind(&connector, &format!("https://{host}:{port}/keys"), word).await;
                assert_eq!(kind, ErrorKind::InvalidInput, "{host} {policy:?} {word:?}");
            }
        }
        nobody_came(&listener).await;
    }

    #[tokio::test]
    async fn no_name_leads_here_from_elsewhere() {
        let (listener, port) = listener().await;
        for ip in ["127.0.0.1", "::1", "0.0.0.0", "::ffff:127.0.0.1", "169.254.169.254", "fe80::1"]
        {
            for (policy, word) in EVERY_POLICY.iter().flat_map(|p| ELSEWHERE.map(|w| (*p, w))) {
                let connector = connector(policy, saying(vec![vec![ip]]));
                let url = format!("https://keys.example:{port}/keys");
                let kind = kind(&connector, &url, word).await;
                assert_eq!(kind, ErrorKind::InvalidInput, "{ip} {policy:?} {word:?}");
            }
        }
        nobody_came(&listener).await;
    }

    #[tokio::test]
    async fn an_issuer_on_the_internet_leads_to_no_private_network() {
        use AddressPolicy::*;
        for (policy, word) in [
            (AsConfigured, Word::Metadata(Network::Internet)),
            (PublicOnly, Word::Owner { this_host: false }),
            (PublicOnly, Word::Metadata(Network::Private)),
        ] {
            for ip in ["10.0.0.1", "192.168.0.1", "100.64.0.1", "fd00::1", "64:ff9b::a00:1"] {
                let connector = connector(policy, saying(vec![vec![ip]]));
                let kind = kind(&connector, "https://keys.example:1/keys", word).await;
                assert_eq!(kind, ErrorKind::InvalidInput, "{policy:?} {word:?} {ip}");
            }
        }
    }

    /// A name that leads elsewhere at first and here when it is looked up again.
    #[tokio::test]
    async fn what_was_judged_is_what_is_connected_to() {
        let (listener, port) = listener().await;
        let rebinding = saying(vec![vec!["127.0.0.1"], vec!["169.254.169.254"]]);
        let connector = connector(AddressPolicy::AsConfigured, rebinding);
        let url = Url::parse(&format!("http://keys.example:{port}/keys")).unwrap();
        // One look-up for a connection, and all that is admitted of its answer.
        let named = Word::Owner { this_host: true };
        let connected = connector.connect(&url, named).await.unwrap();
        assert_eq!(connected.network, Network::ThisHost);
        listener.accept().await.unwrap();
        let error = connector.connect(&url, named).await.map(|_| ()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        nobody_came(&listener).await;
    }

    #[tokio::test]
    async fn of_several_addresses_those_admitted_are_tried() {
        let (listener, port) = listener().await;
        let ips = vec!["169.254.169.254", "0.0.0.0", "::ffff:169.254.1.1", "127.0.0.1"];
        let connector = connector(AddressPolicy::AsConfigured, saying(vec![ips]));
        let url = Url::parse(&format!("http://keys.example:{port}/keys")).unwrap();
        connector.connect(&url, Word::Owner { this_host: true }).await.unwrap();
        listener.accept().await.unwrap();
    }
}
