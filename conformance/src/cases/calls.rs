//! The provider's own manners.

use std::{sync::Arc, time::Duration};

use bulla::{
    EncryptionContext, ErrorKind, KeyName, SigningAlgorithm, SigningInput, Wrapped,
    format::Suite,
    key::{KeyState, WrapAlgorithm},
    provider::ContextBinding,
};
use futures_util::future::join_all;

use crate::case::{Env, Failure, Outcome, check, context, must_fail, plaintext};

pub(super) async fn capabilities(env: &Env) -> Outcome {
    let provider = env.subject.provider();
    let capabilities = provider.capabilities();
    let context = EncryptionContext::new();
    check!(!provider.label().is_empty(), "the label is empty");
    check!(
        capabilities.data_keys != ContextBinding::Refused,
        "the suite needs a provider with data keys"
    );
    let name = provider.sealing_key().ok_or_else(|| Failure("no sealing key".to_owned()))?;
    let policy =
        provider.opens(name).ok_or_else(|| Failure("it does not open what it seals".to_owned()))?;
    let (_, wrapped) = provider.generate_data_key(&context).await?;
    check!(wrapped.key == *name, "sealed to {} and not to {name}", wrapped.key);
    check!(wrapped.algorithm == policy.algorithm, "the wrap is not what the key does");
    check!(
        policy.authenticates == capabilities.wrap_authenticates,
        "policy and capabilities differ"
    );
    check!(
        (1..=capabilities.max_wrapped_len).contains(&wrapped.blob.len()),
        "a wrap of {} bytes, {} announced",
        wrapped.blob.len(),
        capabilities.max_wrapped_len
    );
    check!(provider.is_current(&wrapped), "a fresh wrap is not current");
    Ok(())
}

/// Whoever seals to two providers, or rewraps, asks this of each: who says no of its own key ends up
/// twice in a header, and who says yes of another's has that one's record replaced.
pub(super) async fn sealing_key(env: &Env) -> Outcome {
    let (provider, other) = (env.subject.provider(), env.other.provider());
    let no_key = || Failure("no sealing key".to_owned());
    let name = provider.sealing_key().ok_or_else(no_key)?;
    check!(provider.is_sealing_key(name), "its own sealing key {name} is not its sealing key");
    let of_other = other.sealing_key().ok_or_else(no_key)?;
    let unknown = KeyName::new(name.scheme().to_owned(), "no-such-key")?;
    let elsewhere = KeyName::new("elsewhere", name.id().to_owned())?;
    for not_its_own in [of_other, &unknown, &elsewhere] {
        let taken = provider.is_sealing_key(not_its_own);
        check!(!taken, "{not_its_own} is taken for its sealing key {name}");
    }
    Ok(())
}

pub(super) async fn error_kinds(env: &Env) -> Outcome {
    let provider = env.subject.provider();
    let context = EncryptionContext::new();
    let (_, good) = provider.generate_data_key(&context).await?;
    let unknown = KeyName::new(good.key.scheme().to_owned(), "no-such-key")?;
    let named = |key: &KeyName| Wrapped { key: key.clone(), ..good.clone() };
    let unwrapped = provider.unwrap_data_key(&named(&unknown), &context).await;
    must_fail("a key that is not on the list", unwrapped, &[ErrorKind::NoRecipient])?;
    let opened = provider.decrypt(&named(&unknown), &context).await;
    let kinds = [ErrorKind::NoRecipient, ErrorKind::Unsupported];
    must_fail("a payload of such a key", opened, &kinds)?;
    for blob in [vec![], vec![0], vec![0; 32], vec![0xff; 4096]] {
        let what = format!("{} bytes that are no wrap", blob.len());
        let unwrapped = provider.unwrap_data_key(&Wrapped { blob, ..good.clone() }, &context).await;
        must_fail(&what, unwrapped, &[ErrorKind::NotAuthentic])?;
    }
    let odd = Wrapped { algorithm: WrapAlgorithm::AesKwp, ..good.clone() };
    if good.algorithm != WrapAlgorithm::AesKwp {
        let unwrapped = provider.unwrap_data_key(&odd, &context).await;
        must_fail("another wrap algorithm", unwrapped, &[ErrorKind::NotAuthentic])?;
    }
    Ok(())
}

pub(super) async fn describes_itself(env: &Env) -> Outcome {
    let provider = env.subject.provider();
    provider.health().await?;
    let name = provider.sealing_key();
    let keys = provider.describe_keys().await;
    let own = keys.into_iter().find(|(key, _)| Some(key) == name);
    let (_, info) =
        own.ok_or_else(|| Failure("it does not describe its sealing key".to_owned()))?;
    let info = info?;
    check!(Some(&info.name) == name, "it describes {} by that name", info.name);
    check!(info.state == KeyState::Active, "its sealing key is {}", info.state);
    Ok(())
}

pub(super) async fn signatures(env: &Env) -> Outcome {
    let provider = env.subject.provider();
    if provider.capabilities().signing.is_empty() {
        let keys = provider.public_keys().await;
        return must_fail("public keys of no signing key", keys, &[ErrorKind::Unsupported]);
    }
    let keys = provider.public_keys().await?;
    let current = keys.iter().find(|key| key.current);
    let current = current.ok_or_else(|| Failure("no public key is current".to_owned()))?;
    check!(current.state == KeyState::Active, "the current public key is {}", current.state);
    check!(!current.spki.is_empty(), "the public key is empty");
    for algorithm in &provider.capabilities().signing {
        check!(current.algorithms.contains(algorithm), "{algorithm} is not the key's");
        let input = SigningInput::new(*algorithm, b"message");
        let signature = provider.sign(current, &input).await?;
        let len = signature.as_bytes().len();
        let expected = match algorithm {
            SigningAlgorithm::Es256 | SigningAlgorithm::Ed25519 => len == 64,
            SigningAlgorithm::Es384 => len == 96,
            SigningAlgorithm::Es512 => len == 132,
            _ => matches!(len, 256 | 384 | 512),
        };
        check!(expected, "a signature of {algorithm} has {len} bytes");
    }
    Ok(())
}

pub(super) async fn concurrency(env: &Env) -> Outcome {
    let one = |n: usize| async move {
        let plain = plaintext(n * 97);
        let sealed = env.subject.seal(Suite::default(), &plain, &context()?).await?;
        let opened = env.subject.open(&sealed, &context()?).await?;
        check!(*opened == *plain, "message {n} came back changed");
        Ok(())
    };
    join_all((0..64).map(one)).await.into_iter().collect()
}

pub(super) async fn cancellation(env: &Env) -> Outcome {
    let sealed = env.subject.seal(Suite::default(), b"secret", &context()?).await?;
    for wait in [0, 1, 50, 500] {
        let wait = Duration::from_micros(wait);
        let calls = (0..16).map(|_| async {
            let context = context()?;
            let seal = env.subject.seal(Suite::default(), b"secret", &context);
            let _: Result<_, _> = tokio::time::timeout(wait, seal).await;
            let open = env.subject.open(&sealed, &context);
            let _: Result<_, _> = tokio::time::timeout(wait, open).await;
            Ok(())
        });
        join_all(calls).await.into_iter().collect::<Outcome>()?;
    }
    // Polled once and dropped, which no timer may happen to do.
    let context = context()?;
    for _ in 0..16 {
        let mut seal = env.subject.seal(Suite::default(), b"secret", &context);
        let _: std::task::Poll<_> = futures_util::FutureExt::now_or_never(&mut seal)
            .map_or(std::task::Poll::Pending, std::task::Poll::Ready);
    }
    let again = async {
        let sealed = env.subject.seal(Suite::default(), b"secret", &context).await?;
        env.subject.open(&sealed, &context).await
    };
    let again = tokio::time::timeout(Duration::from_secs(60), again).await;
    let opened = again.map_err(|_| Failure("a dropped call blocks later ones".to_owned()))??;
    check!(&*opened == b"secret", "a dropped call changed a later one");
    Ok(())
}

/// Closes the second provider, which no case needs after this one.
pub(super) async fn closing(env: &Env) -> Outcome {
    let other = Arc::clone(&env.other);
    let provider = other.provider();
    let context = EncryptionContext::new();
    let (key, wrapped) = provider.generate_data_key(&context).await?;
    provider.close().await?;
    let closed = &[ErrorKind::Closed];
    must_fail("generate_data_key", provider.generate_data_key(&context).await, closed)?;
    must_fail("wrap_data_key", provider.wrap_data_key(&key, &context).await, closed)?;
    must_fail("unwrap_data_key", provider.unwrap_data_key(&wrapped, &context).await, closed)?;
    let direct = &[ErrorKind::Closed, ErrorKind::Unsupported];
    must_fail("encrypt", provider.encrypt(b"x", &context).await, direct)?;
    must_fail("decrypt", provider.decrypt(&wrapped, &context).await, direct)?;
    must_fail("public_keys", provider.public_keys().await, direct)?;
    must_fail("health", provider.health().await, closed)?;
    provider.close().await?;
    Ok(())
}
