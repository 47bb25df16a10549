//! `y = x W^T + b` over rows.

use crate::ModelError;
use crate::weights::Weights;
use candle_core::Tensor;

/// A linear layer; `weight` is `[out, in]` as checkpoints store it.
#[derive(Debug, Clone)]
pub(crate) struct Linear {
    weight: Tensor,
    bias: Option<Tensor>,
}

impl Linear {
    /// Loads `weight` and, with `bias`, `bias`.
    pub(crate) fn load(weights: &Weights, input: usize, output: usize, bias: bool) -> Result<Self, ModelError> {
        let bias = if bias { Some(weights.get(&[output], "bias")?) } else { None };
        Ok(Self { weight: weights.get(&[output, input], "weight")?, bias })
    }

    /// A layer of weights loaded elsewhere (a tied output head, a flattened convolution).
    pub(crate) fn new(weight: Tensor, bias: Option<Tensor>) -> Self {
        Self { weight, bias }
    }

    /// `[rows, in]` to `[rows, out]`.
    pub(crate) fn forward(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        let y = x.matmul(&self.weight.t()?)?;
        match &self.bias {
            Some(bias) => y.broadcast_add(bias),
            None => Ok(y),
        }
    }
}
