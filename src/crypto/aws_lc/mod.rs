//! The backend over AWS-LC.

mod signature;
mod trials;

use std::time::Instant;

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey},
    digest, hkdf,
};
use trials::{Trials, Turn, Way};
use zeroize::Zeroize;

use super::{Aead, Backend, NONCE_LEN, Public, Signed, SigningAlgorithm, TAG_LEN};
use crate::error::{Error, ErrorKind, Result};

pub(crate) struct AwsLc;

struct OkmLen(usize);

impl hkdf::KeyType for OkmLen {
    fn len(&self) -> usize {
        self.0
    }
}

impl Backend for AwsLc {
    type Aead = LessSafeKey;
    type VerifyingKey = signature::Key;

    fn expand(prk: &[u8], info: &[&[u8]], out: &mut [u8]) -> Result<()> {
        if prk.len() > 64 {
            return Err(fault("HKDF-Expand"));
        }
        hkdf::Prk::new_less_safe(hkdf::HKDF_SHA512, prk)
            .expand(info, OkmLen(out.len()))
            .and_then(|okm| okm.fill(out))
            .map_err(|_| fault("HKDF-Expand"))
    }

    fn sha256(parts: &[&[u8]]) -> [u8; 32] {
        hash(&digest::SHA256, parts)
    }

    fn sha384(parts: &[&[u8]]) -> [u8; 48] {
        hash(&digest::SHA384, parts)
    }

    fn sha512(parts: &[&[u8]]) -> [u8; 64] {
        hash(&digest::SHA512, parts)
    }

    fn verifying_key(public: &Public) -> Result<signature::Key> {
        signature::Key::new(public)
    }

    fn verify(
        key: &signature::Key,
        algorithm: SigningAlgorithm,
        signed: Signed<'_>,
        signature: &[u8],
    ) -> Result<bool> {
        key.verify(algorithm, signed, signature)
    }
}

fn hash<const N: usize>(algorithm: &'static digest::Algorithm, parts: &[&[u8]]) -> [u8; N] {
    let mut context = digest::Context::new(algorithm);
    parts.iter().for_each(|part| context.update(part));
    fixed(context.finish().as_ref())
}

fn fixed<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(bytes); // the algorithm fixes the length
    out
}

impl Aead for LessSafeKey {
    fn new(key: &[u8; 32]) -> Result<Self> {
        UnboundKey::new(&AES_256_GCM, key).map(Self::new).map_err(|_| fault("AES-256 key setup"))
    }

    fn seal(
        &self,
        nonce: &[u8; NONCE_LEN],
        aad: &[u8],
        plaintext: &[u8],
        out: &mut [u8],
    ) -> Result<()> {
        let (body, tag) =
            out.split_at_mut_checked(plaintext.len()).ok_or_else(|| fault("AES-256-GCM"))?;
        let nonce = Nonce::assume_unique_for_key(*nonce);
        self.seal_out_of_place_scatter(nonce, Aad::from(aad), plaintext, body, &[], tag)
            .map_err(|_| fault("AES-256-GCM"))
    }

    fn open(
        &self,
        nonce: &[u8; NONCE_LEN],
        aad: &[u8],
        tag: &[u8; TAG_LEN],
        body: &[u8],
        out: &mut [u8],
    ) -> Result<()> {
        // Lengths that differ are for the cipher to refuse.
        let turn = if body.len() == out.len() { turn(body.len()) } else { Turn::APART };
        let began = turn.is_timed().then(Instant::now);
        match turn.way {
            Way::Apart => open_apart(self, nonce, aad, tag, body, out)?,
            Way::OnACopy => {
                out.copy_from_slice(body);
                Aead::open_in_place(self, nonce, aad, tag, out)?;
            }
        }
        if let Some(began) = began {
            TRIALS.took(turn, began.elapsed(), body.len());
        }
        Ok(())
    }

    fn open_in_place(
        &self,
        nonce: &[u8; NONCE_LEN],
        aad: &[u8],
        tag: &[u8; TAG_LEN],
        in_out: &mut [u8],
    ) -> Result<()> {
        let nonce = Nonce::assume_unique_for_key(*nonce);
        if self.open_in_place_separate_tag(nonce, Aad::from(aad), tag, in_out).is_err() {
            in_out.zeroize();
            return Err(Error::not_authentic());
        }
        Ok(())
    }
}

fn open_apart(
    key: &LessSafeKey,
    nonce: &[u8; NONCE_LEN],
    aad: &[u8],
    tag: &[u8; TAG_LEN],
    body: &[u8],
    out: &mut [u8],
) -> Result<()> {
    let nonce = Nonce::assume_unique_for_key(*nonce);
    if key.open_separate_gather(nonce, Aad::from(aad), body, tag, out).is_err() {
        out.zeroize();
        return Err(Error::not_authentic());
    }
    Ok(())
}

static TRIALS: Trials = Trials::new();

/// How to open so many bytes out of place. Without AVX-512, a copy is always a loss.
fn turn(len: usize) -> Turn {
    #[cfg(target_arch = "x86_64")]
    if len >= trials::LEAST
        && is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("vaes")
    {
        return TRIALS.turn();
    }
    _ = len;
    Turn::APART
}

fn fault(what: &'static str) -> Error {
    Error::new(ErrorKind::Internal, format!("{what} failed in AWS-LC"))
}
