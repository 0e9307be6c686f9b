//! Keys as they are shown.

use std::fmt::Write as _;

use bulla_local::KeyRecord;
use serde::Serialize;

use crate::{providers::Created, shown};

/// A key as JSON, documented in JSON.md: fields are added, not changed.
#[derive(Serialize)]
pub(super) struct KeyReport<'a> {
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

/// The list of them.
#[derive(Serialize)]
pub(super) struct ListReport<'a> {
    pub(super) store: String,
    pub(super) keys: Vec<KeyReport<'a>>,
}

/// A key that was made elsewhere, documented in JSON.md.
#[derive(Serialize)]
pub(super) struct CreatedReport<'a> {
    uri: &'a str,
    name: &'a str,
    id: &'a str,
    #[serde(rename = "type")]
    key_type: &'static str,
}

impl<'a> CreatedReport<'a> {
    pub(super) fn new(key: &'a Created) -> Self {
        let Created { uri, name, id, key_type } = key;
        Self { uri, name, id, key_type: key_type.as_str() }
    }
}

impl<'a> KeyReport<'a> {
    pub(super) fn new(key: &'a KeyRecord) -> Self {
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

/// Keys for people to read, a line each.
pub(super) fn table(keys: &[KeyRecord]) -> String {
    let name = |key: &KeyRecord| shown::token(key.name.as_deref().unwrap_or(&key.id)).into_owned();
    let width = keys.iter().map(|key| name(key).chars().count()).max().unwrap_or(0).max(4);
    let mut out = String::new();
    let _ = writeln!(out, "{:width$}  TYPE      STATE             VERSIONS  ID", "NAME");
    for key in keys {
        let (key_type, state) = (key.key_type.to_string(), key.state().as_str());
        let versions = key.versions.len();
        let name = name(key);
        let id = &key.id;
        let _ = writeln!(out, "{name:width$}  {key_type:8}  {state:16}  {versions:8}  {id}");
    }
    out
}

/// A key for people to read.
pub(super) fn explain(key: &KeyRecord) -> String {
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
