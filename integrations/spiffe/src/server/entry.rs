//! Who gets which identity.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    time::Duration,
};

use bulla::{Error, ErrorKind, Result};
use serde::Serialize;
use serde_json::{Map, Value};
use spiffe::{SpiffeId, TrustDomain};

use crate::JwtSvidRequest;

/// A registration entry: which processes of this host a SPIFFE ID belongs to. All that it names must be true of a
/// process; a process has the ids of every entry that it fits, in the order of the entries, and the first is its
/// default.
///
/// | what is named | where it comes from | what it is worth |
/// |---|---|---|
/// | user id, group id | the kernel, of the time when the process connected (SO_PEERCRED); the effective ones, without supplementary groups | as much as the separation of users on this host. To a server in a user namespace, all users that are not mapped into it are one (65534 mostly): name that one in no entry |
/// | executable | the file that the process runs when it asks, by device and inode, while it is known to be the one that connected | tells programs of one user apart that mean no harm. **No wall against that user**: who may run the program, or trace it, or preload a library into it, can ask in its name. Scripts are their interpreter |
///
/// ```
/// use std::time::Duration;
///
/// use bulla_spiffe::server::Entry;
/// use spiffe::SpiffeId;
///
/// # fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let entry = Entry::new(SpiffeId::new("spiffe://example.org/orders")?)
///     .uid(1001)
///     .executable("/usr/bin/orders")
///     .jwt_life(Duration::from_secs(120))
///     .claim("region", "eu")?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Entry {
    pub(super) id: SpiffeId,
    pub(super) uid: Option<u32>,
    pub(super) gid: Option<u32>,
    pub(super) executable: Option<PathBuf>,
    pub(super) anybody: bool,
    pub(super) hint: String,
    pub(super) x509_life: Option<Duration>,
    pub(super) jwt_life: Option<Duration>,
    pub(super) claims: Map<String, Value>,
    pub(super) federates_with: BTreeSet<TrustDomain>,
}

impl Entry {
    /// An entry for this id, which fits nobody yet.
    pub fn new(id: SpiffeId) -> Self {
        Self {
            id,
            uid: None,
            gid: None,
            executable: None,
            anybody: false,
            hint: String::new(),
            x509_life: None,
            jwt_life: None,
            claims: Map::new(),
            federates_with: BTreeSet::new(),
        }
    }

    /// Processes of this user.
    pub fn uid(mut self, uid: u32) -> Self {
        self.uid = Some(uid);
        self
    }

    /// Processes of this group.
    pub fn gid(mut self, gid: u32) -> Self {
        self.gid = Some(gid);
        self
    }

    /// Processes that run the file at this path, on Linux. The path is looked up each time: a process that runs a
    /// file which has since been replaced does not fit until it is started anew. The server needs to be root, of the
    /// same user, or to have CAP_SYS_PTRACE.
    pub fn executable(mut self, path: impl Into<PathBuf>) -> Self {
        self.executable = Some(path.into());
        self
    }

    /// Every process that can open the socket, which then is what decides. For one that is mounted into a single
    /// container, for example.
    pub fn anybody(mut self) -> Self {
        self.anybody = true;
        self
    }

    /// A word that tells a workload with several identities what this one is for.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = hint.into();
        self
    }

    /// The life of its X.509-SVIDs: the authority's default otherwise.
    pub fn x509_life(mut self, life: Duration) -> Self {
        self.x509_life = Some(life);
        self
    }

    /// The life of its JWT-SVIDs: the issuer's default otherwise.
    pub fn jwt_life(mut self, life: Duration) -> Self {
        self.jwt_life = Some(life);
        self
    }

    /// A claim that its JWT-SVIDs have besides.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) for a name that is registered, such as `sub`, or given already, and for a
    /// value that no token may have.
    pub fn claim(mut self, name: impl Into<String>, value: impl Serialize) -> Result<Self> {
        let (name, value) = (name.into(), serde_json::to_value(value));
        let value = value.map_err(|error| {
            Error::new(ErrorKind::InvalidInput, "the claim has no form in JSON").with_source(error)
        })?;
        self.claims.insert(name, value);
        self.token_for(&["anybody".to_owned()])?;
        Ok(self)
    }

    /// It is told the bundle of this trust domain too, while the [server has it](super::WorkloadServerBuilder::bundles).
    pub fn federates_with(mut self, domain: TrustDomain) -> Self {
        self.federates_with.insert(domain);
        self
    }

    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) for an entry that could be anybody's by mistake, or an id that the
    /// authority would refuse.
    pub(super) fn check(&self, domain: &TrustDomain) -> Result<()> {
        let invalid = |why: &str| {
            let message = format!("the entry of {}: {why}", self.id);
            Err(Error::new(ErrorKind::InvalidInput, message))
        };
        self.check_id(domain)?;
        let named = self.uid.is_some() || self.gid.is_some() || self.executable.is_some();
        if named == self.anybody {
            return invalid("name a user, a group or an executable, or `anybody`, and not both");
        }
        if self.executable.as_deref().is_some_and(|path| !path.is_absolute()) {
            return invalid("the path of its executable is not absolute");
        }
        if cfg!(not(target_os = "linux")) && self.executable.is_some() {
            return invalid("executables are told apart on Linux only");
        }
        Ok(())
    }

    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) for an id that the authority would refuse.
    pub(super) fn check_id(&self, domain: &TrustDomain) -> Result<()> {
        if self.id.is_member_of(domain) && !self.id.path().is_empty() {
            return Ok(());
        }
        let message = format!("the entry of {}: another trust domain, or no path", self.id);
        Err(Error::new(ErrorKind::InvalidInput, message))
    }

    /// What its tokens say.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) for claims that no token may have, and for no audience.
    pub(super) fn token_for(&self, audience: &[String]) -> Result<JwtSvidRequest> {
        let Some((first, others)) = audience.split_first() else {
            return Err(Error::new(ErrorKind::InvalidInput, "a token has an audience"));
        };
        let mut request = JwtSvidRequest::new(self.id.clone(), first);
        for other in others {
            request = request.with_audience(other);
        }
        if let Some(life) = self.jwt_life {
            request = request.with_ttl(life);
        }
        for (name, value) in &self.claims {
            request = request.with_claim(name, value)?;
        }
        Ok(request)
    }

    /// Whether it fits, but for the executable.
    pub(super) fn fits(&self, uid: u32, gid: u32) -> bool {
        self.uid.is_none_or(|own| own == uid) && self.gid.is_none_or(|own| own == gid)
    }

    pub(super) fn path(&self) -> Option<&Path> {
        self.executable.as_deref()
    }
}
