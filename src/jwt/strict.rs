//! JSON that means one thing: no member twice in an object, at any depth, and no deep nesting.
//!
//! Parsers differ in which of two members of one name they keep, which lets a token mean one thing
//! to who checks it and another to who uses it (RFC 8725, section 2.4; RFC 7515, section 4).

use std::{borrow::Cow, cell::Cell, fmt};

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use smallvec::SmallVec;

use super::InvalidToken;

/// Objects and arrays within each other, the outermost included.
pub(super) const MAX_DEPTH: usize = 16;

/// Up to so many names, comparing each with each takes less than sorting them.
const FEW: usize = 16;

/// What is done with the members of the outermost object.
pub(super) trait Members<'de> {
    /// Takes the value of `name` from `map` and says true, or leaves it there.
    fn member<A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<bool, A::Error>;
}

/// Reads a JSON object, and nothing behind it.
pub(super) fn object<'de>(
    json: &'de [u8],
    members: &mut impl Members<'de>,
) -> Result<(), InvalidToken> {
    let fault = Cell::new(InvalidToken::Json);
    // Once for all strings.
    let json = std::str::from_utf8(json).map_err(|_| InvalidToken::Json)?;
    let mut reader = serde_json::Deserializer::from_str(json);
    let read = reader.deserialize_map(Object { members, fault: &fault });
    read.and_then(|()| reader.end()).map_err(|_| fault.get())
}

/// Whether a value may be a member of an object: it and what is in it are not nested too deeply.
pub(super) fn is_shallow(member: &Value) -> bool {
    fn fits(value: &Value, left: usize) -> bool {
        match (value, left.checked_sub(1)) {
            (Value::Array(all), Some(left)) => all.iter().all(|value| fits(value, left)),
            (Value::Object(all), Some(left)) => all.values().all(|value| fits(value, left)),
            (Value::Array(_) | Value::Object(_), None) => false,
            _ => true,
        }
    }
    fits(member, MAX_DEPTH - 1)
}

/// Checks a JSON object of which nothing is kept.
pub(super) fn check(json: &[u8]) -> Result<(), InvalidToken> {
    struct None;

    impl<'de> Members<'de> for None {
        fn member<A: MapAccess<'de>>(&mut self, _: &str, _: &mut A) -> Result<bool, A::Error> {
            Ok(false)
        }
    }

    object(json, &mut None)
}

/// A string, borrowed where it has no escapes.
pub(super) struct Text;

impl<'de> DeserializeSeed<'de> for Text {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Text {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(text.to_owned()))
    }
}

struct Object<'a, M> {
    members: &'a mut M,
    fault: &'a Cell<InvalidToken>,
}

impl<'de, M: Members<'de>> Visitor<'de> for Object<'_, M> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self { members, fault } = self;
        let mut names = Names::new();
        while let Some(name) = map.next_key_seed(Text)? {
            if !members.member(&name, &mut map)? {
                map.next_value_seed(Any { left: MAX_DEPTH - 1, fault })?;
            }
            names.push(name);
        }
        names.unique(fault)
    }
}

/// Any value, checked and dropped.
#[derive(Clone, Copy)]
struct Any<'a> {
    /// How many more levels there may be.
    left: usize,
    fault: &'a Cell<InvalidToken>,
}

impl Any<'_> {
    fn inner<E: serde::de::Error>(self) -> Result<Self, E> {
        match self.left.checked_sub(1) {
            Some(left) => Ok(Self { left, ..self }),
            None => {
                self.fault.set(InvalidToken::TooDeep);
                Err(E::custom("nested too deeply"))
            }
        }
    }
}

impl<'de> DeserializeSeed<'de> for Any<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Any<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let inner = self.inner()?;
        while seq.next_element_seed(inner)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let inner = self.inner()?;
        let mut names = Names::new();
        while let Some(name) = map.next_key_seed(Text)? {
            map.next_value_seed(inner)?;
            names.push(name);
        }
        names.unique(self.fault)
    }
}

/// The names of one object's members, escapes undone.
pub(super) struct Names<'de>(SmallVec<[Cow<'de, str>; FEW]>);

impl<'de> Names<'de> {
    pub(super) fn new() -> Self {
        Self(SmallVec::new())
    }

    pub(super) fn push(&mut self, name: Cow<'de, str>) {
        self.0.push(name);
    }

    fn unique<E: serde::de::Error>(mut self, fault: &Cell<InvalidToken>) -> Result<(), E> {
        if self.has_one_twice() {
            fault.set(InvalidToken::DuplicateMember);
            return Err(E::custom("a member occurs twice"));
        }
        Ok(())
    }

    /// Those that are many lose their order.
    pub(super) fn has_one_twice(&mut self) -> bool {
        if self.0.len() <= FEW {
            let mut rest = self.0.as_slice();
            while let Some((name, others)) = rest.split_first() {
                if others.contains(name) {
                    return true;
                }
                rest = others;
            }
            return false;
        }
        // Sorted, so that an object of thousands of members costs no millions of comparisons.
        self.0.sort_unstable();
        self.0.array_windows().any(|[a, b]| a == b)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_occurs_once_in_each_object() {
        for good in ["{}", r#"{"a":{"b":1},"b":[{"a":1},{"a":2}]}"#, " { \"a\" : -1.5e3 }\n"] {
            assert_eq!(check(good.as_bytes()), Ok(()), "{good}");
        }
        for twice in [
            r#"{"a":1,"b":2,"a":1}"#,
            r#"{"a":1,"\u0061":2}"#,
            r#"{"x":{"a":1,"a":2}}"#,
            r#"{"x":[[{"a":null,"a":null}]]}"#,
        ] {
            assert_eq!(check(twice.as_bytes()), Err(InvalidToken::DuplicateMember), "{twice}");
        }
    }

    #[test]
    fn a_name_occurs_once_among_few_and_many() {
        for n in [2, FEW, FEW + 1, 3 * FEW] {
            let names: Vec<_> = (0..n).map(|i| format!("\"m{i}\":1")).collect();
            let object = |names: &[String]| format!("{{{}}}", names.join(","));
            assert_eq!(check(object(&names).as_bytes()), Ok(()), "{n}");
            for (first, second) in [(0, n - 1), (n / 2, n / 2), (n - 1, 0)] {
                let mut names = names.clone();
                let again = names[first].clone();
                names.insert(second, again);
                let found = check(object(&names).as_bytes());
                assert_eq!(found, Err(InvalidToken::DuplicateMember), "{n}: {first}, {second}");
            }
        }
    }

    #[test]
    fn depth_has_a_limit() {
        let nested = |n: usize| format!("{{\"a\":{}{}}}", "[".repeat(n), "]".repeat(n));
        assert_eq!(check(nested(MAX_DEPTH - 1).as_bytes()), Ok(()));
        assert_eq!(check(nested(MAX_DEPTH).as_bytes()), Err(InvalidToken::TooDeep));
        assert_eq!(check(nested(100_000).as_bytes()), Err(InvalidToken::TooDeep));
        for n in 0..2 * MAX_DEPTH {
            for (opens, closes) in [("[", "]"), ("{\"a\":", "}")] {
                let value = format!("{}1{}", opens.repeat(n), closes.repeat(n));
                let is_shallow = is_shallow(&serde_json::from_str(&value).unwrap());
                assert_eq!(is_shallow, check(format!("{{\"a\":{value}}}").as_bytes()).is_ok());
            }
        }
    }

    #[test]
    fn it_is_one_object_of_json() {
        for bad in [
            "",
            "[]",
            "\"a\"",
            "1",
            "null",
            "{} {}",
            "{}x",
            "{\"a\":1,}",
            "{'a':1}",
            "{\"a\":01}",
            "{\"a\":NaN}",
            "{\"a\":1e999}",
            "{\"a\":\"\\ud800\"}",
            "\u{feff}{}",
        ] {
            assert_eq!(check(bad.as_bytes()), Err(InvalidToken::Json), "{bad}");
        }
        assert_eq!(check(b"{\"a\":\"\xff\"}"), Err(InvalidToken::Json));
    }

    #[test]
    fn many_members_are_checked_fast() {
        let members: Vec<_> = (0..200_000).map(|i| format!("\"{i}\":1")).collect();
        let begun = std::time::Instant::now();
        assert_eq!(check(format!("{{{}}}", members.join(",")).as_bytes()), Ok(()));
        assert!(begun.elapsed().as_secs() < 5, "quadratic would take minutes");
    }
}
