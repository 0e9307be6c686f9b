//! What was found, for people and for programs.

use std::fmt::Write as _;

use serde::Serialize;

use crate::failure::{self, Failure};

/// All findings. As JSON they are documented in JSON.md: fields are added, not changed.
#[derive(Serialize)]
pub(super) struct Report {
    status: Status,
    checks: Vec<Check>,
}

/// What was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Subject {
    Configuration,
    KeyStore,
    Key,
    #[cfg(feature = "spiffe")]
    WorkloadApi,
}

/// Ordered: the worst is the greatest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Status {
    Ok,
    Warn,
    Fail,
}

#[derive(Serialize)]
pub(super) struct Check {
    subject: Subject,
    name: Option<String>,
    status: Status,
    message: String,
    advice: Option<String>,
    key: Option<KeyFacts>,
    /// The exit code of a run with this finding alone.
    #[serde(skip)]
    code: u8,
}

/// What [`KeyFacts::public_key_wraps`] is where the owner accepts them, and where not.
pub(super) const ACCEPTED: &str = "accepted";
pub(super) const REFUSED: &str = "refused";

/// What is known of a key.
#[derive(Default, Serialize)]
pub(super) struct KeyFacts {
    pub(super) uri: String,
    #[serde(rename = "type")]
    pub(super) key_type: Option<String>,
    pub(super) state: Option<&'static str>,
    pub(super) version: Option<String>,
    pub(super) latency_ms: Option<f64>,
    pub(super) seals: Option<&'static str>,
    pub(super) public_key_wraps: Option<&'static str>,
    pub(super) direct_limit: Option<usize>,
    pub(super) signing: Vec<&'static str>,
}

impl Check {
    pub(super) fn ok(subject: Subject, message: String) -> Self {
        let status = Status::Ok;
        Self { subject, name: None, status, message, advice: None, key: None, code: 0 }
    }

    pub(super) fn warn(subject: Subject, message: String, advice: String) -> Self {
        Self { status: Status::Warn, advice: Some(advice), ..Self::ok(subject, message) }
    }

    pub(super) fn failed(subject: Subject, failure: &Failure) -> Self {
        let hints = failure.hints();
        let advice = (!hints.is_empty()).then(|| hints.join("; "));
        let code = failure.code();
        let message = failure.message().to_owned();
        Self { status: Status::Fail, advice, code, ..Self::ok(subject, message) }
    }

    pub(super) fn of_key(self, name: String, facts: KeyFacts) -> Self {
        let message = Failure::message_of(&self.message, &name).to_owned();
        Self { name: Some(name), message, key: Some(facts), ..self }
    }

    fn to_text(&self) -> String {
        let status = match self.status {
            Status::Ok => "ok",
            Status::Warn => "warn",
            Status::Fail => "FAIL",
        };
        let subject = match self.subject {
            Subject::Configuration => "configuration",
            Subject::KeyStore => "key store",
            Subject::Key => "key",
            #[cfg(feature = "spiffe")]
            Subject::WorkloadApi => "Workload API",
        };
        let mut line = format!("{status:4}  {subject}");
        if let Some(name) = &self.name {
            let _ = write!(line, " {name}");
        }
        let _ = write!(line, ": {}", self.message);
        if let Some(advice) = &self.advice {
            let _ = write!(line, "; {advice}");
        }
        // One finding is one line, whatever it quotes.
        line.replace(char::is_control, " ")
    }
}

impl KeyFacts {
    /// What is known, in words.
    pub(super) fn to_text(&self) -> String {
        let mut words: Vec<String> = self.key_type.iter().cloned().collect();
        words.extend(self.state.map(str::to_owned));
        words.extend(self.version.iter().map(|version| format!("version {version}")));
        words.extend(self.seals.map(|how| format!("seals (context {how})")));
        words.extend(self.public_key_wraps.map(|how| {
            match how {
                ACCEPTED => "opens what anybody with its public key has sealed".to_owned(),
                _ => "opens nothing, since anybody with its public key can seal to it: \
                  accept-public-key-wraps is not set"
                    .to_owned(),
            }
        }));
        words.extend(self.direct_limit.map(|most| format!("direct up to {most} bytes")));
        if !self.signing.is_empty() {
            words.push(format!("signs {}", self.signing.join(" ")));
        }
        words.extend(self.latency_ms.map(|ms| format!("answered in {ms} ms")));
        words.join(", ")
    }
}

impl Report {
    pub(super) fn new(checks: Vec<Check>) -> Self {
        let status = checks.iter().map(|check| check.status).max().unwrap_or(Status::Ok);
        Self { status, checks }
    }

    /// That of the worst finding: what waiting does not mend is worse than what it may mend.
    pub(super) fn exit_code(&self) -> u8 {
        failure::worst(self.checks.iter().map(|check| check.code))
    }

    pub(super) fn to_text(&self) -> String {
        self.checks.iter().map(|check| check.to_text() + "\n").collect()
    }
}

#[cfg(test)]
mod tests {
    use bulla::{Error, ErrorKind};

    use super::*;

    fn failed(kind: ErrorKind) -> Check {
        Check::failed(Subject::Key, &Error::new(kind, "so").into())
    }

    #[test]
    fn the_worst_finding_decides() {
        let report = |kinds: &[ErrorKind]| {
            let fine = Check::warn(Subject::Key, String::new(), String::new());
            Report::new(kinds.iter().map(|kind| failed(*kind)).chain([fine]).collect())
        };
        use ErrorKind as K;
        for (kinds, code) in [
            (&[] as &[K], 0),
            (&[K::Unavailable], 4),
            (&[K::Disabled], 1),
            (&[K::NotAuthentic], 3),
            (&[K::Unavailable, K::Disabled], 1),
            (&[K::NotAuthentic, K::Timeout], 3),
            (&[K::NotAuthentic, K::Disabled], 1),
            (&[K::InvalidInput, K::Disabled, K::Unavailable, K::NotAuthentic], 2),
        ] {
            assert_eq!(report(kinds).exit_code(), code, "{kinds:?}");
        }
        assert_eq!(report(&[]).status, Status::Warn);
        assert_eq!(report(&[K::Timeout]).status, Status::Fail);
        assert_eq!(Report::new(Vec::new()).status, Status::Ok);
    }

    #[test]
    fn a_finding_is_one_line() {
        let check = Check::warn(Subject::Key, "a\nb\x1b[2J".to_owned(), "mend it".to_owned());
        let check = check.of_key("work".to_owned(), KeyFacts::default());
        assert_eq!(check.to_text(), "warn  key work: a b [2J; mend it");
    }
}
