//! Several regions that hold replicas of the same keys, as one provider.

use std::sync::{Arc, OnceLock};

use bulla::{
    Operation, Result, SharedProvider,
    resilience::{Failover, Policy, Resilient},
};
use futures_util::future::join_all;

use crate::{
    builder::{AwsKmsBuilder, Prepared},
    provider::AwsKms,
};

impl AwsKms {
    /// One provider for several regions, in order of preference: replicas of multi-Region keys,
    /// each region behind the policy, and behind a [`Failover`] all of them.
    ///
    /// All regions are asked for their keys at once. A region that can't be reached holds nothing
    /// up while another one can, so a service starts during an outage of its own region: its keys
    /// are taken to be the replicas of those that the other region describes.
    ///
    /// ```no_run
    /// use bulla::resilience::Policy;
    /// use bulla_aws_kms::AwsKms;
    ///
    /// # async fn example() -> bulla::Result<()> {
    /// let key = "arn:aws:kms:eu-west-1:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab";
    /// let kms = AwsKms::builder().sealing_key(key);
    /// let regions = ["eu-west-1", "eu-central-1"].map(|region| kms.clone().region(region));
    /// let kms = AwsKms::in_regions("aws", regions, Policy::default()).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// A builder without a label of its own gets this one with its region, such as
    /// `aws/eu-west-1`.
    ///
    /// # Errors
    /// As for [`AwsKmsBuilder::build`], of the first region that answers with a refusal, or of the
    /// first of all if none can be reached; as for [`Failover::new`].
    pub async fn in_regions(
        label: &str,
        regions: impl IntoIterator<Item = AwsKmsBuilder>,
        policy: Policy,
    ) -> Result<Failover> {
        let mut prepared = Vec::new();
        for builder in regions {
            prepared.push(Region::new(builder, label).await?);
        }
        let opened = join_all(prepared.iter().map(|region| region.open(&policy))).await;
        let sibling = prepared.iter().find_map(|region| region.opened.get());
        let mut members: Vec<SharedProvider> = Vec::new();
        for (region, opened) in prepared.iter().zip(opened) {
            members.push(Arc::new(match opened {
                Ok(resilient) => resilient,
                Err(error) if error.is_retryable() => {
                    let replicas = sibling.and_then(|sibling| region.replicas_of(sibling));
                    let Some(replicas) = replicas else { return Err(error) };
                    let provider = &*region.prepared.label;
                    let error = error.kind().as_str();
                    tracing::warn!(provider, error, "region not reached; taking its keys on trust");
                    Resilient::new(Arc::new(replicas), policy.clone())
                }
                Err(error) => return Err(error),
            }));
        }
        Failover::new(label, members).map_err(|e| e.with_operation(Operation::Build))
    }
}

struct Region {
    prepared: Prepared,
    /// The provider, if its keys were described.
    opened: OnceLock<Arc<AwsKms>>,
}

impl Region {
    async fn new(builder: AwsKmsBuilder, label: &str) -> Result<Self> {
        let mut prepared = builder.prepare(label).await?;
        if &*prepared.label == label {
            prepared.label = format!("{label}/{}", prepared.region).into();
        }
        Ok(Self { prepared, opened: OnceLock::new() })
    }

    async fn open(&self, policy: &Policy) -> Result<Resilient> {
        let label = Arc::clone(&self.prepared.label);
        Resilient::open(label, policy.clone(), || async {
            let opened = Arc::new(self.prepared.ask().await?);
            Ok(Arc::clone(self.opened.get_or_init(|| opened)) as SharedProvider)
        })
        .await
    }

    /// What this region has if it has replicas of another region's keys, and if those are the keys
    /// that are wanted here.
    fn replicas_of(&self, sibling: &AwsKms) -> Option<AwsKms> {
        let known = |wanted: &str| {
            // Which key an alias stands for here nobody can tell now.
            let id = wanted.rsplit('/').next().unwrap_or(wanted);
            wanted.contains("alias/") || sibling.keys.all.iter().any(|bound| bound.arn.id() == id)
        };
        if !self.prepared.wanted.iter().all(|(wanted, _)| known(wanted)) {
            return None;
        }
        self.prepared.with(sibling.keys.replicas(&self.prepared.region)?).ok()
    }
}
