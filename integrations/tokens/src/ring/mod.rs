//! Signing keys that are made, published, sign, retire and go, and the times between.
//!
//! A key that signs before verifiers know it has its tokens refused, and so has one that is gone from the
//! set while a token of it is valid. A [`Ring`] keeps both from happening: a key is [published](Phase), signs
//! once every cached set has it, [retires](Phase) when the next one signs, and is removed when its last token
//! is no longer valid. The waits follow from the [`RotationPolicy`]; skipping them takes [`Waits::Skip`].
//!
//! [`KeyRing`] is for whoever rotates, [`RingKeys`] for whoever signs and publishes, in as many processes as
//! there are; what they share is a [`RingStore`]. Where a key's private half is, is a matter of the key
//! and not of the ring: [sealed](SealedMaker) in the ring, or [with a provider](ProviderMaker). So a ring
//! may go from a local key to one of a KMS, or from one KMS to another.

mod document;
mod file;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
mod keyring;
mod keys;
mod make;
mod open;
mod policy;
mod steps;
mod store;
mod task;
mod text;

pub use self::{
    document::{KeyPlace, NewKey, Phase, Ring, RingKey},
    file::FileRing,
    keyring::KeyRing,
    keys::RingKeys,
    make::{KidStyle, MakeKey, ProviderMaker, SealedMaker},
    open::{OpenByRegistry, OpenKey, SignWithKey},
    policy::RotationPolicy,
    steps::{Change, Due, Waits},
    store::{MemoryRing, RingStore},
    text::MAX_RING_LEN,
};
