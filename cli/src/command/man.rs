//! `bulla man`.

use std::fs;

use clap::CommandFactory as _;
use clap_mangen::Man as Page;

use crate::{
    args::{Cli, Man},
    failure::{Failure, Outcome},
    shown, stdio,
};

pub(crate) fn run(args: Man) -> Outcome<()> {
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    let Some(dir) = args.dir else {
        let mut pages = Vec::new();
        collect(command, &mut pages)?;
        return pages.iter().try_for_each(|(_, text)| stdio::print(&String::from_utf8_lossy(text)));
    };
    let failed = |e: std::io::Error| Failure::io(&shown::path(&dir), &e);
    fs::create_dir_all(&dir).map_err(failed)?;
    let mut pages = Vec::new();
    collect(command, &mut pages)?;
    for (name, text) in pages {
        let path = dir.join(name);
        fs::write(&path, text).map_err(|e| Failure::io(&shown::path(&path), &e))?;
    }
    Ok(())
}

/// A page for each command, the general one first.
fn collect(command: clap::Command, pages: &mut Vec<(String, Vec<u8>)>) -> Outcome<()> {
    let subcommands: Vec<_> = command.get_subcommands().cloned().collect();
    let page = Page::new(command);
    let mut text = Vec::new();
    page.render(&mut text).map_err(|e| Failure::io("manual page", &e))?;
    pages.push((page.get_filename(), text));
    subcommands.into_iter().try_for_each(|command| collect(command, pages))
}
