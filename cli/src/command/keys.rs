//! `bulla keys`.

use std::fmt::Write as _;

use bulla_local::{KeyRecord, Protection};
use serde::Serialize;

use crate::{
    args::{CreateKey, KeysCommand, ListKeys, ShowKey},
    failure::Outcome,
    json, providers, say, shown, stdio,
};

pub(crate) fn run(command: KeysCommand) -> Outcome<()> {
    match command {
        KeysCommand::Create(args) => create(&args),
        KeysCommand::List(args) => list(&args),
        KeysCommand::Show(args) => show(&args),
    }
}

fn create(args: &CreateKey) -> Outcome<()> {
    let store = providers::store()?;
    let key = store.create_key(&args.name, args.key_type, &Protection::None)?;
    if args.json {
        return json::print(&KeyReport::new(&key));
    }
    stdio::print(&format!("local:{}\n", args.name))?;
    say::note(&format!("the key is in {}: back that up", shown::path(store.path())));
    Ok(())
}

fn list(args: &ListKeys) -> Outcome<()> {
    let store = providers::store()?;
    let keys = if store.exists() { store.keys()? } else { Vec::new() };
    let store = shown::path(store.path());
    if args.json {
        let keys = keys.iter().map(KeyReport::new).collect();
        return json::print(&ListReport { store, keys });
    }
    if keys.is_empty() {
        say::note(&format!("no keys in {store}"));
        return Ok(());
    }
    stdio::print(&format!("{}\nin {store}\n", table(&keys)))
}

fn show(args: &ShowKey) -> Outcome<()> {
    let store = providers::store()?;
    let key = store
        .key(&args.name)
        .map_err(|error| providers::missing_key(&store, &args.name, error.into()))?;
    if args.json { json::print(&KeyReport::new(&key)) } else { stdio::print(&explain(&key)) }
}

/// A key as JSON, documented in JSON.md: fields are added, not changed.
#[derive(Serialize)]
struct KeyReport<'a> {
    id: &'a str,
    name: Option<&'a str>,
    #[serde(rename = "type")]
    key_type: String,
    state: &'static str,
    created: String,
    current: u32,
    versions: Vec<VersionReport>,
}

#[derive(Serialize)]
struct VersionReport {
    version: u32,
    state: &'static str,
    created: String,
    protected: bool,
}

#[derive(Serialize)]
struct ListReport<'a> {
    store: String,
    keys: Vec<KeyReport<'a>>,
}

impl<'a> KeyReport<'a> {
    fn new(key: &'a KeyRecord) -> Self {
        let versions = key.versions.iter().map(|v| VersionReport {
            version: v.version,
            state: v.state.as_str(),
            created: v.created.to_string(),
            protected: v.protected,
        });
        Self {
            id: &key.id,
            name: key.name.as_deref(),
            key_type: key.key_type.to_string(),
            state: key.state().as_str(),
            created: key.created.to_string(),
            current: key.current,
            versions: versions.collect(),
        }
    }
}

fn table(keys: &[KeyRecord]) -> String {
    let name = |key: &KeyRecord| shown::token(key.name.as_deref().unwrap_or(&key.id)).into_owned();
    let width = keys.iter().map(|key| name(key).chars().count()).max().unwrap_or(0).max(4);
    let mut out = String::new();
    let _ = writeln!(out, "{:width$}  TYPE      STATE             VERSIONS  CREATED", "NAME");
    for key in keys {
        let (key_type, state) = (key.key_type.to_string(), key.state().as_str());
        let versions = key.versions.len();
        let name = name(key);
        let created = key.created;
        let _ = writeln!(out, "{name:width$}  {key_type:8}  {state:16}  {versions:8}  {created}");
    }
    out
}

fn explain(key: &KeyRecord) -> String {
    let mut out = String::new();
    let name = key.name.as_deref().map_or("none".into(), shown::token);
    let _ = writeln!(out, "name:     {name}");
    let _ = writeln!(out, "id:       {}", key.id);
    let _ = writeln!(out, "type:     {}", key.key_type);
    let _ = writeln!(out, "created:  {}", key.created);
    let _ = writeln!(out, "versions:");
    for version in &key.versions {
        let current = if version.version == key.current { ", current" } else { "" };
        let protected = if version.protected { ", under a passphrase" } else { "" };
        let (number, state, created) = (version.version, version.state, version.created);
        let _ = writeln!(out, "  {number}  {state}, made {created}{current}{protected}");
    }
    out
}
