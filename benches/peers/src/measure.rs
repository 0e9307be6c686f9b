//! Rounds, medians and tables.

use std::time::{Duration, Instant};

/// What one system did in one column: how much work that was, in units of the column, and how long
/// it took.
pub struct Took {
    pub times: u32,
    pub elapsed: Duration,
}

pub fn timed(times: u32, mut work: impl FnMut()) -> Took {
    let began = Instant::now();
    for _ in 0..times {
        work();
    }
    Took { times, elapsed: began.elapsed() }
}

pub struct Table {
    pub title: &'static str,
    pub columns: Vec<&'static str>,
    pub rows: Vec<Row>,
    /// Bytes in one unit of work; 0: what counts is the time of one.
    bytes: usize,
}

pub struct Row {
    pub name: &'static str,
    pub cells: Vec<Option<Cell>>,
}

pub struct Cell {
    /// Seconds for one unit of work, the median.
    seconds: f64,
    /// Speed as a share of the first row's, the median of those of each round.
    pub share: f64,
}

/// How many ways to do the bare work stand first in every table.
pub const BARE: usize = 2;

type System<'a> = (&'static str, &'a mut dyn FnMut(usize) -> Option<Took>);

/// Lets the systems take turns, column by column. The first ones, [`BARE`] of them, are ways to do the
/// bare work; the fastest of them in a round is the measure for all.
pub fn rounds(
    title: &'static str,
    columns: &[&'static str],
    count: usize,
    bytes: usize,
    systems: &mut [System<'_>],
) -> Table {
    let mut rows: Vec<_> =
        systems.iter().map(|(name, _)| Row { name, cells: Vec::new() }).collect();
    for column in 0..columns.len() {
        let mut seconds = vec![Vec::new(); systems.len()];
        for round in 0..=count {
            for ((_, system), seconds) in systems.iter_mut().zip(&mut seconds) {
                if let Some(Took { times, elapsed }) = system(column)
                    && round > 0
                {
                    seconds.push(elapsed.as_secs_f64() / f64::from(times));
                }
            }
        }
        for (row, own) in rows.iter_mut().zip(&seconds) {
            let bare = |round: usize| {
                let of = seconds.iter().take(BARE).filter_map(|own| own.get(round).copied());
                of.fold(f64::INFINITY, f64::min)
            };
            let shares = own.iter().enumerate().map(|(round, own)| bare(round) / own).collect();
            row.cells.push(
                (!own.is_empty())
                    .then(|| Cell { seconds: median(own.clone()), share: median(shares) }),
            );
        }
    }
    Table { title, columns: columns.to_vec(), rows, bytes }
}

fn median(mut of: Vec<f64>) -> f64 {
    of.sort_by(f64::total_cmp);
    of.get(of.len() / 2).copied().unwrap_or(f64::NAN)
}

impl Table {
    pub fn markdown(&self) -> String {
        let mut out = format!("\n{}:\n\n| |", self.title);
        self.columns.iter().for_each(|column| out += &format!(" {column} |"));
        out += "\n|---|";
        self.columns.iter().for_each(|_| out += "---:|");
        for row in &self.rows {
            out += &format!("\n| {} |", row.name);
            for cell in &row.cells {
                out += &match cell {
                    None => " – |".to_owned(),
                    Some(cell) => format!(" {} ({:.2}) |", self.speed(cell.seconds), cell.share),
                };
            }
        }
        out + "\n"
    }

    fn speed(&self, seconds: f64) -> String {
        match self.bytes {
            0 if seconds < 1e-3 => format!("{:.2} µs", seconds * 1e6),
            0 => format!("{:.2} ms", seconds * 1e3),
            bytes => format!("{:.0} MiB/s", bytes as f64 / seconds / f64::from(1 << 20)),
        }
    }
}

/// Places below `end` that look random and are the same in every run.
pub fn starts(count: usize, end: usize) -> Vec<usize> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as usize % end
    };
    (0..count).map(|_| next()).collect()
}
