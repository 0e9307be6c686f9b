//! Columns of a database that the database can't read, with SQLite through `sqlx`:
//! `cargo run -p bulla-examples --example columns -- cards.db`
//!
//! The key is in a directory that is gone afterwards; a service takes its own from a `bulla.toml`, as `service.rs` does.

#![allow(dead_code, reason = "the tests call a part of it")]

use std::ops::Deref;

use bulla::{
    CryptoProvider, Error, ErrorKind, Opener, Result, Sealer,
    envelope::{CachePolicy, Renewal},
};
use bulla_pipeline::{Place, Values};
use serde::{Deserialize, Serialize};
use sqlx::{Row as _, SqlitePool, sqlite::SqliteConnectOptions};

/// What is kept of a card.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Card {
    pub(crate) number: String,
    pub(crate) holder: String,
}

/// Cards: a column of bytes, and a note in a column of text.
pub(crate) struct Cards<P> {
    cards: Values<Card, P>,
    notes: Values<String, P>,
    pool: SqlitePool,
}

impl<P> Cards<P>
where
    P: Deref<Target: CryptoProvider> + Clone + Send + Sync + 'static,
{
    pub(crate) async fn open(provider: P, path: &std::path::Path) -> Result<Self> {
        let options = SqliteConnectOptions::new().filename(path).create_if_missing(true);
        let pool = SqlitePool::connect_with(options).await.map_err(told)?;
        let table = "CREATE TABLE IF NOT EXISTS cards \
                     (id INTEGER PRIMARY KEY, card BLOB NOT NULL, note TEXT NOT NULL)";
        sqlx::query(table).execute(&pool).await.map_err(told)?;
        let policy = CachePolicy::builder().build()?;
        let sealer = Sealer::builder().recipient(provider.clone()).cache(policy).build()?;
        let opener = Opener::builder().provider(provider).cache(policy).build();
        let cards = Values::builder("card/1", sealer.clone(), opener.clone()).build()?;
        let notes = Values::builder("note/1", sealer, opener).build()?;
        Ok(Self { cards, notes, pool })
    }

    pub(crate) fn pool(&self) -> &SqlitePool {
        &self.pool
    }

    pub(crate) async fn insert(&self, id: i64, card: &Card, note: &str) -> Result<()> {
        let sealed = self.cards.seal(&card_of(id), card).await?;
        let note = self.notes.seal_text(&note_of(id), &note.to_owned()).await?;
        let query = sqlx::query("INSERT INTO cards (id, card, note) VALUES (?, ?, ?)");
        query.bind(id).bind(sealed).bind(note).execute(&self.pool).await.map_err(told)?;
        Ok(())
    }

    /// Many rows under one data key, in one transaction.
    pub(crate) async fn insert_all(&self, rows: &[(i64, Card)]) -> Result<()> {
        let places: Vec<_> = rows.iter().map(|(id, card)| (card_of(*id), card)).collect();
        let sealed = self.cards.seal_all(places.iter().map(|(place, card)| (place, *card))).await?;
        let mut transaction = self.pool.begin().await.map_err(told)?;
        for ((id, _), sealed) in rows.iter().zip(sealed) {
            let note = self.notes.seal_text(&note_of(*id), &String::new()).await?;
            let query = sqlx::query("INSERT INTO cards (id, card, note) VALUES (?, ?, ?)");
            let query = query.bind(id).bind(sealed?).bind(note);
            query.execute(&mut *transaction).await.map_err(told)?;
        }
        transaction.commit().await.map_err(told)
    }

    pub(crate) async fn find(&self, id: i64) -> Result<(Card, String)> {
        let (card, note) = self.row(id).await?;
        let card = self.cards.open(&card_of(id), &card).await?;
        Ok((card, self.notes.open_text(&note_of(id), &note).await?))
    }

    /// All rows: a call to the KMS for each data key among them, and none for those that are cached.
    pub(crate) async fn all(&self) -> Result<Vec<Card>> {
        let rows = sqlx::query("SELECT id, card FROM cards ORDER BY id");
        let rows = rows.fetch_all(&self.pool).await.map_err(told)?;
        let mut found = Vec::with_capacity(rows.len());
        for row in &rows {
            let id: i64 = row.try_get(0).map_err(told)?;
            found.push((card_of(id), row.try_get::<Vec<u8>, _>(1).map_err(told)?));
        }
        let opened = self.cards.open_all(found.iter().map(|(place, sealed)| (place, &sealed[..])));
        opened.await.into_iter().collect()
    }

    /// Reads a card and, if the key has been rotated since, writes it back under the current version: only over what
    /// was read.
    pub(crate) async fn find_and_renew(&self, id: i64) -> Result<(Card, Renewal)> {
        let (old, _) = self.row(id).await?;
        let write_back = |new: Vec<u8>| {
            let (pool, old) = (self.pool.clone(), old.clone());
            async move {
                let query = sqlx::query("UPDATE cards SET card = ? WHERE id = ? AND card = ?");
                let done = query.bind(new).bind(id).bind(old).execute(&pool).await?;
                if done.rows_affected() == 1 { Ok(()) } else { Err(sqlx::Error::RowNotFound) }
            }
        };
        self.cards.open_and_renew(&card_of(id), &old, write_back).await
    }

    async fn row(&self, id: i64) -> Result<(Vec<u8>, String)> {
        let query = sqlx::query("SELECT card, note FROM cards WHERE id = ?").bind(id);
        let row = query.fetch_one(&self.pool).await.map_err(told)?;
        Ok((row.try_get(0).map_err(told)?, row.try_get(1).map_err(told)?))
    }
}

fn card_of(id: i64) -> Place {
    Place::field("cards", "card", id)
}

fn note_of(id: i64) -> Place {
    Place::field("cards", "note", id)
}

fn told(error: sqlx::Error) -> Error {
    Error::new(ErrorKind::Io, "the database failed").with_source(error)
}

#[tokio::main]
#[allow(clippy::print_stdout, reason = "it is there to be read")]
async fn main() -> Result<()> {
    let path = std::env::args().nth(1).unwrap_or_else(|| "cards.db".to_owned());
    let dir = std::env::temp_dir().join(format!("bulla-columns-{}", std::process::id()));
    let store = bulla_local::Store::at(&dir);
    store.create_key("cards", bulla_local::KeyType::Aes256, &bulla_local::Protection::None)?;
    let vault = bulla_local::Local::builder(store).sealing_key("cards").build()?;
    let cards = Cards::open(std::sync::Arc::new(vault), path.as_ref()).await?;

    let card = Card { number: "4711 4712 4713".to_owned(), holder: "Ada".to_owned() };
    cards.insert(1, &card, "her first").await?;
    println!("{}", cards.find(1).await? == (card, "her first".to_owned()));
    std::fs::remove_dir_all(&dir).map_err(Error::from_io)
}
