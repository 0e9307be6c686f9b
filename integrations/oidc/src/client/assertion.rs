//! What a client shows instead of a secret.

use std::{
    ops::Deref,
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use bulla::{
    Error, ErrorKind, Result, Sign,
    jwt::{Claims, Signer},
};
use serde_json::{Map, Value};

/// Signs assertions: a [`Signer`], with whatever key and `kid` its tokens have.
#[async_trait]
pub trait SignAssertion: Send + Sync {
    /// Signs these claims.
    ///
    /// # Errors
    /// What the signer says.
    async fn sign_assertion(&self, claims: &Claims) -> Result<String>;
}

#[async_trait]
impl<P> SignAssertion for Signer<P>
where
    P: Deref + Send + Sync + 'static,
    P::Target: Sign,
{
    async fn sign_assertion(&self, claims: &Claims) -> Result<String> {
        self.sign(claims).await
    }
}

/// Claims that an assertion has by itself (RFC 7523, section 3).
const OWN: [&str; 7] = ["iss", "sub", "aud", "exp", "nbf", "iat", "jti"];

/// What an assertion says.
#[derive(Clone)]
pub(super) struct Assertion {
    pub(super) client: String,
    pub(super) audience: String,
    pub(super) life: Duration,
    pub(super) claims: Map<String, Value>,
}

impl Assertion {
    /// About the client itself, or about a user.
    pub(super) fn claims(&self, subject: &str) -> Result<Claims> {
        let claims = Claims::new_at(SystemTime::now())?
            .with_issuer(&self.client)
            .with_subject(subject)
            .with_audience(&self.audience)
            .with_ttl(self.life);
        let mut others = self.claims.iter();
        others.try_fold(claims, |claims, (name, value)| claims.with_member(name, value))
    }

    pub(super) fn add(&mut self, name: String, value: Value) -> Result<()> {
        if OWN.contains(&&*name) {
            let message = format!("an assertion has the claim {name} by itself");
            return Err(Error::new(ErrorKind::InvalidInput, message));
        }
        self.claims.insert(name, value);
        Ok(())
    }
}
