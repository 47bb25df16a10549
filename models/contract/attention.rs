//! The attention seam: one call per layer.

use super::{ModelError, Sequence};
use candle_core::Tensor;
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
        crate::layers::attention::causal(call.queries, call.keys, call.values, call.first, call.products)
    }
}
