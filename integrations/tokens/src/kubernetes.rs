//! Credentials for Kubernetes clients: what an exec plugin is asked and answers
//! (`client.authentication.k8s.io`, versions `v1` and `v1beta1`).

use std::{env, fmt, time::SystemTime};

use bulla::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// Where a client says what it asks for.
const VARIABLE: &str = "KUBERNETES_EXEC_INFO";

/// The longest question that is read, in bytes: it may have a cluster's certificates in it.
const MAX_LEN: usize = 1 << 20;

const GROUP: &str = "client.authentication.k8s.io";

/// The version of the interface that a client speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExecVersion {
    /// `client.authentication.k8s.io/v1`, from Kubernetes 1.22 on.
    #[default]
    V1,
    /// `client.authentication.k8s.io/v1beta1`.
    V1Beta1,
}

impl ExecVersion {
    /// The `apiVersion`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V1 => "client.authentication.k8s.io/v1",
            Self::V1Beta1 => "client.authentication.k8s.io/v1beta1",
        }
    }
}

/// What a client has asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExecInfo {
    /// The version that the answer has to have.
    pub version: ExecVersion,
    /// Whether somebody is there who can be asked, such as for a passphrase.
    pub interactive: bool,
    /// The cluster's address, if the client tells it (`provideClusterInfo`).
    pub server: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Question {
    api_version: String,
    kind: String,
    #[serde(default)]
    spec: Spec,
}

#[derive(Default, Deserialize)]
struct Spec {
    #[serde(default)]
    interactive: bool,
    cluster: Option<Cluster>,
}

#[derive(Deserialize)]
struct Cluster {
    server: Option<String>,
}

impl ExecInfo {
    /// What the environment says. Without `KUBERNETES_EXEC_INFO`, which a shell does not set, version `v1`
    /// is answered.
    ///
    /// # Errors
    /// As for [`parse`](Self::parse).
    pub fn from_env() -> Result<Self> {
        match env::var(VARIABLE) {
            Ok(text) => Self::parse(&text),
            Err(env::VarError::NotPresent) => Ok(Self::default()),
            Err(env::VarError::NotUnicode(_)) => Err(invalid("is no UTF-8")),
        }
    }

    /// What `KUBERNETES_EXEC_INFO` says.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for what is no `ExecCredential`; [`ErrorKind::Unsupported`] for another
    /// version.
    pub fn parse(text: &str) -> Result<Self> {
        if text.len() > MAX_LEN {
            return Err(invalid("is longer than 1 MiB"));
        }
        let question: Question = serde_json::from_str(text)
            .map_err(|error| invalid("is no JSON of an ExecCredential").with_source(error))?;
        if question.kind != "ExecCredential" {
            return Err(invalid("is of another kind than ExecCredential"));
        }
        let version = [ExecVersion::V1, ExecVersion::V1Beta1]
            .into_iter()
            .find(|version| version.as_str() == question.api_version)
            .ok_or_else(|| {
                let message = format!(
                    "{VARIABLE} asks for another version than v1 and v1beta1 of {GROUP}; set apiVersion in \
                     the kubeconfig's exec section to {GROUP}/v1"
                );
                Error::new(ErrorKind::Unsupported, message)
            })?;
        let Spec { interactive, cluster } = question.spec;
        Ok(Self { version, interactive, server: cluster.and_then(|cluster| cluster.server) })
    }
}

fn invalid(what: &str) -> Error {
    Error::new(ErrorKind::InvalidInput, format!("{VARIABLE} {what}"))
}

/// A bearer token as a plugin hands it to its client. Serialise it as JSON, on standard output and with
/// nothing else there. Its `Debug` does not show the token.
#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExecCredential {
    api_version: &'static str,
    kind: &'static str,
    status: Status,
}

#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    /// RFC 3339, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    expiration_timestamp: Option<String>,
    #[serde(serialize_with = "text")]
    token: Zeroizing<String>,
}

fn text<S: serde::Serializer>(token: &Zeroizing<String>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(token)
}

impl ExecCredential {
    /// A token that is valid until `expires`, when the client asks for another; one without is used until the
    /// server answers 401. The version is the one that was asked for: a client refuses any other.
    #[must_use]
    pub fn new(info: &ExecInfo, token: impl Into<String>, expires: Option<SystemTime>) -> Self {
        let expires = expires.map(|time| humantime::format_rfc3339_seconds(time).to_string());
        let status = Status { expiration_timestamp: expires, token: Zeroizing::new(token.into()) };
        Self { api_version: info.version.as_str(), kind: "ExecCredential", status }
    }
}

impl fmt::Debug for ExecCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExecCredential")
            .field("api_version", &self.api_version)
            .field("expiration_timestamp", &self.status.expiration_timestamp)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use serde_json::json;

    use super::*;

    #[test]
    fn the_answer_has_the_version_of_the_question() {
        for version in ["v1", "v1beta1"] {
            let question = json!({
                "apiVersion": format!("{GROUP}/{version}"), "kind": "ExecCredential",
                "spec": { "interactive": true, "cluster": { "server": "https://k", "config": null } },
            });
            let info = ExecInfo::parse(&question.to_string()).unwrap();
            assert!(info.interactive);
            assert_eq!(info.server.as_deref(), Some("https://k"));
            let expires = Some(UNIX_EPOCH + Duration::from_millis(1_793_491_200_900));
            let answer = ExecCredential::new(&info, "t", expires);
            assert_eq!(
                serde_json::to_value(&answer).unwrap(),
                json!({
                    "apiVersion": format!("{GROUP}/{version}"), "kind": "ExecCredential",
                    "status": { "token": "t", "expirationTimestamp": "2026-11-01T00:00:00Z" },
                })
            );
            assert!(!format!("{answer:?}").contains("\"t\""));
        }
    }

    #[test]
    fn what_is_no_question_is_refused() {
        let of = |version: &str, kind: &str| {
            json!({ "apiVersion": version, "kind": kind, "spec": {} }).to_string()
        };
        let v1 = ExecVersion::V1.as_str();
        assert_eq!(ExecInfo::parse(&of(v1, "ExecCredential")).unwrap(), ExecInfo::default());
        let alpha = ExecInfo::parse(&of(&format!("{GROUP}/v1alpha1"), "ExecCredential"));
        assert_eq!(alpha.unwrap_err().kind(), ErrorKind::Unsupported);
        for bad in [of(v1, "Pod"), "{}".to_owned(), String::new(), " ".repeat(2 << 20)] {
            assert_eq!(ExecInfo::parse(&bad).unwrap_err().kind(), ErrorKind::InvalidInput);
        }
    }
}
