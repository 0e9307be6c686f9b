//! `bulla kube-credential`.

use bulla_tokens::kubernetes::{ExecCredential, ExecInfo};

use super::token;
use crate::{Session, args::KubeCredential, failure::Outcome, json};

pub(crate) fn run(args: KubeCredential, session: &Session) -> Outcome<()> {
    // Before a key is used: whoever asks for another version can't use the answer.
    let info = ExecInfo::from_env()?;
    let (token, expires) = token::signed(args.token, session)?;
    json::print(&ExecCredential::new(&info, token, expires))
}
