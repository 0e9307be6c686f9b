//! `bulla doctor`: asks everything that sealing and opening depend on, and changes nothing.

mod keys;
mod report;

use std::{fs, os::unix::fs::PermissionsExt as _};

use bulla_local::{KeyRecord, Store};

use self::report::{Check, Report, Subject};
use crate::{
    Session,
    args::Doctor,
    config::{Config, Place},
    failure::{Failure, Outcome},
    json,
    passphrases::Passphrases,
    providers::{self, NamedKey},
    shown, stdio,
};

pub(crate) fn run(args: &Doctor, session: &Session) -> Outcome<()> {
    let passphrases = Passphrases::new(&args.passphrases.files, &session.cleanup)?;
    let loaded = Config::load(session.config.as_deref());
    let mut checks = configuration(&loaded, session);
    let (found, stored) = key_store();
    checks.push(found);
    let store = providers::store();
    let (wanted, configured) = match &loaded {
        Ok(Some(config)) => {
            let keys = config.keys.keys().filter_map(|name| NamedKey::configured(config, name));
            (keys.collect(), true)
        }
        Ok(None) => (stored.iter().filter_map(NamedKey::stored).collect(), false),
        Err(_) => (Vec::new(), false),
    };
    if let Ok(store) = store {
        checks.extend(keys::check_all(wanted, configured, &store, &passphrases, session));
    }
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

fn configuration(loaded: &Outcome<Option<Config>>, session: &Session) -> Vec<Check> {
    let subject = Subject::Configuration;
    let place = Place::find(session.config.as_deref());
    let check = match loaded {
        Err(failure) => Check::failed(subject, failure),
        Ok(None) => {
            let place =
                place.as_ref().map_or("no home directory".to_owned(), |p| shown::path(&p.path));
            return vec![Check::ok(subject, format!("none ({place}): keys are named by URIs"))];
        }
        Ok(Some(config)) => {
            let default = match &config.default {
                Some(name) => format!("default {name}"),
                None => "no default, so `encrypt` needs --key".to_owned(),
            };
            let message = format!(
                "{}: {}, {}, {}, {default}",
                config.path,
                count(config.keys.len(), "key", "keys"),
                count(config.groups.len(), "group", "groups"),
                count(config.policies, "policy", "policies"),
            );
            Check::ok(subject, message)
        }
    };
    // Whoever may write to it says which keys data is sealed to.
    let open = place.filter(|place| {
        fs::metadata(&place.path)
            .is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o022 != 0)
    });
    let open = open.map(|place| {
        let path = shown::path(&place.path);
        let message = format!("{path}: others may write to it and choose what data is sealed to");
        Check::warn(subject, message, format!("chmod go-w {path}"))
    });
    [Some(check), open].into_iter().flatten().collect()
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
