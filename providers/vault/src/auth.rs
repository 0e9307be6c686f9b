//! How a provider logs in.

use bulla::{Error, ErrorKind, Result};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;

use crate::{body, secret::Secret};

/// Where Kubernetes puts the token of a pod's service account.
const SERVICE_ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";

/// How a provider logs in, and at which mount.
#[derive(Clone, Debug)]
#[must_use]
pub struct Auth {
    pub(crate) method: Method,
    pub(crate) mount: Option<String>,
    pub(crate) namespace: Option<String>,
}

#[derive(Clone, Debug)]
pub(crate) enum Method {
    Token(Secret),
    AppRole { role_id: String, secret_id: Secret },
    Userpass { user: String, password: Secret },
    Jwt { role: String, jwt: Secret },
    Kubernetes { role: String, jwt: Secret },
    Certificate { role: Option<String> },
}

impl Auth {
    /// A token at hand, which is renewed as long as it can be. When it has died for good, calls are
    /// [`ErrorKind::Denied`], unless it is in a file and another one is there then, as Vault Agent and
    /// the like write them.
    pub fn token(token: impl Into<Secret>) -> Self {
        Self::of(Method::Token(token.into()))
    }

    /// AppRole, at the mount `approle`.
    pub fn app_role(role_id: impl Into<String>, secret_id: impl Into<Secret>) -> Self {
        Self::of(Method::AppRole { role_id: role_id.into(), secret_id: secret_id.into() })
    }

    /// User name and password, at the mount `userpass`. LDAP has the same form, at the mount `ldap`.
    pub fn userpass(user: impl Into<String>, password: impl Into<Secret>) -> Self {
        Self::of(Method::Userpass { user: user.into(), password: password.into() })
    }

    /// A JWT that somebody else issued (an OIDC provider, a CI system), at the mount `jwt`.
    pub fn jwt(role: impl Into<String>, jwt: impl Into<Secret>) -> Self {
        Self::of(Method::Jwt { role: role.into(), jwt: jwt.into() })
    }

    /// The token of a pod's service account, at the mount `kubernetes`. It is read at each login, since
    /// Kubernetes replaces it.
    pub fn kubernetes(role: impl Into<String>) -> Self {
        Self::kubernetes_with(role, Secret::file(SERVICE_ACCOUNT))
    }

    /// The same with the token elsewhere, such as a projected one with an audience.
    pub fn kubernetes_with(role: impl Into<String>, jwt: impl Into<Secret>) -> Self {
        Self::of(Method::Kubernetes { role: role.into(), jwt: jwt.into() })
    }

    /// The certificate of the TLS connection, at the mount `cert`:
    /// [`VaultBuilder::client_certificate`](crate::VaultBuilder::client_certificate) has it. Without a
    /// role, the server tries all.
    pub fn certificate(role: Option<&str>) -> Self {
        Self::of(Method::Certificate { role: role.map(str::to_owned) })
    }

    /// Another mount of the method than the usual one: its path, without `auth/` before it.
    pub fn at(mut self, mount: impl Into<String>) -> Self {
        self.mount = Some(mount.into());
        self
    }

    /// The namespace of the method, if it is another one than that of the keys. Empty for the root.
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = Some(namespace.into());
        self
    }

    fn of(method: Method) -> Self {
        Self { method, mount: None, namespace: None }
    }
}

impl Method {
    /// Whether a token that has died can be replaced.
    pub(crate) fn logs_in_again(&self) -> bool {
        match self {
            Self::Token(token) => token.is_file(),
            _ => true,
        }
    }

    /// What is shown, if it is a secret.
    pub(crate) fn secret(&self) -> Option<&Secret> {
        match self {
            Self::Token(secret)
            | Self::AppRole { secret_id: secret, .. }
            | Self::Userpass { password: secret, .. }
            | Self::Jwt { jwt: secret, .. }
            | Self::Kubernetes { jwt: secret, .. } => Some(secret),
            Self::Certificate { .. } => None,
        }
    }

    /// The member of an unwrapped response that has the secret.
    pub(crate) fn member(&self) -> &'static str {
        match self {
            Self::Token(_) => "token",
            Self::AppRole { .. } => "secret_id",
            Self::Userpass { .. } => "password",
            Self::Jwt { .. } | Self::Kubernetes { .. } | Self::Certificate { .. } => "jwt",
        }
    }

    fn usual_mount(&self) -> &'static str {
        match self {
            Self::Token(_) => "token",
            Self::AppRole { .. } => "approle",
            Self::Userpass { .. } => "userpass",
            Self::Jwt { .. } => "jwt",
            Self::Kubernetes { .. } => "kubernetes",
            Self::Certificate { .. } => "cert",
        }
    }
}

impl Auth {
    /// The API path of the login, in characters that need no escape.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for a mount or a user name that has others.
    pub(crate) fn path(&self) -> Result<String> {
        let mount = self.mount.as_deref().unwrap_or_else(|| self.method.usual_mount());
        let mount = body::path("mount of the auth method", mount)?;
        match &self.method {
            Method::Userpass { user, .. } => {
                let allowed =
                    |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'@');
                let is = !matches!(user.as_str(), "" | "." | "..") && user.bytes().all(allowed);
                if !is {
                    let message = "the user name to log in with is not of [A-Za-z0-9._@-]";
                    return Err(Error::new(ErrorKind::InvalidInput, message));
                }
                Ok(format!("auth/{mount}/login/{user}"))
            }
            _ => Ok(format!("auth/{mount}/login")),
        }
    }

    /// What is sent there.
    pub(crate) fn request(&self, secret: Option<&SecretString>) -> Result<bytes::Bytes> {
        let secret = secret.map(SecretString::expose_secret).unwrap_or_default();
        let mut request = Login::default();
        match &self.method {
            Method::Token(_) => {}
            Method::AppRole { role_id, .. } => {
                (request.role_id, request.secret_id) = (Some(role_id.as_str()), Some(secret));
            }
            Method::Userpass { .. } => request.password = Some(secret),
            Method::Jwt { role, .. } | Method::Kubernetes { role, .. } => {
                (request.role, request.jwt) = (Some(role.as_str()), Some(secret));
            }
            Method::Certificate { role } => request.name = role.as_deref(),
        }
        body::secret(&request, secret.len())
    }
}

#[derive(Default, Serialize)]
#[serde(default)]
struct Login<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    role_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    password: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    jwt: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_requests_are_those_of_the_methods() {
        let secret = SecretString::from("s\"x");
        for (auth, path, request) in [
            (
                Auth::app_role("r", "s").at("team/approle"),
                "auth/team/approle/login",
                r#"{"role_id":"r","secret_id":"s\"x"}"#,
            ),
            (Auth::userpass("ada@x", "s"), "auth/userpass/login/ada@x", r#"{"password":"s\"x"}"#),
            (Auth::jwt("r", "s"), "auth/jwt/login", r#"{"role":"r","jwt":"s\"x"}"#),
            (Auth::kubernetes("r"), "auth/kubernetes/login", r#"{"role":"r","jwt":"s\"x"}"#),
            (Auth::certificate(Some("web")), "auth/cert/login", r#"{"name":"web"}"#),
            (Auth::certificate(None), "auth/cert/login", "{}"),
        ] {
            assert_eq!(auth.path().unwrap(), path);
            assert_eq!(auth.request(Some(&secret)).unwrap(), request);
        }
    }

    #[test]
    fn nothing_leads_out_of_a_path() {
        for bad in ["../sys", "a//b", "", "a?b", "a%2fb", "a b"] {
            assert!(Auth::app_role("r", "s").at(bad).path().is_err(), "{bad}");
            assert!(Auth::userpass(bad, "s").path().is_err(), "{bad}");
        }
        assert_eq!(Auth::jwt("r", "s").at("/a/b/").path().unwrap(), "auth/a/b/login");
    }
}
