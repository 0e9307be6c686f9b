//! Keys from elsewhere, and keys for elsewhere.

use bulla::{Error, ErrorKind, Result};
use zeroize::Zeroizing;

use super::{
    Entry, Store,
    layout::{MAX_FILE, StoredState},
};
use crate::{
    material::Material,
    name::check_new_name,
    pair::public_members,
    passphrase::{Passphrase, Protection},
    pem,
    record::{ExportFormat, KeyRecord},
};

impl Store {
    /// Makes a key of material from elsewhere: a private key as PEM (PKCS#8, PKCS#1 or SEC 1) or
    /// as a JWK, or an AES key as a JWK of 32 bytes. Which it is, the text tells.
    ///
    /// Private and public part are checked against each other. A JWK whose `alg`, `use` or
    /// `key_ops` says that the key is for something else is refused: an AES key is to encrypt or to
    /// wrap keys, the others to sign.
    ///
    /// # Security
    /// Wipe `material` afterwards. The key is as secret as the ways that it came.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] if the text is damaged, holds no private key, one that
    /// contradicts itself or one for another use; [`ErrorKind::Unsupported`] for other sizes and curves than
    /// [`KeyType`](crate::KeyType) has, for encrypted PEM, and for asymmetric keys in a build
    /// without the feature `aws-lc-rs`; otherwise as for [`create_key`](Self::create_key).
    pub fn import(
        &self,
        name: &str,
        material: &[u8],
        protection: &Protection,
    ) -> Result<KeyRecord> {
        check_new_name(name)?;
        if material.len() > MAX_FILE {
            let message = format!("the key is longer than {MAX_FILE} bytes");
            return Err(Error::new(ErrorKind::InvalidInput, message));
        }
        self.add_key(name, &Material::import(material)?, protection)
    }

    /// The private or secret key of a version, or of the current one, **in plain**: PKCS#8, PKCS#1 or
    /// SEC 1 PEM, or a JWK. AES keys have no PEM form.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] if the version is protected and `passphrase` is missing;
    /// [`ErrorKind::NotAuthentic`] if it is the wrong one; [`ErrorKind::Unsupported`] for a form
    /// that this type of key does not have; [`ErrorKind::NotFound`] or [`ErrorKind::Destroyed`] if the version is not there.
    pub fn export(
        &self,
        name_or_id: &str,
        version: Option<u32>,
        format: ExportFormat,
        passphrase: Option<&Passphrase>,
    ) -> Result<Zeroizing<String>> {
        let (entry, version) = self.existing_version(name_or_id, version)?;
        let passphrases: Vec<_> = passphrase.into_iter().cloned().collect();
        let material = entry.material(version, &passphrases)?;
        match format {
            ExportFormat::Pem => material.to_pem(),
            ExportFormat::Jwk => material.to_jwk(),
            ExportFormat::Pkcs1 | ExportFormat::Sec1 => material.to_older_pem(format),
        }
    }

    /// The public key of a version, or of the current one: SubjectPublicKeyInfo as PEM, or a JWK.
    /// Needs no passphrase.
    ///
    /// # Security
    /// Of a protected version, it is what the file says: whoever may write to the store can put
    /// another public key there, and only a program that has the passphrase notices. Otherwise it is
    /// checked against the private key.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for an AES key, which has none, or if the public key is not the
    /// private key's; [`ErrorKind::Unsupported`] in a
    /// build without the feature `aws-lc-rs`; [`ErrorKind::NotFound`] or [`ErrorKind::Destroyed`]
    /// if the version is not there.
    pub fn export_public(
        &self,
        name_or_id: &str,
        version: Option<u32>,
        format: ExportFormat,
    ) -> Result<String> {
        let (entry, version) = self.existing_version(name_or_id, version)?;
        let public = entry.public(version)?;
        match format {
            ExportFormat::Pem => pem::render_public(&public),
            ExportFormat::Jwk => {
                Ok(std::mem::take(&mut *public_members(entry.key_type(), &public)?.render()?))
            }
            ExportFormat::Pkcs1 | ExportFormat::Sec1 => Err(Error::new(
                ErrorKind::Unsupported,
                "public keys are written as SubjectPublicKeyInfo PEM or as a JWK",
            )),
        }
    }

    fn existing_version(&self, name_or_id: &str, version: Option<u32>) -> Result<(Entry, u32)> {
        let entry = self.entry(name_or_id)?;
        let version = version.unwrap_or(entry.state.current);
        if entry.listed(version)?.state == StoredState::Destroyed {
            let message = format!("version {version} of key {} was destroyed", entry.id());
            return Err(Error::new(ErrorKind::Destroyed, message));
        }
        Ok((entry, version))
    }
}
