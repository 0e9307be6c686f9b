//! `bulla store ls`.

use bulla_object_store::maintain::{Audit, Row, State};
use futures_util::StreamExt as _;
use serde::Serialize;

use super::place::{Place, failure};
use crate::{Session, args::ListObjects, failure::Outcome, json, say, shown, stdio};

/// An object. As JSON it is documented in JSON.md: fields are added, not changed.
#[derive(Serialize)]
struct Object {
    location: String,
    state: &'static str,
    size: u64,
    plaintext_len: Option<u64>,
}

#[derive(Serialize)]
struct Objects {
    verified: bool,
    objects: Vec<Object>,
}

pub(super) fn run(args: &ListObjects, session: &Session) -> Outcome<()> {
    let place = Place::find(&args.url, &args.store)?;
    place.expect_directory()?;
    let audit = Audit::builder(place.store()).prefix(place.path.clone()).build()?;
    let mut rows = audit.rows();
    let mut objects = Vec::new();
    while let Some(row) = session.runtime.block_on(rows.next()) {
        let row = row.map_err(|error| failure(&place.name, &error))?;
        objects.push(Object::new(&place, &row));
    }
    objects.sort_unstable_by(|one, other| one.location.cmp(&other.location));
    if args.json {
        return json::print(&Objects { verified: false, objects });
    }
    if objects.is_empty() {
        say::note(&format!("{}: no objects are here", place.name));
    }
    let mut text = String::new();
    for Object { location, state, size, plaintext_len } in &objects {
        let (len, what) = match plaintext_len {
            Some(len) => (*len, ""),
            None => (*size, *state),
        };
        text.push_str(&format!("{len:>15}  {what:8}{}\n", shown::token(location)));
    }
    stdio::print(&text)
}

impl Object {
    fn new(place: &Place, row: &Row) -> Self {
        Self {
            location: place.object(&row.location),
            state: State::as_str(row.state),
            size: row.size,
            plaintext_len: row.sealed.as_ref().map(|sealed| sealed.plaintext_len),
        }
    }
}
