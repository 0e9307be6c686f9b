//! The encrypted store, as the engine sees it.

use std::{path::Path, sync::Arc};

use bulla::{Opener, Registry, Sealer, SharedProvider};
use bulla_config::Config;
use bulla_local::{LocalScheme, Store};
use bulla_object_store::{Binding, EncryptedStore, compat::V0_13};
use object_store::local::LocalFileSystem;
use object_store_0_13::local::LocalFileSystem as PlainFiles;

use crate::{EngineStore, Result};

/// Where the engine finds the store. Every process of a cluster registers its own under this URL, so plans name
/// objects, and no key is ever in a plan.
pub const LAKE: &str = "sealed://lake";

/// Files below a directory, sealed and opened with the key `lake` of `bulla.toml` (`BULLA_CONFIG`).
///
/// With a KMS, its scheme is registered beside the local one, and `bulla.toml` names its key. With S3, the store
/// beneath is an `AmazonS3`.
///
/// # Errors
/// When there is no such directory, configuration or key.
pub async fn open_from_env(dir: &Path) -> Result<EngineStore> {
    let local = LocalScheme::new(Store::at(Store::default_path()?));
    let config = Config::from_env()?;
    let registry = config.connect_all(Registry::builder().scheme("local", Arc::new(local))).await?;
    let sealer = config.sealer(&registry, "lake")?.build()?;
    seal(dir, sealer, config.opener(&registry))
}

/// Files below a directory, sealed and opened. Each is bound to its path: one in the place of another is refused.
///
/// # Errors
/// When there is no such directory.
pub fn seal(
    dir: &Path,
    sealer: Sealer<SharedProvider>,
    opener: Opener<SharedProvider>,
) -> Result<EngineStore> {
    let files = LocalFileSystem::new_with_prefix(dir)?;
    let store = EncryptedStore::builder(files, sealer, opener).binding(Binding::Path).build()?;
    Ok(Arc::new(V0_13::new(store)))
}

/// The same without encryption, as the engine would have it, to compare with.
///
/// # Errors
/// When there is no such directory.
pub fn plain(dir: &Path) -> Result<EngineStore> {
    Ok(Arc::new(PlainFiles::new_with_prefix(dir)?))
}
