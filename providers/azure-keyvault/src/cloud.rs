//! Which cloud a vault is in, by its host: what tokens are for, and who issues them.

use std::sync::Arc;

use azure_core::cloud::CloudConfiguration;

/// What follows from a vault's host. The host comes from the application's configuration alone.
#[derive(Clone, Debug)]
pub(crate) struct Cloud {
    /// The host, in lower case.
    pub(crate) host: String,
    /// What tokens are asked for, and nothing else ever is.
    pub(crate) scope: String,
    /// Who issues them, unless `AZURE_AUTHORITY_HOST` names somebody else.
    pub(crate) issuer: Arc<CloudConfiguration>,
    pub(crate) is_managed_hsm: bool,
}

impl Cloud {
    /// By a host that a key URI has accepted, so that its suffix is one of Azure's.
    pub(crate) fn of(host: &str, is_managed_hsm: bool) -> Self {
        let suffix = host.split_once('.').map_or(host, |(_, suffix)| suffix);
        let issuer = match suffix {
            s if s.ends_with(".azure.cn") => CloudConfiguration::AzureChina,
            s if s.ends_with(".usgovcloudapi.net") => CloudConfiguration::AzureGovernment,
            _ => CloudConfiguration::AzurePublic,
        };
        Self {
            host: host.to_owned(),
            scope: format!("https://{suffix}/.default"),
            issuer: Arc::new(issuer),
            is_managed_hsm,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cloud_has_its_issuer_and_its_audience() {
        use CloudConfiguration::*;
        for (host, scope, issuer) in [
            ("a.vault.azure.net", "https://vault.azure.net/.default", AzurePublic),
            ("a.managedhsm.azure.net", "https://managedhsm.azure.net/.default", AzurePublic),
            ("a.vault.azure.cn", "https://vault.azure.cn/.default", AzureChina),
            ("a.managedhsm.azure.cn", "https://managedhsm.azure.cn/.default", AzureChina),
            (
                "a.vault.usgovcloudapi.net",
                "https://vault.usgovcloudapi.net/.default",
                AzureGovernment,
            ),
            (
                "a.managedhsm.usgovcloudapi.net",
                "https://managedhsm.usgovcloudapi.net/.default",
                AzureGovernment,
            ),
        ] {
            let cloud = Cloud::of(host, host.contains("managedhsm"));
            assert_eq!((&*cloud.scope, &*cloud.issuer), (scope, &issuer), "{host}");
        }
    }
}
