//! Columns in SQLite through `sqlx`: `examples/columns.rs`, and what somebody who owns the database may try.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests are tests too")]

#[path = "../../../examples/columns.rs"]
mod columns;

use std::{fs, path::Path, sync::Arc};

use bulla::{EncryptionContext, ErrorKind, Opener, Sealer, envelope::Renewal};
use bulla_conformance::Memory;
use bulla_local::{KeyType, Local, Protection, Store};
use bulla_pipeline::{Place, ValueBounds, Values};
use columns::{Card, Cards};

const SECRET: &str = "plaintext-of-ada";

fn card(n: i64) -> Card {
    Card { number: format!("4711 {n}"), holder: format!("{SECRET} {n}") }
}

fn vault() -> Arc<Memory> {
    Arc::new(Memory::with_key("cards", &[7; 32]))
}

async fn run(cards: &Cards<Arc<Memory>>, sql: &'static str) {
    sqlx::query(sql).execute(cards.pool()).await.unwrap();
}

#[tokio::test]
async fn a_thousand_rows_cost_one_call_each_way() {
    let dir = tempfile::tempdir().unwrap();
    let vault = vault();
    let cards = Cards::open(Arc::clone(&vault), &dir.path().join("cards.db")).await.unwrap();
    let rows: Vec<_> = (0..1000).map(|n| (n, card(n))).collect();
    cards.insert_all(&rows).await.unwrap();
    // A thousand cards and, through the same cache, a thousand notes.
    assert_eq!(vault.calls(), (1, 0));
    let all = cards.all().await.unwrap();
    assert!(rows.iter().map(|(_, card)| card).eq(&all));
    assert_eq!(vault.calls(), (1, 1));
}

#[tokio::test]
async fn a_value_in_another_row_or_column_does_not_open() {
    let dir = tempfile::tempdir().unwrap();
    let cards = Cards::open(vault(), &dir.path().join("cards.db")).await.unwrap();
    cards.insert(1, &card(1), "first").await.unwrap();
    cards.insert(2, &card(2), "second").await.unwrap();
    assert_eq!(cards.find(1).await.unwrap(), (card(1), "first".to_owned()));
    let refused = async |cards: &Cards<_>, id| cards.find(id).await.unwrap_err().kind();

    run(&cards, "UPDATE cards SET card = (SELECT card FROM cards WHERE id = 1) WHERE id = 2").await;
    assert_eq!(refused(&cards, 2).await, ErrorKind::NotAuthentic);
    assert_eq!(cards.all().await.unwrap_err().kind(), ErrorKind::NotAuthentic);
    run(&cards, "UPDATE cards SET id = 3 WHERE id = 1").await;
    assert_eq!(refused(&cards, 3).await, ErrorKind::NotAuthentic);
    run(&cards, "UPDATE cards SET id = 1 WHERE id = 3").await;
    assert_eq!(cards.find(1).await.unwrap().0, card(1));

    // A note is no card's number, in the same row.
    cards.insert(4, &card(4), "fourth").await.unwrap();
    run(&cards, "UPDATE cards SET note = (SELECT note FROM cards WHERE id = 1) WHERE id = 4").await;
    assert_eq!(refused(&cards, 4).await, ErrorKind::NotAuthentic);
    run(&cards, "UPDATE cards SET note = 'fourth' WHERE id = 4").await;
    assert_eq!(refused(&cards, 4).await, ErrorKind::Malformed);
    run(&cards, "UPDATE cards SET note = note || 'A' WHERE id = 1").await;
    assert!(cards.find(1).await.is_err());
}

/// All that SQLite has written, its journal included.
fn bytes_of(dir: &Path) -> Vec<u8> {
    let files = fs::read_dir(dir).unwrap().map(|entry| fs::read(entry.unwrap().path()).unwrap());
    files.collect::<Vec<_>>().concat()
}

#[tokio::test]
async fn the_file_shows_no_value() {
    let dir = tempfile::tempdir().unwrap();
    let cards = Cards::open(vault(), &dir.path().join("cards.db")).await.unwrap();
    cards.insert(1, &card(1), SECRET).await.unwrap();
    let finds = |text: &str| bytes_of(dir.path()).windows(text.len()).any(|w| w == text.as_bytes());
    assert!(finds("bulla1.") && finds("CREATE TABLE"));
    assert!(!finds(SECRET) && !finds("4711") && !finds("holder"));
    // What is not sealed is found, so the search can.
    run(&cards, "INSERT INTO cards (id, card, note) VALUES (9, x'00', 'plaintext-of-ada')").await;
    assert!(finds(SECRET));
}

#[tokio::test]
async fn a_row_is_renewed_after_a_rotation_and_only_over_what_was_read() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::at(dir.path().join("store"));
    store.create_key("cards", KeyType::Aes256, &Protection::None).unwrap();
    let open = || Arc::new(Local::builder(store.clone()).sealing_key("cards").build().unwrap());
    let path = dir.path().join("cards.db");
    let before = Cards::open(open(), &path).await.unwrap();
    before.insert(1, &card(1), "").await.unwrap();
    assert!(matches!(before.find_and_renew(1).await.unwrap().1, Renewal::UpToDate));
    open().rotate().unwrap();
    let after = Cards::open(open(), &path).await.unwrap();
    let (read, renewal) = after.find_and_renew(1).await.unwrap();
    assert!(matches!(renewal, Renewal::Renewed), "{renewal:?}");
    assert_eq!(read, card(1));
    assert!(matches!(after.find_and_renew(1).await.unwrap().1, Renewal::UpToDate));
    assert_eq!(after.find(1).await.unwrap().0, card(1));
}

fn values(vault: &Arc<Memory>, kind: &str) -> Values<Card, Arc<Memory>> {
    let sealer = Sealer::new(Arc::clone(vault)).unwrap();
    Values::builder(kind, sealer, Opener::new([Arc::clone(vault)])).build().unwrap()
}

#[tokio::test]
async fn in_a_batch_one_failure_costs_the_others_nothing() {
    let vault = vault();
    let small = ValueBounds::default().max_len(200);
    let sealer = Sealer::new(Arc::clone(&vault)).unwrap();
    let opener = Opener::new([Arc::clone(&vault)]);
    let cards = Values::builder("card/1", sealer, opener).bounds(small).build().unwrap();
    let places: Vec<_> = (0..4).map(|n| Place::field("cards", "card", n)).collect();
    let long = Place::entry("k".repeat(5000));
    let big = Card { number: "4".repeat(500), holder: String::new() };
    let fine = card(1);
    let values = [(&places[0], &fine), (&places[1], &big), (&long, &fine), (&places[3], &fine)];
    let sealed = cards.seal_all(values).await.unwrap();
    let kinds: Vec<_> = sealed.iter().map(|one| one.as_ref().err().map(|e| e.kind())).collect();
    let (quota, invalid) = (Some(ErrorKind::QuotaExceeded), Some(ErrorKind::InvalidInput));
    assert_eq!(kinds, [None, quota, invalid, None]);
    let (first, last) = (sealed[0].as_ref().unwrap(), sealed[3].as_ref().unwrap());
    let huge = vec![0; 1 << 20];
    let stored: [(&Place, &[u8]); 4] =
        [(&places[0], first), (&places[1], last), (&places[2], &huge), (&places[3], last)];
    let opened = cards.open_all(stored).await;
    assert_eq!(*opened[0].as_ref().unwrap(), fine);
    assert_eq!(opened[1].as_ref().unwrap_err().kind(), ErrorKind::NotAuthentic);
    assert_eq!(opened[2].as_ref().unwrap_err().kind(), ErrorKind::QuotaExceeded);
    assert_eq!(*opened[3].as_ref().unwrap(), fine);
    assert_eq!(vault.calls(), (1, 1), "one data key, asked for once each way");
    assert!(cards.seal_all([]).await.unwrap().is_empty());
    assert!(cards.open_all([]).await.is_empty());
    assert_eq!(vault.calls(), (1, 1));
}

#[tokio::test]
async fn a_value_of_another_type_or_tenant_is_refused_and_one_that_changed_is_told() {
    let vault = vault();
    let place = Place::field("cards", "card", 1);
    let sealed = values(&vault, "card/1").seal(&place, &card(1)).await.unwrap();
    let error = values(&vault, "card/2").open(&place, &sealed).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotAuthentic);
    for elsewhere in [
        Place::field("cards", "other", 1),
        Place::field("other", "card", 1),
        Place::field("cards", "card", 2),
        Place::entry("1"),
    ] {
        let error = values(&vault, "card/1").open(&elsewhere, &sealed).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotAuthentic, "{elsewhere:?}");
    }
    // Whoever changes a type and not its name is told, and not what the value was.
    let numbers = Values::<u32, _>::builder(
        "card/1",
        Sealer::new(Arc::clone(&vault)).unwrap(),
        Opener::new([Arc::clone(&vault)]),
    )
    .build()
    .unwrap();
    let error = numbers.open(&place, &sealed).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Damaged);
    assert!(!format!("{error:?}").contains("4711"), "{error:?}");

    let tenant = |name: &str| {
        let context = EncryptionContext::from_pairs([("tenant", name)]).unwrap();
        let sealer = Sealer::new(Arc::clone(&vault)).unwrap();
        let values =
            Values::<Card, _>::builder("card/1", sealer, Opener::new([Arc::clone(&vault)]));
        values.key_context(context).build().unwrap()
    };
    let sealed = tenant("acme").seal(&place, &card(1)).await.unwrap();
    assert_eq!(tenant("acme").open(&place, &sealed).await.unwrap(), card(1));
    let error = tenant("other").open(&place, &sealed).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ContextMismatch);
    let shown = format!("{:?} {place:?}", tenant("acme"));
    assert!(!shown.contains("acme"), "{shown}");

    let own = EncryptionContext::from_pairs([("value.row", "1")]).unwrap();
    let sealer = Sealer::new(Arc::clone(&vault)).unwrap();
    let builder = Values::<Card, _>::builder("card/1", sealer, Opener::new([Arc::clone(&vault)]));
    assert_eq!(builder.key_context(own).build().unwrap_err().kind(), ErrorKind::InvalidInput);
    let sealer = Sealer::new(Arc::clone(&vault)).unwrap();
    let builder = Values::<Card, _>::builder("", sealer, Opener::new([vault]));
    assert_eq!(builder.build().unwrap_err().kind(), ErrorKind::InvalidInput);
}
