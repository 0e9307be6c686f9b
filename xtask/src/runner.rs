//! Runs lanes one after the other and sums up.

use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

use crate::{
    lanes::{Lane, Level},
    project::Project,
};

/// Runs every lane, the ones after a failure too unless `fail_fast`, and prints the summary.
pub(crate) fn run(project: &Project, lanes: &[Lane], level: Level, fail_fast: bool) -> ExitCode {
    let started = Instant::now();
    let mut rows = Vec::new();
    let mut failed = Vec::new();
    for (index, lane) in lanes.iter().enumerate() {
        if project.is_late() {
            rows.push(row(&lane.name, "not run", None));
            failed.push(lane.name.as_str());
            continue;
        }
        if fail_fast && !failed.is_empty() {
            rows.push(row(&lane.name, "not run", None));
            continue;
        }
        let about = lane.more.as_ref().filter(|_| level == Level::All).unwrap_or(&lane.about);
        println!("\n==> {} ({} of {}): {about}", lane.name, index + 1, lanes.len());
        let lane_started = Instant::now();
        let outcome = (lane.run)(project, level);
        let result = if outcome.is_ok() { "ok" } else { "FAILED" };
        let took = row(&lane.name, result, Some(lane_started.elapsed()));
        // Also now: who ends a run that takes too long has no summary.
        println!("<== {took}");
        rows.push(took);
        if let Err(error) = outcome {
            eprintln!("error: lane {}: {error}", lane.name);
            failed.push(lane.name.as_str());
        }
    }

    println!("\n==> summary\n{}", rows.join("\n"));
    println!("{}", row("total", "", Some(started.elapsed())));
    if failed.is_empty() {
        println!("\n{0} of {0} lanes passed", lanes.len());
        ExitCode::SUCCESS
    } else {
        println!("\n{} of {} lanes failed: {}", failed.len(), lanes.len(), failed.join(", "));
        ExitCode::FAILURE
    }
}

fn row(name: &str, result: &str, time: Option<Duration>) -> String {
    let time = time.map_or_else(|| "-".to_owned(), |time| format!("{:.1}s", time.as_secs_f64()));
    format!("{name:<10}{result:<9}{time:>8}")
}
