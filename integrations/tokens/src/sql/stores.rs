//! The statements, which both databases understand.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bulla::{Error, ErrorKind};

/// Milliseconds since 1970; what is earlier counts as that, and what is later than 292 million years as
/// the end of that.
pub(super) fn millis(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

pub(super) fn time(millis: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(u64::try_from(millis).unwrap_or_default())
}

/// What a database said. Its text is the source's, and no value is in it.
pub(super) fn failed(error: sqlx::Error) -> Error {
    let kind = match &error {
        sqlx::Error::Database(said) if said.is_unique_violation() => ErrorKind::AlreadyExists,
        sqlx::Error::Database(_) => ErrorKind::Internal,
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => ErrorKind::Damaged,
        sqlx::Error::PoolTimedOut => ErrorKind::Timeout,
        sqlx::Error::PoolClosed => ErrorKind::Closed,
        _ => ErrorKind::Unavailable,
    };
    let message = match kind {
        ErrorKind::AlreadyExists => "this is kept already",
        ErrorKind::Internal => "the database refused the statement",
        ErrorKind::Damaged => "what the database has is of another form",
        ErrorKind::Timeout => "no connection to the database was free in time",
        ErrorKind::Closed => "the pool of connections was closed",
        _ => "the database can't be reached",
    };
    Error::new(kind, message).with_source(error)
}

macro_rules! stores {
    (
        pool: $pool:ty, tables: $tables:expr, begin: $begin:literal,
        $(#[$ring_doc:meta])* ring: $ring:ident,
        $(#[$tokens_doc:meta])* tokens: $tokens:ident,
    ) => {
        $(#[$ring_doc])*
        #[derive(Clone, Debug)]
        pub struct $ring {
            pool: $pool,
            name: String,
        }

        impl $ring {
            /// The ring of this name, which need not be there yet; the tables have to be.
            pub fn new(pool: $pool, name: impl Into<String>) -> Self {
                Self { pool, name: name.into() }
            }

            /// Makes the tables that are missing.
            ///
            /// # Errors
            /// What the database says.
            pub async fn create_tables(&self) -> bulla::Result<()> {
                let made = sqlx::raw_sql($tables).execute(&self.pool).await;
                made.map(drop).map_err($crate::sql::stores::failed)
            }
        }

        #[async_trait::async_trait]
        impl $crate::ring::RingStore for $ring {
            async fn load(&self) -> bulla::Result<Option<Vec<u8>>> {
                sqlx::query_scalar("SELECT document FROM bulla_rings WHERE name = $1")
                    .bind(&self.name)
                    .fetch_optional(&self.pool)
                    .await
                    .map_err($crate::sql::stores::failed)
            }

            async fn replace(&self, expected: Option<&[u8]>, document: &[u8]) -> bulla::Result<bool> {
                let query = match expected {
                    None => sqlx::query(
                        "INSERT INTO bulla_rings (name, document) VALUES ($1, $2) ON CONFLICT DO NOTHING",
                    )
                    .bind(&self.name)
                    .bind(document),
                    Some(expected) => sqlx::query(
                        "UPDATE bulla_rings SET document = $2 WHERE name = $1 AND document = $3",
                    )
                    .bind(&self.name)
                    .bind(document)
                    .bind(expected),
                };
                let done = query.execute(&self.pool).await.map_err($crate::sql::stores::failed)?;
                Ok(done.rows_affected() == 1)
            }
        }

        $(#[$tokens_doc])*
        #[derive(Clone, Debug)]
        pub struct $tokens {
            pool: $pool,
        }

        impl $tokens {
            /// Those of this database; the tables have to be there.
            #[must_use]
            pub const fn new(pool: $pool) -> Self {
                Self { pool }
            }

            /// Makes the tables that are missing.
            ///
            /// # Errors
            /// What the database says.
            pub async fn create_tables(&self) -> bulla::Result<()> {
                let made = sqlx::raw_sql($tables).execute(&self.pool).await;
                made.map(drop).map_err($crate::sql::stores::failed)
            }
        }

        const INSERT_TOKEN: &str = "INSERT INTO bulla_refresh_tokens (hash, family, grant_json, expires) \
                                    VALUES ($1, $2, $3, $4)";

        #[async_trait::async_trait]
        impl $crate::issuer::RefreshStore for $tokens {
            async fn insert(
                &self,
                record: &$crate::issuer::RefreshRecord,
                _: std::time::SystemTime,
            ) -> bulla::Result<()> {
                use $crate::sql::stores::{failed, millis};

                let mut work = self.pool.begin_with($begin).await.map_err(failed)?;
                sqlx::query(
                    "INSERT INTO bulla_refresh_families (family, subject, client, expires) \
                     VALUES ($1, $2, $3, $4)",
                )
                .bind(&record.family)
                .bind(&record.subject)
                .bind(&record.client)
                .bind(millis(record.family_expires))
                .execute(&mut *work)
                .await
                .map_err(failed)?;
                sqlx::query(INSERT_TOKEN)
                    .bind(&record.hash.as_bytes()[..])
                    .bind(&record.family)
                    .bind(&record.grant)
                    .bind(millis(record.expires))
                    .execute(&mut *work)
                    .await
                    .map_err(failed)?;
                work.commit().await.map_err(failed)
            }

            async fn find(
                &self,
                hash: &$crate::issuer::TokenHash,
            ) -> bulla::Result<Option<$crate::issuer::Kept>> {
                use $crate::{
                    issuer::{Kept, RefreshRecord},
                    sql::stores::{failed, time},
                };

                type Row = (String, String, String, String, i64, i64, Option<i64>, Option<i64>);
                let row: Option<Row> = sqlx::query_as(
                    "SELECT t.family, f.subject, f.client, t.grant_json, t.expires, f.expires, t.used, \
                     f.revoked FROM bulla_refresh_tokens t JOIN bulla_refresh_families f \
                     ON f.family = t.family WHERE t.hash = $1",
                )
                .bind(&hash.as_bytes()[..])
                .fetch_optional(&self.pool)
                .await
                .map_err(failed)?;
                Ok(row.map(|(family, subject, client, grant, expires, ends, used, revoked)| {
                    let (expires, ends) = (time(expires), time(ends));
                    let record = RefreshRecord::new(
                        *hash.as_bytes(),
                        family,
                        subject,
                        client,
                        grant,
                        expires,
                        ends,
                    );
                    Kept::new(record, used.map(time), revoked.is_some())
                }))
            }

            async fn rotate(
                &self,
                old: &$crate::issuer::TokenHash,
                next: &$crate::issuer::RefreshRecord,
                now: std::time::SystemTime,
            ) -> bulla::Result<bool> {
                use $crate::sql::stores::{failed, millis};

                let mut work = self.pool.begin_with($begin).await.map_err(failed)?;
                // Whoever comes second waits for the first, and then finds the token used.
                let used = sqlx::query(
                    "UPDATE bulla_refresh_tokens SET used = $1 WHERE hash = $2 AND used IS NULL \
                     AND expires > $1 AND family = $3 AND EXISTS (SELECT 1 FROM bulla_refresh_families f \
                     WHERE f.family = $3 AND f.revoked IS NULL AND f.expires > $1)",
                )
                .bind(millis(now))
                .bind(&old.as_bytes()[..])
                .bind(&next.family)
                .execute(&mut *work)
                .await
                .map_err(failed)?;
                if used.rows_affected() != 1 {
                    return Ok(false);
                }
                sqlx::query(INSERT_TOKEN)
                    .bind(&next.hash.as_bytes()[..])
                    .bind(&next.family)
                    .bind(&next.grant)
                    .bind(millis(next.expires))
                    .execute(&mut *work)
                    .await
                    .map_err(failed)?;
                work.commit().await.map_err(failed)?;
                Ok(true)
            }

            async fn revoke(
                &self,
                whose: $crate::issuer::Whose<'_>,
                now: std::time::SystemTime,
            ) -> bulla::Result<u64> {
                use $crate::{
                    issuer::Whose,
                    sql::stores::{failed, millis},
                };

                let (sql, values) = match whose {
                    Whose::Family(family) => (
                        "UPDATE bulla_refresh_families SET revoked = COALESCE(revoked, $1) \
                         WHERE family = $2",
                        vec![family],
                    ),
                    Whose::Subject(subject) => (
                        "UPDATE bulla_refresh_families SET revoked = COALESCE(revoked, $1) \
                         WHERE subject = $2",
                        vec![subject],
                    ),
                    Whose::Client(client) => (
                        "UPDATE bulla_refresh_families SET revoked = COALESCE(revoked, $1) \
                         WHERE client = $2",
                        vec![client],
                    ),
                    Whose::SubjectOfClient(subject, client) => (
                        "UPDATE bulla_refresh_families SET revoked = COALESCE(revoked, $1) \
                         WHERE subject = $2 AND client = $3",
                        vec![subject, client],
                    ),
                };
                let query = sqlx::query(sql).bind(millis(now));
                let query = values.into_iter().fold(query, |query, value| query.bind(value));
                let done = query.execute(&self.pool).await.map_err(failed)?;
                Ok(done.rows_affected())
            }

            async fn is_live(
                &self,
                family: &str,
                now: std::time::SystemTime,
            ) -> bulla::Result<bool> {
                use $crate::sql::stores::{failed, millis};

                let found: Option<i32> = sqlx::query_scalar(
                    "SELECT 1 FROM bulla_refresh_families WHERE family = $1 AND revoked IS NULL \
                     AND expires > $2",
                )
                .bind(family)
                .bind(millis(now))
                .fetch_optional(&self.pool)
                .await
                .map_err(failed)?;
                Ok(found.is_some())
            }

            async fn purge(&self, now: std::time::SystemTime) -> bulla::Result<u64> {
                use $crate::sql::stores::{failed, millis};

                let mut work = self.pool.begin_with($begin).await.map_err(failed)?;
                // Not left to the database to cascade, which SQLite does only if it is told to.
                sqlx::query(
                    "DELETE FROM bulla_refresh_tokens WHERE family IN \
                     (SELECT family FROM bulla_refresh_families WHERE expires <= $1)",
                )
                .bind(millis(now))
                .execute(&mut *work)
                .await
                .map_err(failed)?;
                let done = sqlx::query("DELETE FROM bulla_refresh_families WHERE expires <= $1")
                    .bind(millis(now))
                    .execute(&mut *work)
                    .await
                    .map_err(failed)?;
                work.commit().await.map_err(failed)?;
                Ok(done.rows_affected())
            }
        }
    };
}

pub(super) use stores;
