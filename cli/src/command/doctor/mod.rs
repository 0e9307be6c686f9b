//! `bulla doctor`: asks everything that sealing and opening depend on, and changes nothing.

mod keys;
mod report;
#[cfg(feature = "spiffe")]
mod workload;

use std::{fs, os::unix::fs::PermissionsExt as _};

use bulla_config::{Config, ConfigError};
use bulla_local::{KeyRecord, Store};

use self::report::{Check, Report, Subject};
use crate::{
    Session,
    args::Doctor,
    config::Place,
    failure::{Failure, Outcome},
    json,
    passphrases::Passphrases,
    providers, shown, stdio,
};

pub(crate) fn run(args: &Doctor, session: &Session) -> Outcome<()> {
    let passphrases = Passphrases::new(&args.passphrases.files, &session.cleanup)?;
    let place = Place::find(session.config.as_deref());
    let loaded = place.as_ref().map_or(Ok(None), Place::read);
    let mut checks = configuration(place.as_ref(), &loaded);
    let (found, stored) = key_store();
    checks.push(found);
    let store = providers::store();
    let (wanted, configured) = match &loaded {
        Ok(Some(config)) => (config.keys().cloned().collect(), true),
        Ok(None) => (stored.iter().filter_map(providers::stored_key).collect(), false),
        Err(_) => (Vec::new(), false),
    };
    if let Ok(store) = store {
        checks.extend(keys::check_all(wanted, configured, &store, &passphrases, session));
    }
    #[cfg(feature = "spiffe")]
    checks.extend(workload::check(session));
    let report = Report::new(checks);
    if args.json {
        json::print(&report)?
    } else {
        stdio::print(&report.to_text())?
    }
    match report.exit_code() {
        0 => Ok(()),
        code => Err(Failure::told(code)),
    }
}

fn configuration(
    place: Option<&Place>,
    loaded: &Result<Option<Config>, ConfigError>,
) -> Vec<Check> {
    let subject = Subject::Configuration;
    let Some(place) = place else {
        let none = "none (no home directory): keys are named by URIs";
        return vec![Check::ok(subject, none.to_owned())];
    };
    let path = shown::path(&place.path);
    let mut checks = match loaded {
        Ok(None) => {
            return vec![Check::ok(subject, format!("none ({path}): keys are named by URIs"))];
        }
        Ok(Some(config)) => vec![Check::ok(subject, summary(config))],
        Err(error) => {
            let failures = place.failures(error);
            failures.iter().map(|failure| Check::failed(subject, failure)).collect()
        }
    };
    // Whoever may write to it says which keys data is sealed to.
    let open = fs::metadata(&place.path)
        .is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o022 != 0);
    if open {
        let message = format!("{path}: others may write to it and choose what data is sealed to");
        checks.push(Check::warn(subject, message, format!("chmod go-w {path}")));
    }
    checks
}

fn summary(config: &Config) -> String {
    let default = match config.default_name() {
        Some(name) => format!("default {name}"),
        None => "no default, so `encrypt` needs --key".to_owned(),
    };
    format!(
        "{}: {}, {}, {}, {default}",
        config.origin(),
        count(config.keys().len(), "key", "keys"),
        count(config.groups().len(), "group", "groups"),
        count(config.policies().len(), "policy", "policies"),
    )
}

/// The keys in the store, if it can be read.
fn key_store() -> (Check, Vec<KeyRecord>) {
    let subject = Subject::KeyStore;
    let listed = providers::store().and_then(|store| {
        let keys = store.keys()?;
        Ok((store, keys))
    });
    match listed {
        Err(failure) => (Check::failed(subject, &failure), Vec::new()),
        Ok((store, keys)) => (Check::ok(subject, store_line(&store, &keys)), keys),
    }
}

fn store_line(store: &Store, keys: &[KeyRecord]) -> String {
    let path = shown::path(store.path());
    if !store.exists() {
        return format!("{path}: there is none yet; the first key makes it");
    }
    format!("{path}: {}", count(keys.len(), "key", "keys"))
}

fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}
