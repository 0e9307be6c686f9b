//! Subjects that are wrong on purpose. Each has one fault, and the suite finds every one.

mod provider;
mod subject;

use std::sync::Arc;

use crate::{
    Env, Hooked,
    remember::Remember,
    subject::{Core, Subject},
};
use provider::Faulty;
use subject::Sloppy;

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The provider does not bind the key context.
    IgnoresContext,
    /// The provider unwraps whatever key a record names.
    TakesAnyKey,
    /// The provider takes every key for its sealing key.
    ClaimsEveryKey,
    /// The provider does not know its own sealing key.
    DisownsItsKey,
    /// The provider generates the same data key every time.
    RepeatsDataKeys,
    /// The provider decrypts wrapped data keys and unwraps payloads.
    ConfusesUses,
    /// The provider calls everything an outage.
    MisnamesErrors,
    /// The provider says nothing about itself.
    SaysNothing,
    /// The provider announces what it can't do.
    Overstates,
    /// The provider fails when it is called twice at a time, or after a call was dropped.
    OneAtATime,
    /// The provider goes on after it was closed.
    NeverCloses,
    /// The provider encrypts payloads over its limit.
    KnowsNoLimit,
    /// The provider hands out something for payloads that aren't authentic.
    DecryptsAnything,
    /// What does not open comes back empty, and as if all was well.
    OpensAnything,
    /// The last byte is lost.
    LosesAByte,
    /// Memory is set aside for what a header claims.
    BelievesLengths,
    /// A second data key is asked for, and a second unwrap.
    CallsTwice,
}

/// All faults.
pub const FAULTS: &[Fault] = &[
    Fault::IgnoresContext,
    Fault::TakesAnyKey,
    Fault::ClaimsEveryKey,
    Fault::DisownsItsKey,
    Fault::RepeatsDataKeys,
    Fault::ConfusesUses,
    Fault::MisnamesErrors,
    Fault::SaysNothing,
    Fault::Overstates,
    Fault::OneAtATime,
    Fault::NeverCloses,
    Fault::KnowsNoLimit,
    Fault::DecryptsAnything,
    Fault::OpensAnything,
    Fault::LosesAByte,
    Fault::BelievesLengths,
    Fault::CallsTwice,
];

/// An environment with one fault, or with none. Its long stream has 1 MiB.
#[must_use]
pub fn env(fault: Option<Fault>) -> Env {
    let provider = Arc::new(Faulty::new("one", fault));
    let counted = Remember::in_front_of(provider.clone_dyn());
    let sloppy = |core| -> Arc<dyn Subject> { Arc::new(Sloppy { core: Core(core), fault }) };
    let remembering: Arc<dyn bulla::CryptoProvider> = Arc::<Hooked<Remember>>::clone(&counted);
    let mut env =
        Env::of_subjects(sloppy(provider.clone_dyn()), sloppy(Arc::new(Faulty::new("two", fault))));
    env.quiet = sloppy(remembering);
    env.counted = Some(counted);
    env
}
