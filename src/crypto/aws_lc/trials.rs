//! Which way of opening out of place is the faster one here.
//!
//! With AVX-512 that is no property of the instruction set. There are processors on which AWS-LC opens
//! at half its speed what is not in their caches yet, so that a copy first, which brings it there, pays
//! (13.3 GB/s instead of 6.7); and there are others on which it opens such bytes at full speed, and
//! the copy costs a fifth. So both ways take turns on a few chunks of what is to be opened anyway, and
//! again every 256 MiB, since it matters too where the bytes lie.

use std::{
    sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed},
    time::Duration,
};

/// Openings from one trial to the next.
const CYCLE: u32 = 4096;

/// Pairs of openings in a trial, one of each way.
const PAIRS: u32 = 8;

/// Of so many pairs, the copy must have been faster.
const ENOUGH: u32 = 6;

/// What is shorter is opened as it stands, and not counted.
pub(super) const LEAST: usize = 16 << 10;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Apart,
    OnACopy,
}

/// One opening, and its place in a trial.
#[derive(Clone, Copy, Debug)]
pub(super) struct Turn {
    pub way: Way,
    trial: Option<u32>,
}

impl Turn {
    /// The way that has no rival.
    pub(super) const APART: Self = Self { way: Way::Apart, trial: None };

    pub(super) fn is_timed(self) -> bool {
        self.trial.is_some()
    }
}

/// Counts, and what came of the last trial. Threads may mix their turns up: that makes a trial worse, and
/// nothing else.
#[derive(Debug)]
pub(super) struct Trials {
    openings: AtomicU32,
    /// Of the opening before: picoseconds a byte.
    apart: AtomicU64,
    copies_won: AtomicU32,
    copy: AtomicBool,
}

impl Trials {
    pub(super) const fn new() -> Self {
        Self {
            openings: AtomicU32::new(0),
            apart: AtomicU64::new(0),
            copies_won: AtomicU32::new(0),
            copy: AtomicBool::new(false),
        }
    }

    pub(super) fn turn(&self) -> Turn {
        let number = self.openings.fetch_add(1, Relaxed) % CYCLE;
        if number < 2 * PAIRS {
            let way = if number.is_multiple_of(2) { Way::Apart } else { Way::OnACopy };
            return Turn { way, trial: Some(number) };
        }
        let way = if self.copy.load(Relaxed) { Way::OnACopy } else { Way::Apart };
        Turn { way, trial: None }
    }

    /// How long a turn took that was timed, over `len` bytes.
    pub(super) fn took(&self, turn: Turn, elapsed: Duration, len: usize) {
        let Some(number) = turn.trial else { return };
        let nanos = u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX);
        let pace = nanos.saturating_mul(1000) / (len as u64).max(1);
        match turn.way {
            Way::Apart => self.apart.store(pace, Relaxed),
            // By an eighth: what is less is noise, and may be another on the next chunk.
            Way::OnACopy if pace < self.apart.load(Relaxed) / 8 * 7 => {
                self.copies_won.fetch_add(1, Relaxed);
            }
            Way::OnACopy => (),
        }
        if number == 2 * PAIRS - 1 {
            self.copy.store(self.copies_won.swap(0, Relaxed) >= ENOUGH, Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEN: usize = 64 << 10;

    /// So many openings, which take as long as the function says for their way and number.
    fn open(trials: &Trials, count: u32, micros: impl Fn(Way, u32) -> u64) -> Vec<Way> {
        let ways = (0..count).map(|number| {
            let turn = trials.turn();
            trials.took(turn, Duration::from_micros(micros(turn.way, number)), LEN);
            turn.way
        });
        ways.collect()
    }

    fn after(ways: &[Way]) -> &[Way] {
        &ways[2 * PAIRS as usize..]
    }

    #[test]
    fn the_faster_way_is_taken_and_looked_at_again() {
        let trials = Trials::new();
        let cold = open(&trials, CYCLE, |way, _| if way == Way::Apart { 12 } else { 6 });
        assert!(after(&cold).iter().all(|way| *way == Way::OnACopy));
        let hot = open(&trials, CYCLE, |way, _| if way == Way::Apart { 3 } else { 4 });
        assert!(after(&hot).iter().all(|way| *way == Way::Apart));
        for ways in [cold, hot] {
            let copies = ways[..2 * PAIRS as usize].iter().filter(|way| **way == Way::OnACopy);
            assert_eq!(copies.count(), PAIRS as usize);
        }
    }

    #[test]
    fn what_is_hardly_faster_or_faster_by_chance_is_not_taken() {
        let by_chance = |way, number: u32| match way {
            Way::Apart if number.is_multiple_of(4) => 90_u64, // the machine did something else
            Way::Apart => 8,
            Way::OnACopy => 8,
        };
        let hardly = |way, _: u32| if way == Way::Apart { 100 } else { 95 };
        for micros in [&by_chance as &dyn Fn(Way, u32) -> u64, &hardly] {
            let trials = Trials::new();
            assert!(after(&open(&trials, CYCLE, micros)).iter().all(|way| *way == Way::Apart));
        }
    }

    #[test]
    fn one_disturbed_pair_does_not_undo_it() {
        let trials = Trials::new();
        let disturbed = |way, number| match way {
            Way::OnACopy if number == 1 => 500,
            Way::OnACopy => 6,
            Way::Apart => 12,
        };
        assert!(after(&open(&trials, CYCLE, disturbed)).iter().all(|way| *way == Way::OnACopy));
    }
}
