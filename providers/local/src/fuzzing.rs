//! What fuzz targets reach.

use crate::{
    material::Material,
    store::{Entry, Store, reread},
};

/// The keys of a store, to read other files in place of theirs.
#[derive(Debug)]
pub struct Files(Vec<Entry>);

impl Files {
    /// # Panics
    /// If the store can't be read.
    #[must_use]
    #[allow(clippy::expect_used, reason = "without a store there is nothing to fuzz")]
    pub fn of(store: &Store) -> Self {
        Self(store.entries().expect("a store"))
    }

    /// Reads the content of a file as each of the three kinds, in the place of each version.
    pub fn read(&self, content: &[u8]) {
        reread(content);
        for entry in &self.0 {
            for version in 1..3 {
                let _ = entry.material_in(content, version, &[]);
            }
        }
    }
}

/// Imports a key; what is accepted is exported and imported again.
pub fn import(text: &[u8]) {
    let Ok(material) = Material::import(text) else { return };
    for exported in [material.to_jwk(), material.to_pem()].into_iter().flatten() {
        let again = Material::import(exported.as_bytes()).and_then(|again| again.to_jwk());
        assert_eq!(again.ok(), material.to_jwk().ok(), "what was exported is what was imported");
    }
}
