//! Answers that an independent implementation (Python, PyPI `cryptography`) gave.

use super::*;

pub(crate) fn data_key() -> DataKey {
    DataKey::from_bytes(&std::array::from_fn(|i| i as u8))
}

fn schedule() -> Schedule {
    Schedule::new(data_key()).unwrap()
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
    let Sealing { mut bytes, mut chunks, .. } = message
        .begin_with(&schedule(), Head::Recipients(&[recipient()]), &context, salt(), 0)
        .unwrap();
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
        (Suite::Aes256Gcm64KiB, "0c984461b3d2e64d39f07ca2536e526af7a0210c2479bc6297175c71b95c9920"),
        (Suite::Cobblestone256, "8e58676d4f96ebf045ef0233f27c1446a95522aab17d05b9b533105276cdb416"),
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
                "c0983dc1124df106250bd9aaf5e9172b97dfc858fb",
                "0ae37ffdfa1841b562222e541eae560156ba337d9c",
                "d3774caebf59c4f617bd224832f90aa215edb0507b",
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
            let Sealing { mut chunks, .. } = message
                .begin_with(&schedule(), Head::Recipients(&[recipient()]), &context, salt(), 0)
                .unwrap();
            chunks.skip_to(index);
            let mut out = [0; 21];
            chunks.seal(b"hello", &mut out).unwrap();
            let hex: String = out.iter().map(|b| format!("{b:02x}")).collect();
            assert_eq!(hex, answer, "{suite}, {index}");
        }
    }
}
