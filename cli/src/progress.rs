//! A bar on standard error for work that takes long, where somebody can see it.

use std::{
    io::{self, IsTerminal as _},
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};

/// Shorter work than this shows no bar.
const PATIENCE: Duration = Duration::from_millis(800);

/// With a length, a share of the whole and the time left; without one, what is done so far.
const BAR: &str = "{bar:30} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left";
const COUNT: &str = "{spinner} {bytes}, {bytes_per_sec}";

pub(crate) struct Progress {
    len: Option<u64>,
    done: u64,
    started: Instant,
    visible: bool,
    bar: Option<ProgressBar>,
}

impl Progress {
    /// For `len` bytes, if that is known. `out_of_sight` is for output that goes to the same
    /// terminal.
    pub(crate) fn new(len: Option<u64>, out_of_sight: bool) -> Self {
        let visible = !out_of_sight && io::stderr().is_terminal();
        Self { len, done: 0, started: Instant::now(), visible, bar: None }
    }

    pub(crate) fn advance(&mut self, bytes: usize) {
        self.done += bytes as u64;
        if !self.visible {
            return;
        }
        if self.bar.is_none() && self.started.elapsed() > PATIENCE {
            self.bar = Some(bar(self.len).with_elapsed(self.started.elapsed()));
        }
        if let Some(bar) = &self.bar {
            bar.set_position(self.done);
        }
    }
}

/// Leaves a clean line, whichever way the work ended.
impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn bar(len: Option<u64>) -> ProgressBar {
    let (bar, template) = match len {
        Some(len) => (ProgressBar::new(len), BAR),
        None => (ProgressBar::no_length(), COUNT),
    };
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
