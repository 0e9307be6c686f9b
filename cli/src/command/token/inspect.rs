//! `bulla token inspect`: what a token says, without any proof.

use bulla::jwt::decode_unverified;
use serde::Serialize;
use serde_json::Value;

use super::Token;
use crate::{
    args::InspectToken,
    failure::{Failure, Outcome},
    json,
};

/// The answer, documented in JSON.md: fields are added, not changed.
#[derive(Serialize)]
struct Report<'a> {
    /// Always true, and first, for those who read only this.
    unverified: bool,
    header: &'a Value,
    claims: &'a Value,
}

pub(super) fn run(args: InspectToken) -> Outcome<()> {
    let token = Token::read(args.file)?;
    let read = decode_unverified(&token.text).map_err(|e| Failure::from(e).at(&token.name))?;
    json::print(&Report { unverified: true, header: read.header(), claims: read.claims() })
}
