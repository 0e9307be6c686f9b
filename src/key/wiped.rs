//! Buffers that are wiped when they are dropped.

use std::ops::{Deref, DerefMut};

use zeroize::{Zeroize, zeroize_bytes};

/// A `Vec<u8>` that is wiped to its capacity when it is dropped, in one piece: `Zeroizing` writes each
/// byte by a store of its own, which takes longer than decrypting them.
///
/// Growing it leaves a copy behind in memory that was given back: size it once.
#[derive(Default)]
pub(crate) struct Wiped(Vec<u8>);

impl Wiped {
    pub(crate) const fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// So many zeros.
    pub(crate) fn zeros(len: usize) -> Self {
        Self(vec![0; len])
    }

    /// Hands the bytes out; from here on wiping them is the caller's.
    pub(crate) fn into_vec(mut self) -> Vec<u8> {
        std::mem::take(&mut self.0)
    }
}

impl Zeroize for Wiped {
    /// Wipes the whole allocation.
    fn zeroize(&mut self) {
        let all = self.0.capacity();
        self.0.resize(all, 0); // stays where it is
        zeroize_bytes(&mut self.0);
        self.0.clear();
    }
}

impl Drop for Wiped {
    fn drop(&mut self) {
        self.zeroize();
    }
}

impl Deref for Wiped {
    type Target = Vec<u8>;

    fn deref(&self) -> &Vec<u8> {
        &self.0
    }
}

impl DerefMut for Wiped {
    fn deref_mut(&mut self) -> &mut Vec<u8> {
        &mut self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Safe code can't read beyond a vector's length, so it is the wipe that is tested, and that it
    /// is done in place and to the capacity.
    #[test]
    fn wiping_moves_nothing() {
        for (len, capacity) in [(0, 0), (1, 1), (7, 100), (8, 8), (4099, 5000)] {
            let mut bytes = Vec::with_capacity(capacity);
            bytes.resize(len, 7_u8);
            let (place, capacity) = (bytes.as_ptr(), bytes.capacity());
            let mut wiped = Wiped::new(bytes);
            wiped.zeroize();
            assert_eq!((wiped.len(), wiped.as_ptr(), wiped.capacity()), (0, place, capacity));
        }
    }
}
