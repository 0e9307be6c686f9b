//! Private keys as PEM (RFC 7468): PKCS#8, PKCS#1 and SEC 1.

use bulla::{Error, ErrorKind, Result};
use pem_rfc7468::{Decoder, LineEnding};
use zeroize::Zeroizing;

use crate::{material::Material, pair::Pair, record::ExportFormat};

/// What a PEM block begins with.
pub(crate) const BEGIN: &str = "-----BEGIN ";

const PRIVATE_KEY: &str = "PRIVATE KEY";
const PUBLIC_KEY: &str = "PUBLIC KEY";
const RSA_PRIVATE_KEY: &str = "RSA PRIVATE KEY";
const EC_PRIVATE_KEY: &str = "EC PRIVATE KEY";

/// Finds the one private key in a text and parses it. Other blocks, such as the `EC PARAMETERS`
/// that OpenSSL writes first, are passed over.
pub(crate) fn parse(text: &str) -> Result<Material> {
    let mut found = text.match_indices(BEGIN).filter_map(|(at, _)| {
        let block = text.get(at..)?;
        label(block).is_some_and(|l| l.ends_with(PRIVATE_KEY)).then_some(block)
    });
    let block = found.next().ok_or_else(|| invalid("the PEM text holds no private key"))?;
    if found.next().is_some() {
        return Err(invalid("the PEM text holds more than one private key; import each by itself"));
    }
    let label = label(block).unwrap_or_default();
    if label == "ENCRYPTED PRIVATE KEY" || block.contains("Proc-Type: 4,ENCRYPTED") {
        return Err(Error::new(
            ErrorKind::Unsupported,
            "the PEM key is encrypted; decrypt it first: openssl pkey -in FILE",
        ));
    }
    let end = format!("-----END {label}-----");
    let len = block.find(&end).ok_or_else(|| invalid("the PEM text is cut off"))? + end.len();
    let der = decode(block.get(..len).unwrap_or(block))?;
    Material::from_pair(match label {
        PRIVATE_KEY => Pair::from_pkcs8(&der)?,
        RSA_PRIVATE_KEY => Pair::from_pkcs1(&der)?,
        EC_PRIVATE_KEY => Pair::from_sec1(&der)?,
        _ => {
            let message = "a PEM key that is none of PRIVATE KEY, RSA PRIVATE KEY, EC PRIVATE KEY";
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
    })
}

fn label(block: &str) -> Option<&str> {
    block.strip_prefix(BEGIN)?.split_once("-----").map(|(label, _)| label)
}

fn decode(block: &str) -> Result<Zeroizing<Vec<u8>>> {
    let bad = |_| invalid("the PEM text is damaged");
    let mut decoder = Decoder::new_detect_wrap(block.as_bytes()).map_err(bad)?;
    let mut der = Zeroizing::new(vec![0; decoder.remaining_len()]);
    decoder.decode(&mut der).map_err(bad)?;
    Ok(der)
}

/// A PKCS#8 structure as PEM.
pub(crate) fn render_private(pkcs8: &[u8]) -> Result<Zeroizing<String>> {
    render(PRIVATE_KEY, pkcs8).map(Zeroizing::new)
}

/// A structure of PKCS#1 or SEC 1 as PEM.
pub(crate) fn render_older(format: ExportFormat, der: &[u8]) -> Result<Zeroizing<String>> {
    let label = if format == ExportFormat::Pkcs1 { RSA_PRIVATE_KEY } else { EC_PRIVATE_KEY };
    render(label, der).map(Zeroizing::new)
}

/// A SubjectPublicKeyInfo as PEM.
pub(crate) fn render_public(spki: &[u8]) -> Result<String> {
    render(PUBLIC_KEY, spki)
}

fn render(label: &str, der: &[u8]) -> Result<String> {
    pem_rfc7468::encode_string(label, LineEnding::LF, der)
        .map_err(|_| Error::new(ErrorKind::Internal, "can't write PEM"))
}

fn invalid(message: &'static str) -> Error {
    Error::new(ErrorKind::InvalidInput, message)
}
