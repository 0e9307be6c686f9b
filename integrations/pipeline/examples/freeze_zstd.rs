//! Adds a message whose plaintext was compressed to a directory of frozen messages, under a key of its store:
//!
//!     cargo run -p bulla-pipeline --example freeze_zstd -- tests/frozen/VERSION
//!
//! Run it once for a release, after the example `freeze`, which makes the directory. What is there is never
//! written again.

use std::{fs::OpenOptions, io::Write as _, path::PathBuf, sync::Arc};

use bulla::{Context, Error, Result, Sealer};
use bulla_local::{Local, Store};
use bulla_pipeline::{Chain, Zstd};
use tokio::io::AsyncReadExt as _;

const FILE: &str = "zstd-1-v2.bulla";
const LEN: usize = 200_000;

#[tokio::main(flavor = "current_thread")]
#[allow(clippy::expect_used, reason = "a tool for maintainers")]
async fn main() -> Result<()> {
    let dir = PathBuf::from(std::env::args().nth(1).expect("the directory to add to"));
    let vault = Local::builder(Store::at(dir.join("store"))).sealing_key("app").build()?;
    let writing = Chain::new().compress(Zstd::new()).seal(Sealer::new(Arc::new(vault))?);
    let context = Context::new().with_key("object", "a/b")?.with_item("n", "1")?;
    // The pattern of all frozen messages.
    let plaintext: Vec<u8> = (0..=250).cycle().take(LEN).collect();
    let mut sealed = Vec::new();
    let mut reader = writing.reader(&plaintext[..], &context).await?;
    reader.read_to_end(&mut sealed).await.map_err(Error::from_io)?;
    let mut index =
        OpenOptions::new().append(true).open(dir.join("index.tsv")).map_err(Error::from_io)?;
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(dir.join(FILE))
        .map_err(Error::from_io)?;
    file.write_all(&sealed).map_err(Error::from_io)?;
    writeln!(index, "{FILE}\tzstd\t{LEN}\tobject=a/b\tn=1").map_err(Error::from_io)
}
