//! The workspace's checks: `cargo xtask test` runs all of them, here and in CI.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command-line tool talks to its terminal"
)]

mod features;
mod fuzz;
mod house;
mod lanes;
mod project;
mod readme;
mod runner;
mod source;
mod tools;

use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, builder::PossibleValuesParser};

use crate::{
    lanes::{LANES, Lane},
    project::{Outcome, Project},
};

/// The workspace's checks.
#[derive(Parser)]
#[command(name = "xtask", bin_name = "cargo xtask", arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Run the lanes in order, and sum up which of them failed
    Test(Selection),
    /// List the lanes
    Lanes,
    /// Fuzz, on the stable toolchain
    Fuzz {
        /// How long each target runs, in seconds
        #[arg(long, default_value_t = 60)]
        seconds: u32,

        /// Only this target; may be given several times
        #[arg(long, value_name = "NAME")]
        target: Vec<String>,
    },
}

#[derive(Args)]
struct Selection {
    /// Only the quick lanes
    #[arg(long, conflicts_with = "lane")]
    quick: bool,

    /// Only this lane; may be given several times
    #[arg(long, value_name = "NAME", value_parser = lane_names())]
    lane: Vec<String>,

    /// Stop at the first lane that fails
    #[arg(long)]
    fail_fast: bool,
}

impl Selection {
    fn lanes(&self) -> Vec<&'static Lane> {
        LANES
            .iter()
            .filter(|lane| !self.quick || lane.quick)
            .filter(|lane| self.lane.is_empty() || self.lane.iter().any(|name| name == lane.name))
            .collect()
    }
}

fn lane_names() -> PossibleValuesParser {
    PossibleValuesParser::new(LANES.iter().map(|lane| lane.name))
}

fn main() -> ExitCode {
    run(Cli::parse().task).unwrap_or_else(|error| {
        eprintln!("error: {error}");
        ExitCode::FAILURE
    })
}

fn run(task: Task) -> Outcome<ExitCode> {
    Ok(match task {
        Task::Test(selection) => {
            runner::run(&Project::find()?, &selection.lanes(), selection.fail_fast)
        }
        Task::Fuzz { seconds, target } => {
            fuzz::run(&Project::find()?, seconds, &target)?;
            ExitCode::SUCCESS
        }
        Task::Lanes => {
            for lane in LANES {
                let quick = if lane.quick { "quick" } else { "" };
                println!("{:<10}{quick:<7}{}", lane.name, lane.about);
            }
            ExitCode::SUCCESS
        }
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    fn selected(args: &[&str]) -> Vec<&'static str> {
        let cli = Cli::try_parse_from([&["xtask", "test"], args].concat()).unwrap();
        let Task::Test(selection) = cli.task else { panic!("{args:?} is no test") };
        selection.lanes().iter().map(|lane| lane.name).collect()
    }

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn lanes_keep_their_order_however_they_are_named() {
        assert_eq!(selected(&["--lane", "house", "--lane", "fmt"]), ["fmt", "house"]);
        assert_eq!(selected(&["--quick"]), ["fmt", "clippy", "test", "doctest", "house"]);
        assert_eq!(selected(&[]).len(), LANES.len());
    }

    #[test]
    fn an_unknown_lane_is_refused() {
        assert!(Cli::try_parse_from(["xtask", "test", "--lane", "fmy"]).is_err());
    }
}
