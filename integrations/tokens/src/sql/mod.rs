//! Rings and refresh tokens in a database, by [`sqlx`].
//!
//! The application has the pool, and so says how the database is reached and how many connections there
//! are. `create_tables` makes what is missing; a database whose user may not make tables takes the text of
//! [`SQLITE_TABLES`] or [`POSTGRES_TABLES`].
//!
//! Times are milliseconds since 1970. Of SQLite, a pool whose connections wait for locks
//! (`SqliteConnectOptions::busy_timeout`, 5 seconds by default) is to be used.

mod stores;

#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "sqlite")]
mod sqlite;

#[cfg(feature = "postgres")]
pub use self::postgres::{POSTGRES_TABLES, PostgresRefreshTokens, PostgresRing};
#[cfg(feature = "sqlite")]
pub use self::sqlite::{SQLITE_TABLES, SqliteRefreshTokens, SqliteRing};
