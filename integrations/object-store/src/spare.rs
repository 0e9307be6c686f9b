//! Memory of one object that was written, for the next one: fresh memory costs the system more than sealing
//! into it does.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use tokio::{runtime::Handle, time::Instant};

/// What is shorter comes warm from any allocator.
const LEAST: usize = 1 << 20;

/// What is longer is given back: 64 MiB, and what the format adds to that.
const MOST: usize = 65 << 20;

/// How long it is kept while nobody writes.
const IDLE: Duration = Duration::from_secs(5);

/// Room for one object, if one was written lately. It held sealed bytes only.
#[derive(Default)]
pub(crate) struct Spare(Mutex<State>);

#[derive(Default)]
struct State {
    room: Option<(BytesMut, Instant)>,
    watched: bool,
}

impl Spare {
    /// So many bytes, of any content.
    pub(crate) fn take(&self, len: usize) -> BytesMut {
        let fits = |room: &BytesMut| (LEAST..=MOST).contains(&len) && room.capacity() >= len;
        let kept = self.lock().room.take_if(|(room, _)| fits(room));
        match kept {
            Some((mut room, _)) => {
                room.resize(len, 0);
                room
            }
            None => BytesMut::zeroed(len),
        }
    }

    /// Keeps the memory of an object that was written, if the store has let go of it.
    pub(crate) fn put_back(self: &Arc<Self>, object: Bytes) {
        if !(LEAST..=MOST).contains(&object.len()) {
            return;
        }
        let (Ok(room), Ok(runtime)) = (object.try_into_mut(), Handle::try_current()) else {
            return;
        };
        let mut state = self.lock();
        state.room = Some((room, Instant::now()));
        if std::mem::replace(&mut state.watched, true) {
            return;
        }
        let spare = Arc::downgrade(self);
        runtime.spawn(async move {
            while let Some(until) = spare.upgrade().and_then(|spare| spare.sweep()) {
                tokio::time::sleep_until(until).await;
            }
        });
    }

    /// Gives back what was not used for some time. When to look again, if there is anything.
    fn sweep(&self) -> Option<Instant> {
        let mut state = self.lock();
        let now = Instant::now();
        state.room.take_if(|(_, since)| *since + IDLE <= now);
        let until = state.room.as_ref().map(|(_, since)| *since + IDLE);
        state.watched = until.is_some();
        until
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Spare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Spare(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(spare: &Spare) -> bool {
        spare.lock().room.is_some()
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_used_again_and_given_back() {
        let spare = Arc::new(Spare::default());
        let object = spare.take(2 << 20).freeze();
        let place = object.as_ptr();
        spare.put_back(object);
        let again = spare.take(1 << 20);
        assert_eq!((again.as_ptr(), again.len()), (place, 1 << 20));
        assert!(!kept(&spare), "nobody else has it meanwhile");
        // What somebody still has is theirs.
        let object = again.freeze();
        let other = object.clone();
        spare.put_back(object);
        assert!(!kept(&spare));
        spare.put_back(other);
        assert!(kept(&spare));
        tokio::time::sleep(IDLE / 2).await;
        assert!(kept(&spare));
        tokio::time::sleep(IDLE).await;
        assert!(!kept(&spare));
        for len in [LEAST - 1, MOST + 1] {
            spare.put_back(spare.take(len).freeze());
            assert!(!kept(&spare), "{len}");
        }
    }
}
