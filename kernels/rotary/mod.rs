//! The heads of a projection on their way into attention: normalised, turned, and moved from `[rows, heads * dim]` to
//! `[heads, rows, dim]`, in one pass over all threads.
//!
//! A turn by the angles of a row takes the pair `(x[i], x[i + dim / 2])` to `(x[i] c - x[i + dim / 2] s, x[i] s + x[i + dim / 2] c)`.
//! Which position gives which angle (one axis or three) is the caller's, who makes the tables.

mod cpu;
pub mod reference;
#[cfg(test)]
mod tests;

use crate::level::Level;
use crate::norm::Rms;

/// Cosines and sines of some rows, `[rows, dim / 2]` each.
#[derive(Debug, Clone, Copy)]
pub struct Angles<'a> {
    /// Cosines
    pub cos: &'a [f32],
    /// Sines
    pub sin: &'a [f32],
}

/// What is done to every head of every row.
#[derive(Debug, Clone, Copy)]
pub struct Heads<'a> {
    /// Width of a head
    pub dim: usize,
    /// Its norm, which comes first
    pub norm: Option<Rms<'a>>,
    /// Its turn
    pub angles: Option<Angles<'a>>,
}

impl Heads<'_> {
    /// `x`, some rows of `heads` heads, becomes rows `first..` of every head of `out`, `[heads, all, dim]`.
    ///
    /// # Panics
    /// When there are more rows than room, or a slice has another size than the others say.
    pub fn lay(&self, x: &[f32], heads: usize, out: &mut [f32], first: usize) {
        self.lay_at(Level::detected(), x, heads, out, first);
    }

    fn lay_at(&self, level: Level, x: &[f32], heads: usize, out: &mut [f32], first: usize) {
        let Self { dim, norm, angles } = *self;
        let width = heads * dim;
        assert!(width > 0 && x.len().is_multiple_of(width), "{} values in {heads} heads of {dim}", x.len());
        assert!(out.len().is_multiple_of(width), "room for {} values in {heads} heads of {dim}", out.len());
        let (rows, all) = (x.len() / width, out.len() / width);
        assert!(first + rows <= all, "rows {first} to {} of {all}", first + rows);
        assert!(norm.is_none_or(|norm| norm.weight.len() == dim), "a norm of another width than {dim}");
        let pairs = rows * (dim / 2);
        let fits = |angles: Angles| dim.is_multiple_of(2) && angles.cos.len() == pairs && angles.sin.len() == pairs;
        assert!(angles.is_none_or(fits), "angles for other than {rows} rows of {dim}");
        cpu::lay(level, self, x, (rows, width), out, (first, all));
    }
}
