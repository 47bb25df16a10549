//! The attention seam: one call per layer.

use super::{ModelError, Sequence};
use crate::layers::attention as layers;
use candle_core::Tensor;
use longsight_kernels::attention::{Attended, Mass, Program, Shape};
use longsight_kernels::level::Precision;

/// One layer's attention over the rows being run.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// Language layer
    pub layer: usize,
    /// Rotated queries `[heads, rows, head_dim]`
    pub queries: &'a Tensor,
    /// Rotated keys of everything so far, `[kv_heads, first + rows, head_dim]`, rows possibly strided
    pub keys: &'a Tensor,
    /// Values, shaped like the keys
    pub values: &'a Tensor,
    /// The sequence index of the first query row: row `r` sees keys `0..=first + r`
    pub first: usize,
    /// What each token is
    pub sequence: &'a Sequence,
    /// What f32 tensors on a CPU are multiplied in
    pub products: Precision,
}

impl Call<'_> {
    /// Sizes of the call.
    ///
    /// # Errors
    /// When the tensors do not have three axes.
    pub fn shape(&self) -> Result<Shape, ModelError> {
        let ((heads, rows, dim), (kv_heads, keys, _)) = (self.queries.dims3()?, self.keys.dims3()?);
        Ok(Shape { heads, kv_heads, rows, keys, dim })
    }

    /// Every row attends to every row before it.
    ///
    /// # Errors
    /// When the shapes do not agree or the device fails.
    pub fn dense(&self) -> Result<Tensor, ModelError> {
        layers::causal(self.queries, self.keys, self.values, self.first, self.products)
    }

    /// Whether programs and probes run where the tensors are: on a CPU, and on an NVIDIA GPU for 16-bit floats and common widths.
    #[must_use]
    pub fn takes_programs(&self) -> bool {
        layers::takes_programs(self.queries)
    }

    /// Attention over the keys that a program names, where [`Call::takes_programs`]: the output `[heads, rows, head_dim]`, and the rows' log-sums and
    /// the cost, whose own `out` is empty.
    ///
    /// # Errors
    /// When the shapes do not agree.
    ///
    /// # Panics
    /// When the program does not fit the call, which is its writer's mistake.
    pub fn program(&self, program: &Program) -> Result<(Tensor, Attended), ModelError> {
        layers::program(self.queries, self.keys, self.values, program, self.products)
    }

    /// What the call's rows `rows` (ascending; on a GPU up to 64) look at, where [`Call::takes_programs`], by head, with a distance for each that counts as near.
    ///
    /// # Errors
    /// When the shapes do not agree.
    ///
    /// # Panics
    /// When a row is not there.
    pub fn probe(&self, rows: &[usize], near: &[usize]) -> Result<Vec<Mass>, ModelError> {
        let positions: Vec<usize> = rows.iter().map(|row| self.first + row).collect();
        let queries = rows.iter().map(|&row| self.queries.narrow(1, row, 1)).collect::<Result<Vec<_>, _>>()?;
        let queries = Tensor::cat(&queries, 1)?;
        layers::probe(&queries, self.keys, self.values, &positions, near)
    }
}

/// Causal attention with scale `1 / sqrt(head_dim)`; heads share keys in groups of `heads / kv_heads`.
pub trait Attention: Send {
    /// `[heads, rows, head_dim]` in the dtype of the queries.
    ///
    /// # Errors
    /// When the shapes do not agree or the device fails.
    fn attend(&mut self, call: Call<'_>) -> Result<Tensor, ModelError>;
}

/// Every row attends to every row before it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Dense;

impl Attention for Dense {
    fn attend(&mut self, call: Call<'_>) -> Result<Tensor, ModelError> {
        call.dense()
    }
}
