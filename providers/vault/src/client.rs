//! The calls that use keys. Those that tokens take are in `login`.

use std::sync::Arc;

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use bulla::{Error, ErrorKind, Result, SigningAlgorithm};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::{
    body,
    bound::{Bound, Endpoint, Places},
    ciphertext,
    error::{self, Asked, odd, refused},
    http::{Answer, Ask, MAX_DESCRIPTION},
    metadata::{Described, Sent},
    server::{Server, Use},
    session::{Session, closed},
};

/// A transit engine, under a session.
#[derive(Debug)]
pub(crate) struct Transit(Use);

/// What is signed: a digest or a message, and how.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ToSign<'a> {
    pub(crate) algorithm: SigningAlgorithm,
    pub(crate) bytes: &'a [u8],
    pub(crate) is_digest: bool,
}

impl Transit {
    pub(crate) fn new(server: Use) -> Self {
        Self(server)
    }

    /// # Errors
    /// [`ErrorKind::Closed`] after [`close`](Self::close).
    pub(crate) fn check_open(&self) -> Result<()> {
        match self.0.has_left() {
            true => Err(closed()),
            false => Ok(()),
        }
    }

    pub(crate) async fn close(&self) -> Result<()> {
        self.0.leave().await
    }

    pub(crate) fn session(&self) -> &Arc<Session> {
        &self.0.server.session
    }

    /// What the server says of a key.
    pub(crate) async fn describe(&self, key: &Places) -> Result<Described> {
        let asked = asked("looking at the key", &key.read, "read");
        let ask = Ask { limit: MAX_DESCRIPTION, ..Ask::get(&key.read.url) };
        let answer = self.call(|| clone(&ask)).await?;
        let sent: Sent = data(&answer, asked)?;
        Described::new(sent, &key.key)
    }

    /// Encrypts under the latest version: a ciphertext, which names it.
    pub(crate) async fn encrypt(
        &self,
        key: &Bound,
        plaintext: &[u8],
        aad: &[u8],
        overhead: usize,
    ) -> Result<Vec<u8>> {
        let endpoint = &key.places.encrypt;
        let asked = asked("encrypting", endpoint, "update");
        let (plaintext_64, aad) = (body::base64(plaintext), STANDARD.encode(aad));
        let request = Encrypt {
            plaintext: &plaintext_64,
            associated_data: &aad,
            // A key that exists has its type. One that does not can't be made, which encrypting does
            // where a policy lets it, since there is no such type.
            kind: "none",
        };
        let request = body::plain(&request, plaintext_64.len() + aad.len())?;
        let answer = self.call(|| Ask::post(&endpoint.url, request.clone())).await?;
        if answer.status == 400 {
            return Err(self.why(key, &answer, asked).await);
        }
        let sent: Ciphertext<'_> = data(&answer, asked)?;
        match ciphertext::parse(sent.ciphertext.as_bytes()) {
            Some((version, len)) if len == plaintext.len() + overhead => {
                key.saw(version);
                Ok(sent.ciphertext.as_bytes().to_vec())
            }
            _ => Err(odd(&answer, asked, "has a ciphertext that can't be right")),
        }
    }

    /// A data key of the server's making, and the same encrypted.
    pub(crate) async fn data_key(
        &self,
        key: &Bound,
        aad: &[u8],
        len: usize,
        overhead: usize,
    ) -> Result<(Zeroizing<Vec<u8>>, Vec<u8>)> {
        let endpoint = &key.places.data_key;
        let asked = asked("asking for a data key", endpoint, "update");
        let aad = STANDARD.encode(aad);
        let request = GetDataKey { bits: 8 * len, associated_data: &aad };
        let request = body::plain(&request, aad.len())?;
        let answer = self.call(|| Ask::post(&endpoint.url, request.clone())).await?;
        if answer.status == 400 {
            return Err(self.why(key, &answer, asked).await);
        }
        let sent: SentDataKey<'_> = data(&answer, asked)?;
        let plaintext = decode(sent.plaintext, len);
        let sealed = ciphertext::parse(sent.ciphertext.as_bytes());
        match (plaintext, sealed) {
            (Some(plaintext), Some((version, sealed))) if sealed == len + overhead => {
                key.saw(version);
                Ok((plaintext, sent.ciphertext.as_bytes().to_vec()))
            }
            _ => Err(odd(&answer, asked, "has a data key that can't be right")),
        }
    }

    /// Decrypts a ciphertext that was looked at. `len` bytes come out, or it is an error.
    pub(crate) async fn decrypt(
        &self,
        key: &Bound,
        blob: &[u8],
        version: u32,
        aad: &[u8],
        len: usize,
    ) -> Result<Zeroizing<Vec<u8>>> {
        let endpoint = &key.places.decrypt;
        let asked = asked("decrypting", endpoint, "update");
        let ciphertext = std::str::from_utf8(blob).map_err(|_| Error::not_authentic())?;
        let aad = STANDARD.encode(aad);
        let request = Decrypt { ciphertext, associated_data: &aad };
        let request = body::plain(&request, blob.len() + aad.len())?;
        let answer = self.call(|| Ask::post(&endpoint.url, request.clone())).await?;
        if answer.status == 400 && error::is_refusal(&answer) {
            // The server has one word for what is forged, too old, too new and unknown.
            return Err(match self.describe(&key.places).await {
                Ok(described) => {
                    key.told(&described);
                    let usable = described.check_version(&key.places.key, version);
                    usable.err().unwrap_or_else(Error::not_authentic)
                }
                // What it is, nobody can tell now.
                Err(error) if error.is_retryable() => error,
                Err(error) if error.kind() == ErrorKind::NotFound => error,
                Err(error) if error.kind() == ErrorKind::Closed => error,
                Err(_) => Error::not_authentic(),
            });
        }
        let sent: Plaintext<'_> = data(&answer, asked)?;
        let plaintext = decode(sent.plaintext, len);
        let plaintext =
            plaintext.ok_or_else(|| odd(&answer, asked, "has a plaintext of another length"))?;
        key.saw(version);
        Ok(plaintext)
    }

    /// A signature by that version, in the form of JWS.
    pub(crate) async fn sign(
        &self,
        key: &Bound,
        version: u32,
        input: ToSign<'_>,
    ) -> Result<Vec<u8>> {
        let endpoint = &key.places.sign;
        let asked = asked("signing", endpoint, "update");
        let bytes = STANDARD.encode(input.bytes);
        let request = signing(input, &bytes)?;
        let request = Sign { key_version: version, how: request };
        let request = body::plain(&request, bytes.len())?;
        let answer = self.call(|| Ask::post(&endpoint.url, request.clone())).await?;
        // A version that it has not is an error of the server's own, in its words.
        if matches!(answer.status, 400 | 500) && error::is_refusal(&answer) {
            return Err(match self.describe(&key.places).await {
                Ok(described) => {
                    let usable = described.check_signing(&key.places.key, version);
                    usable.err().unwrap_or_else(|| refused(&answer, asked))
                }
                Err(error) => error,
            });
        }
        let sent: Signature<'_> = data(&answer, asked)?;
        let made = ciphertext::split(sent.signature).filter(|(by, _)| *by == version);
        let made = made.and_then(|(_, signature)| URL_SAFE_NO_PAD.decode(signature).ok());
        made.ok_or_else(|| odd(&answer, asked, "has a signature that can't be right"))
    }

    /// Has the server check a signature.
    pub(crate) async fn verify(
        &self,
        key: &Bound,
        version: u32,
        input: ToSign<'_>,
        signature: &[u8],
    ) -> Result<()> {
        let endpoint = &key.places.verify;
        let asked = asked("verifying", endpoint, "update");
        let bytes = STANDARD.encode(input.bytes);
        let signature = format!("vault:v{version}:{}", URL_SAFE_NO_PAD.encode(signature));
        let request = Verify { signature: &signature, how: signing(input, &bytes)? };
        let request = body::plain(&request, bytes.len() + signature.len())?;
        let answer = self.call(|| Ask::post(&endpoint.url, request.clone())).await?;
        if answer.status == 400 {
            return Err(self.why(key, &answer, asked).await);
        }
        let sent: Verified = data(&answer, asked)?;
        if sent.valid { Ok(()) } else { Err(Error::not_authentic()) }
    }

    /// Makes a call with a token; once more if that turns out to be dead and another one is had.
    async fn call<'a>(&self, ask: impl Fn() -> Ask<'a>) -> Result<Answer> {
        self.check_open()?;
        let Server { http, header, session, .. } = &*self.0.server;
        let mut token = session.token().await?;
        let mut again = false;
        loop {
            let ask = ask();
            let ask = Ask { token: Some(&token.header), namespace: header.as_ref(), ..ask };
            let answer = http.send(ask).await?;
            // The server has one word for a dead token and for one that lacks a right.
            if again || answer.status != 403 || !error::is_refusal(&answer) {
                return Ok(answer);
            }
            match session.refused(&token).await? {
                Some(other) => token = other,
                None => return Ok(answer),
            }
            again = true;
        }
    }

    /// Why a request on a key was refused that has nothing wrong with it.
    async fn why(&self, key: &Bound, answer: &Answer, asked: Asked<'_>) -> Error {
        let as_it_is = refused(answer, asked);
        if !error::is_refusal(answer) {
            return as_it_is;
        }
        match self.describe(&key.places).await {
            Ok(described) => described.check_usable(&key.places.key).err().unwrap_or(as_it_is),
            Err(error) if error.kind() == ErrorKind::Denied => as_it_is,
            Err(error) => error,
        }
    }
}

fn asked<'a>(what: &'static str, endpoint: &'a Endpoint, capability: &'static str) -> Asked<'a> {
    Asked { what, path: &endpoint.path, capability }
}

/// So many bytes of base64, into memory that is wiped and does not move.
fn decode(text: &str, len: usize) -> Option<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(vec![0; len + 3]);
    let decoded = STANDARD.decode_slice(text, &mut bytes);
    bytes.truncate(len);
    (decoded == Ok(len)).then_some(bytes)
}

fn clone<'a>(ask: &Ask<'a>) -> Ask<'a> {
    Ask { body: ask.body.clone(), method: ask.method.clone(), ..*ask }
}

/// What a success has in it.
fn data<'a, T: Deserialize<'a>>(answer: &'a Answer, asked: Asked<'_>) -> Result<T> {
    if answer.status != 200 {
        return Err(refused(answer, asked));
    }
    let parsed: Option<Envelope<T>> = serde_json::from_slice(&answer.body).ok();
    let data = parsed.and_then(|parsed| parsed.data);
    data.ok_or_else(|| odd(answer, asked, "lacks its result"))
}

/// How the server is told to sign or to verify. All is said: its own choices are SHA-256 on every curve,
/// PSS for RSA, and the longest salt.
fn signing<'a>(input: ToSign<'_>, bytes: &'a str) -> Result<How<'a>> {
    use SigningAlgorithm::*;
    let (hash, rsa) = match input.algorithm {
        Rs256 => (Some("sha2-256"), Some("pkcs1v15")),
        Rs384 => (Some("sha2-384"), Some("pkcs1v15")),
        Rs512 => (Some("sha2-512"), Some("pkcs1v15")),
        Ps256 => (Some("sha2-256"), Some("pss")),
        Ps384 => (Some("sha2-384"), Some("pss")),
        Ps512 => (Some("sha2-512"), Some("pss")),
        Es256 => (Some("sha2-256"), None),
        Es384 => (Some("sha2-384"), None),
        Es512 => (Some("sha2-512"), None),
        Ed25519 => (None, None),
        other => {
            let message = format!("keys of transit are not used with {other}");
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
    };
    Ok(How {
        input: bytes,
        prehashed: input.is_digest,
        hash_algorithm: hash,
        signature_algorithm: rsa,
        // As long as the hash (RFC 7518, section 3.5).
        salt_length: (rsa == Some("pss")).then_some("hash"),
        marshaling_algorithm: "jws",
    })
}

#[derive(Serialize)]
struct Encrypt<'a> {
    plaintext: &'a str,
    associated_data: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
}

#[derive(Serialize)]
struct GetDataKey<'a> {
    bits: usize,
    associated_data: &'a str,
}

#[derive(Serialize)]
struct Decrypt<'a> {
    ciphertext: &'a str,
    associated_data: &'a str,
}

#[derive(Serialize)]
struct Sign<'a> {
    key_version: u32,
    #[serde(flatten)]
    how: How<'a>,
}

#[derive(Serialize)]
struct Verify<'a> {
    signature: &'a str,
    #[serde(flatten)]
    how: How<'a>,
}

#[derive(Serialize)]
struct How<'a> {
    input: &'a str,
    prehashed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    hash_algorithm: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    signature_algorithm: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    salt_length: Option<&'static str>,
    marshaling_algorithm: &'static str,
}

#[derive(Deserialize)]
struct Envelope<T> {
    data: Option<T>,
}

// Base64 needs no escape in JSON, so none of these is copied.

#[derive(Deserialize)]
struct Ciphertext<'a> {
    ciphertext: &'a str,
}

#[derive(Deserialize)]
struct SentDataKey<'a> {
    plaintext: &'a str,
    ciphertext: &'a str,
}

#[derive(Deserialize)]
struct Plaintext<'a> {
    plaintext: &'a str,
}

#[derive(Deserialize)]
struct Signature<'a> {
    signature: &'a str,
}

#[derive(Deserialize)]
struct Verified {
    valid: bool,
}
