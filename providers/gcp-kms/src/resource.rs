//! Names of keys and of their versions.

use bulla::{Error, ErrorKind, KeyUri, Result, key::GcpKmsUri};

pub(crate) const SCHEME: &str = "gcpkms";

/// The number of a version of a key, from 1.
pub(crate) type Version = u64;

/// A key as it is given in code: by its resource name, with a version or without.
///
/// # Errors
/// [`ErrorKind::InvalidInput`] for whatever else.
pub(crate) fn parse(text: &str) -> Result<GcpKmsUri> {
    let name = text.strip_prefix("gcpkms://").unwrap_or(text);
    match format!("{SCHEME}://{name}").parse()? {
        KeyUri::GcpKms(uri) if uri.endpoint().is_none() => Ok(uri),
        _ => {
            let message = "the endpoint is not part of a key's name; give it to the builder";
            Err(Error::new(ErrorKind::InvalidInput, message))
        }
    }
}

/// The resource name of a version.
pub(crate) fn version_name(key: &str, version: Version) -> String {
    format!("{key}/cryptoKeyVersions/{version}")
}

/// Which version of that key a resource name is about. `None` if it is about another key, or is none.
pub(crate) fn version_in(key: &str, name: &str) -> Option<Version> {
    version_of(name.strip_prefix(key)?.strip_prefix("/cryptoKeyVersions/")?)
}

/// The number of a version, which has one spelling.
pub(crate) fn version_of(text: &str) -> Option<Version> {
    let plain = (1..=18).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_digit())
        && !text.starts_with('0');
    text.parse().ok().filter(|_| plain)
}

/// Whether two resource names may be the same key's: a project has a number beside its id, and KMS says
/// which it likes.
pub(crate) fn may_be_same(asked: &str, answered: &str) -> bool {
    let after_project = |name: &str| {
        let rest = name.strip_prefix("projects/")?;
        rest.split_once('/').map(|(_, rest)| rest.to_owned())
    };
    asked == answered
        || (parse(answered).is_ok_and(|uri| uri.version().is_none())
            && after_project(asked) == after_project(answered))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "projects/p/locations/l/keyRings/r/cryptoKeys/k";

    #[test]
    fn a_version_has_one_spelling() {
        assert_eq!(version_in(KEY, &format!("{KEY}/cryptoKeyVersions/12")), Some(12));
        for bad in ["", "0", "01", "+1", "1/", "1234567890123456789", "x", "٣"] {
            assert_eq!(version_in(KEY, &format!("{KEY}/cryptoKeyVersions/{bad}")), None, "{bad}");
        }
        for other in
            [KEY, "", "projects/p/locations/l/keyRings/r/cryptoKeys/k2/cryptoKeyVersions/1"]
        {
            assert_eq!(version_in(KEY, other), None);
        }
        assert_eq!(version_in(KEY, &version_name(KEY, 7)), Some(7));
    }

    #[test]
    fn keys_are_given_with_and_without_scheme_and_version() {
        assert_eq!(parse(KEY).unwrap().resource_name(), KEY);
        let uri = parse(&format!("gcpkms://{KEY}/cryptoKeyVersions/3")).unwrap();
        assert_eq!((uri.resource_name(), uri.version()), (KEY.to_owned(), Some("3")));
        for bad in ["k", "", "awskms:///alias/k", &format!("{KEY}?endpoint=https://h")] {
            assert_eq!(parse(bad).unwrap_err().kind(), ErrorKind::InvalidInput, "{bad}");
        }
    }

    #[test]
    fn only_the_project_has_two_names() {
        let number = KEY.replace("projects/p", "projects/123");
        assert!(may_be_same(KEY, KEY) && may_be_same(&number, KEY) && may_be_same(KEY, &number));
        for other in [
            "",
            "projects/p",
            "projects/p/locations/l/keyRings/r/cryptoKeys/k2",
            "projects/p/locations/m/keyRings/r/cryptoKeys/k",
            "projects/p/locations/l/keyRings/r/cryptoKeys/k/cryptoKeyVersions/1",
        ] {
            assert!(!may_be_same(KEY, other), "{other}");
        }
    }
}
