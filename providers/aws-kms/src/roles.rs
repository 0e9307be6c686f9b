//! What each key is bound as.

use bulla::{Error, ErrorKind, Result, provider::Role};

use crate::{arn::canonical, settings::AwsKmsBuilder};

impl AwsKmsBuilder {
    /// The keys in their canonical spelling, sealing key and signing key first.
    pub(crate) fn wanted(&self) -> Result<Vec<(String, Role)>> {
        let main = [
            (&self.sealing_key, Role::Sealing),
            (&self.signing_key, Role::Signing),
            (&self.any_key, Role::Either),
        ];
        let main = main.into_iter().filter_map(|(key, role)| Some((key.as_ref()?, role)));
        let wanted = main.chain(self.also_open.iter().map(|key| (key, Role::Opening)));
        let wanted = wanted.map(|(key, role)| Ok((canonical(key)?, role)));
        let wanted: Vec<_> = wanted.collect::<Result<_>>()?;
        if wanted.is_empty() {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                "no key is bound; give a sealing key, a signing key, or keys to open",
            ));
        }
        Ok(wanted)
    }
}
