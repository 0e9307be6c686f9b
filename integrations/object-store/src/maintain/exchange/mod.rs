//! Another header before the same body, if the object is still the one that was read.

mod any;
#[cfg(all(feature = "fs", target_os = "linux"))]
mod local;
#[cfg(feature = "aws")]
mod s3;
#[cfg(feature = "aws")]
mod s3_http;

use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;
use object_store::{Attributes, ObjectMeta, path::Path};

pub use self::any::AnyHead;
#[cfg(all(feature = "fs", target_os = "linux"))]
pub use self::local::LocalHead;
#[cfg(feature = "aws")]
pub use self::s3::S3Head;
use super::Failure;

/// An object whose head is to be exchanged for another. The body behind it is not looked at.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Replacement {
    /// The object, as it was when its head was read.
    pub old: ObjectMeta,
    /// Its attributes, as far as the store gives them out.
    pub attributes: Attributes,
    /// Its head: header, salt and commitment.
    pub old_head: Bytes,
    /// What takes the head's place.
    pub new_head: Bytes,
    /// The beginning of its body, or all of it, if that came with the head.
    pub body: Bytes,
}

/// An object whose head was exchanged.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Replaced {
    /// The ETag that it has now, where that is known.
    pub e_tag: Option<String>,
    /// How many bytes of the object passed through this process.
    pub through: u64,
}

impl Replaced {
    /// What [`exchange`](Exchange::exchange) answers.
    #[must_use]
    pub fn new(e_tag: Option<String>, through: u64) -> Self {
        Self { e_tag, through }
    }
}

/// How a store exchanges an object's head. At every moment, the object is the old one or the new one.
#[async_trait]
pub trait Exchange: fmt::Debug + Send + Sync {
    /// Exchanges the head, if the object is still [`old`](Replacement::old).
    ///
    /// Dropped half-way, it leaves the object old or new.
    ///
    /// # Errors
    /// [`Changed`](Failure::Changed) if it is not; otherwise why it could not be done. The object is old
    /// then, or, where an answer was lost, new.
    async fn exchange(&self, replacement: &Replacement) -> Result<Replaced, Failure>;

    /// Waits until whatever dropped calls have begun is undone, such as uploads.
    async fn settle(&self);
}

impl Replacement {
    /// Which object.
    #[must_use]
    pub fn location(&self) -> &Path {
        &self.old.location
    }

    /// The length of the body.
    ///
    /// # Errors
    /// [`Changed`](Failure::Changed) if the object is shorter than its head.
    pub fn body_len(&self) -> Result<u64, Failure> {
        self.old.size.checked_sub(self.old_head.len() as u64).ok_or(Failure::Changed)
    }
}

/// Whether two answers are about the same object.
fn is_same(one: &ObjectMeta, other: &ObjectMeta) -> bool {
    one.size == other.size
        && one.e_tag == other.e_tag
        && one.version == other.version
        && (one.e_tag.is_some() || one.last_modified == other.last_modified)
}
