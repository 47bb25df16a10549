//! RMS normalisation: `y = w x / sqrt(mean(x^2) + eps)`, row by row.
//!
//! On the calling thread: rows are normalised where they are packed ([`crate::linear::Rows::fill`]) or turned
//! ([`crate::rotary`]), which all threads do.

mod cpu;
pub mod reference;
#[cfg(test)]
mod tests;

use crate::level::Level;

/// A norm's learned scale, one number for each column, and what is added to the mean square.
#[derive(Debug, Clone, Copy)]
pub struct Rms<'a> {
    /// `w`
    pub weight: &'a [f32],
    /// `eps`
    pub eps: f32,
}

impl Rms<'_> {
    /// Normalises the rows of `x` into `out`.
    ///
    /// # Panics
    /// When `x` is not whole rows, or `out` is of another size.
    pub fn rows(&self, x: &[f32], out: &mut [f32]) {
        self.rows_at(Level::detected(), x, out);
    }

    fn rows_at(&self, level: Level, x: &[f32], out: &mut [f32]) {
        let width = self.weight.len();
        assert!(width > 0 && x.len().is_multiple_of(width), "{} values in rows of {width}", x.len());
        assert!(out.len() == x.len(), "{} values into {}", x.len(), out.len());
        crate::compiled::run(level, cpu::Rows { norm: *self, x, out });
    }

    /// One row, to be inlined into what is compiled for a level.
    #[inline(always)]
    pub(crate) fn row(&self, x: &[f32], out: &mut [f32]) {
        cpu::row(*self, x, out);
    }
}
