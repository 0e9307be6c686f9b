//! bulla beside raw AES-256-GCM of AWS-LC and other crates that seal, on the same buffers, in one
//! run: `cargo run --release --ignore-rust-version` in this directory prints the tables, and with
//! `-- --write` puts them and a chart into the README.
//!
//! Systems take turns within a round, so that whatever else the machine does falls on all of them;
//! what is reported is the median of the rounds, and the median of the ratios, in each, to the fastest
//! way to do the bare work.

mod chart;
mod measure;
mod readme;
mod systems;

use std::{env, process::ExitCode};

use measure::{Table, rounds};
use systems::{Buffers, age, bulla, kms_aead, raw, tink};

/// The length of the streams.
const STREAM: usize = 256 << 20;

/// Ranges that are read of one: so many, of 64 KiB, at places that repeat from run to run.
const RANGES: usize = 1000;

const VALUES: [usize; 4] = [64, 1 << 10, 64 << 10, 1 << 20];

fn main() -> ExitCode {
    let count = |name: &str, default| {
        env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
    };
    let tables =
        [streams(count("ROUNDS", 9)), ranges(count("ROUNDS", 9)), values(count("ROUNDS", 9))];
    let text: String = tables.iter().map(Table::markdown).collect();
    println!("{text}");
    if env::args().any(|arg| arg == "--write") {
        if let Err(error) = readme::write(&text).and_then(|()| chart::write(&tables[0])) {
            eprintln!("error: {error}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn streams(count: usize) -> Table {
    let buffers = Buffers::new(STREAM);
    let columns = ["encrypt", "decrypt"];
    let [apart, in_place] = raw::WAYS.map(|way| raw::Stream::new(way, &buffers));
    let (bulla, two) = (
        bulla::Stream::new(&buffers, 1),
        bulla::Stream::new(&buffers, 2),
    );
    let (kms, age, tink) =
        (kms_aead::Stream::new(&buffers), age::Stream::new(&buffers), tink::Stream::new(&buffers));
    rounds(
        "Streams of 256 MiB in memory",
        &columns,
        count,
        STREAM,
        &mut [
            (raw::WAYS[0].name(), &mut |i| apart.run(i, &buffers)),
            (raw::WAYS[1].name(), &mut |i| in_place.run(i, &buffers)),
            ("AES-256-GCM of AWS-LC, bare, 2 threads", &mut |i| {
                apart.on_two_threads(i, &buffers)
            }),
            ("AES-256-GCM of AWS-LC, bare, 2 threads on copies", &mut |i| {
                in_place.on_two_threads(i, &buffers)
            }),
            ("bulla", &mut |i| bulla.run(i, &buffers)),
            ("bulla, 2 threads", &mut |i| two.run(i, &buffers)),
            ("kms-aead 0.31", &mut |i| kms.run(i, &buffers)),
            ("age 0.12", &mut |i| age.run(i, &buffers)),
            ("tink-streaming-aead 0.3", &mut |i| tink.run(i, &buffers)),
        ],
    )
}

fn ranges(count: usize) -> Table {
    let buffers = Buffers::new(STREAM);
    let random = measure::starts(RANGES, STREAM - (64 << 10));
    let aligned = random.iter().map(|start| start & !0xffff).collect();
    let starts: [Vec<usize>; 2] = [random, aligned];
    let [apart, in_place] = raw::WAYS.map(|way| raw::Stream::new(way, &buffers));
    let bulla = bulla::Ranges::new(&buffers);
    let (kms, age) = (kms_aead::Stream::new(&buffers), age::Stream::new(&buffers));
    let bytes = RANGES * (64 << 10);
    rounds(
        "1,000 ranges of 64 KiB of 256 MiB in memory",
        &["at random places", "at multiples of 64 KiB"],
        count,
        bytes,
        &mut [
            (raw::WAYS[0].name(), &mut |i| apart.ranges(&starts[i])),
            (raw::WAYS[1].name(), &mut |i| in_place.ranges(&starts[i])),
            ("bulla", &mut |i| bulla.run(&starts[i])),
            ("kms-aead 0.31", &mut |i| kms.ranges(&starts[i])),
            ("age 0.12", &mut |i| age.ranges(&starts[i])),
        ],
    )
}

fn values(count: usize) -> Table {
    let columns = [
        "seal 64 B",
        "seal 1 KiB",
        "seal 64 KiB",
        "seal 1 MiB",
        "open 64 B",
        "open 1 KiB",
        "open 64 KiB",
        "open 1 MiB",
    ];
    let [apart, in_place] = raw::WAYS.map(raw::Values::new);
    let (bulla, cached) = (bulla::Values::new(false), bulla::Values::new(true));
    let kms = kms_aead::Values::new();
    let age = age::Values::new();
    rounds(
        "Values, each with a data key of its own unless said",
        &columns,
        count,
        0,
        &mut [
            (raw::WAYS[0].name(), &mut |i| apart.run(i)),
            (raw::WAYS[1].name(), &mut |i| in_place.run(i)),
            ("bulla", &mut |i| bulla.run(i)),
            ("bulla, cached data key", &mut |i| cached.run(i)),
            ("kms-aead 0.31", &mut |i| kms.run(i)),
            ("age 0.12", &mut |i| age.run(i)),
        ],
    )
}
