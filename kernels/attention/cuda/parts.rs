//! What several blocks gather of the same rows, and its merging.

use super::tables::{Fill, Merge};
use super::{Inputs, Outputs};
use crate::cuda::{Launch, Machine};

/// What slots gather, in f32.
pub(super) struct Parts<B> {
    pub(super) out: B,
    pub(super) logs: B,
    slots: usize,
}

impl<B> Parts<B> {
    pub(super) fn new<M: Machine<Buffer = B>>(machine: &M, inputs: &Inputs, slots: usize) -> Result<Self, M::Error> {
        let rows = slots * inputs.rows_in_all();
        Ok(Self { out: machine.room(rows * inputs.shape.dim * 4)?, logs: machine.room(rows * 4)?, slots })
    }

    /// # Safety
    /// The outputs are in the machine's memory, as large as the shape says.
    pub(super) unsafe fn merge<M: Machine<Buffer = B>>(
        self,
        machine: &M,
        inputs: &Inputs,
        outputs: Outputs,
    ) -> Result<(), M::Error> {
        let rows = inputs.rows_in_all();
        let arguments = Merge {
            parts: machine.address(&self.out),
            logs: machine.address(&self.logs),
            out: outputs.out,
            lse: outputs.lse,
            slots: self.slots as i32,
            rows: rows as i32,
            dim: inputs.shape.dim as i32,
            unused: 0,
        };
        // SAFETY: the caller's.
        unsafe { merge(machine, inputs, &arguments) }
    }
}

/// # Safety
/// The arguments name memory of the machine.
pub(super) unsafe fn merge<M: Machine>(machine: &M, inputs: &Inputs, arguments: &Merge) -> Result<(), M::Error> {
    let kernel = &format!("merge_{}", inputs.half.name());
    let blocks = [(arguments.rows as usize).div_ceil(4), 1, 1];
    // SAFETY: the caller's.
    unsafe { machine.launch(Launch { kernel, blocks, threads: 128, shared: 0 }, arguments) }
}

/// # Safety
/// So many values are in the machine's memory.
pub(super) unsafe fn fill<M: Machine>(machine: &M, arguments: Fill) -> Result<(), M::Error> {
    let blocks = [(arguments.count as usize).div_ceil(1024), 1, 1];
    // SAFETY: the caller's.
    unsafe { machine.launch(Launch { kernel: "fill", blocks, threads: 256, shared: 0 }, &arguments) }
}
