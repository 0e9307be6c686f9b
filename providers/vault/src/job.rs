//! What is done about a token, one thing at a time. When it is done, and for whom, is in `session`.

use std::sync::Arc;

use bulla::{Error, ErrorKind, Result};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::time::sleep_until;

use crate::{
    auth::Method,
    session::{COOLDOWN, Session, closed},
    token::{self, Lease, Token},
};

/// What is to be done about the token.
#[derive(Clone)]
pub(crate) enum Job {
    /// There is none that is good.
    Obtain,
    /// It will end soon.
    Renew(Arc<Token>),
    /// A call with it was refused.
    Doubt(Arc<Token>),
}

impl Job {
    /// Whether a token that is there is what this would bring.
    pub(crate) fn is_done(&self, current: &Token) -> bool {
        match self {
            Self::Obtain => !current.lease.has_ended(),
            Self::Renew(_) => !current.lease.is_due(),
            Self::Doubt(token) => current.number != token.number,
        }
    }
}

impl Session {
    pub(crate) async fn run(&self, job: Job) -> Result<Arc<Token>> {
        let token = match job {
            Job::Obtain => self.obtain().await,
            Job::Renew(token) => self.renew(&token).await,
            Job::Doubt(token) => self.doubt(&token).await,
        }?;
        if self.check_open().is_err() {
            // Nobody else will end it.
            if token.own {
                drop(self.desk.revoke(&token.header).await);
            }
            return Err(closed());
        }
        Ok(Arc::new(token))
    }

    async fn renew(&self, token: &Token) -> Result<Token> {
        let replaceable = self.desk.auth.method.logs_in_again();
        if token.lease.renewable {
            match self.desk.renew(&token.header).await {
                Ok(left) => {
                    let mut lease = Lease::new(left.seconds(), left.renewable, replaceable);
                    let first = token.lease.first.max(lease.first);
                    // At its longest life, a lease grows no more: it is replaced in time.
                    if left.seconds() == 0 || 2 * lease.first >= first || !replaceable {
                        lease.first = first;
                        return Ok(Token { lease, ..token.clone() });
                    }
                }
                // Dead, or without the right to renew itself.
                Err(error) if error.kind() == ErrorKind::Denied && replaceable => {}
                Err(error) => return Err(error),
            }
        }
        self.obtain().await
    }

    /// Finds out whether the token has died or lacks a right, and has another one if it is dead.
    async fn doubt(&self, token: &Token) -> Result<Token> {
        // One that was given is looked at where it is had.
        if !matches!(self.desk.auth.method, Method::Token(_))
            && self.desk.look_up(&token.header).await?.is_some()
        {
            return Ok(token.clone());
        }
        self.obtain().await
    }

    async fn obtain(&self) -> Result<Token> {
        if let Method::Token(_) = &self.desk.auth.method {
            return self.given().await;
        }
        let last = self.logged_in();
        if let Some(last) = last {
            // Whatever is wrong with tokens, logging in is not done in a storm.
            sleep_until(last + COOLDOWN).await;
        }
        self.check_cluster(last.is_none()).await?;
        let secret = self.secret().await?;
        let granted = self.desk.log_in(secret.as_ref()).await?;
        self.note_login();
        let lease = Lease::new(granted.seconds, granted.renewable, true);
        Ok(Token { header: granted.header, number: self.next_number(), own: true, lease })
    }

    /// The token that was given, or is in its file now.
    async fn given(&self) -> Result<Token> {
        let secret = self.secret().await?;
        let header = token::header(secret.as_ref().map_or("", |s| s.expose_secret()))?;
        let current = self.current.load_full();
        let known = current.filter(|current| current.is(&header));
        let replaceable = self.desk.auth.method.logs_in_again();
        let lease = match (self.desk.look_up(&header).await?, &known) {
            (Some(left), _) => Lease::new(left.seconds(), left.renewable, replaceable),
            // It may lack the right to look at itself. If it is dead, the first call tells.
            (None, None) => Lease::UNKNOWN,
            (None, Some(_)) => return Err(dead(replaceable)),
        };
        let number = known.as_ref().map_or_else(|| self.next_number(), |known| known.number);
        let first = known.map_or(lease.first, |known| known.lease.first.max(lease.first));
        Ok(Token { header, number, own: false, lease: Lease { first, ..lease } })
    }

    /// What is shown to log in.
    async fn secret(&self) -> Result<Option<SecretString>> {
        let Some(secret) = self.desk.auth.method.secret() else { return Ok(None) };
        let unwrap = async |wrapping: SecretString| self.desk.unwrap(&wrapping).await;
        secret.show(unwrap).await.map(Some)
    }

    /// What keys are called by must be what they were called by.
    async fn check_cluster(&self, first: bool) -> Result<()> {
        let Some(cluster) = self.cluster.as_ref().filter(|_| !first) else { return Ok(()) };
        match self.desk.cluster().await? == *cluster {
            true => Ok(()),
            false => Err(Error::new(
                ErrorKind::Unavailable,
                format!(
                    "the server at {} is another cluster than when this provider was built; check \
                     where that address leads",
                    self.desk.http.address()
                ),
            )),
        }
    }
}

fn dead(file: bool) -> Error {
    let message = match file {
        true => {
            "the token has expired or was revoked, and its file has no other one yet (or it lacks this \
             right, and that to look at itself)"
        }
        false => {
            "the token has expired or was revoked; give another one, or an auth method that logs in \
             again (or it lacks this right, and that to look at itself)"
        }
    };
    Error::new(ErrorKind::Denied, message)
}
