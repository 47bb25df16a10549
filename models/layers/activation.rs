//! Activation functions by their configuration names.

use candle_core::{CpuStorage, DType, Result, Storage, Tensor};
use longsight_kernels::activation::{self as kernel, Function};
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
    /// `f(x)`.
    pub(crate) fn apply(self, x: &Tensor) -> Result<Tensor> {
        match self.function().filter(|_| on_kernel(x)) {
            Some(function) => run(function, x, None),
            None => self.composed(x),
        }
    }

    /// `f(gate) * up`.
    pub(crate) fn gated(self, gate: &Tensor, up: &Tensor) -> Result<Tensor> {
        match self.function().filter(|_| on_kernel(gate) && on_kernel(up)) {
            Some(function) => run(function, gate, Some(up)),
            None => self.composed(gate)? * up,
        }
    }

    /// The kernel's function, if it has it.
    pub(crate) fn function(self) -> Option<Function> {
        match self {
            Self::Silu => Some(Function::Silu),
            Self::Gelu => Some(Function::Gelu),
            Self::GeluPytorchTanh => Some(Function::GeluTanh),
            Self::QuickGelu => Some(Function::QuickGelu),
            Self::Relu => None,
        }
    }

    /// By the tensor library, for other devices and dtypes.
    fn composed(self, x: &Tensor) -> Result<Tensor> {
        match self {
            Self::Silu => x.silu(),
            Self::Gelu => x.gelu_erf(),
            Self::GeluPytorchTanh => x.gelu(),
            Self::QuickGelu => x * candle_nn::ops::sigmoid(&(x * 1.702)?)?,
            Self::Relu => x.relu(),
        }
    }
}

fn on_kernel(x: &Tensor) -> bool {
    x.device().is_cpu() && x.dtype() == DType::F32 && x.is_contiguous()
}

/// On contiguous f32 tensors in memory.
fn run(function: Function, x: &Tensor, up: Option<&Tensor>) -> Result<Tensor> {
    let mut values = with_values(x, <[f32]>::to_vec)?;
    match up {
        None => kernel::apply(function, &mut values, None),
        Some(up) if up.shape() == x.shape() => with_values(up, |up| kernel::apply(function, &mut values, Some(up)))?,
        Some(up) => candle_core::bail!("gate {:?} and its other half {:?}", x.shape(), up.shape()),
    }
    Tensor::from_vec(values, x.shape(), x.device())
}

fn with_values<T>(x: &Tensor, f: impl FnOnce(&[f32]) -> T) -> Result<T> {
    let (storage, layout) = x.storage_and_layout();
    match &*storage {
        Storage::Cpu(CpuStorage::F32(data)) => Ok(f(&data[layout.start_offset()..][..x.elem_count()])),
        _ => candle_core::bail!("an activation's input is not f32 in memory"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed tensor operation fails the test")]
    use super::*;
    use candle_core::Device;

    #[test]
    fn the_kernel_and_the_tensor_library_agree() {
        let noise = || Tensor::randn(0f32, 2.0, (7, 33), &Device::Cpu).unwrap();
        let (x, up) = (noise().narrow(0, 2, 4).unwrap(), noise().narrow(0, 1, 4).unwrap());
        for activation in
            [Activation::Silu, Activation::Gelu, Activation::GeluPytorchTanh, Activation::QuickGelu, Activation::Relu]
        {
            let near = |a: Tensor, b: Tensor| {
                let difference = (a - b).unwrap().abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap();
                assert!(difference < 4e-6, "{activation:?}: {difference}");
            };
            near(activation.apply(&x).unwrap(), activation.composed(&x).unwrap());
            near(activation.gated(&x, &up).unwrap(), (activation.composed(&x).unwrap() * &up).unwrap());
        }
    }
}
