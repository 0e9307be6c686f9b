//! TLS, and whom it trusts.

use std::{error::Error as StdError, sync::Arc};

use bulla::{Error, ErrorKind, Result};
#[cfg(feature = "documents")]
use rustls::client::Resumption;
use rustls::{
    ClientConfig,
    client::danger::ServerCertVerifier,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, pem::PemObject},
};
use rustls_platform_verifier::Verifier;
use tokio_rustls::TlsConnector;

/// Trusts what the platform trusts, and these certification authorities: PEM, each with one
/// certificate or several.
pub(crate) fn connector(roots: &[Vec<u8>]) -> Result<TlsConnector> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let roots = certificates(roots)?;
    let verifier = match roots.is_empty() {
        true => Verifier::new(Arc::clone(&provider)).map_err(not_set_up)?,
        false => Verifier::new_with_extra_roots(roots, Arc::clone(&provider)).map_err(|error| {
            invalid("a root certificate can't be used, or TLS can't be set up").with_source(error)
        })?,
    };
    Ok(TlsConnector::from(Arc::new(config(provider, Arc::new(verifier))?)))
}

/// Trusts whom this verifier does, at each connection: none is resumed, since what was trusted then may not
/// be now.
#[cfg(feature = "documents")]
pub(crate) fn connector_with(verifier: Arc<dyn ServerCertVerifier>) -> Result<TlsConnector> {
    let mut config = config(Arc::new(aws_lc_rs::default_provider()), verifier)?;
    config.resumption = Resumption::disabled();
    Ok(TlsConnector::from(Arc::new(config)))
}

fn config(
    provider: Arc<CryptoProvider>,
    verifier: Arc<dyn ServerCertVerifier>,
) -> Result<ClientConfig> {
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(not_set_up)?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn certificates(pems: &[Vec<u8>]) -> Result<Vec<CertificateDer<'static>>> {
    let mut all = Vec::new();
    for pem in pems {
        let before = all.len();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            all.push(certificate.map_err(|_| invalid("the PEM of a root certificate is damaged"))?);
        }
        if all.len() == before {
            return Err(invalid("what was given as root certificate is no PEM with one in it"));
        }
    }
    Ok(all)
}

fn not_set_up(error: impl StdError + Send + Sync + 'static) -> Error {
    Error::new(ErrorKind::Internal, "TLS, or the platform's list of roots, could not be set up")
        .with_source(error)
}

fn invalid(message: &'static str) -> Error {
    Error::new(ErrorKind::InvalidInput, message)
}
