//! Direct mode, and the wall between it and data keys.

use bulla::{
    Context, CryptoProviderExt as _, EncryptionContext, ErrorKind, provider::ContextBinding,
};

use crate::{
    case::{DAMAGED, Env, Outcome, check, context, must_fail, plaintext},
    damage::flip,
};

fn offers_direct(env: &Env) -> bool {
    env.subject.provider().capabilities().direct == ContextBinding::Bound
}

pub(super) async fn direct_round_trips(env: &Env) -> Outcome {
    let provider = env.subject.provider();
    let limit = provider.capabilities().max_direct_len;
    if !offers_direct(env) {
        let sealed = provider.encrypt_direct(b"x", &context()?).await;
        must_fail("direct mode, not offered", sealed, &[ErrorKind::Unsupported])?;
        let sealed = provider.encrypt(b"x", &EncryptionContext::new()).await;
        return must_fail("encrypt, not offered", sealed, &[ErrorKind::Unsupported]);
    }
    check!(limit >= 32, "direct mode takes {limit} bytes");
    for len in [1, 32, limit] {
        let plain = plaintext(len);
        let sealed = provider.encrypt_direct(&plain, &context()?).await?;
        let opened = provider.decrypt_direct(&sealed, &context()?).await?;
        check!(*opened == *plain, "{len} bytes came back changed");
        let again = provider.encrypt_direct(&plain, &context()?).await?;
        check!(sealed != again, "encrypting twice gives the same bytes");
    }
    let more = plaintext(limit + 1);
    let sealed = provider.encrypt(&more, &EncryptionContext::new()).await;
    must_fail("a payload over the limit", sealed, &[ErrorKind::InvalidInput])
}

pub(super) async fn direct_contexts(env: &Env) -> Outcome {
    if !offers_direct(env) {
        return direct_round_trips(env).await;
    }
    let provider = env.subject.provider();
    let sealed = provider.encrypt_direct(b"secret", &context()?).await?;
    for (what, context) in [
        ("another key context", Context::new().with_key("suite", "x")?.with_item("item", "1")?),
        ("another item context", Context::new().with_key("suite", "conformance")?),
        ("a pair too many", context()?.with_item("more", "")?),
        ("no context", Context::new()),
    ] {
        must_fail(what, provider.decrypt_direct(&sealed, &context).await, DAMAGED)?;
    }
    let payload = provider.encrypt(b"secret", context()?.all()).await?;
    let opened = provider.decrypt(&payload, context()?.key()).await;
    must_fail("fewer pairs than were bound", opened, &[ErrorKind::NotAuthentic])?;
    let opened = env.other.provider().decrypt_direct(&sealed, &context()?).await;
    must_fail("another key", opened, &[ErrorKind::NoRecipient])
}

pub(super) async fn direct_flips(env: &Env) -> Outcome {
    if !offers_direct(env) {
        return direct_round_trips(env).await;
    }
    let provider = env.subject.provider();
    let sealed = provider.encrypt_direct(b"secret", &context()?).await?;
    for at in 0..sealed.len() {
        let opened = provider.decrypt_direct(&flip(&sealed, at), &context()?).await;
        must_fail(&format!("byte {at} flipped"), opened, DAMAGED)?;
        let cut = sealed.get(..at).unwrap_or_default();
        let opened = provider.decrypt_direct(cut, &context()?).await;
        must_fail(&format!("cut after {at} bytes"), opened, DAMAGED)?;
    }
    Ok(())
}

pub(super) async fn direct_reencrypts(env: &Env) -> Outcome {
    if !offers_direct(env) {
        return direct_round_trips(env).await;
    }
    let provider = env.subject.provider();
    let (from, to) = (context()?, Context::new().with_key("suite", "moved")?);
    let sealed = provider.encrypt_direct(b"secret", &from).await?;
    let moved = provider.reencrypt_direct(&sealed, &from, &to).await?;
    check!(*provider.decrypt_direct(&moved, &to).await? == *b"secret", "it came back changed");
    check!(*provider.decrypt_direct(&sealed, &from).await? == *b"secret", "the old one is spoilt");
    must_fail("under the old context", provider.decrypt_direct(&moved, &from).await, DAMAGED)?;
    let stays = provider.reencrypt_direct(&moved, &to, &to).await?;
    check!(*provider.decrypt_direct(&stays, &to).await? == *b"secret", "the same context");
    let payload = provider.encrypt(b"secret", from.all()).await?;
    let again = provider.reencrypt(&payload, to.all(), to.all()).await;
    must_fail("out of a context that it is not in", again, &[ErrorKind::NotAuthentic])?;
    let (_, wrapped) = provider.generate_data_key(from.all()).await?;
    let again = provider.reencrypt(&wrapped, from.all(), to.all()).await;
    must_fail("a wrapped data key", again, &[ErrorKind::NotAuthentic])?;
    let again = env.other.provider().reencrypt_direct(&sealed, &from, &to).await;
    must_fail("by another key", again, &[ErrorKind::NoRecipient])
}

pub(super) async fn data_key_as_payload(env: &Env) -> Outcome {
    let provider = env.subject.provider();
    for context in [EncryptionContext::new(), context()?.key().clone()] {
        let (_, wrapped) = provider.generate_data_key(&context).await?;
        let opened = provider.decrypt(&wrapped, &context).await;
        let kinds = [ErrorKind::NotAuthentic, ErrorKind::Unsupported];
        must_fail("a wrapped data key, decrypted", opened, &kinds)?;
    }
    Ok(())
}

pub(super) async fn payload_as_data_key(env: &Env) -> Outcome {
    if !offers_direct(env) {
        return direct_round_trips(env).await;
    }
    let provider = env.subject.provider();
    let context = EncryptionContext::new();
    for len in [16, 31, 32, 33, 64] {
        let payload = provider.encrypt(&plaintext(len), &context).await?;
        let unwrapped = provider.unwrap_data_key(&payload, &context).await;
        let what = format!("a payload of {len} bytes, unwrapped");
        must_fail(&what, unwrapped, &[ErrorKind::NotAuthentic])?;
    }
    Ok(())
}
