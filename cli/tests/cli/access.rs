//! Who may do what with a file that replaces another one, and with a new one.

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown},
    path::Path,
    process::Command,
};

use rustix::{
    buffer::spare_capacity,
    fs::{XattrFlags, getxattr, setxattr},
    io::Errno,
};

use crate::sandbox::{Sandbox, end};

/// Somebody without rights of their own, and a group of theirs.
pub(crate) const NOBODY: u32 = 65_534;
const GROUP: u32 = 54_321;

/// Owner, group and mode.
fn access(path: &Path) -> (u32, u32, u32) {
    let found = fs::metadata(path).unwrap();
    (found.uid(), found.gid(), found.mode() & 0o7777)
}

pub(crate) fn set_access(path: &Path, (uid, gid, mode): (u32, u32, u32)) {
    chown(path, Some(uid), Some(gid)).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Only the superuser can give files away, which is how these tests come by files of other people.
pub(crate) fn is_root(test: &str) -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        eprintln!("SKIPPED, since it takes the superuser: {test}");
    }
    root
}

/// A sandbox that belongs to nobody, with a key, `a` and `a.bulla`; and `bulla` as it is run by nobody,
/// who is in these groups.
pub(crate) fn of_nobody() -> (Sandbox, impl Fn(&str, &str) -> Command) {
    let sandbox = Sandbox::new();
    let outside = sandbox.work().parent().unwrap().to_owned();
    let binary = sandbox.copied_binary();
    for dir in [&outside, &sandbox.work()] {
        set_access(dir, (NOBODY, NOBODY, 0o755));
    }
    let (work, home) = (sandbox.work(), sandbox.home());
    let run = move |groups: &str, args: &str| {
        let mut command = Command::new("setpriv");
        let (uid, gid) = (format!("--reuid={NOBODY}"), format!("--regid={NOBODY}"));
        let groups = match groups {
            "" => "--clear-groups".to_owned(),
            groups => format!("--groups={groups}"),
        };
        command.args([uid, gid, groups]).arg(&binary);
        command.args(args.split_whitespace()).current_dir(&work).env("BULLA_HOME", &home);
        command.env("XDG_CONFIG_HOME", outside.join("config")).env_remove("BULLA_CONFIG");
        command
    };
    sandbox.write("a", "text");
    let made = end(&mut run("", "encrypt a"));
    made.expect(0, "");
    (sandbox, run)
}

#[test]
fn a_replaced_file_keeps_owner_group_and_mode() {
    if !is_root("a_replaced_file_keeps_owner_group_and_mode") {
        return;
    }
    let sandbox = Sandbox::new();
    sandbox.write("a", "text");
    sandbox.ok("encrypt a");
    for (args, output) in [
        ("encrypt a --force", "a.bulla"),
        ("decrypt a.bulla --force", "a"),
        ("rewrap a.bulla --add local:default", "a.bulla"),
        ("keys public id -o a --force", "a"),
    ] {
        let _ = sandbox.run("keys create id --type ed25519");
        for mode in [0o640, 0o604, 0o600, 0o444] {
            set_access(&sandbox.path(output), (NOBODY, GROUP, mode));
            let ended = sandbox.run(args);
            assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{args}");
            assert_eq!(access(&sandbox.path(output)), (NOBODY, GROUP, mode), "{args}");
        }
        // It would run another program with somebody's rights.
        set_access(&sandbox.path(output), (NOBODY, GROUP, 0o6755));
        sandbox.ok(args);
        assert_eq!(access(&sandbox.path(output)), (NOBODY, GROUP, 0o755), "{args}");
        set_access(&sandbox.path(output), (0, 0, 0o644));
    }
    // A private key is its owner's, who is the one that asked for it.
    set_access(&sandbox.path("a"), (NOBODY, GROUP, 0o640));
    sandbox.ok("keys export id --yes -o a --force");
    assert_eq!(access(&sandbox.path("a")), (0, 0, 0o600));
}

#[test]
fn permissions_of_a_group_are_not_given_to_another() {
    if !is_root("permissions_of_a_group_are_not_given_to_another") {
        return;
    }
    let (sandbox, bulla) = of_nobody();
    let member = GROUP.to_string();
    let replace = |groups: &str, args: &str, output: &str, old: u32| {
        set_access(&sandbox.path(output), (0, GROUP, old));
        let ended = end(&mut bulla(groups, args));
        ended.expect(0, "");
        let (uid, gid, mode) = access(&sandbox.path(output));
        assert_eq!(uid, NOBODY);
        (gid, mode, ended.stderr)
    };
    let decrypt = "decrypt a.bulla --force";
    let (gid, mode, said) = replace("", decrypt, "a", 0o640);
    assert_eq!((gid, mode), (NOBODY, 0o600));
    assert_eq!(
        said,
        "bulla: a: could not keep its owner and group\n  \
         so that nobody gains access, mode 0640 became 0600\n"
    );
    let (gid, mode, _) = replace("", decrypt, "a", 0o604);
    assert_eq!((gid, mode), (NOBODY, 0o600), "the group was kept out");
    let (gid, mode, said) = replace("", decrypt, "a", 0o644);
    assert_eq!((gid, mode), (NOBODY, 0o644));
    assert_eq!(said, "bulla: a: could not keep its owner and group\n");

    // Who is in the group may keep it.
    let (gid, mode, said) = replace(&member, decrypt, "a", 0o640);
    assert_eq!((gid, mode), (GROUP, 0o640));
    assert_eq!(said, "bulla: a: could not keep its owner\n");
    let rewrap = "rewrap a.bulla --add local:default";
    let (gid, mode, _) = replace(&member, rewrap, "a.bulla", 0o640);
    assert_eq!((gid, mode), (GROUP, 0o640));
    let (gid, mode, _) = replace("", rewrap, "a.bulla", 0o664);
    assert_eq!((gid, mode), (NOBODY, 0o644));
}

/// The file's group is one of the user's others, if there is one: that takes no superuser.
#[test]
fn a_group_is_kept_by_its_member() {
    let sandbox = Sandbox::new();
    sandbox.write("a", "text");
    sandbox.ok("encrypt a");
    let own = access(&sandbox.path("a")).1;
    let groups = rustix::process::getgroups().unwrap();
    let other = groups.into_iter().map(|group| group.as_raw()).find(|group| *group != own);
    let group = match other {
        Some(group) => group,
        None if rustix::process::geteuid().is_root() => GROUP,
        None => {
            return eprintln!(
                "SKIPPED, since this user is in one group: a_group_is_kept_by_its_member"
            );
        }
    };
    chown(sandbox.path("a"), None, Some(group)).unwrap();
    fs::set_permissions(sandbox.path("a"), fs::Permissions::from_mode(0o640)).unwrap();
    sandbox.ok("decrypt a.bulla --force");
    let (_, gid, mode) = access(&sandbox.path("a"));
    assert_eq!((gid, mode), (group, 0o640));
}

/// The entries of an access control list, each a tag with permissions, and a user for the second.
fn list(entries: [(u16, u16); 5]) -> Vec<u8> {
    const USER: (u16, u32) = (2, 12_345);
    let mut list = 2_u32.to_le_bytes().to_vec();
    for (tag, permissions) in entries {
        let id = if tag == USER.0 { USER.1 } else { u32::MAX };
        list.extend(tag.to_le_bytes());
        list.extend(permissions.to_le_bytes());
        list.extend(id.to_le_bytes());
    }
    list
}

const OF_FILE: &str = "system.posix_acl_access";
const OF_NEW: &str = "system.posix_acl_default";

fn acl(path: &Path) -> Option<Vec<u8>> {
    let mut list = Vec::with_capacity(1000);
    match getxattr(path, OF_FILE, spare_capacity(&mut list)) {
        Ok(_) => Some(list),
        Err(error) => {
            assert_eq!(error, Errno::NODATA);
            None
        }
    }
}

/// Whether there are such lists here.
fn set_acl(path: &Path, name: &str, list: &[u8]) -> bool {
    let set = setxattr(path, name, list, XattrFlags::empty());
    if set == Err(Errno::OPNOTSUPP) {
        eprintln!("SKIPPED, since this file system has no access control lists");
        return false;
    }
    set.unwrap();
    true
}

/// Owner, user 12345, group, mask, others.
const ONE_READS: [(u16, u16); 5] = [(1, 6), (2, 4), (4, 0), (16, 4), (32, 0)];
const ONE_WRITES: [(u16, u16); 5] = [(1, 6), (2, 6), (4, 4), (16, 6), (32, 0)];

#[test]
fn an_access_control_list_is_kept() {
    let sandbox = Sandbox::new();
    sandbox.write("a", "text");
    sandbox.ok("encrypt a");
    let path = sandbox.path("a");
    if !set_acl(&path, OF_FILE, &list(ONE_READS)) {
        return;
    }
    assert_eq!(access(&path).2, 0o640, "the group's bits are the mask");
    sandbox.ok("decrypt a.bulla --force");
    assert_eq!(acl(&path), Some(list(ONE_READS)));
    assert_eq!(access(&path).2, 0o640);
}

#[test]
fn a_replaced_file_gets_no_list_of_its_directory() {
    let sandbox = Sandbox::new();
    sandbox.write("a", "text");
    sandbox.ok("encrypt a");
    let path = sandbox.path("a");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o660)).unwrap();
    if !set_acl(&sandbox.work(), OF_NEW, &list(ONE_WRITES)) {
        return;
    }
    sandbox.ok("decrypt a.bulla --force");
    assert_eq!((acl(&path), access(&path).2), (None, 0o660));
    // A new one gets what any new file gets.
    sandbox.ok("decrypt a.bulla -o new");
    sandbox.write("plain", "text");
    let (new, plain) = (sandbox.path("new"), sandbox.path("plain"));
    assert_eq!((acl(&new), access(&new)), (acl(&plain), access(&plain)));
    assert_eq!((acl(&new), access(&new).2), (Some(list(ONE_WRITES)), 0o660));
}

#[test]
fn a_list_that_would_mean_others_goes() {
    if !is_root("a_list_that_would_mean_others_goes") {
        return;
    }
    let (sandbox, bulla) = of_nobody();
    let path = sandbox.path("a");
    set_access(&path, (0, GROUP, 0o640));
    if !set_acl(&path, OF_FILE, &list(ONE_READS)) {
        return;
    }
    end(&mut bulla("", "decrypt a.bulla --force"))
        .expect(0, "a: could not keep its owner, group and access control list");
    assert_eq!((acl(&path), access(&path)), (None, (NOBODY, NOBODY, 0o600)));
    set_access(&path, (0, GROUP, 0o640));
    set_acl(&path, OF_FILE, &list(ONE_READS));
    end(&mut bulla(&GROUP.to_string(), "decrypt a.bulla --force")).expect(0, "");
    assert_eq!((acl(&path), access(&path)), (Some(list(ONE_READS)), (NOBODY, GROUP, 0o640)));
}
