//! The document of a ring: JSON.

use std::time::{Duration, SystemTime};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use bulla::{Error, ErrorKind, KeyUri, KeyVersion, Result, SigningAlgorithm};
use serde::{Deserialize, Serialize};

use super::{
    KeyPlace, Phase, Ring, RingKey, RotationPolicy,
    document::{Halves, damaged},
};

/// The longest document, in bytes.
pub const MAX_RING_LEN: usize = 1 << 20;

const FORMAT: &str = "bulla-keyring/1";

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    format: String,
    name: String,
    policy: PolicyText,
    keys: Vec<KeyText>,
}

/// In seconds.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PolicyText {
    jwks_max_age: u64,
    token_life: u64,
    clock_skew: u64,
    staleness: u64,
    rotate_every: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyText {
    kid: String,
    phase: String,
    algorithm: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    public: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sealed: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    published: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    signing: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retired: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    removed: Option<String>,
}

impl Ring {
    /// The document.
    pub(super) fn to_text(&self) -> Result<Vec<u8>> {
        let policy = &self.policy;
        let text = Text {
            format: FORMAT.to_owned(),
            name: self.name.clone(),
            policy: PolicyText {
                jwks_max_age: policy.jwks_max_age.as_secs(),
                token_life: policy.token_life.as_secs(),
                clock_skew: policy.clock_skew.as_secs(),
                staleness: policy.staleness.as_secs(),
                rotate_every: policy.rotate_every.as_secs(),
            },
            keys: self.keys.iter().map(write).collect(),
        };
        let mut written = serde_json::to_vec_pretty(&text).map_err(|error| {
            Error::new(ErrorKind::Internal, "the ring has no JSON form").with_source(error)
        })?;
        written.push(b'\n');
        if written.len() > MAX_RING_LEN {
            let message = format!("the ring would have over {MAX_RING_LEN} bytes");
            return Err(Error::new(ErrorKind::InvalidInput, message));
        }
        Ok(written)
    }

    /// # Errors
    /// [`ErrorKind::Damaged`] for what is no ring, or none that this version knows.
    pub(super) fn from_text(text: &[u8]) -> Result<Self> {
        if text.len() > MAX_RING_LEN {
            return Err(damaged(&format!("it has over {MAX_RING_LEN} bytes")));
        }
        let text: Text = serde_json::from_slice(text)
            .map_err(|error| damaged("it is not the JSON of a ring").with_source(error))?;
        if text.format != FORMAT {
            return Err(damaged("it is of another version of the format"));
        }
        let seconds = Duration::from_secs;
        let policy = RotationPolicy {
            jwks_max_age: seconds(text.policy.jwks_max_age),
            token_life: seconds(text.policy.token_life),
            clock_skew: seconds(text.policy.clock_skew),
            staleness: seconds(text.policy.staleness),
            rotate_every: seconds(text.policy.rotate_every),
        };
        let policy = policy.checked().map_err(|error| damaged(error.message()))?;
        let keys = text.keys.into_iter().map(read).collect::<Option<Vec<_>>>();
        let keys = keys.ok_or_else(|| damaged("a key of it has a value that can't be"))?;
        Self { name: text.name, policy, keys }.checked()
    }
}

fn write(key: &RingKey) -> KeyText {
    let (sealed, uri) = match key.place() {
        Some(KeyPlace::Sealed(sealed)) => (Some(BASE64_STANDARD.encode(sealed)), None),
        Some(KeyPlace::Provider(uri)) => (None, Some(uri.to_string())),
        None => (None, None),
    };
    KeyText {
        kid: key.kid.as_str().to_owned(),
        phase: key.phase.as_str().to_owned(),
        algorithm: key.algorithm.as_str().to_owned(),
        public: key.spki().map(|spki| BASE64_STANDARD.encode(spki)),
        sealed,
        key: uri,
        published: time(key.published),
        signing: key.signing.map(time),
        retired: key.retired.map(time),
        removed: key.removed.map(time),
    }
}

fn read(text: KeyText) -> Option<RingKey> {
    let decode = |text: String| BASE64_STANDARD.decode(text).ok();
    let place = match (text.sealed, text.key) {
        (Some(sealed), None) => Some(KeyPlace::Sealed(decode(sealed)?)),
        (None, Some(uri)) => Some(KeyPlace::Provider(Box::new(uri.parse::<KeyUri>().ok()?))),
        (None, None) => None,
        (Some(_), Some(_)) => return None,
    };
    let halves = match (text.public, place) {
        (Some(public), Some(place)) => Some(Halves { spki: decode(public)?, place }),
        (None, None) => None,
        _ => return None,
    };
    // `Some(None)` is a time that can't be read.
    let at = |text: Option<String>| match text {
        Some(text) => parse_time(&text).map(Some),
        None => Some(None),
    };
    Some(RingKey {
        kid: KeyVersion::parse(&text.kid).ok()?,
        phase: Phase::parse(&text.phase)?,
        algorithm: SigningAlgorithm::from_name(&text.algorithm)?,
        halves,
        published: parse_time(&text.published)?,
        signing: at(text.signing)?,
        retired: at(text.retired)?,
        removed: at(text.removed)?,
    })
}

/// RFC 3339, to the millisecond.
fn time(time: SystemTime) -> String {
    humantime::format_rfc3339_millis(time).to_string()
}

fn parse_time(text: &str) -> Option<SystemTime> {
    humantime::parse_rfc3339(text).ok()
}
