//! Attention over tensors, by the kernel on the CPU.

use crate::ModelError;
use candle_core::{D, DType, Tensor};

/// Causal attention: `[heads, rows, dim]` against `[kv_heads, keys, dim]`, row `r` sees keys `0..=first + r`.
pub(crate) fn causal(q: &Tensor, k: &Tensor, v: &Tensor, first: usize) -> Result<Tensor, ModelError> {
    let (heads, rows, dim) = q.dims3()?;
    let (kv_heads, keys, _) = k.dims3()?;
    let share = |t: &Tensor| {
        t.unsqueeze(1)?
            .expand((kv_heads, heads / kv_heads, keys, dim))?
            .reshape((heads, keys, dim))?
            .to_dtype(DType::F32)
    };
    let scores = (q.to_dtype(DType::F32)?.matmul(&share(k)?.t()?)? * (dim as f64).powf(-0.5))?;
    let mask: Vec<f32> =
        (0..rows).flat_map(|r| (0..keys).map(move |c| if c > first + r { f32::NEG_INFINITY } else { 0.0 })).collect();
    let mask = Tensor::from_vec(mask, (1, rows, keys), q.device())?;
    let weights = candle_nn::ops::softmax(&scores.broadcast_add(&mask)?, D::Minus1)?;
    Ok(weights.matmul(&share(v)?)?.to_dtype(q.dtype())?)
}
