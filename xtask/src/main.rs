//! The workspace's checks: `cargo xtask test` runs them, here and in CI.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command-line tool talks to its terminal"
)]

mod features;
mod fuzz;
mod house;
mod imports;
mod lanes;
mod project;
mod readme;
mod rooms;
mod runner;
mod source;
mod tools;

use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, builder::PossibleValuesParser};

use crate::{
    lanes::{LANES, Lane, Level},
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
    /// List the lanes, and at which level each runs
    Lanes,
    /// Draw the core's rooms and who uses whom
    Rooms {
        /// Write the drawing into ARCHITECTURE.md
        #[arg(long)]
        write: bool,
    },
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
    #[arg(long, conflicts_with_all = ["lane", "all"])]
    quick: bool,

    /// Everything that a release needs
    #[arg(long)]
    all: bool,

    /// Only this lane; may be given several times
    #[arg(long, value_name = "NAME", value_parser = lane_names())]
    lane: Vec<String>,

    /// Stop at the first lane that fails
    #[arg(long)]
    fail_fast: bool,
}

impl Selection {
    fn level(&self) -> Level {
        match (self.quick, self.all) {
            (true, _) => Level::Quick,
            (_, true) => Level::All,
            _ => Level::Default,
        }
    }

    /// The lanes that are named, whatever their level, or else those of the level.
    fn lanes(&self) -> Vec<&'static Lane> {
        let level = self.level();
        let named = |lane: &Lane| self.lane.iter().any(|name| name == lane.name);
        let selected = |lane: &&Lane| match self.lane.as_slice() {
            [] => lane.level <= level,
            _ => named(lane),
        };
        LANES.iter().filter(selected).collect()
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
            let (lanes, level) = (selection.lanes(), selection.level());
            runner::run(&Project::find()?, &lanes, level, selection.fail_fast)
        }
        Task::Rooms { write } => {
            rooms::run(&Project::find()?, write)?;
            ExitCode::SUCCESS
        }
        Task::Fuzz { seconds, target } => {
            fuzz::run(&Project::find()?, seconds, &target)?;
            ExitCode::SUCCESS
        }
        Task::Lanes => {
            for lane in LANES {
                println!("{:<10}{:<9}{}", lane.name, lane.level.as_str(), lane.about);
                if let Some(more) = lane.more {
                    println!("{:<10}{:<9}{more}", "", Level::All.as_str());
                }
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
        assert_eq!(selected(&["--all"]).len(), LANES.len());
    }

    #[test]
    fn each_level_runs_what_the_one_before_runs() {
        let (quick, default, all) = (selected(&["--quick"]), selected(&[]), selected(&["--all"]));
        assert!(quick.len() < default.len() && quick.iter().all(|name| default.contains(name)));
        assert!(default.iter().all(|name| all.contains(name)));
    }

    #[test]
    fn a_named_lane_runs_in_full_if_asked() {
        let args = ["xtask", "test", "--lane", "fuzz", "--all"];
        let Task::Test(selection) = Cli::try_parse_from(args).unwrap().task else { panic!() };
        assert_eq!(selection.level(), Level::All);
        assert_eq!(selection.lanes().len(), 1);
        assert!(Cli::try_parse_from(["xtask", "test", "--quick", "--all"]).is_err());
    }

    #[test]
    fn an_unknown_lane_is_refused() {
        assert!(Cli::try_parse_from(["xtask", "test", "--lane", "fmy"]).is_err());
    }
}
