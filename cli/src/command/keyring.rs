//! `bulla keyring`.

use std::{fmt::Write as _, path::Path, time::SystemTime};

use bulla::{ErrorKind, KeyVersion};
use bulla_tokens::ring::{Change, Due, KeyPlace, Phase, Ring, RingKey, RotationPolicy, Waits};
use serde::Serialize;

use crate::{
    Session,
    args::{InitRing, KeyringCommand, RemoveFromRing, RingStatus, RotateRing},
    failure::{Failure, Outcome},
    json,
    providers::{maker, ring_at},
    say, shown, stdio,
};

pub(crate) fn run(command: KeyringCommand, session: &Session) -> Outcome<()> {
    match command {
        KeyringCommand::Init(args) => init(&args, session),
        KeyringCommand::Status(args) => status(&args, session),
        KeyringCommand::Rotate(args) => rotate(&args, session),
        KeyringCommand::Remove(args) => remove(&args, session),
    }
}

fn init(args: &InitRing, session: &Session) -> Outcome<()> {
    // Before a key is made for nothing.
    if args.ring.exists() {
        return Err(
            Failure::other("exists; rotate it, or begin another").at(&shown::path(&args.ring))
        );
    }
    let policy = RotationPolicy::default()
        .with_jwks_max_age(args.max_age)
        .with_token_life(args.token_life)
        .with_clock_skew(args.skew)
        .with_staleness(args.staleness)
        .with_rotate_every(args.rotate_every);
    let maker = maker(&args.new, &args.name, session)?;
    let begun = session.runtime.block_on(ring_at(&args.ring).init(&args.name, policy, &maker));
    let ring = begun.map_err(at(&args.ring))?;
    let kid = &ring.signing()?.kid;
    say::note(&format!("made {}; key {kid} signs", shown::path(&args.ring)));
    Ok(())
}

fn status(args: &RingStatus, session: &Session) -> Outcome<()> {
    let ring = ring_at(&args.ring);
    let now = ring.now();
    let ring = session.runtime.block_on(ring.load()).map_err(at(&args.ring))?;
    match args.json {
        true => json::print(&StatusReport::new(&ring, now)),
        false => stdio::print(&table(&ring, now)),
    }
}

fn rotate(args: &RotateRing, session: &Session) -> Outcome<()> {
    let ring = ring_at(&args.ring);
    let runtime = &session.runtime;
    let known = runtime.block_on(ring.load()).map_err(at(&args.ring))?;
    // What is due may need no key at all, and then nobody is asked for one.
    let needs_key = match args.now {
        true => known.next().is_none(),
        false => known.due(ring.now()) == Some(Due::Publish),
    };
    let changes = match (args.now, needs_key) {
        (false, false) => runtime.block_on(ring.rotate(&NoKey)),
        (false, true) => {
            let maker = maker(&args.new, known.name(), session)?;
            runtime.block_on(ring.rotate(&maker))
        }
        (true, needs_key) => {
            let waits = if args.force { Waits::Skip } else { Waits::Keep };
            let mut changes = Vec::new();
            if needs_key {
                let maker = maker(&args.new, known.name(), session)?;
                changes = runtime.block_on(ring.publish(&maker)).map_err(at(&args.ring))?;
            }
            if !needs_key || args.force {
                let promoted = runtime.block_on(ring.promote(waits));
                changes.extend(promoted.map_err(at(&args.ring))?);
            }
            Ok(changes)
        }
    };
    told(&changes.map_err(at(&args.ring))?, args.json)?;
    if !args.json {
        let ring = runtime.block_on(ring.load()).map_err(at(&args.ring))?;
        say::note(&next(&ring, SystemTime::now()));
    }
    Ok(())
}

fn remove(args: &RemoveFromRing, session: &Session) -> Outcome<()> {
    let ring = ring_at(&args.ring);
    let waits = if args.force { Waits::Skip } else { Waits::Keep };
    let removed = session.runtime.block_on(ring.remove(&args.kid, waits));
    told(&removed.map_err(at(&args.ring))?, false)
}

/// For steps that need none. If one does after all, somebody else has changed the ring in between.
struct NoKey;

#[async_trait::async_trait]
impl bulla_tokens::ring::MakeKey for NoKey {
    async fn make(
        &self,
        _: &str,
        _: Option<&Ring>,
        _: SystemTime,
    ) -> bulla::Result<bulla_tokens::ring::NewKey> {
        let message = "a new key is due by now; run it again";
        Err(bulla::Error::new(ErrorKind::Unavailable, message))
    }
}

fn at(path: &Path) -> impl Fn(bulla::Error) -> Failure {
    let name = shown::path(path);
    move |error| {
        let failure = Failure::from(error).at(&name);
        failure.hint_if(ErrorKind::NotFound, || format!("`bulla keyring init {name}` begins one"))
    }
}

fn told(changes: &[Change], as_json: bool) -> Outcome<()> {
    if as_json {
        return json::print(&changes.iter().map(ChangeReport::new).collect::<Vec<_>>());
    }
    let lines = changes.iter().map(|change| {
        let (what, kid) = words(change);
        format!("{kid} {what}\n")
    });
    stdio::print(&lines.collect::<String>())
}

fn words(change: &Change) -> (&'static str, &KeyVersion) {
    (change.phase().as_str(), change.kid())
}

#[derive(Serialize)]
struct ChangeReport<'a> {
    kid: &'a str,
    phase: &'static str,
}

impl<'a> ChangeReport<'a> {
    fn new(change: &'a Change) -> Self {
        let (phase, kid) = words(change);
        Self { kid: kid.as_str(), phase }
    }
}

/// A ring as JSON, documented in JSON.md: fields are added, not changed.
#[derive(Serialize)]
struct StatusReport<'a> {
    name: &'a str,
    /// In seconds.
    policy: PolicyReport,
    keys: Vec<KeyReport<'a>>,
    next: Option<NextReport>,
}

#[derive(Serialize)]
struct PolicyReport {
    jwks_max_age: u64,
    token_life: u64,
    clock_skew: u64,
    staleness: u64,
    rotate_every: u64,
}

#[derive(Serialize)]
struct KeyReport<'a> {
    kid: &'a str,
    phase: &'static str,
    algorithm: &'static str,
    /// `sealed`, or the URI of the key.
    place: Option<String>,
    published: String,
    signing: Option<String>,
    retired: Option<String>,
    removed: Option<String>,
}

#[derive(Serialize)]
struct NextReport {
    due: String,
    step: &'static str,
    is_due: bool,
}

impl<'a> StatusReport<'a> {
    fn new(ring: &'a Ring, now: SystemTime) -> Self {
        let policy = ring.policy();
        let next = ring.next_due().map(|(when, due)| NextReport {
            due: time(when),
            step: step(&due),
            is_due: when <= now,
        });
        Self {
            name: ring.name(),
            policy: PolicyReport {
                jwks_max_age: policy.jwks_max_age.as_secs(),
                token_life: policy.token_life.as_secs(),
                clock_skew: policy.clock_skew.as_secs(),
                staleness: policy.staleness.as_secs(),
                rotate_every: policy.rotate_every.as_secs(),
            },
            keys: ring.keys().map(KeyReport::new).collect(),
            next,
        }
    }
}

impl<'a> KeyReport<'a> {
    fn new(key: &'a RingKey) -> Self {
        Self {
            kid: key.kid.as_str(),
            phase: key.phase.as_str(),
            algorithm: key.algorithm.as_str(),
            place: key.place().map(place),
            published: time(key.published),
            signing: key.signing.map(time),
            retired: key.retired.map(time),
            removed: key.removed.map(time),
        }
    }
}

fn place(place: &KeyPlace) -> String {
    match place {
        KeyPlace::Provider(uri) => uri.to_string(),
        _ => "sealed".to_owned(),
    }
}

fn step(due: &Due) -> &'static str {
    match due {
        Due::Publish => "publish",
        Due::Promote => "sign",
        _ => "remove",
    }
}

/// Keys for people to read, a line each. Those that were removed are in the JSON.
fn table(ring: &Ring, now: SystemTime) -> String {
    let keys: Vec<_> = ring.live().collect();
    let width = keys.iter().map(|key| key.kid.as_str().len()).max().unwrap_or(0).max(3);
    let mut out = String::new();
    let _ = writeln!(out, "{:width$}  PHASE      ALGORITHM  SINCE                 KEY", "KID");
    for key in keys {
        let since = match key.phase {
            Phase::Signing => key.signing,
            Phase::Retired => key.retired,
            _ => None,
        };
        let _ = writeln!(
            out,
            "{:width$}  {:9}  {:9}  {:20}  {}",
            key.kid.as_str(),
            key.phase.as_str(),
            key.algorithm.as_str(),
            time(since.unwrap_or(key.published)),
            key.place().map(place).unwrap_or_default(),
        );
    }
    let _ = writeln!(out, "\n{}", next(ring, now));
    out
}

fn next(ring: &Ring, now: SystemTime) -> String {
    let Some((when, due)) = ring.next_due() else { return "nothing is due".to_owned() };
    let what = match &due {
        Due::Publish => "a new key is published".to_owned(),
        Due::Promote => match ring.next() {
            Some(next) => format!("key {} signs", next.kid),
            None => "the next key signs".to_owned(),
        },
        Due::Remove(kid) => format!("key {kid} is removed"),
        _ => "another step is taken".to_owned(),
    };
    match when <= now {
        true => format!("due now: {what}"),
        false => format!("next, at {}: {what}", time(when)),
    }
}

fn time(time: SystemTime) -> String {
    humantime::format_rfc3339_seconds(time).to_string()
}
