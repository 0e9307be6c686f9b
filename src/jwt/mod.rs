//! JSON Web Tokens (RFC 7519), signed by a provider's key, and JSON Web Keys (RFC 7517).
//!
//! [`Signer`] and [`Verifier`] are where to start; [`ProviderKeys`] are the keys of a provider,
//! [`JwkSet`] those of a document, and [`KeySource`] is what both are to a verifier. The repository's
//! `docs/jwt.md` has what was tried with other libraries, and figures.
//!
//! ```
//! use std::sync::Arc;
//!
//! use bulla::{
//!     CryptoProvider,
//!     jwt::{Claims, ProviderKeys, Signer, Verified, Verifier},
//! };
//!
//! # async fn example(vault: Arc<dyn CryptoProvider>) -> bulla::Result<()> {
//! let keys = Arc::new(ProviderKeys::new(vault));
//! let signer = Signer::new(Arc::clone(&keys));
//! let claims = Claims::new()?.with_issuer("https://id.example").with_audience("orders");
//! let token = signer.sign(&claims.with_subject("ada")).await?;
//!
//! let verifier =
//!     Verifier::builder().issuer("https://id.example").audience("orders").typ("JWT").build()?;
//! let verified: Verified<Claims> = verifier.verify(&token, &*keys).await?;
//! assert_eq!(verified.claims().subject(), Some("ada"));
//! # Ok(())
//! # }
//! ```
//!
//! # Algorithms
//!
//! RS, PS and ES with 256, 384 and 512, and Ed25519, which is written as [`Ed25519Name`] says and read by
//! both its names. In a build with `rustcrypto` alone RSA signatures are
//! [`Unsupported`](crate::ErrorKind::Unsupported). Symmetric algorithms and `none` do not exist here.
//!
//! # Errors
//!
//! A token that no accepted key made is [`NotAuthentic`](crate::ErrorKind::NotAuthentic); one that is
//! malformed, or whose claims are not the ones expected, is
//! [`InvalidToken`](crate::ErrorKind::InvalidToken). [`InvalidToken::of`] has the reason. What a
//! source of keys answers, such as [`Unavailable`](crate::ErrorKind::Unavailable), comes through as
//! it is, and says nothing of the token.
//!
//! # Best current practices
//!
//! RFC 8725, section by section. The tests are in `src/jwt/tests/rfc8725.rs`.
//!
//! | section | what is done | test |
//! |---|---|---|
//! | 3.1 algorithm verification | the algorithm is the key's, and the token's must be the same; an RSA key that states none takes those that the caller named | `perform_algorithm_verification` |
//! | 3.2 appropriate algorithms | neither `none` nor HMAC can be represented | `use_appropriate_algorithms` |
//! | 3.3 all operations validated | one token, one signature, all or nothing | `validate_all_cryptographic_operations` |
//! | 3.4 cryptographic inputs | points on their curves, exact lengths, RSA of 2,048 to 8,192 bits with e ≥ 65,537, PSS salts as long as the digest | `validate_cryptographic_inputs`, `json_web_signature` |
//! | 3.5 entropy of keys | small keys are refused; `jti` has 128 random bits | `ensure_keys_have_sufficient_entropy` |
//! | 3.6 compression | `zip` is neither written nor followed | `avoid_compression_of_encryption_inputs` |
//! | 3.7 UTF-8 | UTF-8 only, and no member twice at any depth | `use_utf8` |
//! | 3.8 issuer and subject | `iss` is required unless waived; a verifier's keys are its issuer's | `validate_issuer_and_subject` |
//! | 3.9 audience | `aud` is required unless waived | `use_and_validate_audience` |
//! | 3.10 received claims | `kid` is looked up among known keys and goes nowhere else; `jku`, `jwk`, `x5u`, `x5c` are refused | `do_not_trust_received_claims` |
//! | 3.11 explicit typing | `typ` is required unless waived | `use_explicit_typing` |
//! | 3.12 exclusive rules | one verifier for each kind of token, by `typ`, `aud` or keys | `use_mutually_exclusive_validation_rules` |

mod claims;
mod claims_json;
mod compact;
mod date;
mod form;
mod header;
mod invalid;
mod jwk;
mod provider;
mod registered;
mod signer;
mod source;
mod strict;
mod verified;
mod verifier;
mod watched;

pub use claims::Claims;
pub use header::JoseHeader;
pub use invalid::{InvalidToken, RegisteredClaim};
pub use jwk::{Ed25519Name, Jwk, JwkSet, MAX_SET_KEYS, MAX_SET_LEN};
pub use provider::{ProviderKeys, ProviderKeysBuilder};
pub(crate) use signer::sign_once;
pub use signer::{Signer, SignerBuilder};
pub use source::{KeySource, SubjectKeys};
pub use verified::{Unverified, Verified, decode_unverified};
pub use verifier::{Verifier, VerifierBuilder};

/// Bytes in the longest token, unless a verifier is told otherwise.
pub const DEFAULT_MAX_LEN: usize = 16 * 1024;

#[cfg(test)]
mod tests;
