//! tink-streaming-aead: AES-256-GCM with HKDF, segments of 1 MiB.

use std::{
    io,
    sync::{Arc, Mutex},
};

use tink_core::StreamingAead;
use tink_proto::HashType;
use tink_streaming_aead::subtle::AesGcmHkdf;

use super::{Buffers, Sink};
use crate::measure::{Took, timed};

pub struct Stream {
    aead: AesGcmHkdf,
    sealed: Vec<u8>,
}

/// The writer that it takes must outlive everything.
#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl io::Write for Shared {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("a lock").extend_from_slice(buf);
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Stream {
    pub fn new(buffers: &Buffers) -> Self {
        let aead = AesGcmHkdf::new(&[7; 32], HashType::Sha256, 32, 1 << 20, 0).expect("a key");
        let shared = Shared::default();
        encrypt(&aead, &buffers.plain, Box::new(shared.clone()));
        let sealed = std::mem::take(&mut *shared.0.lock().expect("a lock"));
        Self { aead, sealed }
    }

    pub fn run(&self, column: usize, buffers: &Buffers) -> Option<Took> {
        if column == 0 {
            return Some(timed(1, || encrypt(&self.aead, &buffers.plain, Box::new(Sink))));
        }
        // The reader that it takes must own its bytes; copying them is not in the time.
        let sealed = io::Cursor::new(self.sealed.clone());
        let mut reader = self.aead.new_decrypting_reader(Box::new(sealed), b"").expect("starts");
        let mut out = vec![0; 1 << 20];
        Some(timed(1, || while reader.read(&mut out).expect("decrypts") > 0 {}))
    }
}

fn encrypt(aead: &AesGcmHkdf, plain: &[u8], to: Box<dyn io::Write>) {
    let mut writer = aead.new_encrypting_writer(to, b"").expect("starts");
    writer.write_all(plain).expect("encrypts");
    writer.close().expect("closes");
}
