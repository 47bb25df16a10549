//! Weights by name out of memory-mapped safetensors, checked against the expected shape and converted to the dtype of
//! the computation as they are loaded.

use crate::{Checkpoint, ComputeDtype, LoadOptions, ModelError};
use candle_core::safetensors::MmapedSafetensors;
use candle_core::{DType, Device, Tensor};
use longsight_kernels::level::Precision;
use std::sync::Arc;

/// A place among a checkpoint's weights.
#[derive(Clone)]
pub(crate) struct Weights {
    files: Arc<MmapedSafetensors>,
    path: String,
    dtype: DType,
    products: Precision,
    quantised: bool,
    device: Device,
}

impl Weights {
    /// Maps the checkpoint's shards; nothing is read yet.
    pub(crate) fn open(checkpoint: &Checkpoint, options: &LoadOptions) -> Result<Self, ModelError> {
        // SAFETY: the mapped files are only read, through a parser that checks every offset against the length. The
        // rest is what every mapping asks of its user: nobody shortens a checkpoint while it is being loaded; the
        // maps live no longer than loading does.
        let files = unsafe { MmapedSafetensors::multi(checkpoint.shards()) }
            .map_err(|source| ModelError::Weight { name: checkpoint.folder().display().to_string(), source })?;
        Ok(Self {
            files: Arc::new(files),
            path: String::new(),
            dtype: options.dtype(),
            products: options.products(),
            quantised: options.compute == ComputeDtype::Q8_0 && options.device.is_cpu(),
            device: options.device.clone(),
        })
    }

    /// The weights under `name`.
    pub(crate) fn at(&self, name: impl std::fmt::Display) -> Self {
        Self { path: self.full(&name.to_string()), ..self.clone() }
    }

    /// The weights under the first of `names` that has `probe` below it; releases have renamed the trunk more than once.
    pub(crate) fn at_first(&self, names: &[&str], probe: &str) -> Self {
        let found = names.iter().find(|name| self.at(name).has(probe)).or(names.first());
        found.map_or_else(|| self.clone(), |name| self.at(name))
    }

    /// The number format that weights are converted to.
    pub(crate) fn dtype(&self) -> DType {
        self.dtype
    }

    /// What f32 weights on a CPU are multiplied in.
    pub(crate) fn products(&self) -> Precision {
        self.products
    }

    /// Whether linear layers keep their weights in eight bits.
    pub(crate) fn quantised(&self) -> bool {
        self.quantised
    }

    /// Where weights are put.
    pub(crate) fn device(&self) -> &Device {
        &self.device
    }

    /// Whether there is a weight `name` here.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.files.get(&self.full(name)).is_ok()
    }

    /// The weight `name`, which must have `shape`, in the number format of the computation.
    pub(crate) fn get(&self, shape: &[usize], name: &str) -> Result<Tensor, ModelError> {
        let stored = self.stored(shape, name)?;
        stored.to_dtype(self.dtype).map_err(|source| ModelError::Weight { name: self.full(name), source })
    }

    /// The same in the checkpoint's own number format.
    pub(crate) fn stored(&self, shape: &[usize], name: &str) -> Result<Tensor, ModelError> {
        let name = self.full(name);
        let fail = |source| ModelError::Weight { name: name.clone(), source };
        let view = self.files.get(&name).map_err(fail)?;
        if view.shape() != shape {
            let message = format!("has shape {:?}, the configuration says {shape:?}", view.shape());
            return Err(fail(candle_core::Error::Msg(message)));
        }
        use candle_core::safetensors::Load;
        view.load(&self.device).map_err(fail)
    }

    fn full(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }
}
