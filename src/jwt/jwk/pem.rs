//! Public keys as PEM (RFC 7468).

use pem_rfc7468::{Decoder, LineEnding};

use super::{Jwk, parse::MAX_LEN};
use crate::{
    crypto::{Public, der},
    error::{Error, ErrorKind, Result},
};

const PUBLIC_KEY: &str = "PUBLIC KEY";
const RSA_PUBLIC_KEY: &str = "RSA PUBLIC KEY";

impl Jwk {
    /// Parses PEM of at most 64 KiB: a `PUBLIC KEY` (SubjectPublicKeyInfo) or an `RSA PUBLIC KEY`
    /// (PKCS#1).
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) if it is damaged or a private key;
    /// [`Unsupported`](ErrorKind::Unsupported) for other labels and other kinds and sizes of keys.
    pub fn from_pem(text: &str) -> Result<Self> {
        let bad = |_| Error::invalid("the PEM text is damaged");
        if text.len() > MAX_LEN {
            return Err(Error::invalid("PEM of over 64 KiB"));
        }
        let mut decoder = Decoder::new_detect_wrap(text.trim_end().as_bytes()).map_err(bad)?;
        let label = decoder.type_label();
        if label.ends_with("PRIVATE KEY") {
            return Err(Error::invalid("a private key where a public one belongs"));
        }
        if ![PUBLIC_KEY, RSA_PUBLIC_KEY].contains(&label) {
            let message = "PEM that is neither PUBLIC KEY nor RSA PUBLIC KEY";
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
        let pkcs1 = label == RSA_PUBLIC_KEY;
        let mut der = vec![0; decoder.remaining_len()];
        decoder.decode(&mut der).map_err(bad)?;
        Self::from_public(if pkcs1 { der::from_pkcs1(&der)? } else { der::from_spki(&der)? })
    }

    /// The key as a `PUBLIC KEY` (SubjectPublicKeyInfo).
    ///
    /// # Errors
    /// [`Internal`](ErrorKind::Internal) if it can't be encoded.
    pub fn to_pem(&self) -> Result<String> {
        encode(PUBLIC_KEY, &self.to_spki()?)
    }

    /// An RSA key as an `RSA PUBLIC KEY` (PKCS#1).
    ///
    /// # Errors
    /// [`Unsupported`](ErrorKind::Unsupported) for other keys, which have no such form;
    /// [`Internal`](ErrorKind::Internal) if it can't be encoded.
    pub fn to_pkcs1_pem(&self) -> Result<String> {
        match self.public() {
            Public::Rsa { n, e } => encode(RSA_PUBLIC_KEY, &der::pkcs1(n, e)?),
            _ => Err(Error::new(ErrorKind::Unsupported, "only RSA keys have a PKCS#1 form")),
        }
    }
}

fn encode(label: &str, der: &[u8]) -> Result<String> {
    pem_rfc7468::encode_string(label, LineEnding::LF, der)
        .map_err(|_| Error::new(ErrorKind::Internal, "can't write PEM"))
}
