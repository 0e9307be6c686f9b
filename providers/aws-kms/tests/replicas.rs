//! Replicas of one multi-Region key are one recipient, whichever of them is asked.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests are tests too"
)]

mod paper;

use std::sync::Arc;

use bulla::{
    Context, ErrorKind, Opener, Sealer, SharedProvider,
    envelope::Rewrap,
    format::Preamble,
    resilience::{Policy, Resilient},
};
use paper::{EAST, ONE, TWO, WEST, provider};

fn context() -> Context {
    Context::new().with_key("tenant", "acme").unwrap()
}

/// The keys that a message names, in its order.
fn recipients(sealed: &[u8]) -> Vec<String> {
    let (preamble, _) = Preamble::split(sealed).unwrap();
    preamble.header().recipients().iter().map(|record| record.key.id().to_owned()).collect()
}

#[tokio::test]
async fn a_message_is_not_sealed_to_one_key_twice() {
    let (west, east) = (provider(WEST).await, provider(EAST).await);
    let guarded: SharedProvider =
        Arc::new(Resilient::new(Arc::clone(&east), Policy::builder().build().unwrap()));
    for (one, other) in [(&west, &east), (&east, &west), (&west, &guarded), (&west, &west)] {
        let sealer = Sealer::builder().recipient(Arc::clone(one)).recipient(Arc::clone(other));
        assert_eq!(sealer.build().unwrap_err().kind(), ErrorKind::InvalidInput);
    }
    // Two keys are two, in one region or in two.
    for other in [provider(TWO).await, west, east] {
        Sealer::builder().recipient(provider(ONE).await).recipient(other).build().unwrap();
    }
}

#[tokio::test]
async fn a_rewrap_replaces_the_record_of_the_other_replica() {
    let (west, east, spare) = (provider(WEST).await, provider(EAST).await, provider(ONE).await);
    let sealer = Sealer::builder().recipient(Arc::clone(&west)).recipient(Arc::clone(&spare));
    let sealed = sealer.build().unwrap().seal(b"secret", &context()).await.unwrap();
    assert_eq!(recipients(&sealed), [WEST, ONE]);

    let opener = Opener::new([Arc::clone(&west)]);
    let plan = Rewrap::new().add_recipient(Arc::clone(&east));
    let moved = opener.rewrap_value(&sealed, &plan).await.unwrap();
    assert_eq!(recipients(&moved), [EAST, ONE]);
    for provider in [&west, &east, &spare] {
        let opened = Opener::new([Arc::clone(provider)]).open(&moved, &context()).await.unwrap();
        assert_eq!(&*opened, b"secret");
    }
    // Another key is added beside it.
    let plan = Rewrap::new().add_recipient(provider(TWO).await);
    let added = opener.rewrap_value(&moved, &plan).await.unwrap();
    assert_eq!(recipients(&added), [EAST, ONE, TWO]);
}

#[tokio::test]
async fn the_sealing_key_goes_by_its_replicas_names_too() {
    let (west, east, one) = (provider(WEST).await, provider(EAST).await, provider(ONE).await);
    let name = |provider: &SharedProvider| provider.sealing_key().unwrap().clone();
    for (one, other) in [(&west, &east), (&east, &west)] {
        assert!(one.is_sealing_key(&name(one)) && one.is_sealing_key(&name(other)));
        assert_ne!(name(one), name(other));
    }
    assert!(!west.is_sealing_key(&name(&one)) && !one.is_sealing_key(&name(&west)));
}
