//! The configuration file of the command.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| bulla_cli::fuzzing::config(text));
