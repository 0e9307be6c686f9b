//! Whom an endpoint of the profile `https_spiffe` has to be (SPIFFE Federation, section 5.2.2.4).

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use der::Decode as _;
use rustls::{
    DigitallySignedStruct, Error as TlsError, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{
        WebPkiSupportedAlgorithms, aws_lc_rs, verify_tls12_signature, verify_tls13_signature,
    },
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};
use x509_cert::{
    Certificate,
    ext::pkix::{KeyUsage as X509KeyUsage, SubjectAltName, name::GeneralName},
};

use crate::{
    bundle::Bundle,
    id::{SpiffeId, spiffe_id},
};

/// Accepts a server that has an X.509-SVID with one ID, by the bundle of that ID's trust domain. Names of
/// hosts are not looked at.
#[derive(Debug)]
pub(super) struct EndpointVerifier {
    endpoint: SpiffeId,
    /// What the SVID is verified with; set before each connection.
    bundle: ArcSwapOption<Bundle>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl EndpointVerifier {
    pub(super) fn new(endpoint: SpiffeId) -> Self {
        let algorithms = aws_lc_rs::default_provider().signature_verification_algorithms;
        Self { endpoint, bundle: ArcSwapOption::empty(), algorithms }
    }

    pub(super) fn trust(&self, bundle: Arc<Bundle>) {
        self.bundle.store(Some(bundle));
    }

    pub(super) const fn endpoint(&self) -> &SpiffeId {
        &self.endpoint
    }

    fn check(
        &self,
        server: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), String> {
        let bundle = self.bundle.load_full().ok_or("there is no bundle to verify it with")?;
        if bundle.trust_domain() != self.endpoint.trust_domain() {
            return Err("the bundle at hand is another trust domain's".to_owned());
        }
        let svid = EndEntityCert::try_from(server).map_err(|error| error.to_string())?;
        let anchors: Vec<_> = bundle
            .x509_authorities()
            .iter()
            .filter_map(|authority| anchor_from_trusted_cert(authority).ok())
            .collect();
        svid.verify_for_usage(
            self.algorithms.all,
            &anchors,
            intermediates,
            now,
            KeyUsage::server_auth(),
            None,
            None,
        )
        .map_err(|error| error.to_string())?;
        match id_of(server)? {
            id if id == self.endpoint => Ok(()),
            _ => Err(format!("it is not {}", self.endpoint)),
        }
    }
}

/// The one ID of a leaf, which may sign no certificates (X509-SVID, section 5.2). That it is no authority,
/// whoever built its chain has seen.
fn id_of(leaf: &CertificateDer<'_>) -> Result<SpiffeId, String> {
    let unreadable = |_| "it can't be read".to_owned();
    let parsed = Certificate::from_der(leaf).map_err(unreadable)?;
    let body = parsed.tbs_certificate();
    let usage = body.get_extension::<X509KeyUsage>().map_err(unreadable)?;
    if usage.is_some_and(|(_, usage)| usage.key_cert_sign() || usage.crl_sign()) {
        return Err("its key may sign certificates or revocations".to_owned());
    }
    let names = body.get_extension::<SubjectAltName>().map_err(unreadable)?;
    let names = names.map(|(_, names)| names.0).unwrap_or_default();
    let mut uris = names.iter().filter_map(|name| match name {
        GeneralName::UniformResourceIdentifier(uri) => Some(uri.as_str()),
        _ => None,
    });
    match (uris.next(), uris.next()) {
        (Some(uri), None) => spiffe_id(uri).map_err(|_| "its URI is no SPIFFE ID".to_owned()),
        _ => Err("it has not one URI, but none or several".to_owned()),
    }
}

impl ServerCertVerifier for EndpointVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        self.check(end_entity, intermediates, now).map_err(|why| {
            TlsError::General(format!("the endpoint's certificate is no X.509-SVID for it: {why}"))
        })?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
