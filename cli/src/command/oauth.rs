//! `bulla oauth`.

#[cfg(not(feature = "oauth"))]
use crate::failure::Failure;
use crate::{
    Session,
    args::{OauthCommand, OauthToken},
    failure::Outcome,
};

pub(crate) fn run(command: OauthCommand, session: &Session) -> Outcome<()> {
    match command {
        OauthCommand::Token(args) => token(args, session),
    }
}

#[cfg(not(feature = "oauth"))]
fn token(_: OauthToken, _: &Session) -> Outcome<()> {
    Err(Failure::usage(
        "this build of bulla asks no authorization server; build it with `--features oauth`",
    ))
}

#[cfg(feature = "oauth")]
fn token(args: OauthToken, session: &Session) -> Outcome<()> {
    with_client::token(args, session)
}

#[cfg(feature = "oauth")]
mod with_client {
    use std::{fs, time::SystemTime};

    use bulla_oidc::client::{AccessToken, TokenClient};
    use serde::Serialize;

    use crate::{
        Session,
        args::{OauthClient, OauthToken},
        command::token::signer,
        failure::{Failure, Outcome},
        json, shown, stdio,
    };

    /// What came, documented in JSON.md: fields are added, not changed.
    #[derive(Serialize)]
    struct Report<'a> {
        access_token: &'a str,
        expires: Option<String>,
        scope: Option<&'a str>,
    }

    pub(super) fn token(args: OauthToken, session: &Session) -> Outcome<()> {
        let token = asked(args.client, session)?;
        match args.json {
            false => stdio::print(&format!("{}\n", token.expose())),
            true => json::print(&Report {
                access_token: token.expose(),
                expires: token.expires().map(time),
                scope: token.scope(),
            }),
        }
    }

    fn asked(args: OauthClient, session: &Session) -> Outcome<AccessToken> {
        let signer = signer(&args.key, args.alg, args.kid, &args.passphrases, session)?;
        let mut client = TokenClient::builder(args.endpoint, args.client, signer);
        if let Some(audience) = args.audience {
            client = client.audience(audience);
        }
        if let Some(scope) = args.scope {
            client = client.scope(scope);
        }
        if let Some(subject) = args.on_behalf_of {
            client = client.on_behalf_of(subject);
        }
        for claim in args.claim {
            client = client.claim(claim.name, claim.value);
        }
        for parameter in args.parameters {
            client = client.parameter(parameter.name, parameter.value);
        }
        if let Some(path) = args.ca {
            let pem = fs::read(&path).map_err(|error| Failure::io(&shown::path(&path), &error))?;
            client = client.root_certificate(pem);
        }
        let client = client.build()?;
        Ok(session.runtime.block_on(client.token())?)
    }

    fn time(time: SystemTime) -> String {
        humantime::format_rfc3339_seconds(time).to_string()
    }
}
