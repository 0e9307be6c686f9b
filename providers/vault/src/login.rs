//! The calls that tokens are had by, looked at, renewed and ended with. Each is one request; what leads
//! to them is in `session`.

use std::time::Duration;

use bulla::{Error, ErrorKind, Result};
use bytes::Bytes;
use http::HeaderValue;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use url::Url;

use crate::{
    auth::{Auth, Method},
    body,
    error::{self, Asked, odd, refused},
    http::{Answer, Ask, Http},
    token,
};

/// Where tokens are dealt with.
#[derive(Debug)]
pub(crate) struct Desk {
    pub(crate) http: Http,
    pub(crate) auth: Auth,
    /// That of the auth method.
    namespace: Option<HeaderValue>,
    login: (String, Url),
    look_up: Url,
    renew: Url,
    revoke: Url,
    unwrap: Url,
    look_up_wrapping: Url,
    health: Url,
}

/// A token as it is granted.
pub(crate) struct Granted {
    pub(crate) header: HeaderValue,
    pub(crate) seconds: u64,
    pub(crate) renewable: bool,
}

/// What is left of a token.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct Left {
    #[serde(alias = "lease_duration", rename = "ttl")]
    seconds: u64,
    /// Left out of what is said of a root token.
    #[serde(default)]
    pub(crate) renewable: bool,
    /// None for a token that has no end, whose time to live is zero too.
    expire_time: Option<serde::de::IgnoredAny>,
}

impl Left {
    /// Zero if there is no end.
    pub(crate) fn seconds(&self) -> u64 {
        match self.expire_time {
            Some(_) => self.seconds.max(1),
            None => self.seconds,
        }
    }
}

/// For one request about tokens.
const PATIENCE: Duration = Duration::from_secs(10);

const LOOK_UP: Asked<'static> =
    Asked { what: "looking at the token", path: "auth/token/lookup-self", capability: "read" };
const RENEW: Asked<'static> =
    Asked { what: "renewing the token", path: "auth/token/renew-self", capability: "update" };
const REVOKE: Asked<'static> =
    Asked { what: "revoking the token", path: "auth/token/revoke-self", capability: "update" };
const UNWRAP: Asked<'static> = Asked {
    what: "unwrapping the secret to log in with",
    path: "sys/wrapping/unwrap",
    capability: "update",
};
const HEALTH: Asked<'static> =
    Asked { what: "asking for the server's health", path: "sys/health", capability: "read" };

impl Desk {
    pub(crate) fn new(http: Http, auth: Auth, namespace: Option<HeaderValue>) -> Result<Self> {
        let path = auth.path()?;
        let url = |path: &str| http.address().api(path);
        let namespace = match auth.namespace.as_deref() {
            None => namespace,
            Some(other) => namespace_header(other)?,
        };
        Ok(Self {
            login: (path.clone(), url(&path)?),
            look_up: url(LOOK_UP.path)?,
            renew: url(RENEW.path)?,
            revoke: url(REVOKE.path)?,
            unwrap: url(UNWRAP.path)?,
            look_up_wrapping: url("sys/wrapping/lookup")?,
            health: url(HEALTH.path)?,
            http,
            auth,
            namespace,
        })
    }

    /// The id of the cluster, which every unsealed node tells everybody, standbys included.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] if it is sealed, or does not tell.
    pub(crate) async fn cluster(&self) -> Result<String> {
        // It is asked in the root namespace alone.
        let answer = self.in_time(Ask::get(&self.health)).await?;
        let health: Health = match serde_json::from_slice(&answer.body) {
            Ok(health) => health,
            Err(_) => return Err(odd(&answer, HEALTH, "is of another form")),
        };
        match health {
            Health { sealed: true, .. } | Health { initialized: false, .. } => {
                let message = "the server is sealed, or not initialised; unseal it";
                Err(Error::new(ErrorKind::Unavailable, message))
            }
            Health { cluster_id: Some(id), .. } if body::is_segment(&id) && id.len() <= 64 => {
                Ok(id)
            }
            _ => Err(odd(&answer, HEALTH, "has no id of a cluster; say which `realm` this is")),
        }
    }

    /// A token for what there is to show.
    pub(crate) async fn log_in(&self, secret: Option<&SecretString>) -> Result<Granted> {
        let (path, url) = &self.login;
        let asked = Asked { what: "logging in", path, capability: "access" };
        let request = self.auth.request(secret)?;
        let answer = self.send(Ask::post(url, request), None).await?;
        match answer.status {
            200 => granted(&answer, asked),
            // AppRole's word for wrong credentials is 400, and an unknown mount's 403.
            400 | 401 | 403 | 404 if error::is_refusal(&answer) => Err(Error::new(
                ErrorKind::Denied,
                format!(
                    "logging in at {path} is refused; check mount, namespace, role and secret, and \
                     whether that has expired: the server's audit log says which"
                ),
            )
            .with_source(error::Said(format!("HTTP {}", answer.status)))),
            _ => Err(refused(&answer, asked)),
        }
    }

    /// What is left of a token. `None` if the server does not know it, or it may not ask.
    pub(crate) async fn look_up(&self, token: &HeaderValue) -> Result<Option<Left>> {
        let answer = self.send(Ask::get(&self.look_up), Some(token)).await?;
        match answer.status {
            200 => {
                let parsed: Option<Data<Left>> = serde_json::from_slice(&answer.body).ok();
                let left = parsed.and_then(|parsed| parsed.data);
                left.map(Some).ok_or_else(|| odd(&answer, LOOK_UP, "has no time to live in it"))
            }
            403 if error::is_refusal(&answer) => Ok(None),
            _ => Err(refused(&answer, LOOK_UP)),
        }
    }

    pub(crate) async fn renew(&self, token: &HeaderValue) -> Result<Left> {
        let ask = Ask::post(&self.renew, Bytes::from_static(b"{}"));
        let answer = self.send(ask, Some(token)).await?;
        if answer.status != 200 {
            return Err(refused(&answer, RENEW));
        }
        let parsed: Option<Authed<Left>> = serde_json::from_slice(&answer.body).ok();
        let left = parsed.and_then(|parsed| parsed.auth);
        left.ok_or_else(|| odd(&answer, RENEW, "has no lease in it"))
    }

    pub(crate) async fn revoke(&self, token: &HeaderValue) -> Result<()> {
        let ask = Ask::post(&self.revoke, Bytes::from_static(b"{}"));
        let answer = self.send(ask, Some(token)).await?;
        match answer.status {
            200..=299 => Ok(()),
            _ => Err(refused(&answer, REVOKE)),
        }
    }

    /// The secret in a response-wrapping token, which is spent by that.
    ///
    /// # Errors
    /// [`ErrorKind::Denied`] if it was spent before, has expired, or was not made by what makes such
    /// secrets.
    pub(crate) async fn unwrap(&self, wrapping: &SecretString) -> Result<SecretString> {
        let token = token::header(wrapping.expose_secret())?;
        self.check_origin(wrapping).await?;
        let ask = Ask::post(&self.unwrap, Bytes::from_static(b"{}"));
        let answer = self.send(ask, Some(&token)).await?;
        match answer.status {
            200 => {
                let secret = unwrapped(&answer, &self.auth.method);
                secret.ok_or_else(|| odd(&answer, UNWRAP, "has no such secret in it"))
            }
            400 | 403 if error::is_refusal(&answer) => Err(spent()),
            _ => Err(refused(&answer, UNWRAP)),
        }
    }

    /// Who has taken a wrapping token away can wrap the secret again and put that in its place: the path
    /// of its making shows it.
    async fn check_origin(&self, wrapping: &SecretString) -> Result<()> {
        let token = wrapping.expose_secret();
        let request = body::secret(&Wrapping { token }, token.len())?;
        let answer = self.send(Ask::post(&self.look_up_wrapping, request), None).await?;
        let asked = Asked { path: "sys/wrapping/lookup", ..UNWRAP };
        match answer.status {
            200 => {}
            400 | 403 if error::is_refusal(&answer) => return Err(spent()),
            _ => return Err(refused(&answer, asked)),
        }
        let parsed: Option<Data<Origin>> = serde_json::from_slice(&answer.body).ok();
        let origin = parsed.and_then(|parsed| parsed.data);
        let path = origin.ok_or_else(|| odd(&answer, asked, "has no path in it"))?.creation_path;
        let good = match &self.auth.method {
            Method::AppRole { .. } => {
                let mount = self.login.0.strip_suffix("/login").unwrap_or_default();
                path.contains(&format!("{mount}/role/")) && path.ends_with("/secret-id")
            }
            Method::Token(_) => !path.ends_with("sys/wrapping/wrap"),
            // There is nothing but that to wrap these with.
            _ => true,
        };
        match good {
            true => Ok(()),
            false => Err(Error::new(
                ErrorKind::Denied,
                "the wrapping token was not made by what makes such secrets: somebody else may have \
                 unwrapped the secret and wrapped it again; revoke it and issue another",
            )),
        }
    }

    async fn send(&self, ask: Ask<'_>, token: Option<&HeaderValue>) -> Result<Answer> {
        self.in_time(Ask { token, namespace: self.namespace.as_ref(), ..ask }).await
    }

    /// All who need a token wait for this, and what a server swallowed must not keep them from asking anew.
    async fn in_time(&self, ask: Ask<'_>) -> Result<Answer> {
        tokio::time::timeout(PATIENCE, self.http.send(ask)).await.unwrap_or_else(|_| {
            let message = "no answer of the server to a login or the like in time";
            Err(Error::new(ErrorKind::Timeout, message))
        })
    }
}

/// The header of a namespace; none for the root.
pub(crate) fn namespace_header(namespace: &str) -> Result<Option<HeaderValue>> {
    if namespace.is_empty() {
        return Ok(None);
    }
    let path = body::path("namespace", namespace)?;
    HeaderValue::from_str(path)
        .map(Some)
        .map_err(|_| Error::new(ErrorKind::InvalidInput, "the namespace can't be sent in a header"))
}

fn spent() -> Error {
    Error::new(
        ErrorKind::Denied,
        "the wrapping token is not good any more: it has expired, or was used before. Unless an earlier \
         start of this process did that, somebody else has the secret: revoke it and issue another",
    )
}

fn granted(answer: &Answer, asked: Asked<'_>) -> Result<Granted> {
    let parsed: Option<Authed<Auths<'_>>> = serde_json::from_slice(&answer.body).ok();
    match parsed.and_then(|parsed| parsed.auth) {
        Some(auth) if auth.mfa_requirement.is_some() => Err(Error::new(
            ErrorKind::Unsupported,
            "logging in there takes a second factor, which a service has none of",
        )),
        Some(Auths { client_token: Some(token), lease_duration, renewable, .. }) => {
            let header = token::header(token);
            let header = header.map_err(|_| odd(answer, asked, "has an odd token in it"))?;
            Ok(Granted { header, seconds: lease_duration, renewable })
        }
        _ => Err(odd(answer, asked, "has no token in it")),
    }
}

fn unwrapped(answer: &Answer, method: &Method) -> Option<SecretString> {
    if matches!(method, Method::Token(_)) {
        let parsed: Authed<Auths<'_>> = serde_json::from_slice(&answer.body).ok()?;
        return parsed.auth?.client_token.map(SecretString::from);
    }
    let parsed: Data<Secrets<'_>> = serde_json::from_slice(&answer.body).ok()?;
    let data = parsed.data?;
    let found = match method.member() {
        "secret_id" => data.secret_id,
        "password" => data.password,
        _ => data.jwt,
    };
    found.map(SecretString::from)
}

#[derive(Deserialize)]
struct Health {
    initialized: bool,
    sealed: bool,
    cluster_id: Option<String>,
}

#[derive(Deserialize)]
struct Data<T> {
    data: Option<T>,
}

#[derive(Deserialize)]
struct Authed<T> {
    auth: Option<T>,
}

#[derive(Deserialize)]
struct Auths<'a> {
    // Tokens need no escape in JSON, so they are not copied.
    client_token: Option<&'a str>,
    #[serde(default)]
    lease_duration: u64,
    #[serde(default)]
    renewable: bool,
    mfa_requirement: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct Secrets<'a> {
    #[serde(borrow)]
    secret_id: Option<&'a str>,
    #[serde(borrow)]
    password: Option<&'a str>,
    #[serde(borrow)]
    jwt: Option<&'a str>,
}

#[derive(Deserialize)]
struct Origin {
    creation_path: String,
}

#[derive(Serialize)]
struct Wrapping<'a> {
    token: &'a str,
}
