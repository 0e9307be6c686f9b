//! The cases.

mod body;
mod calls;
mod contexts;
mod direct;
mod headers;
mod round_trips;

use crate::case::Case;

macro_rules! cases {
    ($($room:ident :: $name:ident => $what:literal,)+) => {
        pub(crate) const ALL: &[Case] = &[$(Case {
            name: stringify!($name),
            what: $what,
            run: |env| Box::pin($room::$name(env)),
        },)+];
    };
}

cases! {
    round_trips::values => "values of 0, 1, 15–17, 65,535–65,537 bytes and 1 MiB, both suites",
    round_trips::streams => "the same lengths as streams; values open as streams and streams as values",
    round_trips::large_stream => "a stream of 100 MiB",
    round_trips::split_reads => "sources that yield a byte, a chunk, or anything between at a time",
    round_trips::text_form => "the text form, and nothing but it",
    round_trips::batches => "batches: one data key, each item opens alone",
    round_trips::nothing_repeats => "two seals share no salt, no wrapped key, no data key",
    round_trips::one_call_each_way => "one generate_data_key to write, one unwrap_data_key to read",
    contexts::wrong_key => "another key does not open, under its own name or the first one's",
    contexts::wrong_context => "a key context that is wrong, missing or too much does not open",
    contexts::wrong_item_context => "an item context that is wrong, missing or too much does not open",
    contexts::context_in_the_wrap => "the provider binds the key context, as it says that it does",
    contexts::foreign_recipients => "recipients of providers unknown here do not hinder",
    contexts::second_recipient => "a recipient added by rewrap opens, one removed does not",
    headers::header_flips => "a flip of any byte of header, salt and commitment is found",
    headers::truncated_heads => "a message cut anywhere in its head is refused",
    headers::hostile_lengths => "lengths that lie are refused, with bounded memory",
    body::chunk_flips => "a flip of any byte of the first and the last chunk is found",
    body::truncations => "a message cut at any byte of two chunks, or at any boundary, is refused",
    body::extensions => "bytes and chunks behind the end are refused",
    body::reordered => "chunks swapped, doubled or left out are refused",
    body::spliced => "parts of two messages do not mix",
    direct::direct_round_trips => "direct mode, where it is offered, up to its limit and no further",
    direct::direct_contexts => "direct mode binds every pair",
    direct::direct_flips => "a flip of any byte of a direct message is found",
    direct::direct_reencrypts => "a direct message is moved to another context, if it is authentic",
    direct::data_key_as_payload => "a wrapped data key does not decrypt as a payload",
    direct::payload_as_data_key => "a payload does not unwrap as a data key, whatever its length",
    calls::capabilities => "capabilities are what the provider does",
    calls::sealing_key => "the sealing key is known by its name, and no other key by any",
    calls::error_kinds => "what fails says why, in the right kind",
    calls::describes_itself => "health, and a description of the sealing key",
    calls::signatures => "signatures, where they are offered, have the algorithm's length and pin the version",
    calls::concurrency => "64 messages sealed and opened at once",
    calls::cancellation => "calls that are dropped half-way leave nothing behind",
    calls::closing => "after close every call is Closed; closing twice is no error",
}
