//! Tests that join the crates of the workspace.

use bulla::{Context, EncryptionContext, Result};

/// What a frozen message is and holds: one line of `index.tsv`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frozen {
    /// The file.
    pub file: String,
    /// `sealed`, `text` or `direct`; `zstd` is sealed too, and compressed before.
    pub form: String,
    /// How many bytes of [`pattern`] it holds.
    pub len: usize,
    /// Pairs of the key context, `k=v`, joined by commas.
    pub key: String,
    /// Pairs of the item context, likewise.
    pub item: String,
}

impl Frozen {
    /// The line of `index.tsv`.
    #[must_use]
    pub fn to_line(&self) -> String {
        let Self { file, form, len, key, item } = self;
        format!("{file}\t{form}\t{len}\t{key}\t{item}\n")
    }

    /// Reads a line back.
    ///
    /// # Panics
    /// If it is not one.
    #[must_use]
    #[allow(clippy::panic, reason = "for tests, and documented")]
    pub fn parse(line: &str) -> Self {
        let fields: Vec<_> = line.split('\t').collect();
        let &[file, form, len, key, item] = fields.as_slice() else { panic!("{line:?}") };
        let len = len.parse().unwrap_or_else(|_| panic!("{line:?}"));
        let own = str::to_owned;
        Self { file: own(file), form: own(form), len, key: own(key), item: own(item) }
    }

    /// The context that it was sealed under.
    ///
    /// # Errors
    /// If a pair is none.
    pub fn context(&self) -> Result<Context> {
        let pairs = |text: &str| {
            let pairs = text.split(',').filter_map(|pair| pair.split_once('='));
            EncryptionContext::from_pairs(pairs.map(|(k, v)| (k.to_owned(), v.to_owned())))
        };
        Context::from_parts(pairs(&self.key)?, pairs(&self.item)?)
    }
}

/// Bytes 0 to 250, over and over.
#[must_use]
pub fn pattern(len: usize) -> Vec<u8> {
    (0..=250).cycle().take(len).collect()
}
