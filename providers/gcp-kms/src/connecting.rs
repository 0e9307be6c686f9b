//! From what the application said to a provider whose keys were looked at.

use std::sync::Arc;

use bulla::{Error, ErrorKind, KeyUri, Operation, Result, key::GcpKmsUri, provider::Role};

use crate::{
    bound::{Bound, Keys},
    capabilities,
    client::Kms,
    credentials::{Renewing, Source},
    metadata::{Use, current},
    provider::GcpKms,
    resource::{SCHEME, parse, version_of},
    settings::GcpKmsBuilder,
};

impl GcpKmsBuilder {
    /// Asks KMS for every key. Takes a tokio runtime, on which tokens are renewed.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] if no key is bound, or one is not well-formed, or the credentials are not;
    /// [`ErrorKind::Unsupported`] for a key of the wrong purpose or algorithm for its role;
    /// [`ErrorKind::Disabled`], [`ErrorKind::PendingDeletion`] or [`ErrorKind::Destroyed`] for the state of the
    /// version that would seal or sign; [`ErrorKind::NotFound`], or [`ErrorKind::Denied`] with the permission
    /// to grant, or if there are no credentials; otherwise why KMS could not be asked.
    pub async fn build(self) -> Result<GcpKms> {
        let label: Arc<str> = self.label.as_deref().unwrap_or(SCHEME).into();
        let connected = self.connect(Arc::clone(&label)).await;
        connected.map_err(|e| e.with_provider(label).with_operation(Operation::Build))
    }

    async fn connect(self, label: Arc<str>) -> Result<GcpKms> {
        if self.keys.is_empty() {
            let message = "no key is bound; give a sealing key, a signing key, or keys to open";
            return Err(Error::new(ErrorKind::InvalidInput, message));
        }
        if matches!(self.origin.source, Source::Given(_)) && self.origin.quota_project.is_some() {
            let message = "the quota project is not for credentials that are made already";
            return Err(Error::new(ErrorKind::InvalidInput, message));
        }
        let wanted = self.keys.iter().map(|(key, role)| Ok((parse(key)?, *role)));
        let wanted: Vec<_> = wanted.collect::<Result<_>>()?;
        let endpoint = self.endpoint.as_deref().map(check_endpoint).transpose()?;
        let credentials = self.shared.map_or_else(|| Renewing::new(self.origin), Ok)?;
        let kms = Kms::new(endpoint.as_deref(), self.universe.as_deref(), credentials).await?;
        let mut keys = Keys::default();
        for (uri, role) in &wanted {
            keys.add(look_at(&kms, uri, *role).await?, *role)?;
        }
        let capabilities = capabilities::of(&keys)?;
        Ok(GcpKms::new(label, capabilities, keys, kms))
    }
}

/// One GetCryptoKey, and of a key that signs one ListCryptoKeyVersions.
async fn look_at(kms: &Kms, uri: &GcpKmsUri, role: Role) -> Result<Bound> {
    let pinned = uri.version().and_then(version_of);
    let described = kms.key(&uri.resource_name()).await?;
    let key = described.name.clone();
    let opens_only = role == Role::Opening;
    let found = match (described.used_to, pinned) {
        (Use::Seal, None) if opens_only => described.primary,
        (Use::Seal, None) => Some(described.sealing()?.clone()),
        (Use::Seal, Some(version)) => Some(kms.version(&key, version).await?),
        (Use::Sign, _) => {
            let versions = kms.versions(&key).await?;
            let found = current(&versions, pinned, None)
                .or_else(|| versions.last().filter(|_| pinned.is_none()));
            found.cloned()
        }
    };
    if !opens_only {
        let version = found.as_ref().ok_or_else(|| none_of(&key, described.used_to, pinned))?;
        version.check_usable(&key)?;
        if described.used_to == Use::Sign && version.signing.is_none() {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!(
                    "version {} of key {key} is {}; signing takes RSA_SIGN_PKCS1_*, RSA_SIGN_PSS_*, \
                     EC_SIGN_P256_SHA256, EC_SIGN_P384_SHA384 or EC_SIGN_ED25519",
                    version.number, version.algorithm
                ),
            ));
        }
    }
    Bound::new(key, described.used_to, pinned, found.as_ref())
}

fn none_of(key: &str, used_to: Use, pinned: Option<u64>) -> Error {
    let (kind, message) = match (used_to, pinned) {
        (_, Some(version)) => (
            ErrorKind::NotFound,
            format!("key {key} has no version {version}, or it was destroyed"),
        ),
        (Use::Seal | Use::Sign, None) => {
            (ErrorKind::Disabled, format!("key {key} has no version that is enabled; make one"))
        }
    };
    Error::new(kind, message)
}

/// By the rules of key URIs.
fn check_endpoint(url: &str) -> Result<String> {
    let key = "projects/p/locations/l/keyRings/r/cryptoKeys/k";
    let uri = format!("{SCHEME}://{key}?endpoint={url}").parse()?;
    match uri {
        KeyUri::GcpKms(uri) if !url.contains('&') => uri.endpoint().map(str::to_owned),
        _ => None,
    }
    .ok_or_else(|| Error::new(ErrorKind::InvalidInput, "the endpoint is not a plain URL"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_https_or_this_host() {
        for (url, canonical) in [
            (
                "https://cloudkms.europe-west3.rep.googleapis.com/",
                "https://cloudkms.europe-west3.rep.googleapis.com",
            ),
            ("http://127.0.0.1:9", "http://127.0.0.1:9"),
        ] {
            assert_eq!(check_endpoint(url).unwrap(), canonical);
        }
        for url in [
            "http://kms.example.com",
            "",
            "kms.example.com",
            "https://h&endpoint=http://x",
            "https://a@h",
        ] {
            assert_eq!(check_endpoint(url).unwrap_err().kind(), ErrorKind::InvalidInput, "{url}");
        }
    }
}
