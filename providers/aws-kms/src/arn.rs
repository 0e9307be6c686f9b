//! Key ARNs, and when two of them are the same key.

use bulla::{Error, ErrorKind, KeyName, KeyUri, Result};

/// The scheme of this provider's key names.
pub(crate) const SCHEME: &str = "awskms";

/// The ARN of a key, never of an alias.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeyArn {
    text: String,
    partition: String,
    region: String,
    account: String,
    id: String,
}

impl KeyArn {
    /// Reads the ARN of a key in the spelling that KMS prints; anything else is `None`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if canonical(text).ok()? != text {
            return None;
        }
        let mut parts = text.split(':').skip(1);
        let (partition, _kms) = (parts.next()?, parts.next()?);
        let (region, account) = (parts.next()?, parts.next()?);
        let id = parts.next()?.strip_prefix("key/")?;
        Some(Self {
            text: text.to_owned(),
            partition: partition.to_owned(),
            region: region.to_owned(),
            account: account.to_owned(),
            id: id.to_owned(),
        })
    }

    /// Whether an answer about this key is one to a request for `asked`: an id, an alias or an ARN of
    /// either, in a region.
    pub(crate) fn answers(&self, asked: &str, region: &str) -> bool {
        let mut parts = asked.split(':');
        match (parts.next(), parts.next(), parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(_), Some(partition), Some(_), Some(of), Some(account), Some(key)) => {
                let place = (&*self.partition, &*self.region, &*self.account);
                place == (partition, of, account)
                    && key.strip_prefix("key/").is_none_or(|id| id == self.id)
            }
            _ => self.region == region && (asked.starts_with("alias/") || asked == self.id),
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    pub(crate) fn is_multi_region(&self) -> bool {
        self.id.starts_with("mrk-")
    }

    /// Whether both name one key: the same ARN, or replicas of one multi-Region key, which have the
    /// same key material.
    pub(crate) fn is_same_key(&self, other: &Self) -> bool {
        self.partition == other.partition
            && self.account == other.account
            && self.id == other.id
            && (self.region == other.region || self.is_multi_region())
    }

    /// The replica in another region.
    pub(crate) fn in_region(&self, region: &str) -> String {
        format!("arn:{}:kms:{region}:{}:key/{}", self.partition, self.account, self.id)
    }

    pub(crate) fn name(&self) -> Result<KeyName> {
        KeyName::new(SCHEME, self.text.clone())
    }
}

/// A key id, alias or ARN of either, in the spelling that KMS prints.
pub(crate) fn canonical(key: &str) -> Result<String> {
    // A URI's options don't belong to a key.
    if key.contains('?') {
        return Err(Error::new(ErrorKind::InvalidInput, "a key id, alias or ARN has no \"?\""));
    }
    match format!("{SCHEME}:///{key}").parse()? {
        KeyUri::AwsKms(uri) => Ok(uri.key().to_owned()),
        _ => Err(Error::new(ErrorKind::InvalidInput, "this is no key of AWS KMS")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
    const MRK: &str = "arn:aws:kms:eu-west-1:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab";

    fn arn(text: &str) -> KeyArn {
        KeyArn::parse(text).unwrap()
    }

    #[test]
    fn multi_region_keys_are_the_same_in_every_region() {
        let elsewhere = |text: &str| arn(&text.replace("eu-west-1", "us-east-2"));
        assert!(arn(MRK).is_same_key(&elsewhere(MRK)));
        assert_eq!(arn(MRK).in_region("us-east-2"), elsewhere(MRK).as_str());
        assert!(!arn(ONE).is_same_key(&elsewhere(ONE)));
        assert!(arn(ONE).is_same_key(&arn(ONE)));
        for other in [
            MRK.replace("111122223333", "444455556666"),
            MRK.replace("arn:aws:", "arn:aws-cn:"),
            MRK.replace("mrk-1", "mrk-2"),
        ] {
            assert!(!arn(MRK).is_same_key(&arn(&other)), "{other}");
        }
    }

    #[test]
    fn an_answer_is_about_what_was_asked_for() {
        let (one, here) = (arn(ONE), "eu-west-1");
        let alias = "arn:aws:kms:eu-west-1:111122223333:alias/orders";
        for asked in [ONE, "1234abcd-12ab-34cd-56ef-1234567890ab", "alias/orders", alias] {
            assert!(one.answers(asked, here), "{asked}");
        }
        for asked in [
            MRK,
            "mrk-1234abcd12ab34cd56ef1234567890ab",
            &ONE.replace("eu-west-1", "us-east-2"),
            &ONE.replace("111122223333", "444455556666"),
            &alias.replace("111122223333", "444455556666"),
            &alias.replace("arn:aws:", "arn:aws-cn:"),
        ] {
            assert!(!one.answers(asked, here), "{asked}");
        }
        assert!(!one.answers("alias/orders", "us-east-2"));
    }

    #[test]
    fn only_the_canonical_arn_of_a_key_is_one() {
        for bad in [
            "",
            "alias/x",
            "1234abcd-12ab-34cd-56ef-1234567890ab",
            "arn:aws:kms:eu-west-1:111122223333:alias/x",
            "arn:aws:kms:eu-west-1:111122223333:key/1234ABCD-12ab-34cd-56ef-1234567890ab",
            "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab:x",
            "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab?region=x",
        ] {
            assert_eq!(KeyArn::parse(bad), None, "{bad}");
        }
    }
}
