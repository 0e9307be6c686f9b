//! Verifying tokens.

mod builder;
mod familiar;

use std::{fmt, sync::Arc, time::SystemTime};

use serde::de::DeserializeOwned;
use smallvec::{SmallVec, smallvec};

pub use builder::VerifierBuilder;

use self::familiar::Familiar;
use super::{
    Claims, InvalidToken, Jwk, JwkSet, KeySource, RegisteredClaim, SubjectKeys, compact::Compact,
    date::NumericDate, header::JoseHeader, registered::Registered, verified::Verified, watched,
};
use crate::{
    crypto::SigningAlgorithm,
    error::{Error, ErrorKind, Result},
};

/// Of a token that names no key, how many keys are tried at most.
const MAX_TRIED: usize = 16;

/// Verifies tokens by the rules that its builder was given. Cheap to clone.
///
/// Everything is required unless the builder was told otherwise: `exp`, and the expected `iss`,
/// `aud` and `typ`. The algorithm comes from the key; the token's has to be the same.
#[derive(Clone)]
pub struct Verifier(Arc<Rules>);

struct Rules {
    issuer: Option<String>,
    audiences: Option<Vec<String>>,
    typ: Option<String>,
    algorithms: Option<Vec<SigningAlgorithm>>,
    leeway: std::time::Duration,
    max_len: usize,
    needs_exp: bool,
    needs_kid: bool,
    clock: Clock,
    familiar: Familiar,
}

type Clock = Arc<dyn Fn() -> SystemTime + Send + Sync>;

impl Verifier {
    /// Says what is expected of tokens.
    pub fn builder() -> VerifierBuilder {
        VerifierBuilder::new()
    }

    /// Verifies a token with the keys of a source, which may have to fetch them.
    ///
    /// What can be refused without a key is refused before the source is asked.
    ///
    /// # Errors
    /// [`NotAuthentic`](ErrorKind::NotAuthentic) if no accepted key made the token, and
    /// [`InvalidToken`](ErrorKind::InvalidToken) if it is malformed or its claims are not what is
    /// expected: both have an [`InvalidToken`] as their source. Otherwise what the source said,
    /// such as [`Unavailable`](ErrorKind::Unavailable): then nothing is known of the token.
    /// [`Unsupported`](ErrorKind::Unsupported) for RSA keys in a build without `aws-lc-rs`.
    pub async fn verify<C: DeserializeOwned>(
        &self,
        token: &str,
        source: &(impl KeySource + ?Sized),
    ) -> Result<Verified<C>> {
        let read = self.read(token)?;
        let keys = source.keys(read.header.kid()).await.map_err(not_of_the_token)?;
        self.finish(read, &keys)
    }

    /// Verifies a token with the keys of the one who may vouch for its subject: for a token of which only
    /// its `sub` says whose it is, such as a JWT-SVID of SPIFFE.
    ///
    /// The claims are read before the signature is checked, to look keys up by `sub`, and are not read
    /// again: it takes no more work than [`verify`](Self::verify). They are of this library's type, so that
    /// no code of anybody else's sees them before they are known to be authentic.
    ///
    /// # Errors
    /// As for [`verify`](Self::verify). A token without a subject is
    /// [`InvalidToken`](ErrorKind::InvalidToken).
    pub async fn verify_by_subject(
        &self,
        token: &str,
        source: &(impl SubjectKeys + ?Sized),
    ) -> Result<Verified<Claims>> {
        let read = self.read(token)?;
        let payload = read.compact.payload().map_err(InvalidToken::into_error)?;
        let (claims, registered) = own_claims(&payload).map_err(InvalidToken::into_error)?;
        let subject = claims.subject().filter(|subject| !subject.is_empty());
        let subject =
            subject.ok_or_else(|| InvalidToken::MissingClaim(RegisteredClaim::Sub).into_error())?;
        let found = source.keys_of(subject, read.header.kid()).await.map_err(not_of_the_token)?;
        let keys = found.map_err(InvalidToken::into_error)?;
        self.0.check_signature(&read, &keys)?;
        let checked =
            self.0.check_typ(&read.header).and_then(|()| self.0.check_registered(&registered));
        checked.map_err(InvalidToken::into_error)?;
        Ok(Verified { header: read.header, claims })
    }

    /// Verifies a token with keys that are at hand.
    ///
    /// # Errors
    /// As for [`verify`](Self::verify).
    pub fn verify_with<C: DeserializeOwned>(
        &self,
        token: &str,
        keys: &JwkSet,
    ) -> Result<Verified<C>> {
        self.finish(self.read(token)?, keys)
    }

    fn read<'a>(&self, token: &'a str) -> Result<Token<'a>> {
        let read = || {
            let compact = Compact::split(token, self.0.max_len)?;
            if let Some(header) = self.0.familiar.find(compact.header) {
                return Ok(Token { compact, header, is_familiar: true });
            }
            let header = JoseHeader::parse(compact.header()?)?;
            Ok(Token { compact, header, is_familiar: false })
        };
        read().map_err(InvalidToken::into_error)
    }

    fn finish<C: DeserializeOwned>(&self, token: Token<'_>, keys: &JwkSet) -> Result<Verified<C>> {
        let payload = self.0.authenticate(&token, keys)?;
        let claims = self.0.claims(&token.header, &payload).map_err(InvalidToken::into_error)?;
        Ok(Verified { header: token.header, claims })
    }

    /// The payload of a token, whatever it is, once its signature was found good.
    #[cfg(test)]
    pub(super) fn authenticate(&self, token: &str, keys: &JwkSet) -> Result<Vec<u8>> {
        self.0.authenticate(&self.read(token)?, keys)
    }
}

/// A token whose header was read, and nothing else of it.
struct Token<'a> {
    compact: Compact<'a>,
    header: JoseHeader,
    is_familiar: bool,
}

/// Claims in this library's own type, and the registered ones of them.
fn own_claims(payload: &[u8]) -> Result<(Claims, Registered<'_>), InvalidToken> {
    if let Some(read) = watched::read(payload) {
        return Ok(read);
    }
    // Says what is wrong with them, and reads what is only unusual.
    let registered = Registered::parse(payload)?;
    let claims = serde_json::from_slice(payload).map_err(|_| InvalidToken::Claims)?;
    Ok((claims, registered))
}

/// A key store that is damaged or locked can say of its own keys what only a verifier says of tokens.
fn not_of_the_token(error: Error) -> Error {
    match error.kind() {
        ErrorKind::NotAuthentic | ErrorKind::InvalidToken => {
            Error::new(ErrorKind::Internal, "the keys to verify with could not be read")
                .with_source(error)
        }
        _ => error,
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier")
            .field("issuer", &self.0.issuer)
            .field("audiences", &self.0.audiences)
            .field("typ", &self.0.typ)
            .field("leeway", &self.0.leeway)
            .finish_non_exhaustive()
    }
}

impl Rules {
    /// The payload, once the signature was found good.
    fn authenticate(&self, token: &Token<'_>, keys: &JwkSet) -> Result<Vec<u8>> {
        self.check_signature(token, keys)?;
        token.compact.payload().map_err(InvalidToken::into_error)
    }

    /// Finds the key, checks that it is for this, and verifies the signature.
    fn check_signature(&self, token: &Token<'_>, keys: &JwkSet) -> Result<()> {
        let Token { compact, header, is_familiar } = token;
        let algorithm = header.algorithm();
        let signature = compact.signature().map_err(InvalidToken::into_error)?;
        let candidates = self.candidates(header, keys).map_err(InvalidToken::into_error)?;
        let mut refused = InvalidToken::Signature;
        for key in candidates {
            if let Err(reason) = self.check_key(key, algorithm) {
                refused = reason;
                continue;
            }
            match key.verify(algorithm, compact.signed, &signature) {
                Ok(()) => {
                    if !is_familiar {
                        self.familiar.keep(compact.header, header);
                    }
                    return Ok(());
                }
                Err(error) if error.kind() == ErrorKind::NotAuthentic => {
                    refused = InvalidToken::Signature;
                }
                Err(error) => return Err(error),
            }
        }
        Err(refused.into_error())
    }

    /// The keys that the header can mean: one, unless the caller allowed tokens without a `kid`.
    fn candidates<'k>(
        &self,
        header: &JoseHeader,
        keys: &'k JwkSet,
    ) -> Result<SmallVec<[&'k Jwk; 1]>, InvalidToken> {
        if let Some(kid) = header.kid() {
            return Ok(smallvec![keys.find(kid).ok_or(InvalidToken::UnknownKey)?]);
        }
        let most = if self.needs_kid { 1 } else { MAX_TRIED };
        let fitting = keys.iter().filter(|key| {
            // Without a `kid` to say which key is meant, only all keys can make it certain.
            key.is_for_verifying()
                && (self.needs_kid || self.check_key(key, header.algorithm()).is_ok())
        });
        let candidates: SmallVec<_> = fitting.take(most + 1).collect();
        match candidates.len() {
            0 => Err(InvalidToken::UnknownKey),
            len if len > most => Err(InvalidToken::NoKeyId),
            _ => Ok(candidates),
        }
    }

    /// The algorithm is the key's; an RSA key that states none takes those that the caller named.
    fn check_key(&self, key: &Jwk, algorithm: SigningAlgorithm) -> Result<(), InvalidToken> {
        if !key.is_for_verifying() {
            return Err(InvalidToken::KeyUse);
        }
        let of_key = key.algorithm().is_none_or(|of_key| of_key == algorithm);
        let named = match &self.algorithms {
            Some(named) => named.contains(&algorithm),
            None => key.algorithm().is_some(),
        };
        if of_key && named && key.signs_with(algorithm) {
            Ok(())
        } else {
            Err(InvalidToken::Algorithm)
        }
    }

    fn check_typ(&self, header: &JoseHeader) -> Result<(), InvalidToken> {
        match &self.typ {
            Some(expected) if !header.has_typ(expected) => Err(InvalidToken::Type),
            _ => Ok(()),
        }
    }

    /// The claims of a token whose signature was found good.
    fn claims<C: DeserializeOwned>(
        &self,
        header: &JoseHeader,
        payload: &[u8],
    ) -> Result<C, InvalidToken> {
        self.check_typ(header)?;
        if let Some((claims, registered)) = watched::read(payload) {
            self.check_registered(&registered)?;
            return Ok(claims);
        }
        // Says what is wrong with them, and reads what is only unusual.
        self.check_registered(&Registered::parse(payload)?)?;
        serde_json::from_slice(payload).map_err(|_| InvalidToken::Claims)
    }

    fn check_registered(&self, claims: &Registered<'_>) -> Result<(), InvalidToken> {
        let missing = InvalidToken::MissingClaim;
        if let Some(expected) = &self.issuer {
            let issuer = claims.iss.as_ref().ok_or(missing(RegisteredClaim::Iss))?;
            if issuer != expected {
                return Err(InvalidToken::Issuer);
            }
        }
        if let Some(expected) = &self.audiences {
            let audiences = claims.aud.as_ref().ok_or(missing(RegisteredClaim::Aud))?;
            if !audiences.iter().any(|audience| expected.iter().any(|e| e == audience)) {
                return Err(InvalidToken::Audience);
            }
        }
        self.check_dates(claims)
    }

    /// RFC 7519, sections 4.1.4 to 4.1.6.
    fn check_dates(&self, claims: &Registered<'_>) -> Result<(), InvalidToken> {
        let now = NumericDate::of((self.clock)());
        let soon = now.plus(self.leeway);
        match claims.exp {
            // "On or after which the JWT must not be accepted".
            Some(exp) if now >= exp.plus(self.leeway) => return Err(InvalidToken::Expired),
            None if self.needs_exp => {
                return Err(InvalidToken::MissingClaim(RegisteredClaim::Exp));
            }
            _ => {}
        }
        if claims.nbf.is_some_and(|nbf| nbf > soon) {
            return Err(InvalidToken::NotYetValid);
        }
        if claims.iat.is_some_and(|iat| iat > soon) {
            return Err(InvalidToken::IssuedInFuture);
        }
        Ok(())
    }
}
