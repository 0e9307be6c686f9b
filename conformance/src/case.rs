//! Running cases and reporting on them.

use std::{fmt, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use bulla::{Context, CryptoProvider, Error, ErrorKind, Result};
use futures_util::{FutureExt, future::BoxFuture};

use crate::{
    Hooked, cases,
    remember::Remember,
    subject::{Core, Subject},
};

/// One thing that every provider does.
#[derive(Clone, Copy)]
pub struct Case {
    /// Its name, stable, for [`Env::skip`].
    pub name: &'static str,
    /// What it checks.
    pub what: &'static str,
    pub(crate) run: for<'a> fn(&'a Env) -> BoxFuture<'a, Outcome>,
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Case").field("name", &self.name).field("what", &self.what).finish()
    }
}

/// All cases, in the order in which they run.
pub const CASES: &[Case] = cases::ALL;

/// How a case ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// As it should.
    Passed,
    /// With what was wrong.
    Failed(String),
    /// It did not run, for this reason.
    Skipped(&'static str),
}

/// What the suite runs against.
pub struct Env {
    pub(crate) subject: Arc<dyn Subject>,
    /// The same behind answers that are remembered: for cases that open one message many times.
    pub(crate) quiet: Arc<dyn Subject>,
    /// A provider of the same scheme with another key.
    pub(crate) other: Arc<dyn Subject>,
    pub(crate) counted: Option<Arc<Hooked<Remember>>>,
    pub(crate) allocated: Option<fn() -> usize>,
    pub(crate) large_stream: u64,
    skipped: Vec<(&'static str, &'static str)>,
}

/// The bytes of the long stream: 100 MiB.
const LARGE_STREAM: u64 = 100 << 20;

impl Env {
    /// Runs against a provider, and another one of the same scheme with another key.
    #[must_use]
    pub fn new(provider: Arc<dyn CryptoProvider>, other: Arc<dyn CryptoProvider>) -> Self {
        let counted = Remember::in_front_of(Arc::clone(&provider));
        let remembering: Arc<dyn CryptoProvider> = Arc::<Hooked<Remember>>::clone(&counted);
        Self {
            subject: Arc::new(Core(provider)),
            quiet: Arc::new(Core(remembering)),
            other: Arc::new(Core(other)),
            counted: Some(counted),
            allocated: None,
            large_stream: LARGE_STREAM,
            skipped: Vec::new(),
        }
    }

    /// Runs against subjects that seal and open in their own way. Cases that count calls then count
    /// none.
    #[must_use]
    pub fn of_subjects(subject: Arc<dyn Subject>, other: Arc<dyn Subject>) -> Self {
        Self {
            quiet: Arc::clone(&subject),
            subject,
            other,
            counted: None,
            allocated: None,
            large_stream: 1 << 20,
            skipped: Vec::new(),
        }
    }

    /// Declares a case that this server can't judge, and why.
    ///
    /// # Panics
    /// If there is no case of that name.
    #[must_use]
    pub fn skip(mut self, name: &'static str, reason: &'static str) -> Self {
        assert!(CASES.iter().any(|case| case.name == name), "there is no case {name:?}");
        self.skipped.push((name, reason));
        self
    }

    /// Tells how many bytes the process has allocated so far, by a counting allocator. Without it
    /// `hostile_lengths` is skipped.
    #[must_use]
    pub fn allocated(mut self, count: fn() -> usize) -> Self {
        self.allocated = Some(count);
        self
    }

    fn skips(&self, case: &Case) -> Option<&'static str> {
        let counts = self.counted.is_some();
        let missing = match case.name {
            "hostile_lengths" if self.allocated.is_none() => Some("no allocator counts"),
            "one_call_each_way" if !counts => Some("calls are not counted here"),
            _ => None,
        };
        let declared = self.skipped.iter().find(|(name, _)| *name == case.name);
        declared.map(|(_, reason)| *reason).or(missing)
    }
}

impl fmt::Debug for Env {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Env").field("skipped", &self.skipped).finish_non_exhaustive()
    }
}

/// What became of every case.
#[derive(Clone, Debug)]
pub struct Report {
    /// Case by case.
    pub verdicts: Vec<(&'static str, Verdict)>,
}

impl Report {
    /// Panics, with the whole report, if a case failed.
    ///
    /// # Panics
    /// If a case failed.
    pub fn assert_passed(&self) {
        let failed = self.verdicts.iter().any(|(_, v)| matches!(v, Verdict::Failed(_)));
        assert!(!failed, "the provider does not conform:\n{self}");
    }

    /// The names of the cases that passed.
    pub fn passed(&self) -> impl Iterator<Item = &'static str> {
        self.with(|verdict| *verdict == Verdict::Passed)
    }

    /// The names of the cases that failed.
    pub fn failed(&self) -> impl Iterator<Item = &'static str> {
        self.with(|verdict| matches!(verdict, Verdict::Failed(_)))
    }

    fn with(&self, is: fn(&Verdict) -> bool) -> impl Iterator<Item = &'static str> {
        self.verdicts.iter().filter(move |(_, v)| is(v)).map(|(name, _)| *name)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, verdict) in &self.verdicts {
            match verdict {
                Verdict::Passed => writeln!(f, "pass  {name}")?,
                Verdict::Failed(why) => writeln!(f, "FAIL  {name}: {why}")?,
                Verdict::Skipped(why) => writeln!(f, "skip  {name}: {why}")?,
            }
        }
        Ok(())
    }
}

/// The cases that none of these reports judged: no report has them passed or failed.
#[must_use]
pub fn unjudged(reports: &[Report]) -> Vec<&'static str> {
    let judged = |name| {
        reports
            .iter()
            .flat_map(|report| &report.verdicts)
            .any(|(case, verdict)| *case == name && !matches!(verdict, Verdict::Skipped(_)))
    };
    CASES.iter().map(|case| case.name).filter(|name| !judged(*name)).collect()
}

/// Runs all cases, one after the other. A case that panics has failed, and so has one that takes
/// five minutes.
pub async fn run(env: &Env) -> Report {
    run_cases(env, CASES).await
}

pub(crate) async fn run_cases(env: &Env, cases: &[Case]) -> Report {
    let mut verdicts = Vec::new();
    for case in cases {
        let verdict = match env.skips(case) {
            Some(reason) => Verdict::Skipped(reason),
            None => judge(case, env).await,
        };
        verdicts.push((case.name, verdict));
    }
    Report { verdicts }
}

const PATIENCE: Duration = Duration::from_secs(300);

async fn judge(case: &Case, env: &Env) -> Verdict {
    let run = AssertUnwindSafe((case.run)(env)).catch_unwind();
    match tokio::time::timeout(PATIENCE, run).await {
        Ok(Ok(Ok(()))) => Verdict::Passed,
        Ok(Ok(Err(Failure(why)))) => Verdict::Failed(why),
        Ok(Err(panic)) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
            Verdict::Failed(format!("panicked: {}", text.unwrap_or("?")))
        }
        Err(_) => Verdict::Failed("took more than five minutes".to_owned()),
    }
}

/// Why a case failed.
#[derive(Debug)]
pub(crate) struct Failure(pub(crate) String);

pub(crate) type Outcome = Result<(), Failure>;

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self(format!("unexpected error: {error}"))
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self(format!("unexpected error: {error}"))
    }
}

/// Ends the case unless the condition holds.
macro_rules! check {
    ($condition:expr, $($text:tt)+) => {
        if !$condition {
            return Err($crate::case::Failure(format!($($text)+)));
        }
    };
}
pub(crate) use check;

/// Ends the case unless `result` is an error of one of these kinds.
pub(crate) fn must_fail<T>(what: &str, result: Result<T>, kinds: &[ErrorKind]) -> Outcome {
    match result {
        Ok(_) => Err(Failure(format!("{what}: succeeded"))),
        Err(error) if kinds.contains(&error.kind()) => Ok(()),
        Err(error) => Err(Failure(format!("{what}: {:?} instead of {kinds:?}", error.kind()))),
    }
}

/// What a message with something wrong may be called. `NotFound` is a record whose version was
/// changed to one that does not exist: a provider says so before it has any key.
pub(crate) const DAMAGED: &[ErrorKind] = &[
    ErrorKind::NotAuthentic,
    ErrorKind::Malformed,
    ErrorKind::ContextMismatch,
    ErrorKind::NoRecipient,
    ErrorKind::NotFound,
    ErrorKind::Unsupported,
];

/// Key context `suite` = `conformance`, item context `item` = `1`.
pub(crate) fn context() -> Result<Context> {
    Context::new().with_key("suite", "conformance")?.with_item("item", "1")
}

/// Bytes that differ from chunk to chunk.
pub(crate) fn plaintext(len: usize) -> Vec<u8> {
    (0..=250).cycle().take(len).collect()
}
