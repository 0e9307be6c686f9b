//! `bulla completions`.

use clap::CommandFactory as _;

use crate::{
    args::{Cli, Completions},
    failure::Outcome,
    stdio,
};

pub(crate) fn run(args: &Completions) -> Outcome<()> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "bulla", &mut script);
    stdio::print(&String::from_utf8_lossy(&script))
}
