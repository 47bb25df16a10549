//! Rotary embedding: the pair `(x[i], x[i + dim / 2])` of every head becomes
//! `(x[i] c - x[i + dim / 2] s, x[i] s + x[i + dim / 2] c)`, with the cosine and sine of the token's angle for the pair.
//!
//! On the processor ([`Heads`]): the heads of a projection on their way into attention, normalised, turned by tables, and moved from
//! `[rows, heads * dim]` to `[heads, rows, dim]`, in one pass over all threads. Which positions give which angles is the caller's,
//! who makes the tables.
//!
//! On GPUs (`cuda`): by positions on three axes (M-RoPE), since sines are cheaper there than reading them. Which positions and
//! frequencies is a [`Turn`] for both: it makes the tables as well.

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

/// How tokens are turned by their positions.
#[derive(Debug, Clone, Copy)]
pub struct Turn<'a> {
    /// Of every token, by axis: time, row, column
    pub positions: [&'a [u32]; 3],
    /// Which axis turns each pair
    pub axes: &'a [usize],
    /// Radians of each pair by position, one set of them behind the other
    pub frequencies: &'a [f32],
    /// Which set turns each token
    pub sets: &'a [u32],
    /// What lengths are multiplied by
    pub scale: f64,
}

impl Turn<'_> {
    /// Tokens that have positions.
    #[must_use]
    pub fn tokens(&self) -> usize {
        self.sets.len()
    }

    /// The angles of every token's pairs, `[tokens, pairs]`: products in f32, as the models were trained with.
    ///
    /// # Panics
    /// When its tables are of unlike lengths, or name a set or an axis that is not there.
    #[must_use]
    pub fn angles(&self) -> Vec<f32> {
        self.check();
        let pairs = self.axes.len();
        let token = |(token, &set): (usize, &u32)| {
            let frequencies = &self.frequencies[set as usize * pairs..][..pairs];
            let angle = move |(&axis, frequency): (&usize, &f32)| self.positions[axis][token] as f32 * frequency;
            self.axes.iter().zip(frequencies).map(angle)
        };
        let mut angles = Vec::with_capacity(self.tokens() * pairs);
        angles.extend(self.sets.iter().enumerate().flat_map(token));
        angles
    }

    /// # Panics
    /// See [`Turn::angles`].
    fn check(&self) {
        let (tokens, pairs) = (self.tokens(), self.axes.len());
        assert!(self.positions.iter().all(|axis| axis.len() == tokens), "positions are not those of {tokens} tokens");
        assert!(self.axes.iter().all(|&axis| axis < 3), "there are three axes");
        assert!(self.frequencies.len().is_multiple_of(pairs.max(1)), "frequencies for other than {pairs} pairs");
        let sets = self.frequencies.len() / pairs.max(1);
        assert!(self.sets.iter().all(|&set| (set as usize) < sets.max(1)), "there are {sets} sets of frequencies");
    }
}
