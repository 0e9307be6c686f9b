//! SPIFFE IDs and trust domains in their one spelling.
//!
//! The types are those of the crate [`spiffe`]. Its parsers take more than the standard (SPIFFE-ID,
//! section 2) has: a scheme and a trust domain with capital letters, which they make small, IDs over 2,048
//! bytes, and a trust domain that is written as an ID with any path behind it. Here an ID is what the
//! standard says, as it stands: what was compared, signed or logged as text is the same ID to everybody.

use bulla::{Error, ErrorKind, Result};
pub use spiffe::{SpiffeId, TrustDomain};

/// Bytes in the longest ID (SPIFFE-ID, section 2.3).
pub const MAX_ID_LEN: usize = 2048;

const SCHEME: &str = "spiffe://";

/// Parses a SPIFFE ID such as `spiffe://example.org/billing`.
///
/// # Errors
/// [`ErrorKind::InvalidInput`] for what is no SPIFFE ID, has a capital letter in its scheme or trust domain,
/// or is over 2,048 bytes.
pub fn spiffe_id(text: &str) -> Result<SpiffeId> {
    if text.len() > MAX_ID_LEN {
        return Err(invalid("a SPIFFE ID has at most 2,048 bytes".to_owned()));
    }
    let id = SpiffeId::new(text)
        .map_err(|error| invalid(format!("no SPIFFE ID: {error}")).with_source(error))?;
    let rest = text.strip_prefix(SCHEME);
    let path = rest.and_then(|rest| rest.strip_prefix(id.trust_domain_name()));
    match path == Some(id.path()) {
        true => Ok(id),
        false => Err(capitals("a SPIFFE ID")),
    }
}

/// Parses the name of a trust domain, such as `example.org`, or its ID, such as `spiffe://example.org`.
///
/// # Errors
/// [`ErrorKind::InvalidInput`] for what is neither, or has a capital letter.
pub fn trust_domain(text: &str) -> Result<TrustDomain> {
    let name = text.strip_prefix(SCHEME).unwrap_or(text);
    let domain = TrustDomain::new(name)
        .map_err(|error| invalid(format!("no trust domain: {error}")).with_source(error))?;
    match domain.as_str() == name {
        true => Ok(domain),
        false => Err(capitals("a trust domain")),
    }
}

fn capitals(what: &str) -> Error {
    invalid(format!("{what} is written in small letters up to its path, and has no other scheme"))
}

fn invalid(message: String) -> Error {
    Error::new(ErrorKind::InvalidInput, message)
}

/// The cases of go-spiffe's `spiffeid` tests (commit e9973f6, Apache-2.0), as facts.
#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn accepted(text: &str, domain: &str, path: &str) {
        let id = spiffe_id(text).unwrap();
        assert_eq!((id.trust_domain_name(), id.path()), (domain, path));
        assert_eq!(id.to_string(), text);
    }

    #[track_caller]
    fn refused(text: &str) {
        assert_eq!(spiffe_id(text).unwrap_err().kind(), ErrorKind::InvalidInput, "{text}");
    }

    #[test]
    fn ids_are_those_of_the_standard() {
        accepted("spiffe://trustdomain", "trustdomain", "");
        accepted("spiffe://trustdomain/path", "trustdomain", "/path");
        for path in ["/.path", "/..path", "/..."] {
            accepted(&format!("spiffe://trustdomain{path}"), "trustdomain", path);
        }
        for bad in [
            "",
            "s",
            "spiffe:/",
            "Spiffe://",
            "Spiffe://trustdomain/path",
            "SPIFFE://trustdomain",
            "spiffe://TrustDomain/path",
            "https://trustdomain/path",
            "spiffe://",
            "spiffe:///",
            "spiffe:///path",
            "spiffe://trustdomain/",
            "spiffe://trustdomain//",
            "spiffe://trustdomain//path",
            "spiffe://trustdomain/path/",
            "spiffe://trustdomain/.",
            "spiffe://trustdomain/./path",
            "spiffe://trustdomain/path/./other",
            "spiffe://trustdomain/path/..",
            "spiffe://trustdomain/..",
            "spiffe://trustdomain/../path",
            "spiffe://trustdomain/path/../other",
            "spiffe://%F0%9F%A4%AF/path",
            "spiffe://trustdomain/%F0%9F%A4%AF",
            "spiffe://%62%61%64/path",
            "spiffe://trustdomain/%62%61%64",
            "spiffe://trustdomain:80/path",
            "spiffe://user@trustdomain/path",
            "spiffe://trustdomain/path?query",
            "spiffe://trustdomain/path#fragment",
            "spiffe://trust$domain",
            "spiffe://[::1]/path",
            " spiffe://trustdomain/path",
            "spiffe://trustdomain/path ",
            "spiffe://trustdomain/path\n",
            "spiffe://trustdomain/path\0",
        ] {
            refused(bad);
        }
    }

    #[test]
    fn every_character_is_where_it_may_be() {
        for c in (0_u8..=255).map(char::from).filter(|c| *c != '/') {
            let in_domain = matches!(c, 'a'..='z' | '0'..='9' | '.' | '-' | '_');
            let text = format!("spiffe://trustdomain{c}/path");
            match in_domain {
                true => accepted(&text, &format!("trustdomain{c}"), "/path"),
                false => refused(&text),
            }
            assert_eq!(trust_domain(&format!("trustdomain{c}")).is_ok(), in_domain, "{c:?}");
            let text = format!("spiffe://trustdomain/path{c}");
            match in_domain || c.is_ascii_uppercase() {
                true => accepted(&text, "trustdomain", &format!("/path{c}")),
                false => refused(&text),
            }
        }
    }

    #[test]
    fn lengths_are_the_standards() {
        let id = |len: usize| format!("spiffe://td/{}", "a".repeat(len - 12));
        assert_eq!(id(MAX_ID_LEN).len(), MAX_ID_LEN);
        spiffe_id(&id(MAX_ID_LEN)).unwrap();
        refused(&id(MAX_ID_LEN + 1));
        let domain = |len: usize| "a".repeat(len);
        spiffe_id(&format!("spiffe://{}/path", domain(255))).unwrap();
        refused(&format!("spiffe://{}/path", domain(256)));
        trust_domain(&domain(255)).unwrap();
        trust_domain(&domain(256)).unwrap_err();
    }

    #[test]
    fn a_trust_domain_is_a_name_or_its_id() {
        for text in ["trustdomain", "spiffe://trustdomain"] {
            assert_eq!(trust_domain(text).unwrap().as_str(), "trustdomain");
        }
        for bad in [
            "",
            "spiffe://",
            "spiffe:/trustdomain",
            "spiffe://trustdomain/",
            // go-spiffe takes the domain out of an ID; here an ID is not taken for a domain.
            "spiffe://trustdomain/path",
            "spiffe://trustdomain/bad path/",
            "SPIFFE://trustdomain",
            "https://trustdomain",
            "Trustdomain",
            "trustdomain/path",
            "trustdomain:80",
            "spiffe://spiffe://trustdomain",
        ] {
            assert_eq!(trust_domain(bad).unwrap_err().kind(), ErrorKind::InvalidInput, "{bad}");
        }
    }
}
