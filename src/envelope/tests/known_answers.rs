//! Answers that an independent implementation (Python, PyPI `cryptography`) gave.

use super::*;

pub(crate) fn data_key() -> DataKey {
    DataKey::from_bytes(&std::array::from_fn(|i| i as u8))
}

pub(crate) fn salt() -> Salt {
    Salt(std::array::from_fn(|i| 0x80 + i as u8))
}

fn recipient() -> Wrapped {
    Wrapped {
        key: KeyName::new("local", "default").unwrap(),
        version: None,
        algorithm: WrapAlgorithm::Native,
        blob: vec![0xaa; 60],
    }
}

fn hello(suite: Suite) -> Vec<u8> {
    let context = Context::new().with_key("tenant", "acme").unwrap().with_item("row", "7").unwrap();
    let message = Message { suite, shared: false, padded: None };
    let SealedHeader { mut bytes, mut chunks } =
        message.begin_with_salt(&data_key(), vec![recipient()], &context, salt()).unwrap();
    assert_eq!(bytes.len(), 136 + 56);
    let start = bytes.len();
    bytes.resize(start + 5 + 16, 0);
    chunks.seal(b"hello", &mut bytes[start..]).unwrap();
    bytes
}

fn sha256(bytes: &[u8]) -> String {
    Preferred::sha256(&[bytes]).iter().map(|b| format!("{b:02x}")).collect()
}

#[test]
fn whole_messages() {
    for (suite, digest) in [
        (Suite::Aes256Gcm64KiB, "0dd6c2c4c9bc31c99006354c2376370f57d88dd9470503f2b29ef61e5acfca0e"),
        (Suite::Cobblestone256, "959b1c74d1c3c6d137b522f66dc77cd667a953f4fa3b7dd9f5ed309d42a5db18"),
    ] {
        let sealed = hello(suite);
        assert_eq!(sealed.len(), 213);
        assert_eq!(sha256(&sealed), digest);
    }
}
