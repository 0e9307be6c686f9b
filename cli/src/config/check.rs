//! From what is written to a configuration that holds together.

use std::{collections::BTreeMap, time::Duration};

use bulla::{KeyUri, envelope::WritePolicy, format::MAX_RECIPIENTS, resilience::Policy};
use toml::Spanned;

use super::{
    Config, Group, Key,
    schema::{self, Table, Write},
    source::Source,
};
use crate::{duration, failure::Outcome, shown};

type Policies = BTreeMap<String, Policy>;

pub(super) fn check(source: &Source<'_>) -> Outcome<Config> {
    let file: schema::File =
        toml::from_str(source.text).map_err(|error| source.not_read(&error))?;
    let policies = table(source, "policies", &file.policies, |name, policy| {
        self::policy(source, name, policy)
    })?;
    let keys = table(source, "keys", &file.keys, |_, key| self::key(source, key, &policies))?;
    let groups = table(source, "groups", &file.groups, |name, group| {
        if keys.contains_key(name.get_ref()) {
            let message = format!("`{}` is the name of a key already", name.get_ref());
            return Err(source.wrong(name.span(), message));
        }
        self::group(source, group, &keys)
    })?;
    let default = file.default.map(|name| {
        if keys.contains_key(name.get_ref()) || groups.contains_key(name.get_ref()) {
            return Ok(name.get_ref().clone());
        }
        let message = format!("there is no key or group `{}`", shown::token(name.get_ref()));
        Err(source.wrong(name.span(), message))
    });
    Ok(Config {
        path: source.path.to_owned(),
        default: default.transpose()?,
        policies: policies.len(),
        keys,
        groups,
    })
}

/// Checks the entries of a table and their names.
fn table<T, U>(
    source: &Source<'_>,
    title: &str,
    entries: &Table<T>,
    entry: impl Fn(&Spanned<String>, &T) -> Outcome<U>,
) -> Outcome<BTreeMap<String, U>> {
    let checked = entries.iter().map(|(name, value)| {
        if !is_name(name.get_ref()) {
            let message = format!(
                "`{title}.{}`: a name is 1 to 64 of A-Z a-z 0-9 . _ - and does not begin with . or -",
                shown::token(name.get_ref())
            );
            return Err(source.wrong(name.span(), message));
        }
        Ok((name.get_ref().clone(), entry(name, value)?))
    });
    checked.collect()
}

pub(super) fn is_name(text: &str) -> bool {
    let fit = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    (1..=64).contains(&text.len()) && text.bytes().all(fit) && !text.starts_with(['.', '-'])
}

fn key(source: &Source<'_>, key: &schema::Key, policies: &Policies) -> Outcome<Key> {
    let uri = key.uri.get_ref().parse::<KeyUri>().map_err(|error| {
        source.wrong(key.uri.span(), format!("`uri` is no key URI: {}", error.message()))
    })?;
    let policy = match &key.policy {
        None => Policy::default(),
        Some(name) => policies.get(name.get_ref()).cloned().ok_or_else(|| {
            let message = format!("there is no policy `{}`", shown::token(name.get_ref()));
            source.wrong(name.span(), message)
        })?,
    };
    Ok(Key { uri, policy })
}

fn group(
    source: &Source<'_>,
    group: &schema::Group,
    keys: &BTreeMap<String, Key>,
) -> Outcome<Group> {
    let names = group.recipients.get_ref();
    if !(1..=MAX_RECIPIENTS).contains(&names.len()) {
        let message = format!("a group has 1 to {MAX_RECIPIENTS} recipients, not {}", names.len());
        return Err(source.wrong(group.recipients.span(), message));
    }
    let mut recipients: Vec<String> = Vec::new();
    for name in names {
        let wrong = |what| {
            let message = format!("`{}` {what}", shown::token(name.get_ref()));
            source.wrong(name.span(), message)
        };
        if !keys.contains_key(name.get_ref()) {
            return Err(wrong("is no key; recipients are names from [keys]"));
        }
        if recipients.contains(name.get_ref()) {
            return Err(wrong("is a recipient twice"));
        }
        recipients.push(name.get_ref().clone());
    }
    let write = match &group.write {
        None => WritePolicy::All,
        Some(write) => match *write.get_ref() {
            Write::All => WritePolicy::All,
            Write::AtLeast(least) if (1..=recipients.len()).contains(&least) => {
                WritePolicy::AtLeast(least)
            }
            Write::AtLeast(least) => {
                let message = format!(
                    "`at-least` is {least}; this group has {} recipient(s): give from 1 to that",
                    recipients.len()
                );
                return Err(source.wrong(write.span(), message));
            }
        },
    };
    Ok(Group { recipients, write, header_len: group.header_len })
}

fn policy(source: &Source<'_>, name: &Spanned<String>, policy: &schema::Policy) -> Outcome<Policy> {
    let time = |field: &str, text: &Spanned<String>| -> Outcome<Duration> {
        duration::parse(text.get_ref()).map_err(|why| {
            let message = format!("`{field}`: {} {why}", shown::token(text.get_ref()));
            source.wrong(text.span(), message)
        })
    };
    let mut built = Policy::builder();
    if let Some(text) = &policy.attempt_timeout {
        built = built.attempt_timeout(time("attempt-timeout", text)?);
    }
    if let Some(text) = &policy.deadline {
        built = built.deadline(time("deadline", text)?);
    }
    if let Some(attempts) = policy.max_attempts {
        built = built.max_attempts(attempts);
    }
    if let Some(backoff) = &policy.backoff {
        built =
            built.backoff(time("backoff.base", &backoff.base)?, time("backoff.cap", &backoff.cap)?);
    }
    if let Some(budget) = &policy.retry_budget {
        built = built.retry_budget(budget.percent, budget.reserve);
    }
    if let Some(breaker) = &policy.breaker {
        if let Some(failures) = breaker.failures {
            built = built.breaker_threshold(failures);
        }
        if let Some(text) = &breaker.cool_down {
            built = built.cool_down(time("breaker.cool-down", text)?);
        }
    }
    built.build().map_err(|error| {
        source.wrong(name.span(), format!("`{}`: {}", name.get_ref(), error.message()))
    })
}

#[cfg(test)]
mod tests;
