//! The encrypted store over stores in memory and in local files.

#![allow(clippy::single_range_in_vec_init, clippy::clone_on_ref_ptr, reason = "shorter in tests")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]
#![allow(clippy::cast_possible_truncation, reason = "small numbers of test data")]

#[path = "../world/mod.rs"]
mod world;

mod binding;
mod damage;
mod faults;
mod migration;
mod multipart;
mod objects;
mod outage;
mod replaced;
mod requests;
mod suite;
