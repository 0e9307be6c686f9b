//! Several regions that hold replicas of the same keys, as one provider.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use bulla::{
    Error, ErrorKind, Operation, Result, SharedProvider,
    provider::Role,
    resilience::{Failover, Policy, Resilient},
};
use futures_util::{StreamExt as _, stream::FuturesUnordered};
use tokio::time::{Instant, timeout_at};

use crate::{
    arn::KeyArn, connecting::Prepared, provider::AwsKms, settings::AwsKmsBuilder,
    unreached::Unreached,
};

/// How much longer the other regions have once one has answered.
const GRACE: Duration = Duration::from_secs(1);

impl AwsKms {
    /// One provider for several regions, in order of preference: replicas of multi-Region keys,
    /// each region behind the policy, and behind a [`Failover`] all of them.
    ///
    /// All regions are asked for their keys at once. Once one has answered, the others have a second
    /// more, so a service starts during an outage of its own region. Such a region is asked again
    /// when calls come, every five seconds at most, and serves once its keys turn out to be the
    /// replicas of those that another region described; until then it counts as unavailable,
    /// whatever it says.
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
    /// first that can't be reached if none can, or if its keys are not given as those of another
    /// one are; as for [`Failover::new`].
    pub async fn in_regions(
        label: &str,
        regions: impl IntoIterator<Item = AwsKmsBuilder>,
        policy: Policy,
    ) -> Result<Failover> {
        let mut prepared = Vec::new();
        for builder in regions {
            prepared.push(Region::new(builder, label).await?);
        }
        let connected = ask_all(&prepared, &policy).await;
        let sibling = prepared.iter().find_map(|region| {
            let keys = region.connected.get()?;
            Some((region.prepared.wanted.clone(), Arc::clone(keys)))
        });
        let mut members: Vec<SharedProvider> = Vec::new();
        for (region, connected) in prepared.into_iter().zip(connected) {
            members.push(Arc::new(match connected {
                Ok(resilient) => resilient,
                Err(error) if error.is_retryable() => {
                    let replicas = sibling
                        .as_ref()
                        .and_then(|(wanted, sibling)| region.prepared.replicas_of(wanted, sibling));
                    let Some(expected) = replicas else { return Err(error) };
                    let (provider, kind) = (&*region.prepared.label, error.kind().as_str());
                    tracing::warn!(provider, error = kind, "region not reached; it is asked later");
                    let unreached = Unreached::new(region.prepared, expected, error);
                    Resilient::new(Arc::new(unreached), policy.clone())
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
    connected: OnceLock<Arc<AwsKms>>,
}

impl Region {
    async fn new(builder: AwsKmsBuilder, label: &str) -> Result<Self> {
        let mut prepared = builder.prepare(label).await?;
        if &*prepared.label == label {
            prepared.label = format!("{label}/{}", prepared.region).into();
        }
        Ok(Self { prepared, connected: OnceLock::new() })
    }

    async fn connect(&self, policy: &Policy) -> Result<Resilient> {
        let label = Arc::clone(&self.prepared.label);
        Resilient::connect(label, policy.clone(), || async {
            let connected = Arc::new(self.prepared.connect().await?);
            Ok(Arc::clone(self.connected.get_or_init(|| connected)) as SharedProvider)
        })
        .await
    }
}

/// Asks all at once. What has not answered in time is an outage.
async fn ask_all(regions: &[Region], policy: &Policy) -> Vec<Result<Resilient>> {
    let late = |region: &Region| {
        let message = "no answer yet, and another region has answered";
        let error = Error::new(ErrorKind::Timeout, message);
        error.with_provider(region.prepared.label.as_ref()).with_operation(Operation::Build)
    };
    let mut connected: Vec<_> = regions.iter().map(|region| Err(late(region))).collect();
    let asking = connected.iter_mut().zip(regions);
    let mut asking: FuturesUnordered<_> = asking
        .map(|(place, region)| async {
            *place = region.connect(policy).await;
            place.is_ok()
        })
        .collect();
    let mut until = None;
    loop {
        let next = match until {
            None => asking.next().await,
            Some(until) => timeout_at(until, asking.next()).await.unwrap_or_default(),
        };
        match next {
            None => break,
            Some(true) if until.is_none() => until = Some(Instant::now() + GRACE),
            Some(_) => {}
        }
    }
    drop(asking);
    connected
}

impl Prepared {
    /// What this region has if it has replicas of a sibling's keys, and if they are given here as
    /// they are there.
    fn replicas_of(&self, wanted: &[(String, Role)], sibling: &AwsKms) -> Option<AwsKms> {
        let alike = self.wanted.len() == wanted.len()
            && self.wanted.iter().zip(wanted).all(|(a, b)| a.1 == b.1 && is_same(&a.0, &b.0));
        let replicas = sibling.keys.map(|key| key.replica(&self.region)).filter(|_| alike)?;
        self.with(replicas).ok()
    }
}

/// Whether two texts name one multi-Region key, as far as texts can tell.
fn is_same(one: &str, other: &str) -> bool {
    fn name(text: &str) -> &str {
        let name = text.rsplit(':').next().unwrap_or(text);
        name.strip_prefix("key/").unwrap_or(name)
    }
    match (KeyArn::parse(one), KeyArn::parse(other)) {
        (Some(one), Some(other)) => one.is_same_key(&other),
        _ => name(one) == name(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_alike_by_what_does_not_depend_on_the_region() {
        let id = "mrk-1234abcd12ab34cd56ef1234567890ab";
        let west = format!("arn:aws:kms:eu-west-1:111122223333:key/{id}");
        let east = west.replace("eu-west-1", "us-east-2");
        let alias = "arn:aws:kms:us-east-2:111122223333:alias/orders";
        for (one, other) in [(&*west, &*east), (&west, id), (id, id), ("alias/orders", alias)] {
            assert!(is_same(one, other) && is_same(other, one), "{one} {other}");
        }
        let account = east.replace("111122223333", "444455556666");
        let other_id = west.replace("mrk-1", "mrk-2");
        for (one, other) in
            [(&*west, &*account), (&west, &other_id), ("alias/a", "alias/b"), ("alias/a", id)]
        {
            assert!(!is_same(one, other), "{one} {other}");
        }
    }
}
