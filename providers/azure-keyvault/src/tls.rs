//! TLS: whom it trusts.

use std::{error::Error as StdError, sync::Arc};

use bulla::{Error, ErrorKind, Result};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, pem::PemObject},
};
use rustls_platform_verifier::Verifier;

/// Trusts these certification authorities and no others, or what the platform trusts if there are none.
pub(crate) fn config(ca: Option<&[u8]>) -> Result<ClientConfig> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(not_set_up)?;
    Ok(match ca {
        Some(pem) => builder.with_root_certificates(roots(pem)?).with_no_client_auth(),
        None => {
            let verifier = Verifier::new(provider).map_err(not_set_up)?;
            let builder = builder.dangerous();
            builder.with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth()
        }
    })
}

fn roots(pem: &[u8]) -> Result<RootCertStore> {
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|_| invalid("the PEM of a CA certificate is damaged"))?;
    if certificates.is_empty() {
        return Err(invalid("what was given as CA certificate is no PEM with one in it"));
    }
    let mut roots = RootCertStore::empty();
    for certificate in certificates {
        roots.add(certificate).map_err(|_| invalid("a CA certificate can't be used"))?;
    }
    Ok(roots)
}

fn not_set_up(error: impl StdError + Send + Sync + 'static) -> Error {
    Error::new(ErrorKind::Internal, "TLS, or the platform's list of roots, could not be set up")
        .with_source(error)
}

fn invalid(message: &'static str) -> Error {
    Error::new(ErrorKind::InvalidInput, message)
}
