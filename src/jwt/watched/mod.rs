//! Claims read once: what a verifier must know of them is seen while a caller's type takes them.
//!
//! Reading a token's claims twice, once for the rules and once for the caller, takes longer than all else but the
//! signature. Here every value passes through a [`Watched`] on its way to the caller's type: names that occur twice and
//! nesting are found, registered claims are written down, and what is checked is what is used. Whatever is unusual (a
//! type that skips, renames or rebuilds the JSON beneath serde) leaves it in doubt, and in doubt the claims are
//! read twice, as if this were not here.

mod access;
#[cfg(test)]
mod tests;

use std::{
    borrow::Cow,
    cell::{Cell, RefCell},
    fmt,
};

use serde::de::{
    self, Deserialize, DeserializeSeed, Deserializer, EnumAccess, MapAccess, SeqAccess, Visitor,
};

use self::access::Members;
use super::{RegisteredClaim, date::NumericDate, registered::Registered, strict::MAX_DEPTH};

/// Types that serde_json reads in ways of its own have names that begin with this.
const PRIVATE: &str = "$serde_json::private::";

/// Claims of the caller's type, with the registered ones beside them; `None` if anything at all is wrong with them or
/// in doubt.
pub(super) fn read<'de, C: Deserialize<'de>>(json: &'de [u8]) -> Option<(C, Registered<'de>)> {
    let watch = Watch::default();
    // Once for all strings.
    let json = std::str::from_utf8(json).ok()?;
    let mut reader = serde_json::Deserializer::from_str(json);
    let claims = C::deserialize(watch.of(&mut reader, Place::Payload)).ok()?;
    reader.end().ok()?;
    let certain = watch.read_object.get() && watch.open.get() == 0 && !watch.in_doubt.get();
    certain.then(|| (claims, watch.seen.into_inner()))
}

#[derive(Default)]
struct Watch<'de> {
    seen: RefCell<Registered<'de>>,
    /// The last name of a member.
    name: RefCell<Option<Cow<'de, str>>>,
    in_doubt: Cell<bool>,
    read_object: Cell<bool>,
    /// Objects of which there is more to come.
    open: Cell<usize>,
}

/// What a value is in the payload.
#[derive(Clone, Copy)]
enum Place {
    Payload,
    Claim(RegisteredClaim),
    Audience,
    Name,
    /// Any other, and how many more levels there may be.
    Inside(usize),
    /// The name of an enum's variant, which is a member's name or a string.
    Variant,
}

impl<'de> Watch<'de> {
    fn of<T>(&self, inner: T, place: Place) -> Watched<'_, 'de, T> {
        Watched { inner, watch: self, place }
    }

    fn doubt(&self) {
        self.in_doubt.set(true);
    }
}

/// A deserializer, a visitor or a seed of somebody else's, looked through.
struct Watched<'w, 'de, T> {
    inner: T,
    watch: &'w Watch<'de>,
    place: Place,
}

impl<'w, 'de, T> Watched<'w, 'de, T> {
    fn of<U>(&self, inner: U) -> Watched<'w, 'de, U> {
        self.watch.of(inner, self.place)
    }

    fn number(&self, seconds: f64) {
        let Some(date) = NumericDate::from_seconds(seconds) else { return self.watch.doubt() };
        let mut seen = self.watch.seen.borrow_mut();
        match self.place {
            Place::Claim(RegisteredClaim::Exp) => seen.exp = Some(date),
            Place::Claim(RegisteredClaim::Nbf) => seen.nbf = Some(date),
            Place::Claim(RegisteredClaim::Iat) => seen.iat = Some(date),
            Place::Inside(_) => {}
            _ => self.watch.doubt(),
        }
    }

    /// A number where it is no date.
    fn is_inside(&self) -> bool {
        matches!(self.place, Place::Inside(_))
    }

    fn text(&self, text: impl FnOnce() -> Cow<'de, str>) {
        let mut seen = self.watch.seen.borrow_mut();
        match self.place {
            Place::Name => *self.watch.name.borrow_mut() = Some(text()),
            Place::Claim(RegisteredClaim::Iss) => seen.iss = Some(text()),
            Place::Claim(RegisteredClaim::Aud) => seen.aud.get_or_insert_default().push(text()),
            Place::Audience => seen.aud.get_or_insert_default().push(text()),
            Place::Claim(RegisteredClaim::Sub | RegisteredClaim::Jti)
            | Place::Inside(_)
            | Place::Variant => {}
            Place::Claim(_) | Place::Payload => self.watch.doubt(),
        }
    }

    /// What is neither a number nor text, nor holds other values.
    fn other(&self) {
        if !self.is_inside() {
            self.watch.doubt();
        }
    }

    /// Where the values are that an array here, or an object's unregistered members, hold.
    fn inner_place<E: de::Error>(&self) -> Result<Place, E> {
        let left = match self.place {
            Place::Payload => return Ok(Place::Inside(MAX_DEPTH - 1)),
            Place::Inside(left) => left.checked_sub(1),
            _ => None,
        };
        left.map(Place::Inside).ok_or_else(|| E::custom("nested too deeply, or no claim"))
    }
}

macro_rules! deserialize {
    ($($method:ident($($arg:ident: $type:ty),*);)+) => {$(
        fn $method<V: Visitor<'de>>(self, $($arg: $type,)* visitor: V) -> Result<V::Value, D::Error> {
            let visitor = self.of(visitor);
            self.inner.$method($($arg,)* visitor)
        }
    )+};
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Watched<'_, 'de, D> {
    type Error = D::Error;

    deserialize! {
        deserialize_any();
        deserialize_bool();
        deserialize_i8();
        deserialize_i16();
        deserialize_i32();
        deserialize_i64();
        deserialize_i128();
        deserialize_u8();
        deserialize_u16();
        deserialize_u32();
        deserialize_u64();
        deserialize_u128();
        deserialize_f32();
        deserialize_f64();
        deserialize_char();
        deserialize_str();
        deserialize_string();
        deserialize_bytes();
        deserialize_byte_buf();
        deserialize_option();
        deserialize_unit();
        deserialize_unit_struct(name: &'static str);
        deserialize_seq();
        deserialize_tuple(len: usize);
        deserialize_tuple_struct(name: &'static str, len: usize);
        deserialize_map();
        deserialize_struct(name: &'static str, fields: &'static [&'static str]);
        deserialize_enum(name: &'static str, variants: &'static [&'static str]);
        deserialize_identifier();
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        if name.starts_with(PRIVATE) {
            self.watch.doubt();
        }
        let visitor = self.of(visitor);
        self.inner.deserialize_newtype_struct(name, visitor)
    }

    /// What the caller has no use for is looked at all the same.
    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.deserialize_any(visitor)
    }

    fn is_human_readable(&self) -> bool {
        self.inner.is_human_readable()
    }
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Watched<'_, 'de, V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.expecting(f)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<V::Value, E> {
        self.other();
        self.inner.visit_bool(value)
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<V::Value, E> {
        if !self.is_inside() {
            #[allow(clippy::cast_precision_loss, reason = "as serde_json does it")]
            self.number(value as f64);
        }
        self.inner.visit_i64(value)
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<V::Value, E> {
        if !self.is_inside() {
            #[allow(clippy::cast_precision_loss, reason = "as serde_json does it")]
            self.number(value as f64);
        }
        self.inner.visit_u64(value)
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<V::Value, E> {
        if !self.is_inside() {
            self.number(value);
        }
        self.inner.visit_f64(value)
    }

    fn visit_i128<E: de::Error>(self, value: i128) -> Result<V::Value, E> {
        self.other();
        self.inner.visit_i128(value)
    }

    fn visit_u128<E: de::Error>(self, value: u128) -> Result<V::Value, E> {
        self.other();
        self.inner.visit_u128(value)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<V::Value, E> {
        self.text(|| Cow::Owned(text.to_owned()));
        self.inner.visit_str(text)
    }

    fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<V::Value, E> {
        self.text(|| Cow::Borrowed(text));
        self.inner.visit_borrowed_str(text)
    }

    fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<V::Value, E> {
        self.other();
        self.inner.visit_bytes(bytes)
    }

    fn visit_borrowed_bytes<E: de::Error>(self, bytes: &'de [u8]) -> Result<V::Value, E> {
        self.other();
        self.inner.visit_borrowed_bytes(bytes)
    }

    fn visit_none<E: de::Error>(self) -> Result<V::Value, E> {
        self.other();
        self.inner.visit_none()
    }

    fn visit_some<D: Deserializer<'de>>(self, inner: D) -> Result<V::Value, D::Error> {
        let inner = self.of(inner);
        self.inner.visit_some(inner)
    }

    fn visit_unit<E: de::Error>(self) -> Result<V::Value, E> {
        self.other();
        self.inner.visit_unit()
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<V::Value, D::Error> {
        let inner = self.of(inner);
        self.inner.visit_newtype_struct(inner)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, inner: A) -> Result<V::Value, A::Error> {
        let elements = match self.place {
            Place::Claim(RegisteredClaim::Aud) => {
                self.watch.seen.borrow_mut().aud.get_or_insert_default();
                Place::Audience
            }
            Place::Inside(_) => self.inner_place()?,
            _ => return Err(de::Error::custom("an array where none can be")),
        };
        self.inner.visit_seq(self.watch.of(inner, elements))
    }

    fn visit_map<A: MapAccess<'de>>(self, inner: A) -> Result<V::Value, A::Error> {
        let is_payload = matches!(self.place, Place::Payload);
        self.watch.read_object.set(self.watch.read_object.get() || is_payload);
        let others = self.inner_place()?;
        self.watch.open.update(|open| open + 1);
        self.inner.visit_map(Members::new(inner, self.watch, is_payload, others))
    }

    fn visit_enum<A: EnumAccess<'de>>(self, inner: A) -> Result<V::Value, A::Error> {
        // Whether it is text or an object is not told.
        if !matches!(self.place, Place::Inside(1..)) {
            self.watch.doubt();
        }
        self.inner.visit_enum(self.watch.of(inner, self.place))
    }
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Watched<'_, 'de, S> {
    type Value = S::Value;

    fn deserialize<D: Deserializer<'de>>(self, inner: D) -> Result<S::Value, D::Error> {
        let inner = self.of(inner);
        self.inner.deserialize(inner)
    }
}
