//! TLS: whom it trusts, and what it shows.

use std::{error::Error as StdError, sync::Arc};

use bulla::{Error, ErrorKind, Result};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use rustls_platform_verifier::Verifier;
use zeroize::Zeroizing;

/// A certificate with its chain, and its key: PEM.
pub(crate) struct Identity {
    pub(crate) chain: Vec<u8>,
    pub(crate) key: Zeroizing<Vec<u8>>,
}

/// Trusts these certification authorities and no others, or what the platform trusts if there are none.
pub(crate) fn config(ca: Option<&[u8]>, identity: Option<&Identity>) -> Result<ClientConfig> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(not_set_up)?;
    let builder = match ca {
        Some(pem) => builder.with_root_certificates(roots(pem)?),
        None => {
            let verifier = Verifier::new(provider).map_err(not_set_up)?;
            builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier))
        }
    };
    match identity {
        None => Ok(builder.with_no_client_auth()),
        Some(identity) => {
            let chain = certificates("client certificate", &identity.chain)?;
            let key = PrivateKeyDer::from_pem_slice(&identity.key)
                .map_err(|_| invalid("the key of the client certificate is no PEM of one"))?;
            builder.with_client_auth_cert(chain, key).map_err(|_| {
                invalid("client certificate and key can't be used, or don't belong together")
            })
        }
    }
}

/// For a server that is spoken to without TLS: nothing would be trusted.
pub(crate) fn none() -> Result<ClientConfig> {
    ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(not_set_up)
        .map(|b| b.with_root_certificates(RootCertStore::empty()).with_no_client_auth())
}

fn roots(pem: &[u8]) -> Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates("CA certificate", pem)? {
        roots.add(certificate).map_err(|_| invalid("a CA certificate can't be used"))?;
    }
    Ok(roots)
}

fn certificates(what: &str, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>> {
    let all: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|_| invalid(format!("the PEM of a {what} is damaged")))?;
    match all.is_empty() {
        true => Err(invalid(format!("what was given as {what} is no PEM with one in it"))),
        false => Ok(all),
    }
}

fn not_set_up(error: impl StdError + Send + Sync + 'static) -> Error {
    Error::new(ErrorKind::Internal, "TLS, or the platform's list of roots, could not be set up")
        .with_source(error)
}

fn invalid(message: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::InvalidInput, message)
}
