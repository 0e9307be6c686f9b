//! The configuration as it is written. What is not here is refused.

use serde::{Deserialize, de::DeserializeOwned};
use toml::{
    Spanned,
    de::{DeTable, DeValue, ValueDeserializer},
};

use crate::source::{Source, printable};

/// Names and what they stand for; `None` for what could not be read, and has been told.
pub(crate) type Table<T> = Vec<(Spanned<String>, Option<T>)>;

#[derive(Default)]
pub(crate) struct File {
    pub(crate) default: Option<Spanned<String>>,
    pub(crate) keys: Table<Key>,
    pub(crate) groups: Table<Group>,
    pub(crate) policies: Table<Policy>,
}

impl File {
    /// Reads every entry for itself, so that one mistake does not hide the next.
    pub(crate) fn read(source: &mut Source<'_>) -> Self {
        let mut file = Self::default();
        let (root, errors) = DeTable::parse_recoverable(source.text);
        if !errors.is_empty() {
            errors.iter().for_each(|error| source.not_read(error));
            return file;
        }
        for (name, value) in root.into_inner() {
            match name.get_ref().as_ref() {
                "default" => file.default = entry(source, value),
                "keys" => file.keys = table(source, "keys", value),
                "groups" => file.groups = table(source, "groups", value),
                "policies" => file.policies = table(source, "policies", value),
                other => {
                    let message = format!(
                        "unknown field `{}`, expected one of `default`, `keys`, `groups`, `policies`",
                        printable(other)
                    );
                    source.wrong(name.span(), message);
                }
            }
        }
        file
    }
}

fn table<T: DeserializeOwned>(
    source: &mut Source<'_>,
    title: &str,
    value: Spanned<DeValue<'_>>,
) -> Table<T> {
    let span = value.span();
    let DeValue::Table(entries) = value.into_inner() else {
        source.wrong(span, format!("`{title}` is no table: write [{title}.NAME]"));
        return Table::new();
    };
    let entries = entries.into_iter().map(|(name, value)| {
        let name = Spanned::new(name.span(), name.into_inner().into_owned());
        (name, entry(source, value))
    });
    entries.collect()
}

fn entry<T: DeserializeOwned>(source: &mut Source<'_>, value: Spanned<DeValue<'_>>) -> Option<T> {
    T::deserialize(ValueDeserializer::from(value)).map_err(|error| source.not_read(&error)).ok()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", expecting = "a table")]
pub(crate) struct Key {
    pub(crate) uri: Spanned<String>,
    pub(crate) policy: Option<Spanned<String>>,
    pub(crate) accept_public_key_wraps: Option<Spanned<bool>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", expecting = "a table")]
pub(crate) struct Group {
    pub(crate) recipients: Spanned<Vec<Spanned<String>>>,
    pub(crate) write: Option<Spanned<Write>>,
    pub(crate) header_len: Option<u16>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case", expecting = "\"all\" or a table with `at-least`")]
pub(crate) enum Write {
    All,
    AtLeast(usize),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", expecting = "a table")]
pub(crate) struct Policy {
    pub(crate) attempt_timeout: Option<Spanned<String>>,
    pub(crate) deadline: Option<Spanned<String>>,
    pub(crate) max_attempts: Option<u32>,
    pub(crate) backoff: Option<Backoff>,
    pub(crate) retry_budget: Option<RetryBudget>,
    pub(crate) breaker: Option<Breaker>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(crate) struct Backoff {
    pub(crate) base: Spanned<String>,
    pub(crate) cap: Spanned<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(crate) struct RetryBudget {
    pub(crate) percent: u32,
    pub(crate) reserve: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", expecting = "a table")]
pub(crate) struct Breaker {
    pub(crate) failures: Option<u32>,
    pub(crate) cool_down: Option<Spanned<String>>,
}
