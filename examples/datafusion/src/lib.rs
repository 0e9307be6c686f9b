//! SQL over Parquet that is sealed at rest, by engines that know nothing of it: DataFusion in one process, and Ballista in
//! several. An [`EncryptedStore`](bulla_object_store::EncryptedStore) is registered with them under a URL, and that is all.

mod cluster;
mod store;
mod tables;

pub use self::{
    cluster::{connect, run_executor, run_scheduler},
    store::{LAKE, open_from_env, plain, seal},
    tables::{QUERIES, TABLES, Table, declare, query, session, write},
};

/// What a program ends with.
pub type Result<T, E = Box<dyn std::error::Error + Send + Sync>> = std::result::Result<T, E>;

/// A store as DataFusion 55 knows them.
pub type EngineStore = std::sync::Arc<dyn object_store_0_13::ObjectStore>;
