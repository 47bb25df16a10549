//! The launch.

use super::Groups;
use crate::attention::cuda::Rows;
use crate::cuda::{Launch, Machine, Number, Plain};

/// Threads of a block, which takes an output row.
const THREADS: usize = 128;

#[repr(C)]
#[derive(Debug, Clone, Copy)]
struct Gather {
    from: u64,
    from_head: i64,
    from_row: i64,
    to: u64,
    to_head: i64,
    to_row: i64,
    bounds: u64,
    rows: u64,
    weights: u64,
    columns: i32,
    unused: i32,
}
// SAFETY: as `cuda.cu` declares it: nine words of eight bytes, two of four.
unsafe impl Plain for Gather {}

/// Writes the sums of the groups of each of `heads` heads' rows of `from`, as wide as `columns`, to rows `to`, one a group.
///
/// # Errors
/// When memory or the machine fails.
///
/// # Panics
/// When `from_rows` rows are fewer than the groups name.
///
/// # Safety
/// So many rows are in the machine's memory at both places, which are apart, and nobody else writes them or reads what is written.
pub unsafe fn gather<M: Machine>(
    machine: &M,
    number: Number,
    (from, to): (Rows, Rows),
    (heads, from_rows, columns): (usize, usize, usize),
    groups: &Groups,
) -> Result<(), M::Error> {
    assert!(groups.reach() <= from_rows, "row {} of {from_rows}", groups.reach().saturating_sub(1));
    if heads * columns * groups.len() == 0 {
        return Ok(());
    }
    let (bounds, rows) = (machine.upload(&groups.bounds)?, machine.upload(&groups.rows)?);
    let weights = machine.upload(&groups.weights)?;
    let arguments = Gather {
        from: from.address,
        from_head: from.head as i64,
        from_row: from.row as i64,
        to: to.address,
        to_head: to.head as i64,
        to_row: to.row as i64,
        bounds: machine.address(&bounds),
        rows: machine.address(&rows),
        weights: machine.address(&weights),
        columns: columns as i32,
        unused: 0,
    };
    let kernel = &format!("gather_{}", number.name());
    let launch = Launch { kernel, blocks: [groups.len(), heads, 1], threads: THREADS, shared: 0 };
    // SAFETY: the groups name rows that are there, as was checked; the caller vouches for these.
    unsafe { machine.launch(launch, &arguments) }
}
