//! The commands, one a file.

mod decrypt;
mod encrypt;
mod inspect;
mod keys;

use crate::{Session, args::Command, failure::Outcome};

pub(crate) fn run(command: Command, session: &Session) -> Outcome<()> {
    match command {
        Command::Encrypt(args) => encrypt::run(args, session),
        Command::Decrypt(args) => decrypt::run(args, session),
        Command::Inspect(args) => inspect::run(args),
        Command::Keys(command) => keys::run(command),
    }
}
