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
mod lake;
mod lanes;
mod package;
mod pipeline;
mod project;
mod providers;
mod readme;
mod rooms;
mod runner;
mod source;
mod spiffe;
mod store;
mod tokens;
mod tools;

use std::{process::ExitCode, time::Duration};

use clap::{Args, Parser, Subcommand};

use crate::{
    lanes::{Lane, Level},
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
    #[arg(long, value_name = "NAME")]
    lane: Vec<String>,

    /// Stop at the first lane that fails
    #[arg(long)]
    fail_fast: bool,

    /// End what runs after so many minutes, and sum up
    #[arg(long, value_name = "MINUTES")]
    limit: Option<u64>,
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
    fn of(&self, lanes: Vec<Lane>) -> Outcome<Vec<Lane>> {
        let known: Vec<_> = lanes.iter().map(|lane| lane.name.as_str()).collect();
        if let Some(name) = self.lane.iter().find(|name| !known.contains(&name.as_str())) {
            return Err(format!("there is no lane {name}; there are {}", known.join(", ")));
        }
        let level = self.level();
        let selected = |lane: &Lane| match self.lane.as_slice() {
            [] => lane.level <= level,
            named => named.contains(&lane.name),
        };
        Ok(lanes.into_iter().filter(selected).collect())
    }
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
            let limit = selection.limit.map(|minutes| Duration::from_secs(minutes * 60));
            let project = Project::find()?.within(limit);
            let lanes = selection.of(lanes::all(providers::all(&project)?))?;
            runner::run(&project, &lanes, selection.level(), selection.fail_fast)
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
            for lane in lanes::all(providers::all(&Project::find()?)?) {
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

    fn selected(args: &[&str]) -> Outcome<Vec<String>> {
        let cli = Cli::try_parse_from([&["xtask", "test"], args].concat()).unwrap();
        let Task::Test(selection) = cli.task else { panic!("{args:?} is no test") };
        let lanes = lanes::all(providers::all(&Project::find()?)?);
        Ok(selection.of(lanes)?.into_iter().map(|lane| lane.name).collect())
    }

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn lanes_keep_their_order_however_they_are_named() {
        assert_eq!(selected(&["--lane", "house", "--lane", "fmt"]).unwrap(), ["fmt", "house"]);
        let quick = selected(&["--quick"]).unwrap();
        assert_eq!(quick, ["fmt", "clippy", "test", "doctest", "house"]);
    }

    #[test]
    fn each_level_runs_what_the_one_before_runs() {
        let [quick, default, all] =
            [&["--quick"][..], &[], &["--all"]].map(|args| selected(args).unwrap());
        assert!(quick.len() < default.len() && quick.iter().all(|name| default.contains(name)));
        assert!(default.iter().all(|name| all.contains(name)));
    }

    #[test]
    fn providers_with_servers_have_a_lane() {
        assert_eq!(selected(&["--lane", "aws"]).unwrap(), ["aws"]);
    }

    #[test]
    fn a_named_lane_runs_in_full_if_asked() {
        let args = ["xtask", "test", "--lane", "fuzz", "--all"];
        let Task::Test(selection) = Cli::try_parse_from(args).unwrap().task else { panic!() };
        assert_eq!(selection.level(), Level::All);
        assert!(Cli::try_parse_from(["xtask", "test", "--quick", "--all"]).is_err());
    }

    #[test]
    fn an_unknown_lane_is_refused() {
        assert!(selected(&["--lane", "fmy"]).unwrap_err().contains("there are fmt, clippy, "));
    }
}
