//! Making keys that are not in the key store, for the providers that can.

use bulla::KeyUri;
use bulla_local::KeyType;

use super::check_scheme;
use crate::{
    Session,
    failure::{Failure, Outcome},
};

/// A key that was made elsewhere.
pub(crate) struct Created {
    /// What it is named by from here on.
    pub(crate) uri: String,
    /// Its id there, in hexadecimal.
    pub(crate) id: String,
    /// As headers name it.
    pub(crate) name: String,
    pub(crate) key_type: KeyType,
}

/// Makes a key where its URI says.
pub(crate) fn create(uri: &KeyUri, key_type: KeyType, session: &Session) -> Outcome<Created> {
    check_scheme(uri)?;
    match uri {
        #[cfg(feature = "pkcs11")]
        KeyUri::Pkcs11(token) => {
            let builder = bulla_pkcs11::Pkcs11::builder().label(uri.to_string()).uri(token);
            // The two lists of types have the same names.
            let made = builder.create_key(key_type.as_str().parse()?);
            let made = session.runtime.block_on(made)?;
            let id = made.id.iter().map(|byte| format!("{byte:02x}")).collect();
            let (uri, name) = (made.uri.to_string(), made.name.to_string());
            Ok(Created { uri, id, name, key_type })
        }
        _ => {
            let _ = (key_type, session);
            let scheme = uri.scheme();
            Err(Failure::usage(format!(
                "`{scheme}` keys are not made by bulla; make them with the provider's own tools"
            )))
        }
    }
}
