//! kms-aead on AWS-LC, with a key in memory.

use std::sync::Arc;

use kms_aead::{
    AeadAlgorithm, AeadCipher, DataEncryptionKey, KmsAeadEnvelope,
    backends::AwsLc,
    providers::LocalKmsProvider,
    stream::{StreamFormat, decrypt_stream, encrypt_stream},
};

use super::{Buffers, Sink, pattern, repeats, wait};
use crate::{
    VALUES,
    measure::{Took, timed},
};

const AAD: &[u8] = b"bench";

pub struct Stream {
    cipher: AeadCipher<AwsLc>,
    dek: DataEncryptionKey,
    stored: Vec<u8>,
}

impl Stream {
    pub fn new(buffers: &Buffers) -> Self {
        let cipher = AeadCipher::<AwsLc>::new(AeadAlgorithm::Aes256Gcm).expect("a cipher");
        let dek = cipher.generate_dek().expect("a key");
        let mut encryptor = cipher.stream_encryptor_bare(AAD, &dek).expect("an encryptor");
        let mut stored = encryptor.header().to_vec();
        stored.extend(encryptor.push(&buffers.plain).expect("encrypts"));
        stored.extend(encryptor.finish().expect("finishes"));
        Self { cipher, dek, stored }
    }

    pub fn run(&self, column: usize, buffers: &Buffers) -> Option<Took> {
        Some(timed(1, || match column {
            0 => {
                let encryptor = self.cipher.stream_encryptor_bare(AAD, &self.dek).expect("starts");
                wait(encrypt_stream(encryptor, &buffers.plain[..], Sink)).expect("encrypts");
            }
            _ => {
                let (header, chunks) = self.stored.split_at(StreamFormat::Bare.header_len());
                let decryptor = self.cipher.stream_decryptor_bare(AAD, header, &self.dek);
                let decryptor = Arc::new(decryptor.expect("starts"));
                wait(decrypt_stream(decryptor, chunks, Sink)).expect("decrypts");
            }
        }))
    }

    pub fn ranges(&self, starts: &[usize]) -> Option<Took> {
        Some(timed(1, || {
            let header = &self.stored[..StreamFormat::Bare.header_len()];
            let decryptor = self.cipher.stream_decryptor_bare(AAD, header, &self.dek);
            let decryptor = decryptor.expect("starts");
            for start in starts {
                let start = *start as u64;
                let plan = StreamFormat::Bare
                    .plan_chunk_read(self.stored.len() as u64, start..start + (64 << 10))
                    .expect("a plan");
                let range = plan.ciphertext().start as usize..plan.ciphertext().end as usize;
                let read: Vec<u8> =
                    decryptor.decrypt_chunk_read(&plan, &self.stored[range]).expect("reads");
                assert_eq!(read.len(), 64 << 10);
            }
        }))
    }
}

pub struct Values {
    envelope: KmsAeadEnvelope<LocalKmsProvider<AwsLc>, AwsLc>,
    plain: Vec<Vec<u8>>,
    stored: Vec<kms_aead::Encrypted<Vec<u8>, kms_aead::Envelope>>,
}

impl Values {
    pub fn new() -> Self {
        let id = "bench".to_owned().try_into().expect("an id");
        let provider = LocalKmsProvider::<AwsLc>::ephemeral(id).expect("a provider");
        let envelope = KmsAeadEnvelope::new(provider).expect("an envelope");
        let plain: Vec<_> = VALUES.map(pattern).into();
        let stored =
            plain.iter().map(|plain| wait(envelope.encrypt(AAD, plain)).expect("encrypts"));
        Self { stored: stored.collect(), envelope, plain }
    }

    pub fn run(&self, column: usize) -> Option<Took> {
        let at = column % 4;
        let (plain, stored) = (&self.plain[at], &self.stored[at]);
        Some(timed(repeats(plain.len()), || {
            if column < 4 {
                wait(self.envelope.encrypt(AAD, plain)).expect("encrypts");
            } else {
                wait(self.envelope.decrypt(AAD, stored)).expect("decrypts");
            }
        }))
    }
}
