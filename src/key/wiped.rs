//! Buffers that are wiped when they are dropped.

use std::ops::{Deref, DerefMut};

use zeroize::Zeroize;

/// A `Zeroizing<Vec<u8>>` that is wiped eight bytes at a time: `zeroize` writes each element of a
/// slice by a volatile store of its own, which for bytes takes longer than decrypting them.
///
/// Growing it leaves a copy behind in memory that was given back: size it once.
#[derive(Default)]
pub(crate) struct Wiped(Vec<u8>);

impl Wiped {
    pub(crate) const fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// Empty, with room for so many bytes.
    pub(crate) fn with_capacity(len: usize) -> Self {
        Self(Vec::with_capacity(len))
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
        wipe(&mut self.0);
        self.0.clear();
    }
}

fn wipe(bytes: &mut [u8]) {
    let (head, words, tail) = bytemuck::pod_align_to_mut::<u8, u64>(bytes);
    head.zeroize();
    words.zeroize();
    tail.zeroize();
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

    #[test]
    fn every_byte_is_zero_wherever_the_words_begin() {
        let mut bytes = [7_u8; 64];
        for from in 0..16 {
            for to in from..64 {
                bytes.fill(7);
                wipe(bytes.get_mut(from..to).unwrap());
                assert!(
                    bytes
                        .iter()
                        .enumerate()
                        .all(|(i, byte)| { *byte == if (from..to).contains(&i) { 0 } else { 7 } })
                );
            }
        }
    }
}
