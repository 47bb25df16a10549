//! Activation functions by their configuration names.

use candle_core::{Result, Tensor};
use serde::Deserialize;

/// `hidden_act` of a configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Activation {
    /// x * sigmoid(x)
    #[serde(alias = "swish")]
    Silu,
    /// x * Phi(x), by the error function
    #[serde(alias = "gelu_python")]
    Gelu,
    /// Its tanh form
    #[serde(alias = "gelu_new", alias = "gelu_fast", alias = "gelu_accurate")]
    GeluPytorchTanh,
    /// x * sigmoid(1.702 x)
    QuickGelu,
    /// max(x, 0)
    Relu,
}

impl Activation {
    pub(crate) fn apply(self, x: &Tensor) -> Result<Tensor> {
        match self {
            Self::Silu => x.silu(),
            Self::Gelu => x.gelu_erf(),
            Self::GeluPytorchTanh => x.gelu(),
            Self::QuickGelu => x * candle_nn::ops::sigmoid(&(x * 1.702)?)?,
            Self::Relu => x.relu(),
        }
    }
}
