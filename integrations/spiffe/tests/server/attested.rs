//! Who gets what.

use std::path::Path;

use bulla::ErrorKind;
use bulla_spiffe::server::Entry;
use spiffe::WorkloadApiError;

use crate::world::{Running, entry, id, uid};

#[tokio::test(flavor = "multi_thread")]
async fn users_groups_and_executables_are_told_apart() {
    let gid = rustix::process::getegid().as_raw();
    let own = std::env::current_exe().unwrap();
    let running = Running::with(|builder| {
        builder
            .entry(entry("uid").uid(uid()))
            .entry(entry("other-uid").uid(uid() + 1))
            .entry(entry("gid").gid(gid))
            .entry(entry("other-gid").gid(gid + 1))
            .entry(entry("both").uid(uid()).gid(gid))
            .entry(entry("one-of-both").uid(uid()).gid(gid + 1))
            .entry(entry("path").executable(&own))
            .entry(entry("other-path").executable("/bin/sh"))
            .entry(entry("no-path").executable("/nowhere"))
            .entry(entry("all").uid(uid()).gid(gid).executable(&own))
            .entry(entry("all-but-one").uid(uid() + 1).gid(gid).executable(&own))
    })
    .await;
    let svids = running.client().await.fetch_all_x509_svids().await.unwrap();
    let ids: Vec<_> = svids.iter().map(|svid| svid.spiffe_id().clone()).collect();
    assert_eq!(ids, ["uid", "gid", "both", "path", "all"].map(id));
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_fits_no_entry_is_denied_everything() {
    let running = Running::with(|builder| builder.entry(entry("x").uid(uid() + 1))).await;
    let client = running.client().await;
    let denied = |error: WorkloadApiError| {
        assert!(matches!(error, WorkloadApiError::NoIdentityIssued), "{error}");
    };
    denied(client.fetch_x509_svid().await.unwrap_err());
    denied(client.fetch_x509_bundles().await.unwrap_err());
    assert_eq!(running.key.calls(), 1, "the root, and nothing for strangers");
}

#[tokio::test]
async fn an_entry_that_could_be_anybodys_by_mistake_is_refused() {
    let running = Running::new().await;
    let elsewhere = Entry::new(spiffe::SpiffeId::new("spiffe://example.com/x").unwrap());
    let pathless = Entry::new(spiffe::SpiffeId::new("spiffe://example.org").unwrap());
    for bad in [
        entry("x"),
        entry("x").anybody().uid(1),
        entry("x").executable("relative"),
        elsewhere.anybody(),
        pathless.anybody(),
    ] {
        let error = running.server.set_entries([bad]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }
    let many = (0..10_001).map(|at| entry(&at.to_string()).anybody());
    let error = running.server.set_entries(many).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    // What was there is still there.
    running.client().await.fetch_x509_svid().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_executable_is_a_file_and_not_a_name() {
    let running = Running::new().await;
    let directory = running.directory.path();
    let copy = directory.join("orders");
    std::fs::copy("/bin/sleep", &copy).unwrap();
    let set = |path: &Path| {
        running.server.set_entries([entry("orders").executable(path.to_path_buf())]).unwrap();
    };
    set(&copy);
    // This process runs another file.
    running.client().await.fetch_x509_svid().await.unwrap_err();
    // A link leads to the file that is run, whatever it is called.
    let link = directory.join("link");
    std::os::unix::fs::symlink(std::env::current_exe().unwrap(), &link).unwrap();
    set(&link);
    running.client().await.fetch_x509_svid().await.unwrap();
    // A copy of what we run is not what we run.
    let twin = directory.join("twin");
    std::fs::copy(std::env::current_exe().unwrap(), &twin).unwrap();
    set(&twin);
    running.client().await.fetch_x509_svid().await.unwrap_err();
}
