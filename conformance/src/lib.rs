//! The conformance suite: what every provider of `bulla` does, checked against yours.
//!
//! Write a test that builds an [`Env`] over your provider and runs the suite:
//!
//! ```
//! use std::sync::Arc;
//! use bulla_conformance::{Env, Memory, run};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! // Two keys of the backend under test; here, of one in memory.
//! let env = Env::new(Arc::new(Memory::new("one")), Arc::new(Memory::new("two")));
//! let report = run(&env).await;
//! report.assert_passed();
//! # });
//! ```
//!
//! What you bring:
//!
//! * a provider with a sealing key, which may open with that key;
//! * another one of the same scheme with **another** key, which may not open with the first;
//! * [`Env::skip`] for every case that your server can't judge, with the reason. Where no single
//!   server is honest about everything, run the suite against several and let
//!   [`unjudged`] show that together they leave nothing out;
//! * [`Env::allocated`], if your test binary counts allocations, for the case `hostile_lengths`; the
//!   feature `alloc-counter` has an allocator that does.
//!
//! Cases that damage bodies run behind one unwrapped data key, so that a live server is called some
//! hundreds of times and not a hundred thousand. [`CASES`] lists them all; [`faulty`] holds
//! subjects that are wrong on purpose, on which every case fails at least once.

#[cfg(feature = "alloc-counter")]
pub mod alloc_counter;
mod case;
mod cases;
mod damage;
pub mod faulty;
mod hooked;
mod memory;
mod remember;
mod subject;

pub use case::{CASES, Case, Env, Report, Verdict, run, unjudged};
pub use hooked::{Hook, Hooked};
pub use memory::Memory;
pub use subject::{Core, Sink, Source, Subject};
