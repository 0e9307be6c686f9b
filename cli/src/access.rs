//! Who may do what with a file, handed on to the one that takes its place.
//!
//! Owner, group, mode and the POSIX access control list are. Other extended attributes (labels,
//! capabilities, what programs note down), file flags and the times are not; nor are the access control
//! lists of other systems than Linux.

use std::{
    fs::{File, Metadata, Permissions},
    io,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::Path,
};

use rustix::{
    fs::{Gid, Uid, fchown},
    io::Errno,
};

/// What group, others and owner may do with a file.
#[derive(Clone, Debug)]
pub(crate) struct Access {
    uid: u32,
    gid: u32,
    mode: u32,
    /// As the system keeps it; `None` if there is no more than the mode.
    acl: Option<Vec<u8>>,
}

/// What could not be handed on, since this user may not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lost {
    /// In the field's words.
    pub(crate) what: Vec<&'static str>,
    /// The mode before and after, if it had to be another.
    pub(crate) mode: Option<(u32, u32)>,
}

impl Access {
    pub(crate) fn of(path: &Path, found: &Metadata) -> io::Result<Self> {
        let acl = acl::of(path)?;
        Ok(Self { uid: found.uid(), gid: found.gid(), mode: found.mode() & 0o777, acl })
    }

    /// Hands on to a file of mode 0600 as much as this user may, and nothing to anybody who did not have
    /// it before.
    pub(crate) fn give(&self, file: &File) -> io::Result<Lost> {
        let own = file.metadata()?;
        // The group comes before the mode that is meant for it, and the owner last: who has given a file
        // away can't change its mode.
        let same_group = own.gid() == self.gid || chown(file, None, Some(self.gid));
        // An entry for the group would be one for another group.
        let same_acl = acl::set(file, self.acl.as_deref().filter(|_| same_group))
            && (same_group || self.acl.is_none());
        let mode = kept(self.mode, same_group, same_acl);
        file.set_permissions(Permissions::from_mode(mode))?;
        let same_owner = own.uid() == self.uid || chown(file, Some(self.uid), None);
        let what =
            [(same_owner, "owner"), (same_group, "group"), (same_acl, "access control list")];
        Ok(Lost {
            what: what.into_iter().filter(|(same, _)| !same).map(|(_, what)| what).collect(),
            mode: (mode != self.mode).then_some((self.mode, mode)),
        })
    }
}

fn chown(file: &File, uid: Option<u32>, gid: Option<u32>) -> bool {
    fchown(file, uid.map(Uid::from_raw), gid.map(Gid::from_raw)).is_ok()
}

/// As much of a mode as gives nobody more than before. The bits that run a program as somebody else are
/// never kept: it is another program.
fn kept(mode: u32, same_group: bool, same_acl: bool) -> u32 {
    let mode = mode & 0o777;
    if !same_acl {
        // The group's bits were the list's mask, and it may have kept out some of the others.
        return mode & 0o700;
    }
    if same_group {
        return mode;
    }
    // Members of the old group are among the others now, and those of the new one were before.
    let both = (mode >> 3) & mode & 0o7;
    mode & 0o700 | both << 3 | both
}

#[cfg(any(target_os = "linux", target_os = "android"))]
mod acl {
    use super::*;
    use rustix::{
        buffer::spare_capacity,
        fs::{XattrFlags, fremovexattr, fsetxattr, getxattr},
    };

    /// acl(5), where it is kept.
    const NAME: &str = "system.posix_acl_access";

    /// The most that an attribute holds: xattr(7).
    const MAX_LEN: usize = 64 << 10;

    pub(super) fn of(path: &Path) -> io::Result<Option<Vec<u8>>> {
        let mut list = Vec::with_capacity(MAX_LEN);
        match getxattr(path, NAME, spare_capacity(&mut list)) {
            Ok(_) => Ok(Some(list)),
            Err(error) if is_none(error) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether the file has this list then and no other: it may have got one from its directory.
    pub(super) fn set(file: &File, list: Option<&[u8]>) -> bool {
        match list {
            Some(list) => fsetxattr(file, NAME, list, XattrFlags::empty()).is_ok(),
            None => fremovexattr(file, NAME).map_or_else(is_none, |()| true),
        }
    }

    /// No list, or a file system that has none.
    fn is_none(error: Errno) -> bool {
        error == Errno::NODATA || error == Errno::OPNOTSUPP
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod acl {
    use super::*;

    pub(super) fn of(_: &Path) -> io::Result<Option<Vec<u8>>> {
        Ok(None)
    }

    pub(super) fn set(_: &File, _: Option<&[u8]>) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a class of users may do: owner, group or other.
    fn class(mode: u32, shift: u32) -> u32 {
        mode >> shift & 0o7
    }

    #[test]
    fn nobody_gains_by_another_group() {
        for mode in 0..0o10000 {
            let kept = kept(mode, false, true);
            assert_eq!(class(kept, 6), class(mode, 6));
            // Whoever is in the old group alone, in the new one alone, in both, in neither.
            for (before, after) in [(3, 0), (0, 3), (3, 3), (0, 0)] {
                assert_eq!(class(kept, after) & !class(mode, before), 0, "{mode:o} to {kept:o}");
            }
            assert_eq!(kept & !0o777, 0);
        }
    }

    #[test]
    fn a_mode_is_kept_as_far_as_it_means_the_same() {
        for (mode, same_group, same_acl, expected) in [
            (0o640, true, true, 0o640),
            (0o6755, true, true, 0o755),
            (0o640, false, true, 0o600),
            (0o644, false, true, 0o644),
            (0o664, false, true, 0o644),
            (0o604, false, true, 0o600),
            (0o1777, false, true, 0o777),
            (0o644, true, false, 0o600),
            (0o755, false, false, 0o700),
        ] {
            assert_eq!(kept(mode, same_group, same_acl), expected, "{mode:o}");
        }
    }
}
