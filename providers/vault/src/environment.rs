//! What the environment says, where the application says nothing.
//!
//! The variables of the command-line tools, and for the methods to log in, which those have none for, some
//! of our own.

use std::{env, fmt, path::PathBuf};

use bulla::{Error, ErrorKind, Result};

use crate::{auth::Auth, secret::Secret};

/// Whose variables are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    /// `VAULT_*`.
    Vault,
    /// `BAO_*`, if there is any of those that are looked at, and `VAULT_*` otherwise. They are not mixed, or
    /// the token of one server would be sent to another.
    OpenBao,
}

/// Those of both families that are looked at, without their prefix.
const NAMES: [&str; 8] =
    ["ADDR", "TOKEN", "NAMESPACE", "CACERT", "CAPATH", "CLIENT_CERT", "CLIENT_KEY", "SKIP_VERIFY"];

// Ours, behind `BULLA_` and the prefix of the family.
const METHOD: &str = "AUTH";
const MOUNT: &str = "AUTH_MOUNT";
const ROLE: &str = "ROLE";
const SECRET_FILE: &str = "SECRET_FILE";
const WRAPPED: &str = "SECRET_WRAPPED";
const REALM: &str = "REALM";

/// Reads variables: of the process, or of a test. An empty one is as good as none.
pub(crate) struct Environment<'a> {
    read: &'a (dyn Fn(&str) -> Option<String> + Sync),
    prefix: &'static str,
}

/// The variables of the process.
pub(crate) fn process(name: &str) -> Option<String> {
    env::var(name).ok()
}

impl<'a> Environment<'a> {
    pub(crate) fn new(family: Family, read: &'a (dyn Fn(&str) -> Option<String> + Sync)) -> Self {
        let mut own = Self { read, prefix: "VAULT" };
        let is_set = |name: &&str| own.read(&format!("BAO_{name}")).is_some();
        if family == Family::OpenBao && NAMES.iter().any(is_set) {
            own.prefix = "BAO";
        }
        own
    }

    fn read(&self, name: &str) -> Option<String> {
        (self.read)(name).filter(|value| !value.is_empty())
    }

    fn of_family(&self, name: &str) -> Option<String> {
        self.read(&format!("{}_{name}", self.prefix))
    }

    /// The name of one of ours.
    fn own(&self, name: &str) -> String {
        format!("BULLA_{}_{name}", self.prefix)
    }

    fn read_own(&self, name: &str) -> Option<String> {
        self.read(&self.own(name))
    }

    /// # Errors
    /// [`ErrorKind::InvalidInput`] if there is none.
    pub(crate) fn address(&self) -> Result<String> {
        self.of_family("ADDR").ok_or_else(|| {
            let prefix = self.prefix;
            invalid(format!("no address of the server is given; give one, or set {prefix}_ADDR"))
        })
    }

    pub(crate) fn namespace(&self) -> Option<String> {
        self.of_family("NAMESPACE")
    }

    pub(crate) fn realm(&self) -> Option<String> {
        self.read_own(REALM)
    }

    /// A file with CA certificates.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for what would have others trusted than was meant.
    pub(crate) fn ca_file(&self) -> Result<Option<PathBuf>> {
        let prefix = self.prefix;
        let skip = self.of_family("SKIP_VERIFY");
        if skip.is_some_and(|skip| !matches!(&*skip, "0" | "f" | "F" | "false" | "FALSE" | "False"))
        {
            return Err(invalid(format!(
                "{prefix}_SKIP_VERIFY is set, and TLS is always verified here: give the server's CA in \
                 {prefix}_CACERT"
            )));
        }
        let file = self.of_family("CACERT");
        if file.is_none() && self.of_family("CAPATH").is_some() {
            return Err(invalid(format!(
                "{prefix}_CAPATH is not read; put the CA certificates into one file and set \
                 {prefix}_CACERT"
            )));
        }
        Ok(file.map(PathBuf::from))
    }

    /// Files with a client certificate and its key.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for one without the other.
    pub(crate) fn client_certificate(&self) -> Result<Option<(PathBuf, PathBuf)>> {
        match (self.of_family("CLIENT_CERT"), self.of_family("CLIENT_KEY")) {
            (None, None) => Ok(None),
            (Some(chain), Some(key)) => Ok(Some((chain.into(), key.into()))),
            _ => {
                let prefix = self.prefix;
                Err(invalid(format!(
                    "of {prefix}_CLIENT_CERT and {prefix}_CLIENT_KEY one is set; set both"
                )))
            }
        }
    }

    /// How to log in.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for a method that is not known or lacks something.
    pub(crate) fn auth(&self) -> Result<Auth> {
        let method = self.read_own(METHOD).unwrap_or_else(|| "token".to_owned());
        let needs = |name: &str| {
            self.read_own(name).ok_or_else(|| {
                let (own, name) = (self.own(METHOD), self.own(name));
                invalid(format!("{own} is {method}, which takes {name} too"))
            })
        };
        let secret = || {
            let secret = Secret::file(needs(SECRET_FILE)?);
            Ok(match self.read_own(WRAPPED).as_deref() {
                None | Some("0" | "false") => secret,
                Some("1" | "true") => secret.wrapped(),
                Some(_) => {
                    return Err(invalid(format!(
                        "{} is neither true nor false",
                        self.own(WRAPPED)
                    )));
                }
            })
        };
        let auth = match method.as_str() {
            "token" if self.read_own(SECRET_FILE).is_some() => Auth::token(secret()?),
            "token" => match self.of_family("TOKEN") {
                Some(token) => Auth::token(Secret::new(token)),
                None => {
                    let (prefix, method) = (self.prefix, self.own(METHOD));
                    return Err(invalid(format!(
                        "there is nothing to log in with; set {prefix}_TOKEN, or {method} to a method"
                    )));
                }
            },
            "approle" => Auth::app_role(needs(ROLE)?, secret()?),
            "userpass" => Auth::userpass(needs(ROLE)?, secret()?),
            "jwt" => Auth::jwt(needs(ROLE)?, secret()?),
            "kubernetes" if self.read_own(SECRET_FILE).is_none() => Auth::kubernetes(needs(ROLE)?),
            "kubernetes" => Auth::kubernetes_with(needs(ROLE)?, secret()?),
            "cert" => Auth::certificate(self.read_own(ROLE).as_deref()),
            _ => {
                return Err(invalid(format!(
                    "{} is none of token, approle, userpass, jwt, kubernetes and cert",
                    self.own(METHOD)
                )));
            }
        };
        Ok(match self.read_own(MOUNT) {
            Some(mount) => auth.at(mount),
            None => auth,
        })
    }
}

fn invalid(message: String) -> Error {
    Error::new(ErrorKind::InvalidInput, message)
}

impl fmt::Debug for Environment<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Environment").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with<T>(
        family: Family,
        variables: &[(&str, &str)],
        test: impl FnOnce(&Environment<'_>) -> T,
    ) -> T {
        let read = |name: &str| {
            let found = variables.iter().find(|(own, _)| *own == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        test(&Environment::new(family, &read))
    }

    #[test]
    fn families_are_not_mixed() {
        let both = [
            ("VAULT_ADDR", "https://vault"),
            ("VAULT_TOKEN", "hvs.x"),
            ("BAO_ADDR", "https://bao"),
        ];
        with(Family::OpenBao, &both, |env| {
            assert_eq!(env.address().unwrap(), "https://bao");
            // The token of the other server is not sent to this one.
            let error = env.auth().unwrap_err();
            assert!(error.message().contains("BAO_TOKEN"), "{error}");
        });
        with(Family::Vault, &both, |env| {
            assert_eq!(env.address().unwrap(), "https://vault");
            assert!(env.auth().is_ok());
        });
        with(Family::OpenBao, &both[..2], |env| {
            assert_eq!(env.address().unwrap(), "https://vault");
        });
        let error = with(Family::OpenBao, &[("BAO_ADDR", "")], |env| env.address().unwrap_err());
        assert!(error.message().contains("VAULT_ADDR"), "{error}");
    }

    #[test]
    fn methods_say_what_they_lack() {
        for (method, also, lacks) in [
            ("approle", &[][..], "BULLA_VAULT_ROLE"),
            ("approle", &[("BULLA_VAULT_ROLE", "r")], "BULLA_VAULT_SECRET_FILE"),
            ("jwt", &[("BULLA_VAULT_SECRET_FILE", "/f")], "BULLA_VAULT_ROLE"),
            ("kubernetes", &[], "BULLA_VAULT_ROLE"),
            ("ldap", &[], "none of token"),
            ("token", &[], "VAULT_TOKEN"),
        ] {
            let variables = [&[("BULLA_VAULT_AUTH", method)], also].concat();
            let error = with(Family::Vault, &variables, |env| env.auth().unwrap_err());
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert!(error.message().contains(lacks), "{method}: {error}");
        }
        let bao = [("BAO_ADDR", "https://bao"), ("BULLA_VAULT_AUTH", "cert")];
        let error = with(Family::OpenBao, &bao, |env| env.auth().unwrap_err());
        assert!(error.message().contains("BULLA_BAO_AUTH"), "{error}");
        let all = [
            ("BULLA_VAULT_AUTH", "approle"),
            ("BULLA_VAULT_AUTH_MOUNT", "team/approle"),
            ("BULLA_VAULT_ROLE", "r"),
            ("BULLA_VAULT_SECRET_FILE", "/run/secret"),
            ("BULLA_VAULT_SECRET_WRAPPED", "true"),
        ];
        let auth = with(Family::Vault, &all, |env| env.auth().unwrap());
        assert_eq!(auth.path().unwrap(), "auth/team/approle/login");
        assert!(auth.method.secret().is_some_and(Secret::is_wrapped));
    }

    #[test]
    fn what_would_weaken_tls_is_refused_and_not_passed_over() {
        for variables in [&[("VAULT_SKIP_VERIFY", "true")], &[("VAULT_CAPATH", "/etc/ca")]] {
            let error = with(Family::Vault, variables, |env| env.ca_file().unwrap_err());
            assert!(error.message().contains("VAULT_CACERT"), "{error}");
        }
        let fine = [("VAULT_SKIP_VERIFY", "false"), ("VAULT_CACERT", "/ca.pem")];
        let file = with(Family::Vault, &fine, |env| env.ca_file().unwrap());
        assert_eq!(file, Some(PathBuf::from("/ca.pem")));
        let half = [("VAULT_CLIENT_CERT", "/c.pem")];
        assert!(with(Family::Vault, &half, |env| env.client_certificate().is_err()));
    }
}
