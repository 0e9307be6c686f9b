//! Who is at the other end of a socket.

use std::{io, sync::Arc};

use tokio::net::UnixStream;

use super::Entry;

/// Whoever asks: a process, as the kernel knows it, or this process itself, for one entry.
#[derive(Clone, Debug)]
pub(crate) enum Peer {
    Process(Process),
    #[cfg_attr(not(feature = "workload"), allow(dead_code, reason = "made there alone"))]
    Ourselves(Arc<Entry>),
}

/// A process that has connected.
#[derive(Clone, Debug)]
pub(crate) struct Process {
    pub(super) uid: u32,
    gid: u32,
    #[cfg(target_os = "linux")]
    running: Option<linux::Running>,
}

impl Process {
    /// The process that connected this socket, by what the kernel noted then.
    pub(super) fn of(stream: &UnixStream) -> io::Result<Self> {
        let credentials = stream.peer_cred()?;
        Ok(Self {
            uid: credentials.uid(),
            gid: credentials.gid(),
            #[cfg(target_os = "linux")]
            running: credentials.pid().and_then(|pid| linux::Running::of(stream, pid)),
        })
    }

    /// Whether an entry is this process's. Blocks for as long as it takes to look up two files.
    pub(super) fn fits(&self, entry: &Entry) -> bool {
        if !entry.fits(self.uid, self.gid) {
            return false;
        }
        match entry.path() {
            None => true,
            #[cfg(target_os = "linux")]
            Some(path) => self.running.as_ref().is_some_and(|running| running.runs(path)),
            #[cfg(not(target_os = "linux"))]
            Some(_) => false,
        }
    }

    /// Whether an entry might be, for one that names an executable: whether that is worth looking up.
    pub(super) fn is_looked_up_for(&self, entry: &Entry) -> bool {
        entry.path().is_some() && entry.fits(self.uid, self.gid)
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::{
        fs,
        os::{
            fd::{AsFd as _, OwnedFd},
            unix::fs::MetadataExt as _,
        },
        path::Path,
        sync::Arc,
    };

    use nix::{
        poll::{PollFd, PollFlags, PollTimeout, poll},
        sys::socket::{getsockopt, sockopt::PeerPidfd},
    };
    use tokio::net::UnixStream;

    /// A process, told apart from a later one with the same id.
    #[derive(Clone, Debug)]
    pub(super) struct Running {
        pid: i32,
        mark: Mark,
    }

    #[derive(Clone, Debug)]
    enum Mark {
        /// A descriptor of the very process that connected (SO_PEERPIDFD, Linux 6.5).
        Descriptor(Arc<OwnedFd>),
        /// When the process of that id was started, in ticks since the system was, as read when it connected. Between
        /// its connecting and that, another one could have taken the id: a gap of microseconds that older kernels
        /// leave.
        Started(u64),
    }

    impl Running {
        pub(super) fn of(stream: &UnixStream, pid: i32) -> Option<Self> {
            let mark = match getsockopt(stream, PeerPidfd) {
                Ok(descriptor) => Mark::Descriptor(Arc::new(descriptor)),
                Err(_) => Mark::Started(started(pid)?),
            };
            Some(Self { pid, mark })
        }

        /// Whether it runs the file at `path`. By device and inode: a name can be made up in a mount namespace of
        /// one's own, and survives its file.
        pub(super) fn runs(&self, path: &Path) -> bool {
            let file = |path: &Path| fs::metadata(path).map(|file| (file.dev(), file.ino())).ok();
            let running = file(&Path::new("/proc").join(self.pid.to_string()).join("exe"));
            // In this order: what was read is the process's own only if it lives after that.
            running.is_some() && running == file(path) && self.lives()
        }

        fn lives(&self) -> bool {
            match &self.mark {
                Mark::Descriptor(descriptor) => {
                    // Readable once the process has ended.
                    let mut ended = [PollFd::new(descriptor.as_fd(), PollFlags::POLLIN)];
                    poll(&mut ended, PollTimeout::ZERO) == Ok(0)
                }
                Mark::Started(then) => started(self.pid) == Some(*then),
            }
        }
    }

    /// Field 22 of `/proc/PID/stat` (proc(5)), behind a name that may hold anything.
    fn started(pid: i32) -> Option<u64> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let (_, fields) = stat.rsplit_once(')')?;
        fields.split_ascii_whitespace().nth(19)?.parse().ok()
    }

    #[cfg(test)]
    mod tests {
        use std::process::{Command, id};

        use super::*;

        #[test]
        fn the_time_a_process_was_started_is_its_own() {
            let own = i32::try_from(id()).unwrap();
            let first = started(own).unwrap();
            assert_eq!(started(own), Some(first));
            let mut child = Command::new("sleep").arg("10").spawn().unwrap();
            let childs = started(i32::try_from(child.id()).unwrap()).unwrap();
            assert!(childs >= first);
            child.kill().unwrap();
            child.wait().unwrap();
            assert_eq!(started(i32::MAX), None);
        }

        #[tokio::test]
        async fn a_process_runs_its_own_file_while_it_lives() {
            let (one, _other) = UnixStream::pair().unwrap();
            let own = std::env::current_exe().unwrap();
            for mark in [None, Some(Mark::Started(started(i32::try_from(id()).unwrap()).unwrap()))]
            {
                let mut running = Running::of(&one, i32::try_from(id()).unwrap()).unwrap();
                if let Some(mark) = mark {
                    running.mark = mark;
                }
                assert!(running.runs(&own));
                assert!(!running.runs(Path::new("/bin/sh")));
                assert!(!running.runs(Path::new("/nowhere")));
            }
            let mut running = Running::of(&one, i32::try_from(id()).unwrap()).unwrap();
            running.mark = Mark::Started(1);
            assert!(!running.runs(&own), "another process had that id then");
        }
    }
}
