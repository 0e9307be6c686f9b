//! PostgreSQL.

use sqlx::PgPool;

use super::stores::stores;

/// The tables, of PostgreSQL 9.5 or newer.
pub const POSTGRES_TABLES: &str = "
CREATE TABLE IF NOT EXISTS bulla_rings (
    name TEXT NOT NULL PRIMARY KEY,
    document BYTEA NOT NULL
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
    hash BYTEA NOT NULL PRIMARY KEY,
    family TEXT NOT NULL REFERENCES bulla_refresh_families (family) ON DELETE CASCADE,
    grant_json TEXT NOT NULL,
    expires BIGINT NOT NULL,
    used BIGINT
);
CREATE INDEX IF NOT EXISTS bulla_refresh_tokens_family ON bulla_refresh_tokens (family);
";

stores! {
    pool: PgPool, tables: POSTGRES_TABLES, begin: "BEGIN",
    /// A ring in PostgreSQL.
    ring: PostgresRing,
    /// Refresh tokens in PostgreSQL.
    tokens: PostgresRefreshTokens,
}
