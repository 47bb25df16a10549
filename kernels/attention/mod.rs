//! Attention: `out[h, i] = sum_j softmax_j(scale * q[h, i] . k[h / g, j]) v[h / g, j]` over the keys `j` that row `i`
//! may see, where `g = heads / kv_heads` query heads share one key head.
//!
//! Comes in: f32 slices with strides. Goes out: `[heads, rows, dim]`, f32. Never: a matrix of all scores.
//!
//! The ladder (2 cores of an AMD EPYC with AVX-512, 16 heads over 8, dim 128, causal, 4096 rows):
//!
//! | version | idea | ms |
//! | --- | --- | --- |
//! | `reference.rs` | the formula, in f64 | - |
//! | score matrix + softmax (candle) | one matrix product, one pass, one more product | 3261 |
//! | one query row and one key at a time (candle's `flash_attn`) | no score matrix | 4959 |
//! | `cpu.rs` | 128 x 128 tiles through the `gemm` crate, softmax on the run | see `record/` |

mod cpu;
pub mod reference;
#[cfg(test)]
mod tests;
mod weigh;

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
pub struct Strided<'a> {
    /// The elements
    pub data: &'a [f32],
    /// Elements from one head to the next
    pub head: usize,
    /// Elements from one row to the next
    pub row: usize,
}

impl Strided<'_> {
    /// Whether `heads` x `rows` rows of `dim` lie inside the data.
    fn holds(&self, heads: usize, rows: usize, dim: usize) -> bool {
        heads == 0 || rows == 0 || (heads - 1) * self.head + (rows - 1) * self.row + dim <= self.data.len()
    }
}

/// Which keys a row sees.
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

/// Attention as the head of this module says, `[heads, rows, dim]`.
///
/// # Panics
/// When the slices are too short for the shape, the heads do not divide, or the mask does not fit.
#[must_use]
pub fn attend(q: Strided, k: Strided, v: Strided, shape: Shape, scale: f32, mask: Mask) -> Vec<f32> {
    check(q, k, v, shape, mask);
    cpu::attend(q, k, v, shape, scale, mask)
}

fn check(q: Strided, k: Strided, v: Strided, shape: Shape, mask: Mask) {
    let Shape { heads, kv_heads, rows, keys, dim } = shape;
    assert!(kv_heads > 0 && heads.is_multiple_of(kv_heads), "{heads} heads over {kv_heads}");
    assert!(q.holds(heads, rows, dim), "queries are shorter than {shape:?}");
    assert!(k.holds(kv_heads, keys, dim), "keys are shorter than {shape:?}");
    assert!(v.holds(kv_heads, keys, dim), "values are shorter than {shape:?}");
    match mask {
        Mask::Causal { first } => assert!(first + rows <= keys, "row {} sees key {}", rows, first + rows),
        Mask::Segments(bounds) => {
            assert!(bounds.is_sorted() && bounds.first() == Some(&0), "segment bounds do not ascend from 0");
            assert!(bounds.last() == Some(&rows) && rows == keys, "segments do not cover {rows} rows, {keys} keys");
        }
    }
}
