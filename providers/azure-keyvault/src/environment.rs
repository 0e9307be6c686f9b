//! Who the provider is by the environment, as other programs for Azure read it.

use bulla::{Error, ErrorKind, Result};
use secrecy::SecretString;

use crate::credential::{Credential, Kind};

/// Which of the ways below is taken, whatever else is set.
const CHOICE: &str = "AZURE_TOKEN_CREDENTIALS";
const TENANT: &str = "AZURE_TENANT_ID";
const CLIENT: &str = "AZURE_CLIENT_ID";
const SECRET: &str = "AZURE_CLIENT_SECRET";
const CERTIFICATE: &str = "AZURE_CLIENT_CERTIFICATE_PATH";
const FEDERATED: &str = "AZURE_FEDERATED_TOKEN_FILE";

/// Set where an app has an identity of its own.
const APP: [&str; 2] = ["IDENTITY_ENDPOINT", "MSI_ENDPOINT"];

pub(crate) fn process(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

pub(crate) struct Environment<'a>(&'a dyn Fn(&str) -> Option<String>);

impl<'a> Environment<'a> {
    pub(crate) fn new(variables: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self(variables)
    }

    /// The first way for which the environment has what it takes: the secret of an application, a federated
    /// token, the identity of an app, that of the machine, and whoever has logged in.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] if a choice is not known, or what it takes is not set.
    pub(crate) fn credential(&self) -> Result<Credential> {
        let choice = self.get(CHOICE).map(|choice| choice.to_ascii_lowercase());
        let kind = match choice.as_deref() {
            None => self.secret_or_token()?.unwrap_or_else(|| self.here()),
            Some("prod") => self.secret_or_token()?.unwrap_or_else(|| self.identity()),
            Some("dev" | "azureclicredential" | "azuredeveloperclicredential") => {
                Kind::DeveloperTools
            }
            Some("environmentcredential") => self.secret()?,
            Some("workloadidentitycredential") => self.token()?,
            Some("managedidentitycredential") => self.identity(),
            Some(_) => {
                return invalid(format!(
                    "{CHOICE} is none of prod, dev, EnvironmentCredential, WorkloadIdentityCredential, \
                     ManagedIdentityCredential, AzureCliCredential and AzureDeveloperCliCredential"
                ));
            }
        };
        Ok(Credential(kind))
    }

    fn secret_or_token(&self) -> Result<Option<Kind>> {
        if self.get(SECRET).is_some() {
            return self.secret().map(Some);
        }
        if self.get(CERTIFICATE).is_some() {
            return invalid(format!(
                "{CERTIFICATE} is set, and logging in by a certificate is not supported; give a secret, a \
                 federated token or an identity of the machine"
            ));
        }
        self.get(FEDERATED).map(|_| self.token()).transpose()
    }

    fn secret(&self) -> Result<Kind> {
        let secret = SecretString::from(self.need(SECRET)?);
        let (tenant, client) = (self.need(TENANT)?, self.need(CLIENT)?);
        Ok(Kind::ClientSecret { tenant, client, secret: secret.into() })
    }

    fn token(&self) -> Result<Kind> {
        let (tenant, client) = (self.need(TENANT)?, self.need(CLIENT)?);
        Ok(Kind::WorkloadIdentity { tenant, client, file: self.need(FEDERATED)?.into() })
    }

    fn identity(&self) -> Kind {
        Kind::ManagedIdentity { client: self.get(CLIENT) }
    }

    fn here(&self) -> Kind {
        match APP.iter().any(|name| self.get(name).is_some()) {
            true => self.identity(),
            false => Kind::Here { client: self.get(CLIENT) },
        }
    }

    fn get(&self, name: &str) -> Option<String> {
        (self.0)(name)
    }

    fn need(&self, name: &str) -> Result<String> {
        self.get(name).map_or_else(|| invalid(format!("{name} is not set")), Ok)
    }
}

fn invalid<T>(message: String) -> Result<T> {
    Err(Error::new(ErrorKind::InvalidInput, message))
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    fn find(set: &[(&str, &str)]) -> Result<Kind> {
        let variables = |name: &str| {
            let found = set.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        Environment::new(&variables).credential().map(|credential| credential.0)
    }

    const APPLICATION: [(&str, &str); 3] = [(TENANT, "t"), (CLIENT, "c"), (SECRET, "hunter2")];
    const POD: [(&str, &str); 3] = [(TENANT, "t"), (CLIENT, "c"), (FEDERATED, "/token")];

    #[test]
    fn the_environment_says_who_this_is() {
        let Kind::ClientSecret { tenant, client, secret } = find(&APPLICATION).unwrap() else {
            panic!("no secret");
        };
        assert_eq!((&*tenant, &*client, secret.expose_secret()), ("t", "c", "hunter2"));
        assert!(
            matches!(find(&POD), Ok(Kind::WorkloadIdentity { file, .. }) if file.ends_with("token"))
        );
        let all = [&APPLICATION[..], &POD[..]].concat();
        assert!(matches!(find(&all), Ok(Kind::ClientSecret { .. })));
        assert!(matches!(find(&[]), Ok(Kind::Here { client: None })));
        assert!(matches!(
            find(&[("IDENTITY_ENDPOINT", "http://127.0.0.1"), (CLIENT, "c")]),
            Ok(Kind::ManagedIdentity { client: Some(_) })
        ));
    }

    #[test]
    fn a_choice_goes_before_what_else_is_set() {
        let choose = |choice| find(&[&APPLICATION[..], &POD[..], &[(CHOICE, choice)]].concat());
        assert!(matches!(choose("dev"), Ok(Kind::DeveloperTools)));
        assert!(matches!(choose("prod"), Ok(Kind::ClientSecret { .. })));
        assert!(matches!(choose("WorkloadIdentityCredential"), Ok(Kind::WorkloadIdentity { .. })));
        assert!(matches!(choose("ManagedIdentityCredential"), Ok(Kind::ManagedIdentity { .. })));
        assert!(matches!(choose("AzureCliCredential"), Ok(Kind::DeveloperTools)));
        assert!(matches!(find(&[(CHOICE, "prod")]), Ok(Kind::ManagedIdentity { client: None })));
    }

    #[test]
    fn what_is_missing_is_named() {
        for (set, named) in [
            (&[(SECRET, "hunter2")][..], TENANT),
            (&[(SECRET, "hunter2"), (TENANT, "t")][..], CLIENT),
            (&[(FEDERATED, "/token"), (TENANT, "t")][..], CLIENT),
            (&[(CHOICE, "EnvironmentCredential")][..], SECRET),
            (&[(CHOICE, "others")][..], CHOICE),
            (&[(CERTIFICATE, "/cert.pem"), (TENANT, "t"), (CLIENT, "c")][..], CERTIFICATE),
        ] {
            let error = find(set).err().unwrap();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert!(error.message().contains(named) && !error.message().contains("hunter2"));
        }
    }
}
