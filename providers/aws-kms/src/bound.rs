//! One key of the provider.

use bulla::{
    KeyName, Result,
    provider::{Bindings, BoundKey, Role},
};
use tokio::sync::OnceCell;

use crate::{
    arn::{KeyArn, SCHEME},
    client::Kms,
    metadata::{Described, Purpose},
};

/// A key as DescribeKey found it when the provider was built.
#[derive(Debug)]
pub(crate) struct Bound {
    pub(crate) name: KeyName,
    pub(crate) arn: KeyArn,
    pub(crate) purpose: Purpose,
    /// The aliases that it was given by.
    pub(crate) aliases: Vec<String>,
    /// The public half never changes: KMS doesn't rotate asymmetric keys.
    public: OnceCell<Vec<u8>>,
}

impl Bound {
    /// # Errors
    /// If the key can't be used in its state, or for nothing here.
    pub(crate) fn new(described: Described) -> Result<Self> {
        described.check_usable()?;
        let purpose = described.purpose()?;
        Ok(Self {
            name: described.arn.name()?,
            arn: described.arn,
            purpose,
            aliases: Vec::new(),
            public: OnceCell::new(),
        })
    }

    /// The replica of a multi-Region key in another region, which nobody was asked for: it is of the
    /// same kind. `None` for any other key.
    pub(crate) fn replica(&self, region: &str) -> Option<Self> {
        let arn = KeyArn::parse(&self.arn.in_region(region)).filter(KeyArn::is_multi_region)?;
        Some(Self {
            name: arn.name().ok()?,
            arn,
            purpose: self.purpose,
            aliases: self.aliases.clone(),
            public: OnceCell::new(),
        })
    }

    /// The public key, by one GetPublicKey for as long as the provider lives.
    pub(crate) async fn public(&self, kms: &Kms) -> Result<Vec<u8>> {
        self.public.get_or_try_init(|| kms.public_key(&self.arn)).await.cloned()
    }
}

/// The keys of one provider.
pub(crate) type Keys = Bindings<Bound>;

/// Whether these are the same keys by name, in the same roles.
pub(crate) fn same_names(one: &Keys, other: &Keys) -> bool {
    let names = |keys: &Keys| -> Vec<KeyName> {
        let roles = keys.sealing_key().into_iter().chain(keys.signing_key());
        keys.iter().chain(roles).map(|bound| bound.name.clone()).collect()
    };
    names(one) == names(other)
}

impl BoundKey for Bound {
    fn name(&self) -> &KeyName {
        &self.name
    }

    fn seals(&self) -> bool {
        self.purpose == Purpose::Seal
    }

    fn answers_to(&self, name: &KeyName) -> bool {
        // By its ARN, or by that of another replica of a multi-Region key.
        self.name == *name
            || (name.scheme() == SCHEME
                && KeyArn::parse(name.id()).is_some_and(|arn| self.arn.is_same_key(&arn)))
    }

    fn refuses(&self, _: Role) -> Option<&'static str> {
        None
    }

    fn mentioned_again(&mut self, again: Self) {
        self.aliases.extend(again.aliases);
    }
}
