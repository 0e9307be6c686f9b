//! Values as CBOR (RFC 8949), within bounds.

use std::io::{self, Write};

use bulla::{Error, ErrorKind, Result};
use serde::{Serialize, de::DeserializeOwned};
use zeroize::Zeroizing;

use super::ValueBounds;

/// The bytes of a value, in memory that is wiped.
pub(super) fn encode<T: Serialize>(value: &T, bounds: &ValueBounds) -> Result<Zeroizing<Vec<u8>>> {
    let mut out = Bounded { bytes: Zeroizing::default(), most: bounds.max_len, exceeded: false };
    match ciborium::into_writer(value, &mut out) {
        Ok(()) => Ok(out.bytes),
        Err(_) if out.exceeded => Err(Error::new(
            ErrorKind::QuotaExceeded,
            format!("the value has more than {} bytes as CBOR", bounds.max_len),
        )),
        // What serde says may quote the value.
        Err(_) => Err(Error::new(ErrorKind::InvalidInput, "the value can't be written as CBOR")),
    }
}

/// The value of these bytes, if they are one and nothing else.
///
/// # Errors
/// [`QuotaExceeded`](ErrorKind::QuotaExceeded) beyond the bounds, [`Damaged`](ErrorKind::Damaged) for whatever is no
/// such value. None of them quotes it.
pub(super) fn decode<T: DeserializeOwned>(bytes: &[u8], bounds: &ValueBounds) -> Result<T> {
    bounds.check_len(bytes.len())?;
    let mut rest = bytes;
    let value = ciborium::de::from_reader_with_recursion_limit(&mut rest, bounds.max_depth)
        .map_err(|error| match error {
            ciborium::de::Error::RecursionLimitExceeded => Error::new(
                ErrorKind::QuotaExceeded,
                format!("the value is nested deeper than {} levels", bounds.max_depth),
            ),
            ciborium::de::Error::Semantic(..) => damaged(
                "the value is authentic, and does not fit its type: was the type changed under the same name?",
            ),
            _ => damaged("the value is authentic, and is no CBOR"),
        })?;
    if rest.is_empty() { Ok(value) } else { Err(damaged("something stands behind the value")) }
}

fn damaged(text: &'static str) -> Error {
    Error::new(ErrorKind::Damaged, text)
}

/// Takes so many bytes, and leaves no copy behind where it grows.
struct Bounded {
    bytes: Zeroizing<Vec<u8>>,
    most: usize,
    exceeded: bool,
}

impl Write for Bounded {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        let len = self.bytes.len().saturating_add(piece.len());
        if len > self.most {
            self.exceeded = true;
            return Err(io::ErrorKind::StorageFull.into());
        }
        if len > self.bytes.capacity() {
            let mut larger = Vec::with_capacity(len.next_power_of_two().max(256));
            larger.extend_from_slice(&self.bytes);
            self.bytes = Zeroizing::new(larger); // dropping the old one wipes it
        }
        self.bytes.extend_from_slice(piece);
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use serde::Deserialize;

    use super::*;

    fn bounds() -> ValueBounds {
        ValueBounds::default()
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Card {
        number: String,
        year: u16,
    }

    fn kind<T>(result: Result<T>) -> ErrorKind {
        result.err().unwrap().kind()
    }

    #[test]
    fn errors_do_not_quote_the_value() {
        let bytes = encode(&("4711-4712-4713", "secret"), &bounds()).unwrap();
        for error in [
            decode::<(u32, u32)>(&bytes, &bounds()).unwrap_err(),
            decode::<Card>(&bytes, &bounds()).unwrap_err(),
            decode::<BTreeMap<String, u8>>(
                &encode(&BTreeMap::from([("secret", 4711)]), &bounds()).unwrap(),
                &bounds(),
            )
            .unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::Damaged);
            let said = format!("{error} {error:?}");
            assert!(!said.contains("4711") && !said.contains("secret"), "{said}");
        }
    }

    #[test]
    fn depth_and_length_are_bounded() {
        let small = ValueBounds::default().max_len(10);
        assert!(encode(&vec![0_u8; 9], &small).is_ok());
        assert_eq!(kind(encode(&vec![0_u8; 10], &small)), ErrorKind::QuotaExceeded);
        assert_eq!(kind(decode::<Vec<u8>>(&[0x80; 11], &small)), ErrorKind::QuotaExceeded);
        let deep = [vec![0x81; 100_000], vec![0]].concat();
        let wide = ValueBounds::default().max_len(1 << 20);
        assert_eq!(kind(decode::<ciborium::Value>(&deep, &wide)), ErrorKind::QuotaExceeded);
        // A length that nobody has the bytes for sets nothing aside for it.
        for claim in [
            &[0x9b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff][..],
            &[0x5b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
            &[0x7b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
            &[0xbb, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
        ] {
            assert_eq!(kind(decode::<ciborium::Value>(claim, &bounds())), ErrorKind::Damaged);
            assert_eq!(kind(decode::<Vec<u64>>(claim, &bounds())), ErrorKind::Damaged);
        }
    }

    #[test]
    fn it_is_one_value_and_nothing_else() {
        assert_eq!(decode::<u8>(&[7], &bounds()).unwrap(), 7);
        for bad in [&[][..], &[7, 7], &[0x18], &[0xff], &[0x1c]] {
            assert_eq!(kind(decode::<u8>(bad, &bounds())), ErrorKind::Damaged, "{bad:x?}");
        }
    }

    proptest! {
        #[test]
        fn there_and_back(number: String, year: u16) {
            let card = Card { number, year };
            let bytes = encode(&card, &bounds()).unwrap();
            prop_assert_eq!(decode::<Card>(&bytes, &bounds()).unwrap(), card);
        }

        #[test]
        fn any_bytes_are_a_value_or_an_error(bytes: Vec<u8>) {
            drop(decode::<ciborium::Value>(&bytes, &bounds()));
            drop(decode::<Card>(&bytes, &bounds()));
        }
    }
}
