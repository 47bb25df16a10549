//! Rotary embedding: positions go to the GPU once, tensors are turned out of wherever they lie.

use super::{failed, loaded, rows};
use crate::ModelError;
use candle_core::cuda_backend::{CudaDType, CudaStorage};
use candle_core::op::BackpropOp;
use candle_core::{DType, Device, Storage, Tensor};
use cudarc::driver::{CudaSlice, DevicePtr, DeviceRepr};
use half::{bf16, f16};
use longsight_kernels::attention::cuda::Rows;
use longsight_kernels::cuda::{Gpu, Half};
use longsight_kernels::rotary::Turn;
use longsight_kernels::rotary::cuda::{Table, rotate};
use std::sync::Arc;

/// The positions of some tokens, on the GPU.
#[derive(Debug, Clone)]
pub(crate) struct Turned {
    gpu: Arc<Gpu>,
    table: Arc<Table<CudaSlice<u8>>>,
    first: usize,
    count: usize,
}

impl Turned {
    /// `None` is what the kernel is not made for: other devices, f32.
    pub(crate) fn new(turn: &Turn, dtype: DType, device: &Device) -> Result<Option<Self>, ModelError> {
        let (Device::Cuda(device), DType::BF16 | DType::F16) = (device, dtype) else { return Ok(None) };
        let gpu = loaded(device)?;
        let table = Arc::new(Table::new(&*gpu, *turn).map_err(failed)?);
        Ok(Some(Self { gpu, table, first: 0, count: turn.tokens() }))
    }

    /// Of the tokens in `start..start + len`.
    pub(crate) fn narrow(&self, start: usize, len: usize) -> candle_core::Result<Self> {
        if start + len > self.count {
            candle_core::bail!("positions {start} to {} of {}", start + len, self.count);
        }
        Ok(Self { first: self.first + start, count: len, ..self.clone() })
    }

    /// Rotates `[tokens, heads, dim]`, a whole number of times as many tokens as there are positions. What comes lies head by head,
    /// as attention and the cache want it.
    pub(crate) fn apply(&self, x: &Tensor) -> Result<Tensor, ModelError> {
        match x.dtype() {
            DType::BF16 => self.turned::<bf16>(x, Half::Bf16),
            DType::F16 => self.turned::<f16>(x, Half::F16),
            other => Err(candle_core::Error::Msg(format!("positions for 16 bits turn no {other:?}")).into()),
        }
    }

    fn turned<T: CudaDType + DeviceRepr + 'static>(&self, x: &Tensor, half: Half) -> Result<Tensor, ModelError> {
        let (tokens, heads, dim) = x.dims3()?;
        if dim != self.table.dim() || self.count == 0 || !tokens.is_multiple_of(self.count) {
            let (expected, found) = (vec![self.count, heads, self.table.dim()], x.dims().to_vec());
            return Err(ModelError::Shape { what: "rows to turn", expected, found });
        }
        let Device::Cuda(device) = x.device() else {
            return Err(candle_core::Error::Msg("a tensor is not on the GPU".to_owned()).into());
        };
        let stream = device.cuda_stream();
        let by_head = if x.stride()[2] == 1 { x.clone() } else { x.contiguous()? }.transpose(0, 1)?;
        let (storage, layout) = by_head.storage_and_layout();
        let (from, _read) = rows::<T>(&storage, layout, &stream)?;
        // SAFETY: the kernel writes all of it, as the emulation shows, before anything reads it.
        let out = unsafe { device.alloc::<T>(tokens * heads * dim)? };
        let to = Rows { address: out.device_ptr(&stream).0, head: tokens * dim, row: dim };
        // SAFETY: both places are of this shape, and `out` is new.
        unsafe {
            rotate(&*self.gpu, half, (from, to), (tokens, heads), &self.table, (self.first, self.count))
                .map_err(failed)?;
        }
        let storage = Storage::Cuda(CudaStorage::wrap_cuda_slice(out, device.clone()));
        let out = Tensor::from_storage(storage, (heads, tokens, dim), BackpropOp::none(), false);
        Ok(out.transpose(0, 1)?)
    }
}
