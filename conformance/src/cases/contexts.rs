//! Keys, contexts and recipients.

use std::sync::Arc;

use bulla::{
    Context, EncryptionContext, ErrorKind, Opener, Sealer, Wrapped,
    envelope::Rewrap,
    format::{Preamble, Suite},
};

use crate::{
    Memory,
    case::{DAMAGED, Env, Outcome, check, context, must_fail},
    subject::Core,
};

pub(super) async fn wrong_key(env: &Env) -> Outcome {
    let sealed = env.subject.seal(Suite::default(), b"secret", &context()?).await?;
    let opened = env.other.open(&sealed, &context()?).await;
    must_fail("another key", opened, &[ErrorKind::NoRecipient])?;
    // The record relabelled with the other key's name: now it is asked, and must refuse.
    let (head, _) = Preamble::split(&sealed)?;
    let (provider, other) = (env.subject.provider(), env.other.provider());
    let Some(own) = head.header().recipients().first() else { return Ok(()) };
    let (_, theirs) = other.generate_data_key(context()?.key()).await?;
    let relabelled = Wrapped { blob: own.blob.clone(), ..theirs };
    let unwrapped = other.unwrap_data_key(&relabelled, context()?.key()).await;
    must_fail("another key, relabelled", unwrapped, &[ErrorKind::NotAuthentic])?;
    check!(provider.opens(&relabelled.key).is_none(), "a key that is not on the list opens");
    let unwrapped = provider.unwrap_data_key(&relabelled, context()?.key()).await;
    must_fail("a key that is not on the list", unwrapped, &[ErrorKind::NoRecipient])
}

pub(super) async fn wrong_context(env: &Env) -> Outcome {
    let sealed = env.subject.seal(Suite::default(), b"secret", &context()?).await?;
    let wrong = Context::new().with_key("suite", "another")?.with_item("item", "1")?;
    let missing = Context::new().with_item("item", "1")?;
    let extra = context()?.with_key("more", "")?;
    let swapped = Context::new().with_key("item", "conformance")?.with_key("suite", "1")?;
    for (what, context) in [
        ("another value", wrong),
        ("a missing pair", missing),
        ("a pair too many", extra),
        ("swapped values", swapped),
        ("no context", Context::new()),
    ] {
        must_fail(what, env.subject.open(&sealed, &context).await, DAMAGED)?;
    }
    Ok(())
}

pub(super) async fn wrong_item_context(env: &Env) -> Outcome {
    let sealed = env.quiet.seal(Suite::default(), b"secret", &context()?).await?;
    let base = || Context::new().with_key("suite", "conformance");
    for (what, context) in [
        ("another value", base()?.with_item("item", "2")?),
        ("a missing pair", base()?),
        ("a pair too many", base()?.with_item("item", "1")?.with_item("more", "")?),
        ("another split", base()?.with_item("ite", "m1")?),
    ] {
        let opened = env.quiet.open(&sealed, &context).await;
        must_fail(what, opened, &[ErrorKind::NotAuthentic])?;
    }
    let opened = env.quiet.open(&sealed, &base()?.with_key("item", "1")?).await?;
    check!(&*opened == b"secret", "whether a pair is stored matters to open");
    Ok(())
}

pub(super) async fn context_in_the_wrap(env: &Env) -> Outcome {
    let provider = env.subject.provider();
    let right = EncryptionContext::from_pairs([("a", "bc")])?;
    let (key, wrapped) = provider.generate_data_key(&right).await?;
    check!(
        provider.unwrap_data_key(&wrapped, &right).await?.ct_eq(&key),
        "another data key was unwrapped than was generated"
    );
    let again = provider.wrap_data_key(&key, &right).await?;
    check!(
        provider.unwrap_data_key(&again, &right).await?.ct_eq(&key),
        "another data key was unwrapped than was wrapped"
    );
    let wrong = [
        EncryptionContext::new(),
        EncryptionContext::from_pairs([("ab", "c")])?,
        EncryptionContext::from_pairs([("a", "bc"), ("d", "")])?,
    ];
    for context in wrong {
        for wrapped in [&wrapped, &again] {
            let unwrapped = provider.unwrap_data_key(wrapped, &context).await;
            if Core::binds_context(provider) {
                must_fail("another context", unwrapped, &[ErrorKind::NotAuthentic])?;
            } else {
                check!(unwrapped.is_ok(), "the context is bound, and capabilities deny it");
            }
        }
    }
    Ok(())
}

pub(super) async fn foreign_recipients(env: &Env) -> Outcome {
    let provider = env.subject.provider();
    let foreign = Memory::new("foreign");
    let sealer = Sealer::builder().recipient(&foreign as _).recipient(provider).build()?;
    let sealed = sealer.seal(b"secret", &context()?).await?;
    let opened = env.subject.open(&sealed, &context()?).await?;
    check!(&*opened == b"secret", "a message to two recipients came back changed");
    let only = Sealer::new(&foreign)?.seal(b"secret", &context()?).await?;
    let opened = env.subject.open(&only, &context()?).await;
    must_fail("a message to others only", opened, &[ErrorKind::NoRecipient])
}

pub(super) async fn second_recipient(env: &Env) -> Outcome {
    let provider = env.subject.provider();
    let spare = Arc::new(Memory::new("spare"));
    let opener = Opener::new([provider, &*spare]);
    let sealed = Sealer::new(&*spare)?.seal(b"secret", &context()?).await?;
    let both = opener.rewrap_value(&sealed, &Rewrap::new().add_recipient(provider)).await?;
    let opened = env.subject.open(&both, &context()?).await?;
    check!(&*opened == b"secret", "a rewrapped message came back changed");
    let Some(name) = provider.sealing_key() else { return Ok(()) };
    let plan = Rewrap::new().remove_recipient(name.clone());
    let without = opener.rewrap_value(&both, &plan).await?;
    let opened = env.subject.open(&without, &context()?).await;
    must_fail("a removed recipient", opened, &[ErrorKind::NoRecipient])
}
