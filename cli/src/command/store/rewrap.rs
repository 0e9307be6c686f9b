//! `bulla store rewrap`.

use std::{
    collections::BTreeMap,
    future::Future,
    io::{self, IsTerminal as _},
    time::Duration,
};

use bulla_object_store::maintain::{
    Failure as Left, Outcome as Became, Reason, Report, Rotation, RotationBuilder, RunError,
};
use indicatif::{ProgressBar, ProgressStyle};
use object_store::path::Path;
use serde::Serialize;

use super::place::{Place, code_of, failure, one_line};
use crate::{
    Session,
    args::RewrapStore,
    config,
    failure::{Failure, Outcome, worst},
    json,
    passphrases::Passphrases,
    providers::{FromKey, Keys, Openers, Provider, from_key},
    say, shown, stdio,
};

const NO_REVOCATION: &str = "a removal is no revocation: whoever could open an object may have kept a \
                             copy, and older versions in the store still open; to revoke, seal anew";

const BAR: &str = "{spinner} {msg}, {per_sec}";

/// All that can be wrong was found right, and nothing is changed yet.
pub(crate) struct Prepared {
    place: Place,
    rotation: Rotation<Provider>,
    json: bool,
    dry_run: bool,
    removes: bool,
    /// Keys that could not be had, which matter only if objects can't be opened.
    unopened: Vec<Failure>,
}

/// The answer. As JSON it is documented in JSON.md: fields are added, not changed.
#[derive(Serialize)]
struct Answer {
    dry_run: bool,
    complete: bool,
    objects: u64,
    rewrapped: u64,
    due: u64,
    current: u64,
    other: u64,
    known: u64,
    not_sealed: u64,
    failed: u64,
    bytes_through: u64,
}

pub(crate) fn prepare(args: RewrapStore, session: &Session) -> Outcome<Prepared> {
    let config = config::load(session.config.as_deref())?;
    let place = Place::find(&args.url, &args.store)?;
    place.expect_directory()?;
    let to = Keys::choose(config.as_ref(), &args.to)?;
    let passphrases = Passphrases::new(&args.passphrases.files, &session.cleanup)?;
    let (mut from, mut opening) = (Vec::new(), args.keys.clone());
    for text in &args.from {
        let key = from_key(text, config.as_ref(), &session.runtime)?;
        // What opens now is asked for its passphrase, if it has one.
        if matches!(key, FromKey::Provider(_) | FromKey::Held(_)) {
            opening.push(text.clone());
        }
        from.push(key);
    }
    let to = to.recipients(&passphrases, &session.runtime)?;
    let keys = Keys::choose(config.as_ref(), &opening)?;
    let Openers { opener, unopened } = keys.opener_of_any(&passphrases, &session.runtime)?;
    let builder = Rotation::builder(place.store(), opener)
        .prefix(place.path.clone())
        .concurrency(args.concurrency)
        .exchange(place.exchange(args.unconditional)?);
    let builder = to.into_iter().fold(builder, RotationBuilder::to);
    let mut builder = from.into_iter().fold(builder, |builder, from| match from {
        FromKey::Held(name) | FromKey::Gone(name) => builder.from_key(&name),
        FromKey::Shown(text) => builder.from_shown(text),
        FromKey::Provider(provider) => builder.from_provider(provider),
    });
    for (given, option) in [
        (args.dry_run, RotationBuilder::dry_run as fn(_) -> _),
        (args.accept_whole_cohort, RotationBuilder::accept_whole_cohort),
        (args.allow_resize, RotationBuilder::allow_resize),
    ] {
        builder = if given { option(builder) } else { builder };
    }
    if let Some(rate) = args.rate {
        builder = builder.objects_per_second(rate);
    }
    if let Some(rate) = args.byte_rate {
        builder = builder.bytes_per_second(rate);
    }
    if let Some(file) = args.resume {
        builder = builder.checkpoint(file);
    }
    let rotation = builder.build()?;
    let (json, dry_run, removes) = (args.json, args.dry_run, !args.from.is_empty());
    Ok(Prepared { place, rotation, json, dry_run, removes, unopened })
}

/// Goes through the objects, until it is told to stop.
pub(crate) async fn until<S: Future<Output = ()>>(prepared: Prepared, stop: S) -> Outcome<()> {
    let Prepared { place, rotation, json, dry_run, removes, unopened } = prepared;
    let mut teller = Teller::new(&place, dry_run, json);
    let ended = rotation.run(stop, |location, became| teller.tell(location, became)).await;
    let Teller { codes, failed, closed, .. } = teller.end();
    let (report, reason) = match ended {
        Ok(report) => (report, None),
        Err(RunError { report, reason }) => (report, Some(reason)),
    };
    if let Some(failure) = closed {
        return Err(failure);
    }
    if json {
        json::print(&Answer::new(&report, dry_run, reason.is_none()))?;
    } else {
        stdio::print(&sentence(&report, dry_run))?;
    }
    if removes && report.rewrapped > 0 {
        say::note(NO_REVOCATION);
    }
    if failed.contains_key("no_recipient") {
        for key in unopened {
            say::note(&format!("this key could not be tried: {}", key.message()));
        }
    }
    match reason {
        Some(reason) => Err(ended_by(reason, &place)),
        None if report.stopped => Err(Failure::interrupted().hint(GO_ON)),
        None if report.failed > 0 => Err(Failure::told(worst(codes.into_keys()))),
        None => Ok(()),
    }
}

const GO_ON: &str = "run the same again to go on: what is done is not done again";

/// Says what becomes of objects, as it happens.
struct Teller<'a> {
    place: &'a Place,
    lists_due: bool,
    bar: Option<ProgressBar>,
    report: BTreeMap<&'static str, u64>,
    /// The exit codes that failures speak for.
    codes: BTreeMap<u8, u64>,
    /// Failures of keys, by their kinds.
    failed: BTreeMap<&'static str, u64>,
    /// Standard output was closed, or could not be written to.
    closed: Option<Failure>,
}

impl<'a> Teller<'a> {
    fn new(place: &'a Place, dry_run: bool, json: bool) -> Self {
        let bar = io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::no_length();
            bar.enable_steady_tick(Duration::from_millis(200));
            match ProgressStyle::with_template(BAR) {
                Ok(style) => bar.with_style(style),
                Err(_) => bar,
            }
        });
        Self {
            place,
            lists_due: dry_run && !json,
            bar,
            report: BTreeMap::new(),
            codes: BTreeMap::new(),
            failed: BTreeMap::new(),
            closed: None,
        }
    }

    fn tell(&mut self, location: &Path, became: &Became) {
        let word = match became {
            Became::Rewrapped { .. } => "rewrapped",
            Became::Due => "due",
            Became::Failed(_) => "failed",
            _ => "left",
        };
        *self.report.entry(word).or_default() += 1;
        let name = shown::token(&self.place.object(location)).into_owned();
        match became {
            Became::Due if self.lists_due && self.closed.is_none() => {
                self.closed = self.aside(|| stdio::print(&format!("{name}\n"))).err();
            }
            Became::Failed(left) => {
                *self.codes.entry(code(left)).or_default() += 1;
                if let Left::Keys(error) = left {
                    *self.failed.entry(error.kind().as_str()).or_default() += 1;
                }
                self.aside(|| say::note(&format!("{name}: {}", one_line(left))));
                if let Some(hint) = hint(left) {
                    self.aside(|| say::hint(hint));
                }
            }
            _ => {}
        }
        if let Some(bar) = &self.bar {
            bar.inc(1);
            let all: Vec<_> =
                self.report.iter().map(|(word, count)| format!("{count} {word}")).collect();
            bar.set_message(all.join(", "));
        }
    }

    /// Writes where the bar is.
    fn aside<T>(&self, write: impl FnOnce() -> T) -> T {
        match &self.bar {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }

    /// Leaves a clean line.
    fn end(self) -> Self {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        self
    }
}

fn code(left: &Left) -> u8 {
    match left {
        Left::State(state, _) => code_of(*state).max(1),
        Left::Keys(error) => Failure::of_kind(error.kind()).code(),
        _ => Failure::other("").code(),
    }
}

fn hint(left: &Left) -> Option<&'static str> {
    match left {
        Left::Resized { .. } => Some("--allow-resize allows it"),
        Left::TooLarge { .. } => {
            Some("if nobody else writes meanwhile, --unconditional replaces it")
        }
        _ => None,
    }
}

fn ended_by(reason: Reason, place: &Place) -> Failure {
    match reason {
        Reason::List(error) => failure(&place.name, &error),
        Reason::Unconditional => Failure::other(reason.to_string())
            .at(&place.name)
            .hint("if nobody else writes meanwhile, --unconditional replaces objects"),
        Reason::Outage(Left::Keys(error)) => {
            Failure::from(error).with("one object after the other failed").hint(GO_ON)
        }
        Reason::Outage(left) => Failure::other(one_line(&left)).at(&place.name).hint(GO_ON),
        Reason::Checkpoint { path, source } => Failure::io(&shown::path(&path), &source),
        Reason::OtherPlan(path) => {
            Failure::usage("this is no state of a run with these keys, this store and this prefix")
                .at(&shown::path(&path))
                .hint("name another file with --resume")
        }
        other => Failure::other(one_line(&other)).at(&place.name),
    }
}

fn sentence(report: &Report, dry_run: bool) -> String {
    let done = if dry_run { (report.due, "due") } else { (report.rewrapped, "rewrapped") };
    let mut text = format!("{} objects: {} {}", report.objects, done.0, done.1);
    for (count, words) in [
        (report.current, "as they shall be already"),
        (report.known, "done by an earlier run"),
        (report.other, "sealed to other keys"),
        (report.not_sealed, "not sealed"),
        (report.failed, "failed"),
    ] {
        if count > 0 {
            text.push_str(&format!(", {count} {words}"));
        }
    }
    text.push('\n');
    text
}

impl Answer {
    fn new(report: &Report, dry_run: bool, to_the_end: bool) -> Self {
        Self {
            dry_run,
            complete: to_the_end && report.is_complete(),
            objects: report.objects,
            rewrapped: report.rewrapped,
            due: report.due,
            current: report.current,
            other: report.other,
            known: report.known,
            not_sealed: report.not_sealed,
            failed: report.failed,
            bytes_through: report.through,
        }
    }
}
