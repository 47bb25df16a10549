//! Attention over tensors: the kernels of the CPU and of NVIDIA GPUs, products of the tensor library for what they do not take.

use crate::ModelError;
use candle_core::{D, DType, Device, Layout, Storage, Tensor, WithDType};
use half::{bf16, f16};
use longsight_kernels::attention::{self as kernel, Attended, Inputs, Mask, Mass, Program, Shape, Strided};
use longsight_kernels::element::Element;
use longsight_kernels::level::Precision;

/// Causal attention: `[heads, rows, dim]` against `[kv_heads, keys, dim]`, row `r` sees keys `0..=first + r`. Gives
/// `[heads, rows, dim]` in the dtype of `q`.
pub(crate) fn causal(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    first: usize,
    products: Precision,
) -> Result<Tensor, ModelError> {
    attend(q, k, v, Mask::Causal { first }, products)
}

/// Attention inside each of the segments `bounds[i]..bounds[i + 1]` of the rows; all tensors `[heads, rows, dim]`.
pub(crate) fn segments(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    bounds: &[usize],
    products: Precision,
) -> Result<Tensor, ModelError> {
    attend(q, k, v, Mask::Segments(bounds), products)
}

fn attend(q: &Tensor, k: &Tensor, v: &Tensor, mask: Mask, products: Precision) -> Result<Tensor, ModelError> {
    let shape = shape(q, k, v)?;
    let covered = match mask {
        Mask::Causal { first } => first + shape.rows <= shape.keys,
        Mask::Segments(bounds) => bounds.last() == Some(&shape.rows) && shape.rows == shape.keys,
    };
    if !covered {
        return Err(misfit(q, k));
    }
    if q.device().is_cpu() {
        return on_cpu(q, k, v, shape, mask, products);
    }
    #[cfg(feature = "cuda")]
    if let Some(out) = super::cuda::attend(q, k, v, shape, scale(shape.dim) as f32, mask)? {
        return Ok(out);
    }
    composed(q, k, v, shape, mask)
}

fn shape(q: &Tensor, k: &Tensor, v: &Tensor) -> Result<Shape, ModelError> {
    let (heads, rows, dim) = q.dims3()?;
    let (kv_heads, keys, key_dim) = k.dims3()?;
    let fits = k.dims() == v.dims() && dim == key_dim && kv_heads > 0 && heads.is_multiple_of(kv_heads);
    if fits { Ok(Shape { heads, kv_heads, rows, keys, dim }) } else { Err(misfit(q, k)) }
}

fn misfit(q: &Tensor, k: &Tensor) -> ModelError {
    ModelError::Shape { what: "attention", expected: q.dims().to_vec(), found: k.dims().to_vec() }
}

fn scale(dim: usize) -> f64 {
    (dim as f64).powf(-0.5)
}

/// Whether programs and probes run where queries like these are.
pub(crate) fn takes_programs(q: &Tensor) -> bool {
    #[cfg(feature = "cuda")]
    if super::cuda::takes(q) {
        return true;
    }
    q.device().is_cpu()
}

/// `products` is for f32 tensors: bf16 ones are multiplied as they are, f16 ones in f32.
fn on_cpu(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    shape: Shape,
    mask: Mask,
    products: Precision,
) -> Result<Tensor, ModelError> {
    let out = on_elements(q, k, v, shape, products, &mut Masked(mask))?;
    Ok(Tensor::from_vec(out, (shape.heads, shape.rows, shape.dim), &Device::Cpu)?.to_dtype(q.dtype())?)
}

/// Attention over the keys that a program names: the output in the dtype of `q`, with the rows' log-sums and the cost.
pub(crate) fn program(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    program: &Program,
    products: Precision,
) -> Result<(Tensor, Attended), ModelError> {
    let shape = shape(q, k, v)?;
    #[cfg(feature = "cuda")]
    if let Some(ran) = super::cuda::program(q, k, v, shape, scale(shape.dim) as f32, program)? {
        return Ok(ran);
    }
    let mut attended = on_elements(q, k, v, shape, products, &mut Programmed(program))?;
    let out = std::mem::take(&mut attended.out);
    let out = Tensor::from_vec(out, (shape.heads, shape.rows, shape.dim), &Device::Cpu)?.to_dtype(q.dtype())?;
    Ok((out, attended))
}

/// What the rows of `q`, which stand at `positions`, look at.
pub(crate) fn probe(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    positions: &[usize],
    near: &[usize],
) -> Result<Vec<Mass>, ModelError> {
    let shape = shape(q, k, v)?;
    #[cfg(feature = "cuda")]
    if let Some(masses) = super::cuda::probe(q, k, v, shape, scale(shape.dim) as f32, positions, near)? {
        return Ok(masses);
    }
    on_elements(q, k, v, shape, Precision::F32, &mut Probed { positions, near })
}

/// A kernel that is run on whatever the tensors are made of.
trait Kernel {
    type Out;
    fn run<T: Element>(&mut self, inputs: Inputs<'_, T>, precision: Precision) -> Self::Out;
}

struct Masked<'a>(Mask<'a>);
struct Programmed<'a>(&'a Program);
struct Probed<'a> {
    positions: &'a [usize],
    near: &'a [usize],
}

impl Kernel for Masked<'_> {
    type Out = Vec<f32>;
    fn run<T: Element>(&mut self, inputs: Inputs<'_, T>, precision: Precision) -> Vec<f32> {
        kernel::attend(inputs, self.0, precision)
    }
}

impl Kernel for Programmed<'_> {
    type Out = Attended;
    fn run<T: Element>(&mut self, inputs: Inputs<'_, T>, precision: Precision) -> Attended {
        kernel::attend_program(inputs, self.0, precision)
    }
}

impl Kernel for Probed<'_> {
    type Out = Vec<Mass>;
    fn run<T: Element>(&mut self, inputs: Inputs<'_, T>, _: Precision) -> Vec<Mass> {
        kernel::probe(inputs, self.positions, self.near)
    }
}

fn on_elements<K: Kernel>(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    shape: Shape,
    products: Precision,
    kernel: &mut K,
) -> Result<K::Out, ModelError> {
    match q.dtype() {
        DType::BF16 => on::<bf16, K>(q, k, v, shape, Precision::Bf16, kernel),
        DType::F16 => on::<f16, K>(q, k, v, shape, Precision::F32, kernel),
        _ => on::<f32, K>(q, k, v, shape, products, kernel),
    }
}

fn on<T: Element + WithDType, K: Kernel>(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    shape: Shape,
    precision: Precision,
    kernel: &mut K,
) -> Result<K::Out, ModelError> {
    let (q, k, v) = (rows_of::<T>(q)?, rows_of::<T>(k)?, rows_of::<T>(v)?);
    let ((q, q_layout), (k, k_layout), (v, v_layout)) =
        (q.storage_and_layout(), k.storage_and_layout(), v.storage_and_layout());
    let (q, k, v) = (view::<T>(&q, q_layout)?, view::<T>(&k, k_layout)?, view::<T>(&v, v_layout)?);
    Ok(kernel.run(Inputs { q, k, v, shape, scale: scale(shape.dim) as f32 }, precision))
}

/// With an unbroken last axis, copied only if it is not so already.
fn rows_of<T: WithDType>(x: &Tensor) -> candle_core::Result<Tensor> {
    let x = x.to_dtype(T::DTYPE)?;
    if x.stride()[2] == 1 { Ok(x) } else { x.contiguous() }
}

fn view<'a, T: WithDType>(storage: &'a Storage, layout: &Layout) -> Result<Strided<'a, T>, ModelError> {
    let stride = layout.stride();
    Ok(Strided { data: slice_of(storage, layout)?, head: stride[0], row: stride[1] })
}

/// The elements of a tensor on the CPU, from its first on.
pub(crate) fn slice_of<'a, T: WithDType>(storage: &'a Storage, layout: &Layout) -> Result<&'a [T], ModelError> {
    let Storage::Cpu(storage) = storage else {
        return Err(candle_core::Error::Msg("a tensor is not on the CPU".to_owned()).into());
    };
    Ok(&storage.as_slice()?[layout.start_offset()..])
}

/// The same by matrix products over all scores of one block of rows at a time.
fn composed(q: &Tensor, k: &Tensor, v: &Tensor, shape: Shape, mask: Mask) -> Result<Tensor, ModelError> {
    /// Rows whose scores are held at once: 256 rows of 32 heads against 100 000 keys are 3.3 GB in f32.
    const BLOCK: usize = 256;
    let Shape { heads, kv_heads, rows, keys, dim } = shape;
    let shared = |x: &Tensor| -> candle_core::Result<Tensor> {
        x.unsqueeze(1)?
            .expand((kv_heads, heads / kv_heads, keys, dim))?
            .reshape((heads, keys, dim))?
            .to_dtype(DType::F32)
    };
    let (k, v) = (shared(k)?, shared(v)?);
    let mut out = Vec::new();
    for start in (0..rows).step_by(BLOCK) {
        let count = BLOCK.min(rows - start);
        let queries = (q.narrow(1, start, count)?.to_dtype(DType::F32)?.contiguous()? * scale(dim))?;
        let hidden: Vec<f32> = (start..start + count)
            .flat_map(|row| (0..keys).map(move |key| if sees(mask, row, key) { 0.0 } else { f32::NEG_INFINITY }))
            .collect();
        let hidden = Tensor::from_vec(hidden, (1, count, keys), q.device())?;
        let scores = queries.matmul(&k.t()?)?.broadcast_add(&hidden)?;
        out.push(candle_nn::ops::softmax(&scores, D::Minus1)?.matmul(&v)?);
    }
    Ok(Tensor::cat(&out, 1)?.to_dtype(q.dtype())?)
}

fn sees(mask: Mask, row: usize, key: usize) -> bool {
    match mask {
        Mask::Causal { first } => key <= first + row,
        Mask::Segments(bounds) => {
            let segment = |x: usize| bounds.partition_point(|&bound| bound <= x);
            segment(row) == segment(key)
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed tensor operation fails the test")]
    use super::*;

    #[test]
    fn the_kernel_and_the_products_agree() {
        let noise = |shape: (usize, usize, usize)| Tensor::randn(0f32, 1.0, shape, &Device::Cpu).unwrap();
        let (q, k, v) = (noise((6, 300, 16)), noise((2, 310, 16)), noise((2, 310, 16)));
        let shape = Shape { heads: 6, kv_heads: 2, rows: 300, keys: 310, dim: 16 };
        let mask = Mask::Causal { first: 10 };
        let near = |a: &Tensor, b: &Tensor| {
            let difference = (a - b).unwrap().abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap();
            assert!(difference < 1e-5, "{difference}");
        };
        near(&on_cpu(&q, &k, &v, shape, mask, Precision::F32).unwrap(), &composed(&q, &k, &v, shape, mask).unwrap());
        // Strided views, as a cache and a transposed projection give them.
        let (kv, qt) = (noise((2, 512, 16)), noise((310, 6, 16)));
        let (k, q) = (kv.narrow(1, 0, 310).unwrap(), qt.transpose(0, 1).unwrap());
        let shape = Shape { rows: 310, ..shape };
        let mask = Mask::Causal { first: 0 };
        near(&on_cpu(&q, &k, &v, shape, mask, Precision::F32).unwrap(), &composed(&q, &k, &v, shape, mask).unwrap());
        let shape = Shape { kv_heads: 6, keys: 310, ..shape };
        let mask = Mask::Segments(&[0, 100, 130, 310]);
        near(&on_cpu(&q, &q, &q, shape, mask, Precision::F32).unwrap(), &composed(&q, &q, &q, shape, mask).unwrap());
    }
}
