//! What holds other values: arrays, objects and variants of enums.

use serde::de::{self, DeserializeSeed, EnumAccess, MapAccess, SeqAccess, VariantAccess, Visitor};

use super::{Place, Watch, Watched};
use crate::jwt::{RegisteredClaim, strict::Names};

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Watched<'_, 'de, A> {
    type Error = A::Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, A::Error> {
        let seed = self.of(seed);
        self.inner.next_element_seed(seed)
    }

    fn size_hint(&self) -> Option<usize> {
        self.inner.size_hint()
    }
}

/// The members of an object, on their way.
pub(super) struct Members<'w, 'de, A> {
    inner: A,
    watch: &'w Watch<'de>,
    is_payload: bool,
    /// Where values of unregistered members are.
    others: Place,
    /// Where the next value is.
    value: Place,
    names: Names<'de>,
}

impl<'w, 'de, A> Members<'w, 'de, A> {
    pub(super) fn new(inner: A, watch: &'w Watch<'de>, is_payload: bool, others: Place) -> Self {
        Self { inner, watch, is_payload, others, value: others, names: Names::new() }
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Members<'_, 'de, A> {
    type Error = A::Error;

    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, A::Error> {
        let key = self.inner.next_key_seed(self.watch.of(seed, Place::Name))?;
        if key.is_none() {
            if self.names.has_one_twice() {
                return Err(de::Error::custom("a member occurs twice"));
            }
            self.watch.open.update(|open| open.saturating_sub(1));
            return Ok(None);
        }
        let name = self.watch.name.borrow_mut().take();
        let name = name.ok_or_else(|| de::Error::custom("a name that is no text"))?;
        let claim = if self.is_payload { RegisteredClaim::parse(&name) } else { None };
        self.value = claim.map_or(self.others, Place::Claim);
        self.names.push(name);
        Ok(key)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        self.inner.next_value_seed(self.watch.of(seed, self.value))
    }

    fn size_hint(&self) -> Option<usize> {
        self.inner.size_hint()
    }
}

impl<'w, 'de, A: EnumAccess<'de>> EnumAccess<'de> for Watched<'w, 'de, A> {
    type Error = A::Error;
    type Variant = Watched<'w, 'de, A::Variant>;

    fn variant_seed<S: DeserializeSeed<'de>>(
        self,
        seed: S,
    ) -> Result<(S::Value, Self::Variant), A::Error> {
        let seed = self.watch.of(seed, Place::Variant);
        let (value, variant) = self.inner.variant_seed(seed)?;
        Ok((value, self.watch.of(variant, self.place)))
    }
}

/// What a variant holds is a member of an object, one level further in.
impl<'de, A: VariantAccess<'de>> VariantAccess<'de> for Watched<'_, 'de, A> {
    type Error = A::Error;

    fn unit_variant(self) -> Result<(), A::Error> {
        self.inner.unit_variant()
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, A::Error> {
        let place = self.inner_place()?;
        self.inner.newtype_variant_seed(self.watch.of(seed, place))
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, A::Error> {
        let place = self.inner_place()?;
        self.inner.tuple_variant(len, self.watch.of(visitor, place))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        let place = self.inner_place()?;
        self.inner.struct_variant(fields, self.watch.of(visitor, place))
    }
}
