//! What fuzz targets have in common: a provider with a fixed key, so that the corpus opens.

pub mod pipeline;
pub mod svid;
pub mod token;

use std::sync::OnceLock;

use bulla::{format::Header, Context, CryptoProviderExt as _, EncryptionContext, Error, Result};
use bulla_conformance::Memory;
use tokio::runtime::{Builder, Runtime};

/// The provider under whose key the messages of the corpus are sealed.
pub fn vault() -> &'static Memory {
    static VAULT: OnceLock<Memory> = OnceLock::new();
    VAULT.get_or_init(|| Memory::with_key("fuzz", &[7; 32]))
}

/// Another key, whose owner can't open what is sealed to the first.
pub fn spare() -> &'static Memory {
    static SPARE: OnceLock<Memory> = OnceLock::new();
    SPARE.get_or_init(|| Memory::with_key("spare", &[8; 32]))
}

/// Runs a future to its end.
pub fn wait<T>(future: impl Future<Output = T>) -> T {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    let runtime = RUNTIME.get_or_init(|| Builder::new_current_thread().build().expect("a runtime"));
    runtime.block_on(future)
}

/// The context of the messages in the corpus.
pub fn context() -> Context {
    let context = Context::new().with_key("tenant", "acme").expect("a pair");
    context.with_item("row", "7").expect("a pair")
}

/// The item context alone.
pub fn unstored() -> EncryptionContext {
    context().item().clone()
}

/// Opens a value by its own stored context.
pub fn open(sealed: &[u8]) -> Result<Vec<u8>, Error> {
    let opener = bulla::Opener::new([vault()]);
    let opened = wait(opener.open_with_stored_context(sealed, &unstored()))?;
    Ok(opened.0.into_vec())
}

/// What everything that was parsed as a header must hold.
pub fn check_header(header: &Header, bytes: &[u8]) {
    assert_eq!(header.as_bytes(), bytes, "a header is kept as it was read");
    let again = Header::parse(header.as_bytes()).expect("what was read can be read");
    assert_eq!(again.as_bytes(), bytes);
    assert!((1..=8).contains(&header.recipients().len()));
    for recipient in header.recipients() {
        assert!((1..=bulla::key::MAX_WRAPPED_LEN).contains(&recipient.blob.len()));
        assert!(recipient.key.to_string().bytes().all(|b| b.is_ascii_graphic()));
    }
    let context = header.stored_context();
    let is_own = |key: &str| key == "bulla" || key.starts_with("bulla.");
    if context.iter().any(|(key, _)| is_own(key)) {
        let known = context.iter().all(|(key, value)| !is_own(key) || (key, value) == ("bulla.transform", "zstd"));
        assert_eq!(header.transform().is_ok_and(|transform| transform.is_some()), known);
    } else {
        let pairs = EncryptionContext::from_pairs(context.iter()).expect("pairs that were read");
        assert_eq!(pairs.encode(), context.encode());
        assert_eq!(header.transform().ok(), Some(None));
    }
}

/// Seals to the vault, and to the spare if asked.
pub fn seal(plaintext: &[u8], both: bool) -> Vec<u8> {
    if !both {
        return wait(vault().seal(plaintext, &context())).expect("seals");
    }
    let sealer = bulla::Sealer::builder().recipient(spare()).recipient(vault()).build();
    wait(sealer.expect("a sealer").seal(plaintext, &context())).expect("seals")
}
