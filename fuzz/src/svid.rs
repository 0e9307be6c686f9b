//! JWT-SVIDs of one fixed key, who verifies them, and certificates of that key.

use std::sync::{Arc, OnceLock};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bulla::{
    PublicKey, Sign, SigningAlgorithm, SigningInput,
    jwt::{Jwk, JwkSet},
};
use bulla_local::{Local, Protection, Store};
use bulla_spiffe::{
    Bundle, BundleSet, JwtSvid, JwtSvidVerifier,
    authority::{CaPolicy, X509Authority},
    trust_domain,
};
use tempfile::TempDir;

use crate::wait;

/// The key of RFC 7515, appendix A.3.
const PRIVATE: &str = r#"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0","d":"jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI"}"#;

/// The header of its tokens.
pub const HEADER: &str = r#"{"alg":"ES256","kid":"a","typ":"JWT"}"#;

struct World {
    _dir: TempDir,
    local: Arc<Local>,
    key: PublicKey,
    verifier: JwtSvidVerifier,
}

fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(|| {
        let dir = tempfile::tempdir().expect("a directory");
        let store = Store::at(dir.path().join("store"));
        store.import("k", PRIVATE.as_bytes(), &Protection::None).expect("a key");
        let local = Local::builder(store).signing_key("k").build().expect("a provider");
        let key = wait(local.public_keys()).expect("keys").remove(0);
        let set = JwkSet::new([Jwk::from_spki(&key.spki).expect("a key").with_kid("a")]);
        let bundle = Bundle::new(trust_domain("example.org").expect("a domain"));
        let bundles = BundleSet::new();
        bundles.insert(bundle.with_jwt_authorities(&set.expect("a set")).expect("a bundle"));
        let verifier = JwtSvidVerifier::builder(bundles).audience("a").build().expect("rules");
        World { _dir: dir, local: Arc::new(local), key, verifier }
    })
}

/// A token of these two, whatever they are.
#[must_use]
pub fn sign(header: &[u8], claims: &[u8]) -> String {
    let encode = |part: &[u8]| URL_SAFE_NO_PAD.encode(part);
    let signed = format!("{}.{}", encode(header), encode(claims));
    let World { local, key, .. } = world();
    let input = SigningInput::new(SigningAlgorithm::Es256, signed.as_bytes());
    let signature = wait(local.sign(key, &input)).expect("signs");
    format!("{signed}.{}", encode(signature.as_bytes()))
}

/// The token, if it is accepted.
#[must_use]
pub fn verify(token: &str) -> Option<JwtSvid> {
    wait(world().verifier.verify(token)).ok()
}

/// The key, to sign certificates with.
#[must_use]
pub fn signer() -> Arc<dyn Sign> {
    Arc::<Local>::clone(&world().local)
}

/// An authority with a root of its own.
pub fn authority() -> &'static X509Authority {
    static AUTHORITY: OnceLock<X509Authority> = OnceLock::new();
    AUTHORITY.get_or_init(|| {
        let builder = X509Authority::builder(trust_domain("example.org").expect("a domain"), signer());
        wait(builder.self_signed(CaPolicy::root())).expect("an authority")
    })
}
