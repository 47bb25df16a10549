//! `y = x W^T + b` over rows: the kernel for f32 on the CPU, the tensor library's products for eight-bit weights and elsewhere.

use super::attention::slice_of;
use crate::ModelError;
use crate::weights::Weights;
use candle_core::quantized::{GgmlDType, QMatMul, QTensor};
use candle_core::{DType, Device, Module, Tensor};
use longsight_kernels::element::Element;
use longsight_kernels::linear::{Packed, Rows, Store};
use std::sync::Arc;

/// A linear layer; weights are `[out, in]` as checkpoints store them.
#[derive(Debug, Clone)]
pub(crate) struct Linear(Weight);

#[derive(Debug, Clone)]
enum Weight {
    Packed { weight: Arc<Packed>, bias: Option<Arc<Vec<f32>>> },
    Quantised { weight: QMatMul, bias: Option<Tensor> },
    Tensor { weight: Tensor, bias: Option<Tensor> },
}

/// A layer whose weights the kernel multiplies.
#[derive(Clone, Copy)]
pub(crate) struct InMemory<'a> {
    weight: &'a Packed,
    bias: Option<&'a [f32]>,
}

impl InMemory<'_> {
    /// Columns of the output.
    pub(crate) fn output(&self) -> usize {
        self.weight.output()
    }

    /// See [`Packed::multiply`].
    pub(crate) fn multiply(&self, rows: &Rows, out: &mut [f32], store: Store) {
        self.weight.multiply(rows, self.bias, out, store);
    }
}

impl Linear {
    /// The layer for rows in memory, if it is the kernel's.
    pub(crate) fn in_memory(&self) -> Option<InMemory<'_>> {
        match &self.0 {
            Weight::Packed { weight, bias } => Some(InMemory { weight, bias: bias.as_ref().map(|bias| &bias[..]) }),
            Weight::Quantised { .. } | Weight::Tensor { .. } => None,
        }
    }

    /// Loads `weight` and, with `bias`, `bias`.
    pub(crate) fn load(weights: &Weights, input: usize, output: usize, bias: bool) -> Result<Self, ModelError> {
        let bias = if bias { Some(weights.get(&[output], "bias")?) } else { None };
        Self::new(&weights.stored(&[output, input], "weight")?, bias, weights)
    }

    /// A layer of weights `[out, in]` loaded elsewhere (a tied output head, a flattened convolution), in any number format.
    pub(crate) fn new(weight: &Tensor, bias: Option<Tensor>, from: &Weights) -> Result<Self, ModelError> {
        let (_, input) = weight.dims2()?;
        if !weight.device().is_cpu() || from.dtype() != DType::F32 {
            return Ok(Self(Weight::Tensor { weight: weight.to_dtype(from.dtype())?, bias }));
        }
        if from.quantised() && input.is_multiple_of(GgmlDType::Q8_0.block_size()) {
            let weight = weight.to_dtype(DType::F32)?.contiguous()?;
            let weight = QMatMul::from_qtensor(QTensor::quantize(&weight, GgmlDType::Q8_0)?)?;
            return Ok(Self(Weight::Quantised { weight, bias }));
        }
        let packed = match weight.dtype() {
            DType::BF16 => packed::<half::bf16>(weight, from)?,
            DType::F16 => packed::<half::f16>(weight, from)?,
            _ => packed::<f32>(&weight.to_dtype(DType::F32)?, from)?,
        };
        let bias = bias.map(|bias| bias.to_vec1()).transpose()?.map(Arc::new);
        Ok(Self(Weight::Packed { weight: Arc::new(packed), bias }))
    }

    /// The packed weights, if those of this number format can be read back as they were.
    pub(crate) fn lossless(&self, dtype: DType) -> Option<Arc<Packed>> {
        match &self.0 {
            Weight::Packed { weight, .. } if !weight.rounds() || dtype == DType::BF16 => Some(weight.clone()),
            _ => None,
        }
    }

    /// `[rows, in]` to `[rows, out]`.
    pub(crate) fn forward(&self, x: &Tensor) -> Result<Tensor, ModelError> {
        match &self.0 {
            Weight::Packed { weight, bias } => {
                let (rows, input) = x.dims2()?;
                if input != weight.input() {
                    let expected = vec![rows, weight.input()];
                    return Err(ModelError::Shape { what: "linear input", expected, found: vec![rows, input] });
                }
                let x = x.contiguous()?;
                let (storage, layout) = x.storage_and_layout();
                let x = &slice_of::<f32>(&storage, layout)?[..rows * input];
                let y = weight.forward(x, bias.as_ref().map(|bias| &bias[..]));
                Ok(Tensor::from_vec(y, (rows, weight.output()), &Device::Cpu)?)
            }
            Weight::Quantised { weight, bias } => biased(weight.forward(&x.contiguous()?)?, bias.as_ref()),
            Weight::Tensor { weight, bias } => biased(x.matmul(&weight.t()?)?, bias.as_ref()),
        }
    }
}

fn biased(y: Tensor, bias: Option<&Tensor>) -> Result<Tensor, ModelError> {
    Ok(match bias {
        Some(bias) => y.broadcast_add(bias)?,
        None => y,
    })
}

fn packed<T: Element + candle_core::WithDType>(weight: &Tensor, from: &Weights) -> Result<Packed, ModelError> {
    let (output, input) = weight.dims2()?;
    let weight = weight.contiguous()?;
    let (storage, layout) = weight.storage_and_layout();
    Ok(Packed::new(&slice_of::<T>(&storage, layout)?[..output * input], output, input, from.products()))
}
