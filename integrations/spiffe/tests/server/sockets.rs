//! Sockets in the file system.

use std::{
    fs,
    os::unix::{
        fs::{MetadataExt as _, PermissionsExt as _, symlink},
        net::UnixListener,
    },
    time::{Duration, Instant},
};

use bulla::ErrorKind;
use bulla_spiffe::server::WorkloadSocket;
use futures_util::StreamExt as _;
use tempfile::TempDir;

use crate::world::Running;

#[tokio::test]
async fn a_socket_has_its_mode_and_goes_with_its_server() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("api.sock");
    for mode in [0o600, 0o660, 0o666] {
        let socket = WorkloadSocket::bind(&path, mode).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, mode);
        drop(socket);
        assert!(!path.exists());
    }
    let left: Vec<_> =
        fs::read_dir(&directory).unwrap().map(|it| it.unwrap().file_name()).collect();
    assert_eq!(left, ["api.sock.lock"]);
    assert_eq!(fs::metadata(directory.path().join("api.sock.lock")).unwrap().mode() & 0o777, 0o600);
}

#[tokio::test]
async fn what_a_dead_server_left_is_replaced_and_a_live_one_is_not() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("api.sock");
    // Dropping a listener of the standard library leaves its file.
    drop(UnixListener::bind(&path).unwrap());
    let ours = WorkloadSocket::bind(&path, 0o600).unwrap();
    let error = WorkloadSocket::bind(&path, 0o600).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    drop(ours);

    // One that knows nothing of our lock.
    let foreign = UnixListener::bind(&path).unwrap();
    let error = WorkloadSocket::bind(&path, 0o600).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    drop(foreign);
    // And what one left that was killed before its socket had its name.
    drop(UnixListener::bind(directory.path().join(".api.sock")).unwrap());
    WorkloadSocket::bind(&path, 0o600).unwrap();
    assert!(!directory.path().join(".api.sock").exists());
}

#[tokio::test]
async fn what_is_no_socket_is_left_alone() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("api.sock");
    fs::write(&path, "precious").unwrap();
    assert_eq!(WorkloadSocket::bind(&path, 0o600).unwrap_err().kind(), ErrorKind::AlreadyExists);
    assert_eq!(fs::read(&path).unwrap(), b"precious");
    let link = directory.path().join("link.sock");
    symlink(&path, &link).unwrap();
    assert_eq!(WorkloadSocket::bind(&link, 0o600).unwrap_err().kind(), ErrorKind::AlreadyExists);
    assert_eq!(fs::read(&path).unwrap(), b"precious");
    let long = directory.path().join("x".repeat(120));
    assert_eq!(WorkloadSocket::bind(long, 0o600).unwrap_err().kind(), ErrorKind::InvalidInput);
    let missing = directory.path().join("missing/api.sock");
    assert_eq!(WorkloadSocket::bind(missing, 0o600).unwrap_err().kind(), ErrorKind::Io);
}

#[tokio::test]
async fn a_directory_that_anybody_may_write_to_is_refused_unless_it_is_sticky() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("api.sock");
    let set = |mode| fs::set_permissions(&directory, fs::Permissions::from_mode(mode)).unwrap();
    set(0o777);
    assert_eq!(WorkloadSocket::bind(&path, 0o600).unwrap_err().kind(), ErrorKind::InvalidInput);
    set(0o1777);
    WorkloadSocket::bind(&path, 0o600).unwrap();
}

#[tokio::test]
async fn another_servers_socket_is_not_removed() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("api.sock");
    let ours = WorkloadSocket::bind(&path, 0o600).unwrap();
    fs::remove_file(&path).unwrap();
    let _theirs = UnixListener::bind(&path).unwrap();
    drop(ours);
    assert!(path.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stops_ends_its_streams_and_removes_its_socket() {
    let running = Running::new().await;
    let client = running.client().await;
    let mut stream = std::pin::pin!(client.stream_x509_svids().await.unwrap());
    stream.next().await.unwrap().unwrap();
    let before = Instant::now();
    let (stopped, ended) = tokio::join!(running.stop(), stream.next());
    stopped.unwrap();
    ended.unwrap().unwrap_err();
    assert!(before.elapsed() < Duration::from_secs(4), "{:?}", before.elapsed());
    assert!(!running.path().exists());
}
