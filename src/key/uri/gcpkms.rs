use std::fmt;

use super::{
    endpoint,
    text::{Options, echo, invalid, is_name_byte, is_word, require, split_query, write_options},
};
use crate::error::Result;

const SCHEME: &str = "gcpkms";

/// A key in Google Cloud KMS, by its resource name.
///
/// ```text
/// gcpkms   = "//projects/" PROJECT "/locations/" LOCATION "/keyRings/" RING
///            "/cryptoKeys/" KEY [ "/cryptoKeyVersions/" VERSION ] [ "?endpoint=" endpoint ]
/// endpoint = ( "https" / "http" ) "://" HOST [ ":" PORT ] *( "/" SEGMENT )
///
/// PROJECT  ; 1 to 63 of [A-Za-z0-9._:-], not "." or "..", such as "example.com:orders"
/// LOCATION ; 1 to 63 of [A-Za-z0-9_-], and so are RING and KEY
/// VERSION  ; 1 to 18 digits, the first not "0"
/// HOST     ; a DNS name, an IPv4 address, or an IPv6 address in brackets
/// SEGMENT  ; 1 or more of [A-Za-z0-9._~-], not "." or ".."
/// ```
///
/// An `http` endpoint must be a loopback address: KMS is sent data keys and returns them. Credentials come
/// from the environment, as for all of Google's clients.
///
/// ```
/// use bulla::KeyUri;
///
/// let text = "gcpkms://projects/p/locations/europe-west3/keyRings/r/cryptoKeys/k";
/// let KeyUri::GcpKms(uri) = text.parse()? else { unreachable!() };
/// assert_eq!(uri.location(), "europe-west3");
/// assert_eq!(
///     uri.resource_name(),
///     "projects/p/locations/europe-west3/keyRings/r/cryptoKeys/k"
/// );
/// # Ok::<(), bulla::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct GcpKmsUri {
    project: String,
    location: String,
    key_ring: String,
    key: String,
    version: Option<String>,
    endpoint: Option<String>,
}

impl GcpKmsUri {
    /// The project's id or number.
    #[must_use]
    pub fn project(&self) -> &str {
        &self.project
    }

    /// The location, such as `global` or `europe-west3`.
    #[must_use]
    pub fn location(&self) -> &str {
        &self.location
    }

    /// The key ring's id.
    #[must_use]
    pub fn key_ring(&self) -> &str {
        &self.key_ring
    }

    /// The key's id in its ring.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The number of the key's version, if the URI pins one.
    #[must_use]
    pub fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }

    /// The URL to call instead of `https://cloudkms.googleapis.com`, without a slash at its end.
    #[must_use]
    pub fn endpoint(&self) -> Option<&str> {
        self.endpoint.as_deref()
    }

    /// `projects/…/cryptoKeys/…`, without the version: what the API takes for a key.
    #[must_use]
    pub fn resource_name(&self) -> String {
        let Self { project, location, key_ring, key, .. } = self;
        format!("projects/{project}/locations/{location}/keyRings/{key_ring}/cryptoKeys/{key}")
    }

    pub(super) fn parse(rest: &str) -> Result<Self> {
        let (path, query) = split_query(rest);
        let mut options = Options::parse(SCHEME, query, &["endpoint"])?;
        let parts: Vec<&str> = path.strip_prefix("//").unwrap_or_default().split('/').collect();
        let (project, location, key_ring, key, version) = match *parts.as_slice() {
            ["projects", p, "locations", l, "keyRings", r, "cryptoKeys", k] => (p, l, r, k, None),
            [
                "projects",
                p,
                "locations",
                l,
                "keyRings",
                r,
                "cryptoKeys",
                k,
                "cryptoKeyVersions",
                v,
            ] => (p, l, r, k, Some(v)),
            _ => {
                let form = "//projects/P/locations/L/keyRings/R/cryptoKeys/K[/cryptoKeyVersions/V]";
                return Err(invalid(SCHEME, format_args!("{} is not {form}", echo(path))));
            }
        };
        let is_project = is_word(project, 63, |b| is_name_byte(b) || b == b':')
            && !matches!(project, "." | "..");
        let rule = "1 to 63 of [A-Za-z0-9._:-]";
        require(is_project, SCHEME, "project", project, rule)?;
        for (what, text) in [("location", location), ("key ring", key_ring), ("key", key)] {
            let ok = is_word(text, 63, |b| is_name_byte(b) && b != b'.');
            require(ok, SCHEME, what, text, "1 to 63 of [A-Za-z0-9_-]")?;
        }
        if let Some(version) = version {
            let ok = is_word(version, 18, |b| b.is_ascii_digit()) && !version.starts_with('0');
            require(ok, SCHEME, "version", version, "1 to 18 digits, the first not \"0\"")?;
        }
        let endpoint = options.take("endpoint").map(|url| endpoint::parse(SCHEME, &url));
        Ok(Self {
            project: project.to_owned(),
            location: location.to_owned(),
            key_ring: key_ring.to_owned(),
            key: key.to_owned(),
            version: version.map(str::to_owned),
            endpoint: endpoint.transpose()?,
        })
    }

    pub(super) fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "//{}", self.resource_name())?;
        if let Some(version) = self.version() {
            write!(f, "/cryptoKeyVersions/{version}")?;
        }
        write_options(f, &[("endpoint", self.endpoint())])
    }
}
