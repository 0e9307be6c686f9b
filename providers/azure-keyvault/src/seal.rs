//! Data keys. There is no direct mode: neither of the two ways to wrap binds a context.

use async_trait::async_trait;
use bulla::{
    DataKey, DataKeys, Encrypt, EncryptionContext, Error, ErrorKind, KeyVersion, Operation,
    Plaintext, Result, Wrapped,
};

use crate::{
    bound::Bound, capabilities::KEY_WRAP_LEN, id, metadata::Wrapping, provider::AzureKeyVault,
};

impl AzureKeyVault {
    /// The context is bound in the derivation of the message's keys alone.
    async fn wrap(&self, key: &DataKey) -> Result<Wrapped> {
        let vault = self.vault()?;
        let bound = self.keys.to_seal()?;
        let wrapping = wrapping(bound)?;
        let (version, blob) = vault.wrap(bound, wrapping, key.expose()).await?;
        if !is_len(wrapping, blob.len()) {
            let message = format!("wrapKey on {} returned {} bytes", bound.name.id(), blob.len());
            return Err(Error::new(ErrorKind::Unavailable, message));
        }
        bound.saw(&version);
        let algorithm = wrapping.algorithm();
        Ok(Wrapped { key: bound.name.clone(), version: Some(version), algorithm, blob })
    }

    async fn generate(&self) -> Result<(DataKey, Wrapped)> {
        let key = DataKey::generate()?;
        let wrapped = self.wrap(&key).await?;
        Ok((key, wrapped))
    }

    async fn unwrap(&self, sealed: &Wrapped) -> Result<DataKey> {
        let vault = self.vault()?;
        let bound = self.keys.to_open(&sealed.key)?;
        let wrapping = wrapping(bound)?;
        let version = to_open(sealed, wrapping).ok_or_else(Error::not_authentic)?;
        let key = vault.unwrap(bound, version, wrapping, &sealed.blob).await?;
        DataKey::from_slice(&key)
    }
}

/// The version that a record names, if the record is one that this key can have made. It goes into a path,
/// so it has the form that the service's own have, and no other.
fn to_open(sealed: &Wrapped, wrapping: Wrapping) -> Option<&KeyVersion> {
    let version =
        sealed.version.as_ref().filter(|version| id::version(version.as_str()).is_some())?;
    let fits = sealed.algorithm == wrapping.algorithm() && is_len(wrapping, sealed.blob.len());
    fits.then_some(version)
}

/// Versions of one key may be of different sizes.
fn is_len(wrapping: Wrapping, len: usize) -> bool {
    match wrapping {
        Wrapping::Oaep(_) => matches!(len, 256 | 384 | 512),
        Wrapping::KeyWrap => len == KEY_WRAP_LEN,
    }
}

fn wrapping(bound: &Bound) -> Result<Wrapping> {
    bound.wrapping().ok_or_else(|| {
        let message = format!("key {} signs and does not seal", bound.name);
        Error::new(ErrorKind::Unsupported, message)
    })
}

fn no_direct() -> Error {
    Error::new(
        ErrorKind::Unsupported,
        "Azure Key Vault has no direct mode here, since it would not bind the context; use `seal`",
    )
}

#[async_trait]
impl DataKeys for AzureKeyVault {
    async fn generate_data_key(&self, _: &EncryptionContext) -> Result<(DataKey, Wrapped)> {
        self.tell(Operation::GenerateDataKey, self.generate().await)
    }

    async fn wrap_data_key(&self, key: &DataKey, _: &EncryptionContext) -> Result<Wrapped> {
        self.tell(Operation::WrapDataKey, self.wrap(key).await)
    }

    async fn unwrap_data_key(&self, wrapped: &Wrapped, _: &EncryptionContext) -> Result<DataKey> {
        self.tell(Operation::UnwrapDataKey, self.unwrap(wrapped).await)
    }
}

#[async_trait]
impl Encrypt for AzureKeyVault {
    async fn encrypt(&self, _: &[u8], _: &EncryptionContext) -> Result<Wrapped> {
        self.tell(Operation::Encrypt, Err(no_direct()))
    }

    async fn decrypt(&self, sealed: &Wrapped, _: &EncryptionContext) -> Result<Plaintext> {
        let refused = self.keys.to_open(&sealed.key).and_then(|_| Err(no_direct()));
        self.tell(Operation::Decrypt, refused)
    }

    async fn reencrypt(
        &self,
        sealed: &Wrapped,
        _: &EncryptionContext,
        _: &EncryptionContext,
    ) -> Result<Wrapped> {
        let refused = self.keys.to_open(&sealed.key).and_then(|_| Err(no_direct()));
        self.tell(Operation::Reencrypt, refused)
    }
}

#[cfg(test)]
mod tests {
    use bulla::{KeyName, key::WrapAlgorithm};

    use super::*;

    #[test]
    fn what_goes_into_a_path_is_a_version_of_the_services() {
        let oaep = Wrapping::Oaep(256);
        let wrapped = |version: Option<&str>, algorithm, len| Wrapped {
            key: KeyName::new("azurekeyvault", "acme.vault.azure.net/k").unwrap(),
            version: version.map(|version| KeyVersion::parse(version).unwrap()),
            algorithm,
            blob: vec![1; len],
        };
        let version = "0123456789abcdef0123456789abcdef";
        let good = wrapped(Some(version), WrapAlgorithm::RsaOaep256, 256);
        assert!(to_open(&good, oaep).is_some());
        assert!(to_open(&good, Wrapping::KeyWrap).is_none());
        for (version, algorithm, len) in [
            (None, WrapAlgorithm::RsaOaep256, 256),
            (Some("1"), WrapAlgorithm::RsaOaep256, 256),
            (Some("0123456789abcdef0123456789abcde_"), WrapAlgorithm::RsaOaep256, 256),
            (Some("0123456789abcdef0123456789abcdef0"), WrapAlgorithm::RsaOaep256, 256),
            (Some(version), WrapAlgorithm::AesKw, 40),
            (Some(version), WrapAlgorithm::RsaOaep256, 40),
            (Some(version), WrapAlgorithm::RsaOaep256, 0),
            (Some(version), WrapAlgorithm::Native, 256),
        ] {
            assert!(to_open(&wrapped(version, algorithm, len), oaep).is_none());
        }
    }
}
