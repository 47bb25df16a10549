//! Attention: `out[h, i] = sum_j softmax_j(scale * q[h, i] . k[h / g, j]) v[h / g, j]` over the keys `j` that row `i`
//! may see, where `g = heads / kv_heads` query heads share one key head.
//!
//! Comes in: slices with strides, f32, f16 or bf16. Goes out: `[heads, rows, dim]`, f32. Never: a matrix of all scores.
//!
//! Which keys a row sees is a [`Program`]: tiles of query rows, each with the segments of key sets that it meets. Dense
//! causal attention is the program of one segment; every sparse pattern is another, run by the same code (`tile.rs`).
//! A few rows (decoding) against many keys read the keys once as they lie (`few.rs`); more rows pay for packing them (`pack.rs`).
//!
//! The ladder (2 cores of an AMD EPYC with AVX512-BF16, alone on the machine, 16 heads over 8, dim 128, 8192 causal rows,
//! 2026-11-25; PyTorch 2.11's scaled_dot_product_attention in the same minute: 1577 ms in f32, 1588 in bf16):
//!
//! | version | idea | ms | 10^9 operations a second |
//! | --- | --- | --- | --- |
//! | `reference.rs` | the formula, in f64 | - | - |
//! | `tile.rs` in f32 | 96 x 128 tiles, packed panels, softmax in powers of two on the run | 639 | 430 |
//! | `tile.rs` in bf16 | the same with products of bf16 pairs | 370 | 743 |
//!
//! The same on 2 cores of an Intel Xeon with AMX, 2026-11-25. Others worked on the machine, so these are milliseconds of processor
//! time, of both cores together, the least of three runs or more; PyTorch, in turns with ours: 1902 in f32, 567 in bf16:
//!
//! | version | idea | ms of processor time |
//! | --- | --- | --- |
//! | `tile.rs` in f32 | as above | 1989 |
//! | `tile.rs` in bf16 by AMX | 32 x 32 sums in four tiles; powers of two by a cubic polynomial, as weights are rounded to bf16 | 469 |
//!
//! A tile of 96 x 128 scores takes about 22,000 cycles of a core with AMX if all is in the second-level cache: 7000 for scores,
//! 8000 for weighted values (the instructions alone: 3400 each), 7000 for the softmax between them, which overlaps with neither.
//! Three tiles of keys under way at once, so that products of one and softmax of another go by turns (FlashAttention-3's order), took 3 %
//! less in bf16 by AMX and 3 % more in f32 at 8192 rows, three runs each by turns (2026-12-01): not kept.
//!
//! `longsight bench attention` measures it again; `tests/peers/attention_torch.py` beside PyTorch.

pub(crate) mod blas;
#[cfg(any(test, feature = "cuda"))]
pub mod cuda;
#[cfg(all(test, target_os = "linux"))]
mod cuda_tests;
mod few;
mod pack;
mod probe;
mod program;
pub mod reference;
mod summaries;
#[cfg(test)]
mod tests;
mod tile;
mod weigh;

pub use probe::{Mass, probe};
pub use program::{Positions, Program, Rows, Segment, TILE_ROWS, Tile};
pub use summaries::Summaries;

use crate::element::Element;
use crate::level::{Level, Precision};

/// Sizes of one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Query heads, a multiple of `kv_heads`
    pub heads: usize,
    /// Key and value heads
    pub kv_heads: usize,
    /// Query rows
    pub rows: usize,
    /// Key rows
    pub keys: usize,
    /// Width of a head
    pub dim: usize,
}

/// `data[h * head + r * row ..][..dim]` is row `r` of head `h`.
#[derive(Debug, Clone, Copy)]
pub struct Strided<'a, T = f32> {
    /// The elements
    pub data: &'a [T],
    /// Elements from one head to the next
    pub head: usize,
    /// Elements from one row to the next
    pub row: usize,
}

impl<'a, T> Strided<'a, T> {
    /// Whether `heads` x `rows` rows of `dim` lie inside the data.
    fn holds(&self, heads: usize, rows: usize, dim: usize) -> bool {
        heads == 0 || rows == 0 || (heads - 1) * self.head + (rows - 1) * self.row + dim <= self.data.len()
    }

    fn row(&self, head: usize, row: usize, dim: usize) -> &'a [T] {
        &self.data[head * self.head + row * self.row..][..dim]
    }
}

/// What is attended, by what.
#[derive(Debug, Clone, Copy)]
pub struct Inputs<'a, T = f32> {
    /// Queries, `heads` x `rows`
    pub q: Strided<'a, T>,
    /// Keys, `kv_heads` x `keys`
    pub k: Strided<'a, T>,
    /// Values, shaped like the keys
    pub v: Strided<'a, T>,
    /// Their sizes
    pub shape: Shape,
    /// What scores are multiplied by
    pub scale: f32,
}

impl<T> Inputs<'_, T> {
    /// # Panics
    /// When the slices are too short for the shape, or the heads do not divide.
    fn check(&self) {
        let Shape { heads, kv_heads, rows, keys, dim } = self.shape;
        assert!(kv_heads > 0 && heads.is_multiple_of(kv_heads), "{heads} heads over {kv_heads}");
        assert!(self.q.holds(heads, rows, dim), "queries are shorter than {:?}", self.shape);
        assert!(self.k.holds(kv_heads, keys, dim), "keys are shorter than {:?}", self.shape);
        assert!(self.v.holds(kv_heads, keys, dim), "values are shorter than {:?}", self.shape);
    }
}

/// Which keys a row sees, where no program says more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mask<'a> {
    /// Row `r` sees keys `0..=first + r`
    Causal {
        /// Key of the first query row
        first: usize,
    },
    /// Boundaries `0 = b0 < b1 < .. = rows = keys`: rows see the keys of their own segment
    Segments(&'a [usize]),
}

/// Fewer rows than this do not pay for packing the keys.
const FEW: usize = 16;

/// Attention as the head of this module says, `[heads, rows, dim]`.
///
/// # Panics
/// When the slices are too short for the shape, the heads do not divide, or the mask does not fit.
#[must_use]
pub fn attend<T: Element>(inputs: Inputs<T>, mask: Mask, precision: Precision) -> Vec<f32> {
    inputs.check();
    let shape = inputs.shape;
    match mask {
        Mask::Causal { first } => {
            assert!(first + shape.rows <= shape.keys, "row {} sees key {}", shape.rows, first + shape.rows);
            if shape.rows < FEW {
                return few::attend(inputs, first);
            }
        }
        Mask::Segments(bounds) => {
            let Shape { rows, keys, .. } = shape;
            assert!(bounds.is_sorted() && bounds.first() == Some(&0), "segment bounds do not ascend from 0");
            assert!(bounds.last() == Some(&rows) && rows == keys, "segments do not cover {rows} rows, {keys} keys");
        }
    }
    program::run(precision.level(Level::detected()), inputs, &Program::of(mask, shape)).out
}

/// What a program gave.
#[derive(Debug, Clone, PartialEq)]
pub struct Attended {
    /// `[heads, rows, dim]`; 0 where a row met no key
    pub out: Vec<f32>,
    /// `[heads, rows]`: the natural logarithm of the sum of the exponentials of the scaled scores that a row met, -inf where it
    /// met none. The difference to another program's is how much of its mass this one kept.
    pub lse: Vec<f32>,
    /// Scores computed, those included that a row does not see of its tiles' keys: what the program cost
    pub scores: usize,
}

/// Attention over the keys that a program names.
///
/// # Panics
/// When the slices are too short for the shape, the heads do not divide, or the program names a head, row or key that is
/// not there, or a row twice in one pass.
#[must_use]
pub fn attend_program<T: Element>(inputs: Inputs<T>, program: &Program, precision: Precision) -> Attended {
    inputs.check();
    program.check(inputs.shape);
    program::run(precision.level(Level::detected()), inputs, program)
}
