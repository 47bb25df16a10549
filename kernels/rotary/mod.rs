//! Rotary embedding: the pair `(x[i], x[i + dim / 2])` of every head becomes
//! `(x[i] c - x[i + dim / 2] s, x[i] s + x[i + dim / 2] c)`, with the cosine and sine of the token's angle for the pair.
//!
//! On the processor ([`Heads`]): the heads of a projection on their way into attention, normalised, turned by tables, and moved from
//! `[rows, heads * dim]` to `[heads, rows, dim]`, in one pass over all threads. Which positions give which angles is the caller's,
//! who makes the tables.
//!
//! On GPUs ([`Turn`]): rows turned where they are, by positions on three axes (M-RoPE), since sines are cheaper there than reading them.

mod cpu;
#[cfg(any(test, feature = "cuda"))]
pub mod cuda;
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

/// How rows are turned by positions.
#[derive(Debug, Clone, Copy)]
pub struct Turn<'a> {
    /// Of every token, by axis: time, row, column
    pub positions: [&'a [u32]; 3],
    /// Which axis turns each pair
    pub axes: &'a [usize],
    /// Radians of each pair by position
    pub frequencies: &'a [f32],
    /// What lengths are multiplied by
    pub scale: f32,
}

impl Turn<'_> {
    /// # Panics
    /// When its tables are of unlike lengths, or name a fourth axis.
    fn check(&self, tokens: usize, dim: usize) {
        assert!(self.positions.iter().all(|axis| axis.len() == tokens), "positions are not those of {tokens} tokens");
        assert!(dim.is_multiple_of(2) && self.axes.len() == dim / 2, "{} axes for width {dim}", self.axes.len());
        assert!(self.frequencies.len() == dim / 2, "{} frequencies for width {dim}", self.frequencies.len());
        assert!(self.axes.iter().all(|&axis| axis < 3), "there are three axes");
    }
}
