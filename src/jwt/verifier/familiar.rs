//! Headers that were seen before.

use std::{hash::BuildHasher, sync::Arc};

use arc_swap::ArcSwapOption;
use foldhash::fast::RandomState;

use crate::jwt::header::JoseHeader;

/// How many headers are kept, each in the one place that its hash says.
const PLACES: usize = 8;

/// A header that is longer than this, encoded, is not kept.
const MAX_LEN: usize = 512;

/// What headers of tokens that were authentic say, by their encoded text. The tokens of one key have the
/// same header, so it is decoded and read for the first of them. What a header says follows from its text
/// alone: nothing else about a token is remembered.
pub(super) struct Familiar {
    places: [ArcSwapOption<Known>; PLACES],
    hasher: RandomState,
}

struct Known {
    text: Box<str>,
    header: JoseHeader,
}

impl Familiar {
    pub(super) fn new() -> Self {
        Self { places: Default::default(), hasher: RandomState::default() }
    }

    pub(super) fn find(&self, text: &str) -> Option<JoseHeader> {
        let known = self.place(text)?.load();
        known.as_ref().filter(|known| *known.text == *text).map(|known| known.header.clone())
    }

    /// Only for headers of authentic tokens: others are anybody's, and would drive those out.
    pub(super) fn keep(&self, text: &str, header: &JoseHeader) {
        if let Some(place) = self.place(text) {
            let known = Known { text: text.into(), header: header.clone() };
            place.store(Some(Arc::new(known)));
        }
    }

    fn place(&self, text: &str) -> Option<&ArcSwapOption<Known>> {
        if text.len() > MAX_LEN {
            return None;
        }
        let hash = self.hasher.hash_one(text);
        self.places.get(usize::try_from(hash % PLACES as u64).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(kid: &str) -> JoseHeader {
        JoseHeader::parse(format!(r#"{{"alg":"ES256","kid":"{kid}"}}"#).into()).unwrap()
    }

    #[test]
    fn a_header_is_found_by_its_whole_text() {
        let familiar = Familiar::new();
        assert!(familiar.find("a").is_none());
        for n in 0..100 {
            familiar.keep(&format!("text {n}"), &header(&n.to_string()));
            assert_eq!(familiar.find(&format!("text {n}")).unwrap().kid(), Some(&*n.to_string()));
        }
        let found = (0..100).filter_map(|n| {
            let found = familiar.find(&format!("text {n}"))?;
            assert_eq!(found.kid(), Some(&*n.to_string()));
            Some(n)
        });
        assert!((1..=PLACES).contains(&found.count()));
        assert!(familiar.find("text").is_none());
    }

    #[test]
    fn a_long_one_is_not_kept() {
        let familiar = Familiar::new();
        let (long, longer) = ("x".repeat(MAX_LEN), "x".repeat(MAX_LEN + 1));
        familiar.keep(&long, &header("long"));
        assert!(familiar.find(&long).is_some());
        familiar.keep(&longer, &header("longer"));
        assert!(familiar.find(&longer).is_none());
    }
}
