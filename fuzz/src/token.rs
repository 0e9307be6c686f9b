//! Tokens of one fixed key.

use std::sync::OnceLock;

use bulla::{
    CryptoProviderExt as _,
    jwt::{Jwk, JwkSet, Verifier},
};
use bulla_local::{Local, Protection, Store};
use serde_json::Value;
use tempfile::TempDir;

use crate::wait;

/// The key of RFC 8037, appendix A.1.
const PRIVATE: &str = r#"{"kty":"OKP","crv":"Ed25519","d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;

/// Its public half, of appendix A.2.
pub const PUBLIC: &str =
    r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;

/// Signs claims.
pub fn sign(claims: &Value) -> String {
    static SIGNER: OnceLock<(TempDir, Local)> = OnceLock::new();
    let (_, signer) = SIGNER.get_or_init(|| {
        let dir = tempfile::tempdir().expect("a directory");
        let store = Store::at(dir.path().join("store"));
        store.import("k", PRIVATE.as_bytes(), &Protection::None).expect("a key");
        let local = Local::builder(store).signing_key("k").build().expect("a provider");
        (dir, local)
    });
    wait(signer.sign_jwt(claims)).expect("signs")
}

/// The claims of a token that the key signed, whatever they are.
pub fn verify(token: &str) -> Option<Value> {
    static KNOWN: OnceLock<(Verifier, JwkSet)> = OnceLock::new();
    let (verifier, keys) = KNOWN.get_or_init(|| {
        let rules = Verifier::builder().any_issuer().any_audience().any_typ();
        let verifier = rules.allow_missing_exp().build().expect("rules");
        let key = Jwk::from_json(PUBLIC).expect("a key");
        let kid = key.thumbprint();
        (verifier, JwkSet::new([key.with_kid(kid)]).expect("a set"))
    });
    Some(verifier.verify_with::<Value>(token, keys).ok()?.claims().clone())
}

/// Verifies after one character was made another.
pub fn verify_changed(token: &str, at: usize) -> Option<Value> {
    let mut other = token.as_bytes().to_vec();
    let at = at % other.len();
    other[at] = if other[at] == b'A' { b'B' } else { b'A' };
    verify(std::str::from_utf8(&other).ok()?)
}

/// Whether a key is the same to a verifier. To `==` it need not be: where neither `use` nor `key_ops`
/// was read, `use` is written.
pub fn same_key(one: &Jwk, other: &Jwk) -> bool {
    let all = |key: &Jwk| {
        let kid = key.kid().map(str::to_owned);
        (key.thumbprint(), kid, key.algorithm(), key.is_for_verifying())
    };
    all(one) == all(other)
}
