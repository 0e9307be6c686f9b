//! Writes the messages that every later version must open, and the store that opens them:
//!
//!     cargo run -p bulla-tests --example freeze -- tests/frozen/VERSION
//!
//! Run it once for a release, into a new directory. What is there is never written again.

use std::{fs, path::PathBuf};

use bulla::{
    CryptoProviderExt, EncryptionContext, Result, Sealer,
    envelope::BatchItem,
    format::{Suite, to_text},
};
use bulla_local::{KeyType, Local, Protection, Store};
use bulla_tests::{Frozen, pattern};
use tokio::io::AsyncReadExt;

struct Freezer {
    dir: PathBuf,
    index: String,
}

impl Freezer {
    fn write(&mut self, frozen: &Frozen, bytes: &[u8]) -> Result<()> {
        fs::write(self.dir.join(&frozen.file), bytes).map_err(bulla::Error::from_io)?;
        self.index += &frozen.to_line();
        Ok(())
    }
}

fn frozen(file: String, form: &str, len: usize, key: &str, item: &str) -> Frozen {
    let own = str::to_owned;
    Frozen { file, form: own(form), len, key: own(key), item: own(item) }
}

#[tokio::main(flavor = "current_thread")]
#[allow(clippy::expect_used, reason = "a tool for maintainers")]
async fn main() -> Result<()> {
    let dir = PathBuf::from(std::env::args().nth(1).expect("the directory to write"));
    fs::create_dir_all(dir.parent().expect("tests/frozen")).map_err(bulla::Error::from_io)?;
    fs::create_dir(&dir).map_err(bulla::Error::from_io)?; // never into one that exists
    let store = Store::at(dir.join("store"));
    store.create_key("app", KeyType::Aes256, &Protection::None)?;
    store.create_key("spare", KeyType::Aes256, &Protection::None)?;
    let open = |name: &str| Local::builder(store.clone()).sealing_key(name).build();
    let mut freezer = Freezer { dir, index: String::new() };
    for version in 1..=2 {
        let (app, spare) = (open("app")?, open("spare")?);
        for suite in [Suite::Aes256Gcm64KiB, Suite::Cobblestone256] {
            let tag = format!("{}-v{version}", suite.code());
            let one = Sealer::builder().recipient(&app).suite(suite).build()?;
            let two = Sealer::builder().recipient(&app).recipient(&spare).suite(suite).build()?;
            for (len, key, item) in [
                (0, "", ""),
                (5, "tenant=acme", "row=7"),
                (suite.chunk_len(), "tenant=acme,zone=\u{e9}", ""),
            ] {
                let value = frozen(format!("value-{tag}-{len}.bulla"), "sealed", len, key, item);
                freezer.write(&value, &one.seal(&pattern(len), &value.context()?).await?)?;
            }
            let len = suite.chunk_len() + 9;
            let stream = frozen(format!("stream-{tag}.bulla"), "sealed", len, "object=a/b", "n=1");
            let plain = pattern(len);
            let mut reader = two.encrypt_reader(&plain[..], &stream.context()?).await?;
            let mut bytes = Vec::new();
            AsyncReadExt::read_to_end(&mut reader, &mut bytes)
                .await
                .map_err(bulla::Error::from_io)?;
            freezer.write(&stream, &bytes)?;
            let text = frozen(format!("text-{tag}.txt"), "text", 40, "field=iban", "row=9");
            let sealed = two.seal(&pattern(40), &text.context()?).await?;
            freezer.write(&text, to_text(&sealed).as_bytes())?;
            let key = EncryptionContext::from_pairs([("table", "cards")])?;
            let rows = ["1", "2"].map(|n| EncryptionContext::from_pairs([("row", n)]));
            let [first, second] = rows;
            let (first, second) = (first?, second?);
            let plain = pattern(16);
            let items =
                [&first, &second].map(|item_context| BatchItem { plaintext: &plain, item_context });
            for (n, sealed) in (1..).zip(one.seal_batch(&items, &key).await?.items) {
                let file = format!("batch-{tag}-{n}.bulla");
                let item = frozen(file, "sealed", 16, "table=cards", &format!("row={n}"));
                freezer.write(&item, &sealed?)?;
            }
        }
        let direct = frozen(format!("direct-v{version}.bulla"), "direct", 33, "a=1", "b=2");
        let sealed = app.encrypt_direct(&pattern(33), &direct.context()?).await?;
        freezer.write(&direct, &sealed)?;
        if version == 1 {
            app.rotate()?;
            spare.rotate()?;
        }
    }
    fs::write(freezer.dir.join("index.tsv"), &freezer.index).map_err(bulla::Error::from_io)
}
