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
    let Sealing { mut bytes, mut chunks, .. } =
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

#[test]
fn chunk_numbers_around_two_to_the_32() {
    let context = Context::new().with_key("tenant", "acme").unwrap().with_item("row", "7").unwrap();
    for (suite, answers) in [
        (
            Suite::Aes256Gcm64KiB,
            [
                "a4b99506a859955da0fefa6a2e68240f7c4411765a",
                "8e2a4c8fbca914355265df480460a5515d78c7648b",
                "33262cc24d9ffeeea3f712853034ca316d692ee418",
            ],
        ),
        (
            Suite::Cobblestone256,
            [
                "e3553e0e7bc6eca4a59e8acc374e1c1b226b558001",
                "9b651f51c57e44ddefb101102893f06eda0e9d82da",
                "c339854fa6a99560919148ef853df27e3182356b93",
            ],
        ),
    ] {
        for (index, answer) in ((1u64 << 32) - 1..).zip(answers) {
            let message = Message { suite, shared: false, padded: None };
            let Sealing { mut chunks, .. } =
                message.begin_with_salt(&data_key(), vec![recipient()], &context, salt()).unwrap();
            chunks.skip_to(index);
            let mut out = [0; 21];
            chunks.seal(b"hello", &mut out).unwrap();
            let hex: String = out.iter().map(|b| format!("{b:02x}")).collect();
            assert_eq!(hex, answer, "{suite}, {index}");
        }
    }
}
