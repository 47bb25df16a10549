//! Attention and rotary embedding over tensors on an NVIDIA GPU, by this project's kernels. Never yet run: no machine with a GPU was at hand.
//!
//! `None` is what the kernels are not made for: f32, heads wider than 128 or not in eights.

mod rotary;

pub(crate) use rotary::Turned;

use crate::ModelError;
use candle_core::cuda_backend::{CudaDType, CudaDevice, CudaStorage, DeviceId};
use candle_core::op::BackpropOp;
use candle_core::{DType, Device, Layout, Storage, Tensor, WithDType};
use cudarc::driver::{CudaSlice, CudaStream, DevicePtr, DeviceRepr, DriverError};
use half::{bf16, f16};
use longsight_kernels::attention::cuda::{self as kernel, Inputs, Outputs, Rows};
use longsight_kernels::attention::{Attended, Mask, Mass, Program, Shape};
use longsight_kernels::cuda::{Gpu, Half};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Attention by a mask that fits the shape.
pub(crate) fn attend(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    shape: Shape,
    scale: f32,
    mask: Mask,
) -> Result<Option<Tensor>, ModelError> {
    let ran = on_gpu([q, k, v], shape, scale, |gpu, inputs, outputs| {
        // SAFETY: `on_gpu` gives addresses of live tensors of this shape, and nothing else writes its outputs.
        unsafe { kernel::attend(gpu, inputs, mask, outputs) }
    })?;
    Ok(ran.map(|(out, _)| out))
}

/// Attention by a program, with the rows' log-sums and the cost.
pub(crate) fn program(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    shape: Shape,
    scale: f32,
    program: &Program,
) -> Result<Option<(Tensor, Attended)>, ModelError> {
    let ran = on_gpu([q, k, v], shape, scale, |gpu, inputs, outputs| {
        // SAFETY: as above.
        unsafe { kernel::attend_program(gpu, inputs, program, outputs) }
    })?;
    let Some((out, lse)) = ran else { return Ok(None) };
    let lse = lse.stream().clone_dtoh(&lse).map_err(failed)?;
    let scores = program.scores(shape).iter().sum();
    Ok(Some((out, Attended { out: Vec::new(), lse, scores })))
}

/// What the rows of `q`, which stand at `positions`, look at.
pub(crate) fn probe(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    shape: Shape,
    scale: f32,
    positions: &[usize],
    near: &[usize],
) -> Result<Option<Vec<Mass>>, ModelError> {
    if shape.rows > kernel::PROBE_ROWS {
        return Ok(None);
    }
    let mut masses = Vec::new();
    let ran = on_gpu([q, k, v], shape, scale, |gpu, inputs, _| {
        // SAFETY: as above.
        masses = unsafe { kernel::probe(gpu, inputs, positions, near) }?;
        Ok(())
    })?;
    Ok(ran.map(|_| masses))
}

/// Whether the kernels are made for queries like these.
pub(crate) fn takes(q: &Tensor) -> bool {
    let halves = matches!(q.dtype(), DType::BF16 | DType::F16);
    q.device().is_cuda() && halves && q.dims().last().is_some_and(|&dim| kernel::takes_width(dim))
}

fn failed(error: DriverError) -> ModelError {
    candle_core::Error::wrap(error).into()
}

/// The kernels, loaded once a device.
fn loaded(device: &CudaDevice) -> Result<Arc<Gpu>, ModelError> {
    static LOADED: Mutex<Option<HashMap<DeviceId, Arc<Gpu>>>> = Mutex::new(None);
    let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    let loaded = loaded.get_or_insert_default();
    if let Some(gpu) = loaded.get(&device.id()) {
        return Ok(Arc::clone(gpu));
    }
    let gpu = Arc::new(Gpu::new(device.cuda_stream()).map_err(failed)?);
    loaded.insert(device.id(), Arc::clone(&gpu));
    Ok(gpu)
}

type Ran = Option<(Tensor, CudaSlice<f32>)>;

fn on_gpu(
    tensors: [&Tensor; 3],
    shape: Shape,
    scale: f32,
    work: impl FnOnce(&Gpu, &Inputs, Outputs) -> Result<(), DriverError>,
) -> Result<Ran, ModelError> {
    match tensors[0].dtype() {
        DType::BF16 => on::<bf16>(tensors, Half::Bf16, shape, scale, work),
        DType::F16 => on::<f16>(tensors, Half::F16, shape, scale, work),
        _ => Ok(None),
    }
}

fn on<T: CudaDType + DeviceRepr + WithDType + 'static>(
    tensors: [&Tensor; 3],
    half: Half,
    shape: Shape,
    scale: f32,
    work: impl FnOnce(&Gpu, &Inputs, Outputs) -> Result<(), DriverError>,
) -> Result<Ran, ModelError> {
    let Device::Cuda(device) = tensors[0].device() else { return Ok(None) };
    if shape.heads * shape.rows * shape.dim == 0 {
        return Ok(None);
    }
    let (gpu, stream) = (loaded(device)?, device.cuda_stream());
    let unbroken = |x: &Tensor| if x.stride()[2] == 1 { Ok(x.clone()) } else { x.contiguous() };
    let [q, k, v] = tensors;
    let (q, k, v) = (unbroken(q)?, unbroken(k)?, unbroken(v)?);
    let ((q, q_layout), (k, k_layout), (v, v_layout)) =
        (q.storage_and_layout(), k.storage_and_layout(), v.storage_and_layout());
    let (q, _q_read) = rows::<T>(&q, q_layout, &stream)?;
    let (k, _k_read) = rows::<T>(&k, k_layout, &stream)?;
    let (v, _v_read) = rows::<T>(&v, v_layout, &stream)?;
    let inputs = Inputs { half, q, k, v, shape, scale };
    if !inputs.fit() {
        return Ok(None);
    }
    // SAFETY: kernels write all of both, as the emulation shows, before anything reads them.
    let (out, lse) = unsafe {
        (device.alloc::<T>(shape.heads * shape.rows * shape.dim)?, device.alloc::<f32>(shape.heads * shape.rows)?)
    };
    let outputs = Outputs { out: out.device_ptr(&stream).0, lse: lse.device_ptr(&stream).0 };
    work(&gpu, &inputs, outputs).map_err(failed)?;
    let storage = Storage::Cuda(CudaStorage::wrap_cuda_slice(out, device.clone()));
    let out = Tensor::from_storage(storage, (shape.heads, shape.rows, shape.dim), BackpropOp::none(), false);
    Ok(Some((out, lse)))
}

/// Where a tensor's rows are; what comes with it marks the end of the reading when it is dropped.
fn rows<'a, T: CudaDType + 'static>(
    storage: &'a Storage,
    layout: &Layout,
    stream: &'a CudaStream,
) -> Result<(Rows, impl Drop + use<'a, T>), ModelError> {
    let Storage::Cuda(storage) = storage else {
        return Err(candle_core::Error::Msg("a tensor is not on the GPU".to_owned()).into());
    };
    let (address, read) = storage.as_cuda_slice::<T>()?.device_ptr(stream);
    let address = address + (layout.start_offset() * size_of::<T>()) as u64;
    Ok((Rows { address, head: layout.stride()[0], row: layout.stride()[1] }, read))
}
