//! From what is written to a configuration that holds together.

use std::{collections::BTreeMap, time::Duration};

use bulla::{KeyUri, envelope::WritePolicy, format::MAX_RECIPIENTS, resilience::Policy};
use toml::Spanned;

use crate::{
    config::{Config, Group, Key, is_name},
    duration::parse_duration,
    error::ConfigError,
    schema::{self, File, Table, Write},
    source::{Source, printable},
};

/// The schemes that have RSA keys to seal to.
const PUBLIC_KEY_SCHEMES: [&str; 2] = ["azurekeyvault", "pkcs11"];

/// By name. `None` is what is wrong and has been told: its name leads somewhere all the same.
type Checked<T> = BTreeMap<String, Option<T>>;

pub(crate) fn check(origin: &str, text: &str) -> Result<Config, ConfigError> {
    let mut source = Source::new(text);
    let File { default, keys, groups, policies } = File::read(&mut source);
    let policies = table(&mut source, "policies", policies, policy);
    let keys = table(&mut source, "keys", keys, |source, name, written| {
        key(source, name, written, &policies)
    });
    let groups = table(&mut source, "groups", groups, |source, name, written| {
        if keys.contains_key(name.get_ref()) {
            let message = format!("`{}` is the name of a key already", printable(name.get_ref()));
            source.wrong(name.span(), message);
        }
        group(source, name, written, &keys)
    });
    let default = default.map(|name| {
        if !keys.contains_key(name.get_ref()) && !groups.contains_key(name.get_ref()) {
            let message = format!("there is no key or group `{}`", printable(name.get_ref()));
            source.wrong(name.span(), message);
        }
        name.into_inner()
    });
    let mistakes = source.mistakes();
    if !mistakes.is_empty() {
        return Err(ConfigError::mistaken(origin, mistakes));
    }
    Ok(Config {
        origin: origin.to_owned(),
        default,
        keys: complete(keys),
        groups: complete(groups),
        policies: complete(policies),
    })
}

/// Without mistakes, everything is there.
fn complete<T>(checked: Checked<T>) -> BTreeMap<String, T> {
    checked.into_iter().filter_map(|(name, entry)| Some((name, entry?))).collect()
}

/// Checks the entries of a table and their names.
fn table<T, U>(
    source: &mut Source<'_>,
    title: &str,
    entries: Table<T>,
    check: impl Fn(&mut Source<'_>, &Spanned<String>, &T) -> Option<U>,
) -> Checked<U> {
    let checked = entries.into_iter().map(|(name, entry)| {
        if !is_name(name.get_ref()) {
            let message = format!(
                "`{title}.{}`: a name is 1 to 64 of A-Z a-z 0-9 . _ - and does not begin with . or -",
                printable(name.get_ref())
            );
            source.wrong(name.span(), message);
        }
        let entry = entry.and_then(|entry| check(source, &name, &entry));
        (name.into_inner(), entry)
    });
    checked.collect()
}

fn key(
    source: &mut Source<'_>,
    name: &Spanned<String>,
    key: &schema::Key,
    policies: &Checked<Policy>,
) -> Option<Key> {
    let uri = key.uri.get_ref().parse::<KeyUri>().map_err(|error| {
        source.wrong(key.uri.span(), format!("`uri` is no key URI: {}", error.message()));
    });
    let policy = match &key.policy {
        None => Some(Policy::default()),
        Some(name) => policies.get(name.get_ref()).cloned().unwrap_or_else(|| {
            let message = format!("there is no policy `{}`", printable(name.get_ref()));
            source.wrong(name.span(), message);
            None
        }),
    };
    let uri = uri.ok();
    let accept = key.accept_public_key_wraps.as_ref();
    if let (Some(accept), Some(uri)) = (accept, &uri)
        && !PUBLIC_KEY_SCHEMES.contains(&uri.scheme())
    {
        let message = format!(
            "`accept-public-key-wraps` is for keys that are sealed to by their public half: {}",
            PUBLIC_KEY_SCHEMES.join(", ")
        );
        source.wrong(accept.span(), message);
    }
    let accept_public_key_wraps = accept.is_some_and(|accept| *accept.get_ref());
    Some(Key { name: name.get_ref().clone(), uri: uri?, policy: policy?, accept_public_key_wraps })
}

fn group(
    source: &mut Source<'_>,
    name: &Spanned<String>,
    group: &schema::Group,
    keys: &Checked<Key>,
) -> Option<Group> {
    let names = group.recipients.get_ref();
    if !(1..=MAX_RECIPIENTS).contains(&names.len()) {
        let message = format!("a group has 1 to {MAX_RECIPIENTS} recipients, not {}", names.len());
        source.wrong(group.recipients.span(), message);
        return None;
    }
    let mut recipients: Vec<String> = Vec::new();
    for name in names {
        let mut wrong = |what| {
            source.wrong(name.span(), format!("`{}` {what}", printable(name.get_ref())));
        };
        if !keys.contains_key(name.get_ref()) {
            wrong("is no key; recipients are names from [keys]");
        } else if recipients.contains(name.get_ref()) {
            wrong("is a recipient twice");
        }
        recipients.push(name.get_ref().clone());
    }
    let write = match &group.write {
        None => WritePolicy::All,
        Some(write) => match *write.get_ref() {
            Write::All => WritePolicy::All,
            Write::AtLeast(least) => {
                if !(1..=recipients.len()).contains(&least) {
                    let message = format!(
                        "`at-least` is {least}; this group has {} recipient(s): give from 1 to that",
                        recipients.len()
                    );
                    source.wrong(write.span(), message);
                }
                WritePolicy::AtLeast(least)
            }
        },
    };
    let name = name.get_ref().clone();
    Some(Group { name, recipients, write, header_len: group.header_len })
}

fn policy(
    source: &mut Source<'_>,
    name: &Spanned<String>,
    policy: &schema::Policy,
) -> Option<Policy> {
    let mut time = |field: &str, text: &Spanned<String>| -> Option<Duration> {
        let told = |why| {
            let message = format!("`{field}`: {} {why}", printable(text.get_ref()));
            source.wrong(text.span(), message);
        };
        parse_duration(text.get_ref()).map_err(told).ok()
    };
    let attempt_timeout = policy.attempt_timeout.as_ref().map(|t| time("attempt-timeout", t));
    let deadline = policy.deadline.as_ref().map(|t| time("deadline", t));
    let backoff = policy
        .backoff
        .as_ref()
        .map(|b| (time("backoff.base", &b.base), time("backoff.cap", &b.cap)));
    let breaker = policy.breaker.as_ref();
    let cool_down =
        breaker.and_then(|b| b.cool_down.as_ref()).map(|t| time("breaker.cool-down", t));

    let mut built = Policy::builder();
    if let Some(timeout) = attempt_timeout {
        built = built.attempt_timeout(timeout?);
    }
    if let Some(deadline) = deadline {
        built = built.deadline(deadline?);
    }
    if let Some(attempts) = policy.max_attempts {
        built = built.max_attempts(attempts);
    }
    if let Some((base, cap)) = backoff {
        built = built.backoff(base?, cap?);
    }
    if let Some(budget) = &policy.retry_budget {
        built = built.retry_budget(budget.percent, budget.reserve);
    }
    if let Some(failures) = breaker.and_then(|breaker| breaker.failures) {
        built = built.breaker_threshold(failures);
    }
    if let Some(time) = cool_down {
        built = built.cool_down(time?);
    }
    let told = |error: bulla::Error| {
        let message = format!("`{}`: {}", printable(name.get_ref()), error.message());
        source.wrong(name.span(), message);
    };
    built.build().map_err(told).ok()
}
