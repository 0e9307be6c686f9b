//! The backend over the RustCrypto crates, for targets without a C toolchain.

mod signature;

use aes_gcm::{
    AeadInOut, KeyInit,
    aead::{Nonce, Tag, inout::InOutBuf},
};
use sha2::{Digest, Sha256, Sha384, Sha512};
use zeroize::Zeroize;

use super::{Aead, Backend, NONCE_LEN, Public, Signed, SigningAlgorithm, TAG_LEN};
use crate::error::{Error, ErrorKind, Result};

pub(crate) struct RustCrypto;

impl Backend for RustCrypto {
    type Aead = aes_gcm::Aes256Gcm;
    type VerifyingKey = signature::Key;

    fn expand(prk: &[u8], info: &[&[u8]], out: &mut [u8]) -> Result<()> {
        // RFC 5869 asks for a PRK of at least the hash's length, and the crate insists; an HMAC
        // key padded with zeros to that length is the same key (RFC 2104, section 2).
        let mut padded = [0; 64];
        let head = padded.get_mut(..prk.len()).ok_or_else(|| fault("HKDF-Expand"))?;
        head.copy_from_slice(prk);
        let hkdf = hkdf::Hkdf::<Sha512>::from_prk(&padded);
        padded.zeroize();
        hkdf.ok()
            .and_then(|hkdf| hkdf.expand_multi_info(info, out).ok())
            .ok_or_else(|| fault("HKDF-Expand"))
    }

    fn sha256(parts: &[&[u8]]) -> [u8; 32] {
        hash::<Sha256>(parts).into()
    }

    fn sha384(parts: &[&[u8]]) -> [u8; 48] {
        hash::<Sha384>(parts).into()
    }

    fn sha512(parts: &[&[u8]]) -> [u8; 64] {
        hash::<Sha512>(parts).into()
    }

    fn verifying_key(public: &Public) -> Result<signature::Key> {
        signature::Key::new(public)
    }

    fn verify(
        key: &signature::Key,
        _: SigningAlgorithm,
        signed: Signed<'_>,
        signature: &[u8],
    ) -> Result<bool> {
        key.verify(signed, signature)
    }
}

fn hash<D: Digest>(parts: &[&[u8]]) -> sha2::digest::Output<D> {
    let mut digest = D::new();
    parts.iter().for_each(|part| digest.update(part));
    digest.finalize()
}

impl Aead for aes_gcm::Aes256Gcm {
    fn new(key: &[u8; 32]) -> Result<Self> {
        Ok(<Self as KeyInit>::new(key.into()))
    }

    fn seal(
        &self,
        nonce: &[u8; NONCE_LEN],
        aad: &[u8],
        plaintext: &[u8],
        out: &mut [u8],
    ) -> Result<()> {
        let fault = || fault("AES-256-GCM");
        let (body, tag_out) = out.split_at_mut_checked(plaintext.len()).ok_or_else(fault)?;
        let buffer = InOutBuf::new(plaintext, body).map_err(|_| fault())?;
        let nonce: &Nonce<Self> = nonce.into();
        let tag = self.encrypt_inout_detached(nonce, aad, buffer).map_err(|_| fault())?;
        let tag_out: &mut [u8; TAG_LEN] = tag_out.try_into().map_err(|_| fault())?;
        *tag_out = tag.into();
        Ok(())
    }

    fn open(
        &self,
        nonce: &[u8; NONCE_LEN],
        aad: &[u8],
        tag: &[u8; TAG_LEN],
        body: &[u8],
        out: &mut [u8],
    ) -> Result<()> {
        let (nonce, tag): (&Nonce<Self>, &Tag<Self>) = (nonce.into(), tag.into());
        InOutBuf::new(body, out)
            .ok()
            .and_then(|buffer| self.decrypt_inout_detached(nonce, aad, buffer, tag).ok())
            .ok_or_else(|| {
                out.zeroize();
                Error::not_authentic()
            })
    }

    fn open_in_place(
        &self,
        nonce: &[u8; NONCE_LEN],
        aad: &[u8],
        tag: &[u8; TAG_LEN],
        in_out: &mut [u8],
    ) -> Result<()> {
        let (nonce, tag): (&Nonce<Self>, &Tag<Self>) = (nonce.into(), tag.into());
        self.decrypt_inout_detached(nonce, aad, InOutBuf::from(&mut *in_out), tag).map_err(|_| {
            in_out.zeroize();
            Error::not_authentic()
        })
    }
}

fn fault(what: &'static str) -> Error {
    Error::new(ErrorKind::Internal, format!("{what} failed in RustCrypto"))
}
