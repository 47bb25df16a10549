//! The launch.

use super::Turn;
use crate::attention::cuda::Rows;
use crate::cuda::{Half, Launch, Machine, Plain};

#[repr(C)]
#[derive(Debug, Clone, Copy)]
struct Rotate {
    rows: u64,
    token: i64,
    head: i64,
    positions: u64,
    axes: u64,
    frequencies: u64,
    tokens: i32,
    heads: i32,
    dim: i32,
    scale: f32,
}
// SAFETY: as `cuda.cu` declares it: six words of eight bytes, four of four.
unsafe impl Plain for Rotate {}

/// Turns `(tokens, heads, dim)` rows in a machine's memory where they are.
///
/// # Errors
/// When the machine fails.
///
/// # Panics
/// When the tables do not fit.
///
/// # Safety
/// So many rows are in the machine's memory, and nobody else reads or writes them.
pub unsafe fn rotate<M: Machine>(
    machine: &M,
    half: Half,
    rows: Rows,
    (tokens, heads, dim): (usize, usize, usize),
    turn: Turn,
) -> Result<(), M::Error> {
    turn.check(tokens, dim);
    if tokens * heads * dim == 0 {
        return Ok(());
    }
    let positions: Vec<i32> = turn.positions.iter().flat_map(|axis| axis.iter().map(|&at| at as i32)).collect();
    let axes: Vec<i32> = turn.axes.iter().map(|&axis| axis as i32).collect();
    let (positions, axes, frequencies) =
        (machine.upload(&positions)?, machine.upload(&axes)?, machine.upload(turn.frequencies)?);
    let arguments = Rotate {
        rows: rows.address,
        token: rows.row as i64,
        head: rows.head as i64,
        positions: machine.address(&positions),
        axes: machine.address(&axes),
        frequencies: machine.address(&frequencies),
        tokens: tokens as i32,
        heads: heads as i32,
        dim: dim as i32,
        scale: turn.scale,
    };
    let kernel = &format!("rotate_{}", half.name());
    // SAFETY: the tables are as large as the kernel takes them to be; the caller vouches for the rows.
    unsafe { machine.launch(Launch { kernel, blocks: [tokens, 1, 1], threads: 128, shared: dim * 4 }, &arguments) }
}
