//! Everything around a token's life.
//!
//! [`ring`] has the keys that tokens are signed with: who makes them, when each signs, and when it goes.
//! [`issuer`] has the tokens: access tokens, refresh tokens, revocation and introspection.
//!
//! [`routes`] says which of several keys signs which token.
//!
//! [`kubernetes`] hands tokens to `kubectl` and its like.
//!
//! What is kept is in files, or in SQLite or PostgreSQL with the features `sqlite` and `postgres`.

pub mod issuer;
pub mod kubernetes;
pub mod ring;
pub mod routes;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub mod sql;
