//! The configuration as it is written. What is not here is refused.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;

pub(super) type Table<T> = BTreeMap<Spanned<String>, T>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct File {
    pub(super) default: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) keys: Table<Key>,
    #[serde(default)]
    pub(super) groups: Table<Group>,
    #[serde(default)]
    pub(super) policies: Table<Policy>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct Key {
    pub(super) uri: Spanned<String>,
    pub(super) policy: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", expecting = "a table")]
pub(super) struct Group {
    pub(super) recipients: Spanned<Vec<Spanned<String>>>,
    pub(super) write: Option<Spanned<Write>>,
    pub(super) header_len: Option<u16>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case", expecting = "\"all\" or a table with `at-least`")]
pub(super) enum Write {
    All,
    AtLeast(usize),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", expecting = "a table")]
pub(super) struct Policy {
    pub(super) attempt_timeout: Option<Spanned<String>>,
    pub(super) deadline: Option<Spanned<String>>,
    pub(super) max_attempts: Option<u32>,
    pub(super) backoff: Option<Backoff>,
    pub(super) retry_budget: Option<RetryBudget>,
    pub(super) breaker: Option<Breaker>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct Backoff {
    pub(super) base: Spanned<String>,
    pub(super) cap: Spanned<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct RetryBudget {
    pub(super) percent: u32,
    pub(super) reserve: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", expecting = "a table")]
pub(super) struct Breaker {
    pub(super) failures: Option<u32>,
    pub(super) cool_down: Option<Spanned<String>>,
}
