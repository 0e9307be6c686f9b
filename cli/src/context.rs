//! `K=V` arguments as contexts.

use bulla::{Context, EncryptionContext};

use crate::failure::Outcome;

/// One `K=V` argument. The value may hold further `=`, and may be empty.
#[derive(Clone, Debug)]
pub(crate) struct Pair {
    key: String,
    value: String,
}

#[cfg(feature = "store")]
impl Pair {
    pub(crate) fn key(&self) -> &str {
        &self.key
    }

    pub(crate) fn value(&self) -> &str {
        &self.value
    }
}

impl std::str::FromStr for Pair {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('=') {
            Some(("", _)) => Err("the name before `=` is empty"),
            Some((key, value)) => Ok(Self { key: key.to_owned(), value: value.to_owned() }),
            None => Err("a pair is NAME=VALUE, such as tenant=acme"),
        }
    }
}

/// The context to seal under.
pub(crate) fn to_seal(stored: Vec<Pair>, unstored: Vec<Pair>) -> Outcome<Context> {
    Ok(Context::from_parts(to_open(stored)?, to_open(unstored)?)?)
}

/// The pairs to open under, of both kinds.
pub(crate) fn to_open(pairs: Vec<Pair>) -> Outcome<EncryptionContext> {
    Ok(EncryptionContext::from_pairs(pairs.into_iter().map(|p| (p.key, p.value)))?)
}

/// What `given` adds to the pairs that a header stores.
///
/// # Errors
/// A pair that contradicts a stored one: whoever gives a pair wants it held to.
pub(crate) fn beyond(
    stored: &EncryptionContext,
    given: &EncryptionContext,
) -> Outcome<EncryptionContext> {
    let mut unstored = EncryptionContext::new();
    for (key, value) in given.iter() {
        match stored.get(key) {
            None => unstored.insert(key, value)?,
            Some(same) if same == value => {}
            Some(_) => {
                return Err(bulla::Error::new(
                    bulla::ErrorKind::ContextMismatch,
                    "a pair given has another value in the stored context",
                )
                .into());
            }
        }
    }
    Ok(unstored)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(texts: &[&str]) -> Vec<Pair> {
        texts.iter().map(|t| t.parse().unwrap()).collect()
    }

    #[test]
    fn the_first_equals_sign_splits() {
        let context = to_open(pairs(&["a=b=c", "empty="])).unwrap();
        assert_eq!(context.get("a"), Some("b=c"));
        assert_eq!(context.get("empty"), Some(""));
        assert!("=x".parse::<Pair>().is_err());
        assert!("x".parse::<Pair>().is_err());
        assert!("".parse::<Pair>().is_err());
    }

    #[test]
    fn stored_pairs_may_be_repeated_and_not_contradicted() {
        let stored = to_open(pairs(&["tenant=acme"])).unwrap();
        let given = to_open(pairs(&["tenant=acme", "row=7"])).unwrap();
        assert_eq!(beyond(&stored, &given).unwrap(), to_open(pairs(&["row=7"])).unwrap());
        let other = to_open(pairs(&["tenant=other"])).unwrap();
        let failure = beyond(&stored, &other).unwrap_err();
        assert!(format!("{failure:?}").contains("ContextMismatch"));
    }
}
