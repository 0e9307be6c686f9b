//! SQLite.

use sqlx::SqlitePool;

use super::stores::stores;

/// The tables, of SQLite 3.35 or newer.
pub const SQLITE_TABLES: &str = "
CREATE TABLE IF NOT EXISTS bulla_rings (
    name TEXT NOT NULL PRIMARY KEY,
    document BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS bulla_refresh_families (
    family TEXT NOT NULL PRIMARY KEY,
    subject TEXT NOT NULL,
    client TEXT NOT NULL,
    expires BIGINT NOT NULL,
    revoked BIGINT
);
CREATE INDEX IF NOT EXISTS bulla_refresh_families_subject ON bulla_refresh_families (subject, client);
CREATE INDEX IF NOT EXISTS bulla_refresh_families_client ON bulla_refresh_families (client);
CREATE INDEX IF NOT EXISTS bulla_refresh_families_expires ON bulla_refresh_families (expires);
CREATE TABLE IF NOT EXISTS bulla_refresh_tokens (
    hash BLOB NOT NULL PRIMARY KEY,
    family TEXT NOT NULL REFERENCES bulla_refresh_families (family) ON DELETE CASCADE,
    grant_json TEXT NOT NULL,
    expires BIGINT NOT NULL,
    used BIGINT
);
CREATE INDEX IF NOT EXISTS bulla_refresh_tokens_family ON bulla_refresh_tokens (family);
";

stores! {
    pool: SqlitePool, tables: SQLITE_TABLES, begin: "BEGIN IMMEDIATE",
    /// A ring in SQLite.
    ring: SqliteRing,
    /// Refresh tokens in SQLite.
    tokens: SqliteRefreshTokens,
}
