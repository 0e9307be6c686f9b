//! Memory for keys that live long: wiped, and kept out of swap where the system allows it.

use std::fmt;

use zeroize::Zeroize;

/// 32 bytes on a page of their own, locked into memory if the system lets us.
///
/// A page of its own, because unlocking is by page: a neighbour that is dropped would take the lock
/// along. Systems limit how much may be locked (`ulimit -l`), and a key that could not be locked
/// works all the same, so this is a precaution and no promise.
pub(crate) struct LockedKey {
    // Dropped in this order: unlocked, after `drop` has wiped, before the memory is given back.
    #[cfg(any(unix, windows))]
    guard: Option<region::LockGuard>,
    memory: Vec<u8>,
    start: usize,
}

impl LockedKey {
    pub(crate) fn new(key: &[u8; 32]) -> Self {
        let page = page_len();
        // Room for one whole page, wherever the allocation begins.
        let memory = vec![0_u8; 2 * page];
        let start = memory.as_ptr().align_offset(page).min(page);
        let mut this = Self {
            #[cfg(any(unix, windows))]
            guard: None,
            memory,
            start,
        };
        #[cfg(any(unix, windows))]
        if let Some(place) = this.memory.get(start..) {
            this.guard = region::lock(place.as_ptr(), page).ok();
        }
        // The key is written behind the lock, so that it never was on an unlocked page.
        if let Some((place, _)) =
            this.memory.get_mut(start..).and_then(|memory| memory.split_first_chunk_mut())
        {
            *place = *key;
        }
        this
    }

    pub(crate) fn expose(&self) -> &[u8; 32] {
        match self.memory.get(self.start..).and_then(|memory| memory.first_chunk()) {
            Some(key) => key,
            None => unreachable!("the allocation has room for a page behind `start`"),
        }
    }

    #[cfg(all(test, unix))]
    fn is_locked(&self) -> bool {
        self.guard.is_some()
    }
}

impl Drop for LockedKey {
    fn drop(&mut self) {
        self.memory.zeroize();
    }
}

impl fmt::Debug for LockedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LockedKey(..)")
    }
}

#[cfg(any(unix, windows))]
fn page_len() -> usize {
    region::page::size()
}

#[cfg(not(any(unix, windows)))]
fn page_len() -> usize {
    64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_out_as_they_went_in_from_many_threads() {
        std::thread::scope(|scope| {
            for n in 0..16 {
                scope.spawn(move || {
                    let keys: Vec<_> = (0..8).map(|i| LockedKey::new(&[n * 8 + i; 32])).collect();
                    for (i, key) in keys.iter().enumerate() {
                        assert!(
                            key.expose().iter().all(|b| usize::from(*b) == usize::from(n) * 8 + i)
                        );
                    }
                });
            }
        });
    }

    /// Whether the system says that the page at this address is locked.
    #[cfg(target_os = "linux")]
    fn page_is_locked(key: &LockedKey) -> bool {
        let address = key.expose().as_ptr().addr();
        let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let mut inside = false;
        for line in maps.lines() {
            let range = line.split(' ').next().and_then(|range| range.split_once('-'));
            let ends = range.and_then(|(start, end)| {
                let hex = |text| usize::from_str_radix(text, 16).ok();
                Some((hex(start)?, hex(end)?))
            });
            if let Some((start, end)) = ends {
                inside = (start..end).contains(&address);
            } else if inside && line.starts_with("VmFlags:") {
                return line.split(' ').any(|flag| flag == "lo");
            }
        }
        panic!("the page is not mapped");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn pages_are_locked_while_the_key_lives_and_each_on_its_own() {
        let mut keys: Vec<_> = (0..4).map(|i| LockedKey::new(&[i; 32])).collect();
        for key in &keys {
            assert_eq!(page_is_locked(key), key.is_locked());
        }
        assert!(keys.iter().all(LockedKey::is_locked), "four pages: raise `ulimit -l`");
        // A neighbour that goes takes no other's lock along.
        keys.remove(1);
        assert!(keys.iter().all(page_is_locked));
    }
}
