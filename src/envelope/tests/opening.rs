//! Opening: contexts, keys, recipients, and every byte.

use super::*;
use crate::provider::{Availability, Disabled, KeyUse, SoftwareKek};

#[tokio::test]
async fn every_byte_counts_and_so_does_every_length() {
    let fake = Fake::new("a");
    for len in [0, 5, 40] {
        let plaintext = vec![7; len];
        let sealed = fake.seal(&plaintext, &context()).await.unwrap();
        assert_eq!(&*fake.open(&sealed, &context()).await.unwrap(), plaintext);
        for at in 0..sealed.len() {
            for bit in [1, 0x80] {
                let mut bad = sealed.clone();
                bad[at] ^= bit;
                assert!(fake.open(&bad, &context()).await.is_err(), "flipped {at}");
            }
            assert!(fake.open(&sealed[..at], &context()).await.is_err(), "cut at {at}");
        }
        for more in [&[0][..], &[0; 16], &[0; 65_552]] {
            let longer = [&sealed[..], more].concat();
            assert_eq!(kind(fake.open(&longer, &context()).await), ErrorKind::NotAuthentic);
        }
    }
}

#[tokio::test]
async fn what_is_not_authentic_has_one_text() {
    let (fake, other) = (Fake::new("a"), Fake::new("b"));
    let sealed = fake.seal(b"hello", &context()).await.unwrap();
    let header_len = Header::declared_len(&sealed).unwrap();
    let flip = |at: usize| {
        let mut bad = sealed.clone();
        bad[at] ^= 1;
        bad
    };
    let same_name = Fake { name: fake.name.clone(), ..Fake::new("b") };
    let wrong_item = Context::new().with_key("tenant", "acme").unwrap();
    let mut errors = vec![
        ("tag", fake.open(&flip(header_len - 1), &context()).await),
        ("wrapped key", fake.open(&flip(header_len - 33), &context()).await),
        ("salt", fake.open(&flip(header_len), &context()).await),
        ("commitment", fake.open(&flip(header_len + 24), &context()).await),
        ("chunk", fake.open(&flip(header_len + 56), &context()).await),
        ("length", fake.open(&sealed[..sealed.len() - 1], &context()).await),
        ("item context", fake.open(&sealed, &wrong_item).await),
        ("another key of that name", same_name.open(&sealed, &context()).await),
    ];
    let expected = Error::not_authentic().to_string();
    for (name, result) in errors.drain(..) {
        assert_eq!(result.unwrap_err().to_string(), expected, "{name}");
    }
    assert_eq!(kind(other.open(&sealed, &context()).await), ErrorKind::NoRecipient);
    assert_eq!(other.calls().2, 0);
}

#[tokio::test]
async fn context_is_equality() {
    let fake = Fake::new("a");
    let sealed = fake.seal(b"hello", &context()).await.unwrap();
    let key = |k, v| Context::new().with_key(k, v).unwrap();
    // A stored pair that is missing or different costs no call to the KMS.
    for wrong in [Context::new(), key("tenant", "evil"), key("row", "7"), key("Tenant", "acme")] {
        assert_eq!(kind(fake.open(&sealed, &wrong).await), ErrorKind::ContextMismatch);
    }
    assert_eq!(fake.calls().2, 0, "refused before the KMS was asked");
    // An item pair that is missing, different or too many is found by the derivation.
    let base = key("tenant", "acme");
    for wrong in [
        base.clone(),
        base.clone().with_item("row", "8").unwrap(),
        base.clone().with_item("row", "7").unwrap().with_item("x", "").unwrap(),
    ] {
        assert_eq!(kind(fake.open(&sealed, &wrong).await), ErrorKind::NotAuthentic);
    }
    // Which of the two kinds a pair is does not matter to open.
    let flat = key("row", "7").with_key("tenant", "acme").unwrap();
    assert_eq!(&*fake.open(&sealed, &flat).await.unwrap(), b"hello");
    // Empty means empty.
    let bare = fake.seal(b"hello", &Context::new()).await.unwrap();
    assert_eq!(kind(fake.open(&bare, &base).await), ErrorKind::NotAuthentic);
    assert_eq!(&*fake.open(&bare, &Context::new()).await.unwrap(), b"hello");
}

#[tokio::test]
async fn where_a_key_ends_and_a_value_begins_counts() {
    let fake = Fake::new("a");
    let one = Context::new().with_item("a", "bc").unwrap();
    let two = Context::new().with_item("ab", "c").unwrap();
    let sealed = fake.seal(b"hello", &one).await.unwrap();
    assert_eq!(kind(fake.open(&sealed, &two).await), ErrorKind::NotAuthentic);
}

#[tokio::test]
async fn the_files_word_is_taken_only_when_asked() {
    let fake = Fake::new("a");
    let opener = Opener::new([&fake]);
    let sealed = fake.seal(b"hello", &context()).await.unwrap();
    let row = EncryptionContext::from_pairs([("row", "7")]).unwrap();
    let (plain, stored) = opener.open_with_stored_context(&sealed, &row).await.unwrap();
    assert_eq!((&*plain, stored.get("tenant")), (&b"hello"[..], Some("acme")));
    let none = EncryptionContext::new();
    let error = kind(opener.open_with_stored_context(&sealed, &none).await);
    assert_eq!(error, ErrorKind::NotAuthentic);
}

#[tokio::test]
async fn parts_of_two_messages_do_not_mix() {
    let fake = Fake::new("a");
    let one = fake.seal(b"message one", &context()).await.unwrap();
    let two = fake.seal(b"message two", &context()).await.unwrap();
    let head = Header::declared_len(&one).unwrap();
    for cut in [head - 32, head, head + 24, head + 56] {
        let mixed = [&one[..cut], &two[cut..]].concat();
        assert_eq!(kind(fake.open(&mixed, &context()).await), ErrorKind::NotAuthentic, "{cut}");
    }
    assert_ne!(one, fake.seal(b"message one", &context()).await.unwrap());
}

#[tokio::test]
async fn any_recipient_opens_and_failures_fall_through() {
    let (a, b, c) = (Fake::new("a"), Fake::new("b"), Fake::new("c"));
    let sealer = Sealer::builder().recipient(&a).recipient(&b).recipient(&c).build().unwrap();
    let sealed = sealer.seal(b"hello", &context()).await.unwrap();
    assert_eq!((a.calls(), b.calls(), c.calls()), ((1, 0, 0), (0, 1, 0), (0, 1, 0)));
    for fake in [&a, &b, &c] {
        assert_eq!(&*fake.open(&sealed, &context()).await.unwrap(), b"hello");
    }
    let opener = Opener::new([&a, &b, &c]);
    for failure in [
        ErrorKind::Unavailable,
        ErrorKind::Denied,
        ErrorKind::Disabled,
        ErrorKind::NotAuthentic,
        ErrorKind::Timeout,
    ] {
        a.fail(failure);
        b.fail(failure);
        assert_eq!(&*opener.open(&sealed, &context()).await.unwrap(), b"hello", "{failure}");
    }
    // What may pass if tried again is what is reported.
    a.fail(ErrorKind::NotAuthentic);
    b.fail(ErrorKind::Unavailable);
    c.fail(ErrorKind::Denied);
    assert_eq!(kind(opener.open(&sealed, &context()).await), ErrorKind::Unavailable);
    b.fail(ErrorKind::NotAuthentic);
    let error = opener.open(&sealed, &context()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied);
    assert_eq!((error.provider(), error.request_id()), (Some("c"), Some("request to c")));
    assert!(error.to_string().contains("(and 2 other recipient(s) failed)"), "{error}");
}

#[tokio::test]
async fn the_healthiest_is_asked_first() {
    let a = Fake { availability: Availability::Unavailable, ..Fake::new("a") };
    let b = Fake { availability: Availability::Degraded, ..Fake::new("b") };
    let c = Fake::new("c");
    let sealer = Sealer::builder().recipient(&a).recipient(&b).recipient(&c).build().unwrap();
    let sealed = sealer.seal(b"hello", &context()).await.unwrap();
    Opener::new([&a, &b, &c]).open(&sealed, &context()).await.unwrap();
    assert_eq!((a.calls().2, b.calls().2, c.calls().2), (0, 0, 1));
}

#[tokio::test]
async fn recipients_with_different_data_keys_stop() {
    let (a, b) = (Fake::new("a"), Fake::new("b"));
    let sealer = Sealer::builder().recipient(&a).recipient(&b).build().unwrap();
    let sealed = sealer.seal(b"hello", &context()).await.unwrap();
    // An insider replaces a's wrap with one of another data key. b's is good, and still: stop.
    let (head, _) = Preamble::split(&sealed).unwrap();
    let other = a.wrap_data_key(&DataKey::generate().unwrap(), context().key()).await.unwrap();
    let old = &head.header().recipients()[0].blob;
    let at = sealed.windows(old.len()).position(|w| w == old).unwrap();
    let mut bad = sealed.clone();
    bad[at..at + old.len()].copy_from_slice(&other.blob);
    let error = kind(Opener::new([&a, &b]).open(&bad, &context()).await);
    assert_eq!(error, ErrorKind::NotAuthentic);
    assert_eq!((a.calls().2, b.calls().2), (1, 0), "b was not asked");
}

#[tokio::test]
async fn a_wrap_must_be_what_the_key_does() {
    let a = Fake::new("a");
    let sealed = a.seal(b"hello", &context()).await.unwrap();
    // The record says `native`, and the key on the list does RSA-OAEP: refused, not selected.
    let mut rsa = Fake::new("a");
    rsa.policy.algorithm = WrapAlgorithm::RsaOaep256;
    assert_eq!(kind(rsa.open(&sealed, &context()).await), ErrorKind::NotAuthentic);
    assert_eq!(rsa.calls().2, 0);
}

#[tokio::test]
async fn a_wrap_that_anybody_could_make_is_refused_unless_accepted() {
    let mut rsa = Fake::new("a");
    rsa.policy.algorithm = WrapAlgorithm::RsaOaep256;
    rsa.policy.authenticates = false;
    // Who forges has the public key only; the fake's wrap stands for that.
    let forged = rsa.seal(b"forged", &context()).await.unwrap();
    let error = rsa.open(&forged, &context()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied);
    assert!(error.to_string().contains("accept_public_key_wraps"), "{error}");
    assert_eq!(rsa.calls().2, 0);
    rsa.policy.accept_public_key_wraps = true;
    assert_eq!(&*rsa.open(&forged, &context()).await.unwrap(), b"forged");
}

#[tokio::test]
async fn data_keys_of_other_lengths_fail() {
    let fake = Fake::new("a");
    let sealed = fake.seal(b"hello", &context()).await.unwrap();
    let (head, _) = Preamble::split(&sealed).unwrap();
    let mut wrapped = head.header().recipients()[0].clone();
    let kek = SoftwareKek::from_bytes(&[b'a'; 32]);
    for len in [31, 33, 64] {
        let aad = KeyUse::DataKey.aad(context().key());
        wrapped.blob = kek.wrap(&vec![0; len], &aad).unwrap();
        let error = kind(fake.unwrap_data_key(&wrapped, context().key()).await);
        assert_eq!(error, ErrorKind::NotAuthentic, "{len}");
    }
}

#[tokio::test]
async fn builders_refuse_what_can_be_known() {
    let (a, again, b) = (Fake::new("a"), Fake::new("a"), Fake::new("b").local_only());
    let none = Sealer::<&Fake>::builder().build();
    assert_eq!(kind(none), ErrorKind::InvalidInput);
    let twice = Sealer::builder().recipient(&a).recipient(&again).build();
    assert_eq!(kind(twice), ErrorKind::InvalidInput);
    let short = Sealer::builder().recipient(&a).recipient(&b).header_len(256).build();
    assert_eq!(kind(short), ErrorKind::InvalidInput);
    assert!(Sealer::new(&b).is_ok());
    let bound = Sealer::builder().recipient(&b).require_bound_context().build();
    assert_eq!(kind(bound), ErrorKind::Unsupported);
    assert_eq!(kind(Sealer::new(&Disabled)), ErrorKind::Unsupported);
    let fakes: Vec<_> = (b'a'..=b'i').map(|c| Fake::new(&char::from(c).to_string())).collect();
    let nine = fakes.iter().fold(Sealer::builder(), |s, f| s.recipient(f));
    assert_eq!(kind(nine.header_len(4096).build()), ErrorKind::InvalidInput);
}

#[tokio::test]
async fn headers_have_room_for_a_context_that_is_known() {
    let (a, b) = (Fake::new("a"), Fake::new("b"));
    let len = async |sealer: Sealer<&Fake>, context: &Context| {
        sealer.begin(context).await.map(|sealing| Header::declared_len(&sealing.bytes).unwrap())
    };
    let sealer = || Sealer::builder().recipient(&a).recipient(&b);
    let usual = len(sealer().build().unwrap(), &context()).await.unwrap();
    let long = Context::new().with_key("name", "x".repeat(2000)).unwrap();
    let refused = len(sealer().build().unwrap(), &long).await;
    assert_eq!(kind(refused), ErrorKind::InvalidInput);

    let room = || sealer().room_for(&long);
    let longer = len(room().build().unwrap(), &long).await.unwrap();
    assert_eq!((longer > usual, longer % 1024), (true, 0));
    // The length is the sealer's: a shorter context does not show in it, and nothing makes it less.
    assert_eq!(len(room().build().unwrap(), &context()).await.unwrap(), longer);
    let none = sealer().room_for(&Context::new());
    assert_eq!(len(none.build().unwrap(), &context()).await.unwrap(), usual);
    // What was given stays.
    assert_eq!(len(room().header_len(8192).build().unwrap(), &long).await.unwrap(), 8192);
}

#[tokio::test]
async fn disabled_fails_closed() {
    let fake = Fake::new("a");
    let sealed = fake.seal(b"hello", &context()).await.unwrap();
    assert_eq!(kind(Disabled.open(&sealed, &context()).await), ErrorKind::NoRecipient);
    let context = EncryptionContext::new();
    assert_eq!(kind(Disabled.generate_data_key(&context).await), ErrorKind::Disabled);
    let key = DataKey::generate().unwrap();
    assert_eq!(kind(Disabled.wrap_data_key(&key, &context).await), ErrorKind::Disabled);
    let error = crate::CryptoProvider::health(&Disabled).await;
    assert_eq!(kind(error), ErrorKind::Disabled);
}

#[tokio::test]
async fn foreign_recipients_are_passed_over() {
    // A recipient of a scheme that this build has never heard of does not hinder the others.
    let fake = Fake::new("a");
    let key = DataKey::generate().unwrap();
    let own = fake.wrap_data_key(&key, context().key()).await.unwrap();
    let foreign = Wrapped {
        key: KeyName::new("next-cloud", "projects/p/keys/k").unwrap(),
        version: Some(KeyVersion::parse("12").unwrap()),
        algorithm: WrapAlgorithm::AesKwp,
        blob: vec![1; 200],
    };
    let message = Message { suite: Suite::default(), shared: false, padded: Some(1024) };
    let sealed = message
        .seal(
            &Schedule::new(key.share()).unwrap(),
            Head::Recipients(&[foreign, own]),
            &context(),
            b"hello",
        )
        .unwrap();
    assert_eq!(&*fake.open(&sealed, &context()).await.unwrap(), b"hello");
    assert_eq!(Header::declared_len(&sealed).unwrap(), 1024);
}

/// Some libraries limit what an expansion takes; a header may be as long as its length field says.
#[tokio::test]
async fn the_longest_header_is_tagged_and_opens() {
    let fake = Fake::new("a");
    for suite in [Suite::Aes256Gcm64KiB, Suite::Cobblestone256] {
        let sealer =
            Sealer::builder().recipient(&fake).suite(suite).header_len(u16::MAX).build().unwrap();
        let reader = sealer.encrypt_reader(&b"hello"[..], &context()).await.unwrap();
        let mut sealed = Vec::new();
        tokio::io::AsyncReadExt::read_to_end(&mut { reader }, &mut sealed).await.unwrap();
        assert_eq!(Header::declared_len(&sealed).unwrap(), 65_535);
        assert_eq!(&*fake.open(&sealed, &context()).await.unwrap(), b"hello");
        sealed[60_000] ^= 1;
        assert_eq!(kind(fake.open(&sealed, &context()).await), ErrorKind::Malformed);
    }
}
