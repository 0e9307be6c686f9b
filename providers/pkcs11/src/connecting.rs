//! From what the application said to a provider whose keys were looked at.

use std::{env, path::PathBuf, sync::Arc};

use bulla::{Error, ErrorKind, Operation, Result};

use crate::{
    bound::{Bound, Keys, SCHEME},
    capabilities,
    module::Module,
    provider::Pkcs11,
    settings::Pkcs11Builder,
    token::Token,
};

/// Where the module is looked for if none is given.
const VARIABLE: &str = "BULLA_PKCS11_MODULE";

impl Pkcs11Builder {
    /// Loads the module, logs in and looks at every key.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] if no key is bound, the module can't be loaded, there is no PIN, or
    /// several tokens or keys match; [`ErrorKind::NotFound`] for a key that is not there;
    /// [`ErrorKind::Unavailable`] for a token that is not; [`ErrorKind::Denied`] for a PIN that is not
    /// accepted, which is not tried again; [`ErrorKind::Unsupported`] for a key of the wrong kind.
    pub async fn build(self) -> Result<Pkcs11> {
        let label: Arc<str> = self.label.as_deref().unwrap_or(SCHEME).into();
        let built = self.connect(Arc::clone(&label)).await;
        built.map_err(|e| e.with_provider(label).with_operation(Operation::Build))
    }

    async fn connect(mut self, label: Arc<str>) -> Result<Pkcs11> {
        if self.keys.is_empty() {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                "no key is bound; give a sealing key, a signing key, or keys to open",
            ));
        }
        let (bound, algorithm) = (std::mem::take(&mut self.keys), self.algorithm);
        let accepts_public_key_wraps = self.accepts_public_key_wraps;
        let token = self.open().await?;
        let mut keys = Keys::default();
        for (key, role) in bound {
            let key = key?;
            let described = token.run(move |work| work.describe(&key, role)).await?;
            keys.add(Bound::new(described)?, role)?;
        }
        let capabilities = capabilities::of(&keys, algorithm)?;
        Ok(Pkcs11 { label, capabilities, keys, token, accepts_public_key_wraps })
    }

    /// Loads the module and logs in.
    pub(crate) async fn open(self) -> Result<Arc<Token>> {
        let invalid = |message: String| Err(Error::new(ErrorKind::InvalidInput, message));
        if let Some(unknown) = self.unknown {
            return invalid(format!(
                "{unknown} is not looked at; name the token by token, serial, manufacturer, model or \
                 slot-id, and the module by module-path"
            ));
        }
        let Some(path) = self.module.or_else(|| env::var_os(VARIABLE).map(PathBuf::from)) else {
            return invalid(format!(
                "no PKCS #11 module is given; give `module-path` in the URI, or set {VARIABLE}"
            ));
        };
        let loaded = tokio::task::spawn_blocking(move || Module::load(&path)).await;
        let module = loaded.map_err(|_| {
            Error::new(ErrorKind::Internal, "loading the PKCS #11 module did not return")
        })??;
        let token = Token::new(module, self.token, self.pin?, self.shared, self.max_sessions);
        let token = Arc::new(token);
        token.open().await?;
        Ok(token)
    }
}
