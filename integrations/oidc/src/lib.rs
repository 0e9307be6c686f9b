//! Keys of an issuer.
