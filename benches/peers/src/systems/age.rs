//! age, to an X25519 recipient.

use std::{
    io::{Cursor, Read as _, Seek as _, SeekFrom, Write as _},
    iter::once,
};

use age::{Decryptor, Encryptor, Identity, Recipient, x25519};

use super::{Buffers, Sink, pattern, repeats};
use crate::{
    VALUES,
    measure::{Took, timed},
};

struct Keys(x25519::Identity, x25519::Recipient);

impl Keys {
    fn new() -> Self {
        let identity = x25519::Identity::generate();
        let recipient = identity.to_public();
        Self(identity, recipient)
    }

    fn encrypt<W: std::io::Write>(&self, plain: &[u8], to: W) -> W {
        let encryptor = Encryptor::with_recipients(once(&self.1 as &dyn Recipient));
        let mut writer = encryptor.expect("an encryptor").wrap_output(to).expect("starts");
        writer.write_all(plain).expect("writes");
        writer.finish().expect("finishes")
    }

    fn reader<'a>(&self, sealed: &'a [u8]) -> age::stream::StreamReader<Cursor<&'a [u8]>> {
        let decryptor = Decryptor::new_buffered(Cursor::new(sealed)).expect("a header");
        decryptor.decrypt(once(&self.0 as &dyn Identity)).expect("decrypts")
    }
}

pub struct Stream {
    keys: Keys,
    sealed: Vec<u8>,
}

impl Stream {
    pub fn new(buffers: &Buffers) -> Self {
        let keys = Keys::new();
        Self { sealed: keys.encrypt(&buffers.plain, Vec::new()), keys }
    }

    pub fn run(&self, column: usize, buffers: &Buffers) -> Option<Took> {
        Some(timed(1, || match column {
            0 => drop(self.keys.encrypt(&buffers.plain, Sink)),
            _ => {
                let mut reader = self.keys.reader(&self.sealed);
                std::io::copy(&mut reader, &mut Sink).expect("decrypts");
            }
        }))
    }

    pub fn ranges(&self, starts: &[usize]) -> Option<Took> {
        let mut out = vec![0; 64 << 10];
        Some(timed(1, || {
            let mut reader = self.keys.reader(&self.sealed);
            for start in starts {
                reader.seek(SeekFrom::Start(*start as u64)).expect("seeks");
                reader.read_exact(&mut out).expect("reads");
            }
        }))
    }
}

pub struct Values {
    keys: Keys,
    plain: Vec<Vec<u8>>,
    sealed: Vec<Vec<u8>>,
}

impl Values {
    pub fn new() -> Self {
        let keys = Keys::new();
        let plain: Vec<_> = VALUES.map(pattern).into();
        let sealed = plain.iter().map(|plain| keys.encrypt(plain, Vec::new())).collect();
        Self { keys, plain, sealed }
    }

    pub fn run(&self, column: usize) -> Option<Took> {
        let at = column % 4;
        let (plain, sealed) = (&self.plain[at], &self.sealed[at]);
        // Elliptic curves take their time.
        Some(timed(repeats(plain.len()) / 10, || {
            if column < 4 {
                drop(self.keys.encrypt(plain, Vec::new()));
            } else {
                let mut out = Vec::new();
                self.keys.reader(sealed).read_to_end(&mut out).expect("decrypts");
            }
        }))
    }
}
