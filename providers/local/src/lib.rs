//! Local key store.
