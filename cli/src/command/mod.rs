//! The commands, one a file.

mod completions;
mod decrypt;
mod doctor;
mod encrypt;
mod inspect;
mod jwks;
mod keyring;
mod keys;
mod kube;
mod man;
mod oauth;
mod rewrap;
pub(crate) mod serve;
pub(crate) mod spiffe;
pub(crate) mod store;
mod token;
mod verify;

use crate::{Session, args::Command, failure::Outcome};

pub(crate) fn run(command: Command, session: &Session) -> Outcome<()> {
    match command {
        Command::Encrypt(args) => encrypt::run(args, session),
        Command::Decrypt(args) => decrypt::run(args, session),
        Command::Verify(args) => verify::run(args, session),
        Command::Inspect(args) => inspect::run(args),
        Command::Rewrap(args) => rewrap::run(args, session),
        Command::Store(command) => store::run(command, session),
        Command::Keys(command) => keys::run(command, session),
        Command::Token(command) => token::run(command, session),
        Command::Jwks(args) => jwks::run(&args, session),
        Command::Keyring(command) => keyring::run(command, session),
        Command::Serve(args) => serve::run(&args),
        Command::Oauth(command) => oauth::run(command, session),
        Command::KubeCredential(args) => kube::run(args, session),
        Command::Spiffe(command) => spiffe::run(command, session),
        Command::Doctor(args) => doctor::run(&args, session),
        Command::Completions(args) => completions::run(&args),
        Command::Man(args) => man::run(args),
    }
}
