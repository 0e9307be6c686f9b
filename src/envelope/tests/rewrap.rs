//! Rewrap and renewal.

use super::*;
use crate::{
    envelope::{BatchItem, Renewal, Rewrap},
    provider::SoftwareKek,
};

#[tokio::test]
async fn recipients_come_and_go_and_the_body_stays() {
    let (a, b) = (Fake::new("a"), Fake::new("b"));
    let opener = Opener::new([&a, &b]);
    let sealed = a.seal(b"hello", &context()).await.unwrap();
    let body = |sealed: &[u8]| sealed[Header::declared_len(sealed).unwrap()..].to_vec();

    let both = opener.rewrap_value(&sealed, &Rewrap::new().add_recipient(&b)).await.unwrap();
    assert_eq!(body(&both), body(&sealed));
    assert_eq!(&*b.open(&both, &context()).await.unwrap(), b"hello");
    assert_eq!(&*a.open(&both, &context()).await.unwrap(), b"hello");

    let remove = Rewrap::new().remove_recipient(a.name.clone());
    let only_b = opener.rewrap_value(&both, &remove).await.unwrap();
    assert_eq!(kind(a.open(&only_b, &context()).await), ErrorKind::NoRecipient);
    assert_eq!(&*b.open(&only_b, &context()).await.unwrap(), b"hello");
    // Removal is no revocation: the old bytes still open.
    assert_eq!(&*a.open(&both, &context()).await.unwrap(), b"hello");

    assert_eq!(kind(opener.rewrap_value(&only_b, &remove).await), ErrorKind::NotFound);
    let last = Rewrap::new().remove_recipient(b.name.clone());
    assert_eq!(kind(opener.rewrap_value(&only_b, &last).await), ErrorKind::InvalidInput);
}

#[tokio::test]
async fn a_padded_header_is_rewritten_in_place_while_it_fits() {
    let fakes: Vec<_> = ["a", "b", "c", "d", "e", "f", "g", "h"].map(Fake::new).into();
    let sealer = Sealer::builder().recipient(&fakes[0]).header_len(250).build().unwrap();
    let begun = sealer.begin(&context()).await.unwrap();
    let (head, _) = Preamble::split(&begun.bytes).unwrap();
    let opener = Opener::new(&fakes);
    let one = Rewrap::new().add_recipient(&fakes[1]);
    let wider = opener.rewrap(&head, &one).await.unwrap();
    assert!(!wider.fits_in_place());
    assert_eq!(wider.header().as_bytes().len(), 1024);
    let (head, _) = Preamble::split(&wider.as_bytes()).unwrap();
    let more = fakes.iter().fold(Rewrap::new(), |plan, fake| plan.add_recipient(fake));
    let full = opener.rewrap(&head, &more).await.unwrap();
    assert!(full.fits_in_place());
    assert_eq!(full.header().recipients().len(), 8);
}

#[tokio::test]
async fn a_tampered_header_is_not_rewrapped() {
    let (a, b) = (Fake::new("a"), Fake::new("b"));
    let mut sealed = a.seal(b"hello", &context()).await.unwrap();
    let tag = Header::declared_len(&sealed).unwrap() - 1;
    sealed[tag] ^= 1;
    let plan = Rewrap::new().add_recipient(&b);
    let error = kind(Opener::new([&a]).rewrap_value(&sealed, &plan).await);
    assert_eq!(error, ErrorKind::NotAuthentic);
    assert_eq!(b.calls(), (0, 0, 0), "nobody was given the key of a tampered header");
}

#[tokio::test]
async fn a_cohort_is_widened_only_by_name() {
    let (a, b) = (Fake::new("a"), Fake::new("b"));
    let item = EncryptionContext::new();
    let items = [BatchItem { plaintext: b"1", item_context: &item }; 2];
    let sealed = Sealer::new(&a)
        .unwrap()
        .seal_batch(&items, context().key())
        .await
        .unwrap()
        .items
        .remove(0)
        .unwrap();
    let opener = Opener::new([&a, &b]);
    let plan = Rewrap::new().add_recipient(&b);
    assert_eq!(kind(opener.rewrap_value(&sealed, &plan).await), ErrorKind::InvalidInput);
    let plan = plan.accept_whole_cohort();
    let wider = opener.rewrap_value(&sealed, &plan).await.unwrap();
    let context = Context::from(context().key().clone());
    assert_eq!(&*b.open(&wider, &context).await.unwrap(), b"1");
}

#[tokio::test]
async fn a_provider_that_wraps_something_else_is_found_out() {
    let a = Fake::new("a");
    // It wraps under one key and unwraps under another.
    let liar = Fake::new("b");
    liar.swap_on_wrap();
    let sealed = a.seal(b"hello", &context()).await.unwrap();
    let opener = Opener::new([&a, &liar]);
    let plan = Rewrap::new().add_recipient(&liar).remove_recipient(a.name.clone());
    assert_eq!(kind(opener.rewrap_value(&sealed, &plan).await), ErrorKind::Internal);
}

#[tokio::test]
async fn renewal_converges_and_never_costs_the_plaintext() {
    let (old, new) = (Fake::new("a"), Fake::new("b"));
    let opener = Opener::new([&old, &new]);
    let sealer = Sealer::new(&new).unwrap();
    let sealed = old.seal(b"hello", &context()).await.unwrap();

    let fails = |_| async { Err(std::io::Error::other("read-only")) };
    let (plain, renewal) =
        opener.open_and_renew(&sealed, &context(), &sealer, fails).await.unwrap();
    assert_eq!(&*plain, b"hello");
    assert!(matches!(renewal, Renewal::Failed(_)));

    new.fail(ErrorKind::Unavailable);
    let write = |_| async { Ok::<_, Error>(()) };
    let (plain, renewal) =
        opener.open_and_renew(&sealed, &context(), &sealer, write).await.unwrap();
    assert_eq!(&*plain, b"hello");
    assert!(matches!(renewal, Renewal::Failed(e) if e.kind() == ErrorKind::Unavailable));
    *new.fails.lock().unwrap() = None;

    let stored = std::sync::Mutex::new(Vec::new());
    let write = |bytes| {
        *stored.lock().unwrap() = bytes;
        async { Ok::<_, Error>(()) }
    };
    let (_, renewal) = opener.open_and_renew(&sealed, &context(), &sealer, write).await.unwrap();
    assert!(matches!(renewal, Renewal::Renewed));
    let renewed = stored.lock().unwrap().clone();
    let (plain, renewal) = opener
        .open_and_renew(&renewed, &context(), &sealer, |_| async { Ok::<_, Error>(()) })
        .await
        .unwrap();
    assert_eq!(&*plain, b"hello");
    assert!(matches!(renewal, Renewal::UpToDate));

    let again = opener.reseal(&sealed, &context(), &sealer).await.unwrap();
    assert_eq!(&*new.open(&again, &context()).await.unwrap(), b"hello");
    assert_eq!(kind(old.open(&again, &context()).await), ErrorKind::NoRecipient);
}

#[tokio::test]
async fn renewal_stores_what_was_stored_and_no_more() {
    let (old, new) = (Fake::new("a"), Fake::new("b"));
    let opener = Opener::new([&old, &new]);
    let sealer = Sealer::new(&new).unwrap();
    let sealed = old.seal(b"x", &context()).await.unwrap();
    // To open, the split does not matter, and this caller gives all pairs as key context.
    let flat = Context::new().with_key("tenant", "acme").unwrap().with_key("row", "7").unwrap();
    let renewed = opener.reseal(&sealed, &flat, &sealer).await.unwrap();
    let stored = std::sync::Mutex::new(Vec::new());
    let write = |bytes| {
        *stored.lock().unwrap() = bytes;
        async { Ok::<_, Error>(()) }
    };
    let (_, renewal) = opener.open_and_renew(&sealed, &flat, &sealer, write).await.unwrap();
    assert!(matches!(renewal, Renewal::Renewed));
    for bytes in [renewed, stored.into_inner().unwrap()] {
        let (head, _) = Preamble::split(&bytes).unwrap();
        assert_eq!(head.header().stored_context(), context().key());
        assert_eq!(&*new.open(&bytes, &context()).await.unwrap(), b"x");
    }
}

/// A multi-Region key has a name in each region, and a header has room for it once.
#[tokio::test]
async fn replicas_of_one_key_are_one_recipient() {
    let (west, mut east) = (Fake::new("a"), Fake::new("east"));
    east.kek = SoftwareKek::from_bytes(&[b'a'; 32]);
    east.replicas = vec![west.name.clone()];
    let refused = Sealer::builder().recipient(&west).recipient(&east).build();
    assert_eq!(kind(refused), ErrorKind::InvalidInput);
    let sealed = west.seal(b"v", &context()).await.unwrap();
    let plan = Rewrap::new().add_recipient(&east);
    let rewrapped = Opener::new([&west, &east]).rewrap_value(&sealed, &plan).await.unwrap();
    let recipients = Preamble::split(&rewrapped).unwrap().0.header.recipients;
    assert_eq!(recipients.iter().map(|r| &r.key).collect::<Vec<_>>(), [&east.name]);
    assert_eq!(&*east.open(&rewrapped, &context()).await.unwrap(), b"v");
}
