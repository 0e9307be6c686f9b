//! Two of the README's examples, as they stand there, and a run of each. The third is `service.rs`.

use bulla::{Context, CryptoProvider, CryptoProviderExt, Result};
use bulla_local::{KeyType, Local, Protection, Store};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, copy};

async fn value(store: Store) -> Result<()> {
    store.create_key("app", KeyType::Aes256, &Protection::None)?;
    let vault = Local::builder(store).sealing_key("app").build()?;

    let context = Context::new().with_key("tenant", "acme")?.with_item("row", "7")?;
    let sealed = vault.seal(b"card number", &context).await?;
    let opened = vault.open(&sealed, &context).await?;
    assert_eq!(&*opened, b"card number");
    Ok(())
}

async fn upload<R, W>(vault: &dyn CryptoProvider, mut from: R, to: W, name: &str) -> Result<W>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin + Send,
{
    let context = Context::new().with_item("object", name)?;
    let mut writer = vault.encrypt_writer(to, &context).await?;
    copy(&mut from, &mut writer).await.map_err(bulla::Error::from_io)?;
    writer.finish_async().await // only this ends the message: after an error, nothing opens
}

/// Runs both on a key in a store.
pub async fn run(store: Store) -> Result<()> {
    value(store.clone()).await?;
    let vault = Local::builder(store).sealing_key("app").build()?;

    let photo = vec![7; 200_000];
    let sealed = upload(&vault, &photo[..], Vec::new(), "photo.jpg").await?;
    let context = Context::new().with_item("object", "photo.jpg")?;
    let mut opened = Vec::new();
    let mut reader = vault.decrypt_reader(&sealed[..], &context).await?;
    reader.read_to_end(&mut opened).await.map_err(bulla::Error::from_io)?;
    assert_eq!(opened, photo);
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
#[allow(dead_code, reason = "the tests call `run` alone")]
async fn main() -> Result<()> {
    let dir = std::env::temp_dir().join(format!("bulla-readme-{}", std::process::id()));
    let done = run(Store::at(&dir)).await;
    std::fs::remove_dir_all(&dir).map_err(bulla::Error::from_io)?;
    done
}
