//! Headers that break a rule, with a tag that somebody who holds the data key recomputed: the
//! parser alone must refuse them.

use super::*;

/// A header built field by field, right or wrong.
struct Forge {
    flags: u8,
    pairs: Vec<u8>,
    recipients: Vec<Vec<u8>>,
    padding: Vec<u8>,
}

fn pair(key: &[u8], value: &[u8]) -> Vec<u8> {
    let len = |b: &[u8]| u16::try_from(b.len()).unwrap().to_be_bytes();
    [&len(key)[..], key, &len(value), value].concat()
}

fn record(algorithm: u8, scheme: &[u8], name: &[u8], blob: &[u8]) -> Vec<u8> {
    let len = |b: &[u8]| u16::try_from(b.len()).unwrap().to_be_bytes();
    let scheme = [&[scheme.len() as u8], scheme].concat();
    [&[algorithm], &scheme[..], &len(name), name, &len(blob), blob].concat()
}

impl Forge {
    /// What is right: one pair, one recipient, no padding.
    async fn honest(fake: &Fake, data_key: &DataKey) -> Self {
        let stored = EncryptionContext::from_pairs([("tenant", "acme")]).unwrap();
        let blob = fake.wrap_data_key(data_key, &stored).await.unwrap().blob;
        Self {
            flags: 0,
            pairs: [vec![1], pair(b"tenant", b"acme")].concat(),
            recipients: vec![record(0, b"fake", b"a", &blob)],
            padding: Vec::new(),
        }
    }

    /// The message `hello` behind that header, with every tag right.
    fn message(&self, data_key: &DataKey, all: &EncryptionContext) -> Vec<u8> {
        let suite = Suite::Aes256Gcm64KiB;
        let salt = Salt::random().unwrap();
        let schedule = Schedule::new(data_key.share()).unwrap();
        let keys = schedule.body_keys(suite, &salt, all).unwrap();
        let commitment = keys.commitment;
        let mut header = [b"bulla".as_slice(), &[1, 1, self.flags, 0, 0], &self.pairs].concat();
        header.push(self.recipients.len() as u8);
        header.extend(self.recipients.concat());
        header.extend(&self.padding);
        let len = u16::try_from(header.len() + 32).unwrap();
        header[8..10].copy_from_slice(&len.to_be_bytes());
        let tag = schedule.header_tag(suite, &header, &salt, &commitment).unwrap();
        let mut chunks = crate::format::chunk::ChunkSealer::new(suite, keys);
        let mut body = vec![0; 21];
        chunks.seal(b"hello", &mut body).unwrap();
        [&header[..], &tag, &salt.0, &commitment, &body].concat()
    }
}

async fn open(forge: &Forge, fake: &Fake, data_key: &DataKey) -> Result<Plaintext> {
    let all = context();
    fake.open(&forge.message(data_key, all.all()), &all).await
}

#[tokio::test]
async fn rules_hold_even_under_a_right_tag() {
    let fake = Fake::new("a");
    let key = DataKey::generate().unwrap();
    let honest = Forge::honest(&fake, &key).await;
    assert_eq!(&*open(&honest, &fake, &key).await.unwrap(), b"hello");
    let good = honest.recipients[0].clone();
    let blob = good[good.len() - 104..].to_vec();
    let zeros = Forge { padding: vec![0; 7], ..Forge::honest(&fake, &key).await };
    assert_eq!(&*open(&zeros, &fake, &key).await.unwrap(), b"hello");

    type Change = Box<dyn Fn(&mut Forge)>;
    let set = |f: fn(&mut Forge)| -> Change { Box::new(f) };
    let recipients = |r: Vec<Vec<u8>>| -> Change {
        Box::new(move |forge: &mut Forge| forge.recipients.clone_from(&r))
    };
    let cases: Vec<(&str, Change)> = vec![
        ("padding at its end", set(|f| f.padding = vec![0, 0, 1])),
        ("padding at its start", set(|f| f.padding = vec![1, 0, 0])),
        ("unknown flag", set(|f| f.flags = 2)),
        ("all flags", set(|f| f.flags = 0xff)),
        (
            "unsorted pairs",
            set(|f| f.pairs = [vec![2], pair(b"tenant", b"acme"), pair(b"a", b"1")].concat()),
        ),
        (
            "duplicate pair",
            set(|f| f.pairs = [vec![2], pair(b"tenant", b"acme").repeat(2)].concat()),
        ),
        ("empty key", set(|f| f.pairs = [vec![1], pair(b"", b"acme")].concat())),
        ("not UTF-8", set(|f| f.pairs = [vec![1], pair(b"tenant", b"\xff")].concat())),
        (
            "too many pairs",
            set(|f| {
                let many = (0..33u8).flat_map(|i| pair(&[b'a', 0x40 + i], b""));
                f.pairs = [33].into_iter().chain(many).collect();
            }),
        ),
        ("long context", set(|f| f.pairs = [vec![1], pair(b"k", &[b'v'; 4091])].concat())),
        ("no recipient", recipients(vec![])),
        ("duplicate recipient", recipients(vec![good.clone(), good.clone()])),
        (
            "one key in two versions",
            recipients(vec![good.clone(), record(0, b"fake", b"a@2", &blob)]),
        ),
        (
            "nine recipients",
            recipients((0..9).map(|i| record(0, b"fake", &[b'a' + i], &blob)).collect()),
        ),
        ("unknown algorithm", recipients(vec![record(4, b"fake", b"a", &blob)])),
        ("empty scheme", recipients(vec![record(0, b"", b"a", &blob)])),
        ("long scheme", recipients(vec![record(0, &[b'f'; 33], b"a", &blob)])),
        ("empty name", recipients(vec![record(0, b"fake", b"", &blob)])),
        ("long name", recipients(vec![record(0, b"fake", &[b'a'; 1025], &blob)])),
        ("other spelling", recipients(vec![record(0, b"fake", b"%61", &blob)])),
        ("path in version", recipients(vec![record(0, b"fake", b"a@../x", &blob)])),
        ("empty wrap", recipients(vec![record(0, b"fake", b"a", b"")])),
        ("long wrap", recipients(vec![record(0, b"fake", b"a", &[0; 4097])])),
    ];
    for (name, change) in cases {
        let mut forge = Forge::honest(&fake, &key).await;
        change(&mut forge);
        assert_eq!(kind(open(&forge, &fake, &key).await), ErrorKind::Malformed, "{name}");
    }
    assert_eq!(fake.calls().2, 2, "a malformed header costs no call");
}

#[tokio::test]
async fn lengths_that_lie_are_refused() {
    let fake = Fake::new("a");
    let sealed = fake.seal(b"hello", &context()).await.unwrap();
    let header_len = Header::declared_len(&sealed).unwrap();
    for len in [0, 1, 9, 10, 41, header_len - 1, header_len + 1, 65_535] {
        let mut bad = sealed.clone();
        bad[8..10].copy_from_slice(&u16::try_from(len).unwrap().to_be_bytes());
        let kind = kind(fake.open(&bad, &context()).await);
        assert!(matches!(kind, ErrorKind::Malformed | ErrorKind::NotAuthentic), "{len}: {kind}");
    }
}

#[tokio::test]
async fn versions_and_suites_to_come_are_named() {
    let fake = Fake::new("a");
    let sealed = fake.seal(b"hello", &context()).await.unwrap();
    for (at, value) in [(5, 0), (5, 2), (6, 0), (6, 3)] {
        let mut bad = sealed.clone();
        bad[at] = value;
        let error = fake.open(&bad, &context()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.message().contains(&value.to_string()), "{error}");
    }
    // Suite 1 taken for suite 2: a known suite, and another derivation.
    let mut bad = sealed.clone();
    bad[6] = 2;
    assert_eq!(kind(fake.open(&bad, &context()).await), ErrorKind::NotAuthentic);
}

#[tokio::test]
async fn pairs_of_the_formats_own_are_refused_before_any_call() {
    let fake = Fake::new("a");
    let key = DataKey::generate().unwrap();
    let named = context().with_transform(Transform::Zstd).unwrap();
    for (name, value, with_named) in [
        ("bulla.transform", "zstd", ErrorKind::NotAuthentic), // the tag is over other pairs
        ("bulla.transform", "lz4", ErrorKind::Unsupported),
        ("bulla.transform", "", ErrorKind::Unsupported),
        ("bulla.later", "zstd", ErrorKind::Unsupported),
        ("bulla", "zstd", ErrorKind::Unsupported),
    ] {
        let mut forge = Forge::honest(&fake, &key).await;
        let own = pair(name.as_bytes(), value.as_bytes());
        forge.pairs = [vec![2], own, pair(b"tenant", b"acme")].concat();
        let message = forge.message(&key, context().all());
        let unnamed = match with_named {
            ErrorKind::NotAuthentic => ErrorKind::ContextMismatch,
            other => other,
        };
        assert_eq!(kind(fake.open(&message, &context()).await), unnamed, "{name} {value}");
        let opener = Opener::new([&fake]);
        let stored = opener.open_with_stored_context(&message, context().item()).await;
        assert_eq!(kind(stored), ErrorKind::Unsupported);
        assert_eq!(fake.calls().2, 0);
        let opened = fake.open(&message, &named).await;
        assert_eq!(kind(opened), with_named, "{name} {value}");
        fake.unwrapped.store(0, std::sync::atomic::Ordering::Relaxed);
    }
}
