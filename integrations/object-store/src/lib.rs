//! Encrypted object stores: any store of the crate [`object_store`], with what is in it sealed.
//!
//! [`EncryptedStore`] is an [`ObjectStore`](object_store::ObjectStore) over another one. Objects are sealed
//! as [`bulla`] seals streams, each under a data key of its own, before the store beneath sees them; whole
//! objects, ranges and listings come back in plain.
//!
//! | operation | requests to the store beneath, beside those of a plain store |
//! |---|---|
//! | `put`, uploads in parts, `head`, `list*`, `delete` | none |
//! | `get` of a whole object | none |
//! | `get` of a range, `get_ranges` | one for the header, if that was not read in the last 5 minutes |
//! | a long suffix (over 1 MiB) | one more, for the last chunk |
//! | `copy`, `rename` | none; where objects are bound to their location, a read and a write |
//!
//! The KMS is asked once for every object that is written, and once for every object that is read.
//!
//! [`maintain`] looks after what is stored without opening it: which keys open it, and exchanging those keys.
//!
//! # Security
//!
//! The store, and whoever can write to it, sees names, sizes, times, attributes and tags, and can delete and
//! roll back. It can't read, alter, cut, extend or splice an object; whether it can swap two is up to the
//! [`Binding`]. What of an answer was not authenticated:
//!
//! * **Sizes in listings and of `head`** are the store's word. Reading an object, or its end, is what
//!   authenticates where it ends. A read that begins before the end and is not of the whole object says
//!   nothing of it.
//! * **Attributes and tags** are handed on as they are. Nothing in them is read here, so nothing in them
//!   can turn decryption off.
//! * **Which version** of an object is there: an older one that was put back opens.
//!
//! Every read beyond the first of an object is held to its ETag or version. An object that is replaced
//! meanwhile is an error, or is read from its beginning where nothing was handed out yet; it is never a
//! mixture.
//!
//! # Errors
//!
//! Errors of the store beneath are handed on. What sealing and opening fail with is an
//! [`object_store::Error::Generic`], or a `PermissionDenied` where the KMS denied it, in which
//! [`sealing_error`] finds the [`bulla::Error`].

mod binding;
mod builder;
#[cfg(feature = "object-store-0-13")]
pub mod compat;
mod copy;
mod error;
mod get;
mod headers;
mod listing;
pub mod maintain;
mod offload;
mod pieces;
mod put;
mod spare;
mod store;
mod upload;

pub use self::{
    binding::Binding, builder::EncryptedStoreBuilder, error::sealing_error, headers::HeaderCache,
    store::EncryptedStore,
};
