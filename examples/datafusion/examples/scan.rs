//! Scans of sealed Parquet beside scans of plain Parquet, on local files: rounds of the two alternate, so that whatever else
//! the machine does meets both.
//!
//! ```text
//! cargo run --example scan -- 1
//! ```

#![allow(clippy::print_stdout, reason = "a benchmark")]

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bulla::{Opener, Sealer, SharedProvider};
use bulla_lake::{QUERIES, Result, declare, plain, query, seal, session, write};
use bulla_local::{KeyType, Local, Protection, Store};
use datafusion::prelude::SessionContext;

const ROUNDS: usize = 15;
const PARTS: i32 = 8;

#[tokio::main]
async fn main() -> Result<()> {
    let scale: f64 = std::env::args().nth(1).map_or(Ok(1.0), |scale| scale.parse())?;
    let dir = tempfile::tempdir()?;
    let [plain_dir, sealed_dir, keys] =
        ["plain", "sealed", "keys"].map(|name| dir.path().join(name));
    for dir in [&plain_dir, &sealed_dir] {
        std::fs::create_dir(dir)?;
    }
    let store = Store::at(keys);
    store.create_key("lake", KeyType::Aes256, &Protection::None)?;
    let kms: SharedProvider = Arc::new(Local::builder(store).sealing_key("lake").build()?);
    let sealed = seal(&sealed_dir, Sealer::new(Arc::clone(&kms))?, Opener::new([kms]))?;
    let sessions = [session(plain(&plain_dir)?)?, session(sealed)?];

    println!("{:24} {:>10} {:>10} {:>7}", "", "plain", "sealed", "ratio");
    let mut wrote = [Duration::ZERO; 2];
    for (session, wrote) in sessions.iter().zip(&mut wrote) {
        let start = Instant::now();
        write(session, scale, PARTS).await?;
        *wrote = start.elapsed();
    }
    tell("write, once, made anew", wrote);
    for session in &sessions {
        declare(session).await?;
    }
    for (name, sql) in QUERIES {
        tell(&format!("query {name}"), turns(&sessions, sql).await?);
    }
    Ok(())
}

/// The medians of a query's times in both sessions.
async fn turns([plain, sealed]: &[SessionContext; 2], sql: &str) -> Result<[Duration; 2]> {
    let (mut ones, mut others) = (Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        for is_plain in [round % 2 == 0, round % 2 == 1] {
            let start = Instant::now();
            std::hint::black_box(query(if is_plain { plain } else { sealed }, sql).await?);
            let took = start.elapsed();
            // The first round reads what is cached from then on.
            match (round, is_plain) {
                (0, _) => {}
                (_, true) => ones.push(took),
                (_, false) => others.push(took),
            }
        }
    }
    Ok([ones, others].map(median))
}

fn median(mut all: Vec<Duration>) -> Duration {
    all.sort_unstable();
    all.get(all.len() / 2).copied().unwrap_or_default()
}

/// A line: how long each took, and how fast the second is in parts of the first.
fn tell(what: &str, [plain, sealed]: [Duration; 2]) {
    let ratio = plain.as_secs_f64() / sealed.as_secs_f64();
    println!("{what:24} {plain:>10.1?} {sealed:>10.1?} {ratio:7.2}");
}
