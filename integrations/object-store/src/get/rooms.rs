//! Memory of pieces of an object, for its next ones: fresh memory costs the system about what it takes to open chunks
//! into it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use bytes::Bytes;

/// Rooms that nobody uses. They go with the read that they are for.
pub(super) struct Rooms {
    free: Mutex<Vec<Vec<u8>>>,
    most: usize,
}

impl Rooms {
    /// Keeps so many at most.
    pub(super) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { free: Mutex::default(), most })
    }

    /// So many bytes, of any content.
    pub(super) fn take(&self, len: usize) -> Vec<u8> {
        let kept = self.lock().pop();
        match kept {
            Some(mut room) => {
                room.resize(len, 0);
                room
            }
            None => vec![0; len],
        }
    }

    pub(super) fn put(&self, room: Vec<u8>) {
        let mut free = self.lock();
        if free.len() < self.most {
            free.push(room);
        }
    }

    /// Hands a room out. It comes back when the last who has a part of it lets go.
    pub(super) fn lend(self: &Arc<Self>, room: Vec<u8>) -> Bytes {
        Bytes::from_owner(Lent { room, rooms: Arc::downgrade(self) })
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Vec<u8>>> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Lent {
    room: Vec<u8>,
    rooms: Weak<Rooms>,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.room
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(rooms) = self.rooms.upgrade() {
            rooms.put(std::mem::take(&mut self.room));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_room_comes_back_once_nobody_has_a_part_of_it() {
        let rooms = Rooms::new(1);
        let room = rooms.take(4);
        let place = room.as_ptr();
        let bytes = rooms.lend(room);
        let part = bytes.slice(1..2);
        drop(bytes);
        let other = rooms.take(4);
        assert_ne!(other.as_ptr(), place, "somebody still has a part");
        drop(part);
        let again = rooms.take(6);
        assert_eq!(again.len(), 6);
        let (one, other) = (rooms.lend(again), rooms.lend(vec![1; 3]));
        drop((one, other));
        assert_eq!(rooms.lock().len(), 1, "no more than were said");
        assert_eq!(rooms.take(2).len(), 2);
        // Pieces outlive the read.
        let left = rooms.lend(vec![7; 3]);
        drop(rooms);
        assert_eq!(left, [7; 3][..]);
    }
}
