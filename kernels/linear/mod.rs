//! Linear layers: `y[r, o] = sum_i x[r, i] w[o, i] + b[o]`, weights `[out, in]` as checkpoints store them.
//!
//! Comes in: weights once, packed at load; rows of f32. Goes out: rows of f32. With [`Precision::Bf16`] weights take half
//! the memory and rows are rounded to bf16 on their way into the products, which are summed in f32.
//!
//! Layers that take the same rows share them ([`Rows`]), and what comes before a layer (a norm, an activation, a transposition)
//! is done row by row as they are packed; what comes after it is set or added where it belongs. So nothing is written for the
//! sake of the next step alone, and no fresh memory is touched.
//!
//! The ladder (2 cores of an AMD EPYC with AVX512-BF16, alone on the machine, 1024 rows, 2048 to 6144, 2026-11-25; PyTorch
//! 2.11 in the same minute: 126 ms in f32, 30.0 in bf16), printed by `cargo run --release -p longsight-kernels --example linear`:
//!
//! | version | ms | one row, ms |
//! | --- | --- | --- |
//! | f32 | 56.3 | 0.67 |
//! | bf16 | 28.5 | 0.18 |
//!
//! By AMX, before operands lay tile by tile and were fetched ahead, on 2 cores of an Intel Xeon on which others worked: ms of processor time of both cores together, the least of nine runs,
//! 2048 to 6144, 2026-11-25; PyTorch 2.11's in turns with ours. PyTorch's rows are bf16 going in and coming out, ours are f32:
//!
//! | rows | bf16 by AMX | PyTorch in bf16 |
//! | --- | --- | --- |
//! | 1 | 1.3 | 6.7 |
//! | 512 | 18.8 | 16.1 |
//! | 1024 | 40.0 | 31.6 |
//! | 4096 | 206 | 155 |
//!
//! Of 4096 rows' time 58 % went into the products, which waited for operands (`tiles.rs`); the rest was rounding rows, copying sums and
//! the first touch of the output.

mod cpu;
pub mod reference;
#[cfg(test)]
mod tests;

use crate::aligned::Aligned;
use crate::element::Element;
use crate::level::{Level, Precision};

/// The weights of a linear layer in the order in which products read them.
#[derive(Clone)]
pub struct Packed {
    panels: Elems,
    level: Level,
    input: usize,
    output: usize,
}

/// One side of a product.
#[derive(Clone)]
enum Elems {
    F32(Aligned<f32>),
    Bf16(Aligned<u16>),
}

/// Rows as products read them, rounded if need be: made once for all layers that take the same rows, in memory that is used
/// again for the next.
#[derive(Clone)]
pub struct Rows {
    elems: Elems,
    level: Level,
    rows: usize,
    input: usize,
}

impl Rows {
    /// None yet, for layers that were packed with this precision.
    #[must_use]
    pub fn new(precision: Precision) -> Self {
        Self::at(precision.level(Level::detected()))
    }

    fn at(level: Level) -> Self {
        let elems = if level < Level::Avx512Bf16 { Elems::F32(Aligned::new(0)) } else { Elems::Bf16(Aligned::new(0)) };
        Self { elems, level, rows: 0, input: 0 }
    }

    /// Becomes `rows` rows of `input` columns, each written by `row` (its index; zeros or what an earlier row left), on all
    /// threads. What has to be done to rows before they are multiplied is done here, while they are in the cache.
    pub fn fill(&mut self, rows: usize, input: usize, row: impl Fn(usize, &mut [f32]) + Sync) {
        (self.rows, self.input) = (rows, input);
        cpu::fill(self, &row);
    }
}

/// What becomes of an output that holds something already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Store {
    /// It is replaced
    Set,
    /// It is added to
    Add,
}

impl Packed {
    /// Packs `[output, input]` weights for this processor.
    ///
    /// # Panics
    /// When there are not `output * input` weights.
    #[must_use]
    pub fn new<T: Element>(weights: &[T], output: usize, input: usize, precision: Precision) -> Self {
        Self::at(precision.level(Level::detected()), weights, output, input)
    }

    fn at<T: Element>(level: Level, weights: &[T], output: usize, input: usize) -> Self {
        assert_eq!(weights.len(), output * input, "weights of {output} x {input}");
        Self { panels: cpu::pack(level, weights, output, input), level, input, output }
    }

    /// Columns of the input.
    #[must_use]
    pub fn input(&self) -> usize {
        self.input
    }

    /// Columns of the output.
    #[must_use]
    pub fn output(&self) -> usize {
        self.output
    }

    /// Whether weights of 32 bits were rounded when they were packed.
    #[must_use]
    pub fn rounds(&self) -> bool {
        matches!(self.panels, Elems::Bf16(_))
    }

    /// The weights of one output column, `[input]`, as they were packed.
    ///
    /// # Panics
    /// When there is no such column, or `to` has another length.
    pub fn weights_of(&self, output: usize, to: &mut [f32]) {
        assert!(output < self.output && to.len() == self.input, "weights of output {output} of {}", self.output);
        cpu::unpack(self, output, to);
    }

    /// Bytes that the packed weights take.
    #[must_use]
    pub fn bytes(&self) -> usize {
        match &self.panels {
            Elems::F32(panels) => panels.len() * 4,
            Elems::Bf16(panels) => panels.len() * 2,
        }
    }

    /// `[rows, input]` to `[rows, output]`.
    ///
    /// # Panics
    /// When `x` is not whole rows, or the bias is not one value for each output column.
    #[must_use]
    pub fn forward<T: Element>(&self, x: &[T], bias: Option<&[f32]>) -> Vec<f32> {
        assert!(self.input > 0 && x.len().is_multiple_of(self.input), "{} values in rows of {}", x.len(), self.input);
        let (mut rows, count) = (Rows::at(self.level), x.len() / self.input);
        rows.fill(count, self.input, |row, to| {
            to.iter_mut().zip(&x[row * self.input..]).for_each(|(to, x)| *to = x.to_f32());
        });
        let mut out = vec![0.0; count * self.output];
        self.multiply(&rows, bias, &mut out, Store::Set);
        out
    }

    /// The same for rows that are ready, into `out`, `[rows, output]`.
    ///
    /// # Panics
    /// When the rows are of another width or precision, or the output or the bias of another size.
    pub fn multiply(&self, rows: &Rows, bias: Option<&[f32]>, out: &mut [f32], store: Store) {
        assert!(rows.level == self.level, "rows for {:?}, weights for {:?}", rows.level, self.level);
        assert!(self.input > 0 && rows.input == self.input, "rows of {} for {}", rows.input, self.input);
        assert!(out.len() == rows.rows * self.output, "an output of {} for {} rows", out.len(), rows.rows);
        assert!(bias.is_none_or(|bias| bias.len() == self.output), "a bias for {} columns", self.output);
        cpu::multiply(self, rows, bias, out, store);
    }
}

impl std::fmt::Debug for Packed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Packed")
            .field("input", &self.input)
            .field("output", &self.output)
            .field("level", &self.level)
            .finish()
    }
}
