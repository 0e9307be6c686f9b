//! Chains and values under the fixed key, within bounds that fuzzing reaches.

use bulla::{format::Transform, Context, CryptoProviderExt as _, Error, Opener, Result, Sealer};
use bulla_conformance::Memory;
use bulla_pipeline::{Bounds, Chain, Place, Reading, ValueBounds, Values, Zstd};
use tokio::io::AsyncReadExt as _;

use crate::{context, vault, wait};

/// The longest plaintext that comes out of compressed bytes.
pub const MAX_LEN: u64 = 1 << 20;

/// The longest value, in bytes of CBOR.
pub const MAX_VALUE_LEN: usize = 1 << 16;

fn bounds() -> Bounds {
    let bounds = Bounds::builder().max_len(MAX_LEN).max_ratio(1000, 1 << 16);
    bounds.max_window(1 << 18).build().expect("bounds")
}

fn sealer() -> Sealer<&'static Memory> {
    Sealer::new(vault()).expect("a sealer")
}

/// Seals bytes that the header calls compressed, whatever they are.
pub fn seal_as_compressed(bytes: &[u8]) -> Vec<u8> {
    let named = context().with_transform(Transform::Zstd).expect("a pair");
    wait(vault().seal(bytes, &named)).expect("seals")
}

/// The frame in a message that was compressed.
pub fn frame(sealed: &[u8]) -> Vec<u8> {
    let named = context().with_transform(Transform::Zstd).expect("a pair");
    wait(vault().open(sealed, &named)).expect("opens").into_vec()
}

/// Compresses and seals.
pub fn compress(plaintext: &[u8]) -> Result<Vec<u8>> {
    let writing = Chain::new().compress(Zstd::new().bounds(bounds())).seal(sealer());
    read_all(async { writing.reader(plaintext, &context()).await })
}

/// Opens and decompresses.
pub fn decompress(sealed: &[u8]) -> Result<Vec<u8>> {
    let reading = Reading::builder(Opener::new([vault()])).allow(Transform::Zstd).bounds(bounds());
    let reading = reading.build();
    read_all(async { reading.reader(sealed, &context()).await })
}

fn read_all<R: tokio::io::AsyncRead>(begin: impl Future<Output = Result<R>>) -> Result<Vec<u8>> {
    wait(async {
        let mut reader = std::pin::pin!(begin.await?);
        let mut out = Vec::new();
        reader.read_to_end(&mut out).await.map_err(Error::from_io)?;
        Ok(out)
    })
}

/// Values of a type, all of the same name.
pub fn values<T>() -> Values<T, &'static Memory>
where
    T: serde::Serialize + serde::de::DeserializeOwned,
{
    let bounds = ValueBounds::default().max_len(MAX_VALUE_LEN);
    Values::builder("fuzz/1", sealer(), Opener::new([vault()])).bounds(bounds).build().expect("values")
}

/// Where all of them are.
pub fn place() -> Place {
    Place::entry("k")
}

/// The context of a value there.
pub fn place_context() -> Context {
    let context = Context::new().with_item("value.type", "fuzz/1").expect("a pair");
    context.with_item("value.entry", "k").expect("a pair")
}
