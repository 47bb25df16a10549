//! RMS and layer normalisation over the last axis.

use crate::ModelError;
use crate::weights::Weights;
use candle_core::Tensor;

/// A normalisation with its learned scale (and shift).
#[derive(Debug, Clone)]
pub(crate) struct Norm {
    weight: Tensor,
    bias: Option<Tensor>,
    eps: f32,
}

impl Norm {
    /// `x / rms(x) * weight`.
    pub(crate) fn rms(weights: &Weights, width: usize, eps: f64) -> Result<Self, ModelError> {
        Ok(Self { weight: weights.get(&[width], "weight")?, bias: None, eps: eps as f32 })
    }

    /// `(x - mean) / std * weight + bias`.
    pub(crate) fn layer(weights: &Weights, width: usize, eps: f64) -> Result<Self, ModelError> {
        let bias = Some(weights.get(&[width], "bias")?);
        Ok(Self { weight: weights.get(&[width], "weight")?, bias, eps: eps as f32 })
    }

    /// The scale and what is added to the mean square, for rows in memory.
    pub(crate) fn scale(&self) -> candle_core::Result<(Vec<f32>, f32)> {
        Ok((self.weight.to_vec1()?, self.eps))
    }

    pub(crate) fn forward(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        let x = x.contiguous()?;
        match &self.bias {
            Some(bias) => candle_nn::ops::layer_norm(&x, &self.weight, bias, self.eps),
            None => candle_nn::ops::rms_norm(&x, &self.weight, self.eps),
        }
    }
}
