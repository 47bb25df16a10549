//! What some rows look at, by column and by distance.

use super::parts::{fill, merge};
use super::tables::{Fill, Merge, Probe};
use super::{Inputs, KEYS, STRETCH, UNBOUNDED, pitch};
use crate::attention::{Mass, Shape};
use crate::cuda::{Launch, Machine};

/// Most rows of a [`probe`].
pub const PROBE_ROWS: usize = 64;

/// What the rows at `positions` (ascending, at most [`PROBE_ROWS`]; `inputs.q` holds just them) look at, for each head; `near` has a
/// distance for each. As [`super::probe`].
///
/// # Errors
/// When the machine fails.
///
/// # Panics
/// When the inputs do not [fit](Inputs::fit), there are too many rows, or positions do not ascend inside the keys.
///
/// # Safety
/// The inputs are in the machine's memory, as large as the shape says, and nobody else writes them.
pub unsafe fn probe<M: Machine>(
    machine: &M,
    inputs: &Inputs,
    positions: &[usize],
    near: &[usize],
) -> Result<Vec<Mass>, M::Error> {
    let Shape { heads, kv_heads, rows, keys, dim } = inputs.shape;
    assert!(inputs.fit() && rows <= PROBE_ROWS, "the kernels do not read {inputs:?}");
    assert!(positions.len() == rows && positions.windows(2).all(|pair| pair[0] < pair[1]), "{rows} rows elsewhere");
    assert!(positions.last().is_none_or(|&last| last < keys) && near.len() == heads, "rows beyond {keys} keys");
    let Some(&last) = positions.last() else {
        return Ok(near.iter().map(|_| Mass { columns: vec![], distances: vec![], far: vec![] }).collect());
    };
    let seen = last + 1;
    let stretches = (machine.wanted_blocks() / heads).clamp(1, seen.div_ceil(STRETCH));
    let stretch = seen.div_ceil(stretches).next_multiple_of(KEYS);
    let stretches = seen.div_ceil(stretch);
    let whole = |values: &[usize]| values.iter().map(|&value| value.min(UNBOUNDED as usize) as i32).collect::<Vec<_>>();
    let (positions, near) = (machine.upload(&whole(positions))?, machine.upload(&whole(near))?);
    let room = |values: usize| machine.room(values * 4);
    let (parts, logs) = (room(stretches * heads * rows)?, room(heads * rows)?);
    let (columns, distances, far) = (room(heads * seen)?, room(heads * seen)?, room(heads * rows)?);
    let arguments = Probe {
        queries: inputs.q.address,
        keys: inputs.k.address,
        query_head: inputs.q.head as i64,
        query_row: inputs.q.row as i64,
        key_head: inputs.k.head as i64,
        key_row: inputs.k.row as i64,
        positions: machine.address(&positions),
        near: machine.address(&near),
        logs: machine.address(&parts),
        columns: machine.address(&columns),
        distances: machine.address(&distances),
        far: machine.address(&far),
        heads: heads as i32,
        group: (heads / kv_heads) as i32,
        rows: rows as i32,
        dim: dim as i32,
        seen: seen as i32,
        stretch: stretch as i32,
        scale: inputs.scale * std::f32::consts::LOG2_E,
        unused: 0,
    };
    let width = inputs.width();
    let launch = |kernel: &str, arguments: &Probe| {
        let kernel = &format!("{kernel}_{}_{width}", inputs.half.name());
        let shared = KEYS * pitch(width) * 2 + 4 * KEYS * 4 + PROBE_ROWS * (KEYS + 1) * 4;
        // The heads of a group run side by side, so that they find their keys in the cache.
        let launch = Launch { kernel, blocks: [heads, stretches, 1], threads: PROBE_ROWS * 2, shared };
        // SAFETY: what was made for the kernels is as large as they take it to be; the caller vouches for the rest.
        unsafe { machine.launch(launch, arguments) }
    };
    launch("probe_logs", &arguments)?;
    let merged = Merge {
        parts: arguments.logs,
        logs: arguments.logs,
        out: arguments.logs,
        lse: machine.address(&logs),
        slots: stretches as i32,
        rows: (heads * rows) as i32,
        dim: 0,
        unused: 0,
    };
    // SAFETY: as above; rows of no width write nothing but their log-sums.
    unsafe {
        merge(machine, inputs, &merged)?;
        for (address, count) in [(arguments.distances, heads * seen), (arguments.far, heads * rows)] {
            fill(machine, Fill { values: address, count: count as i64, value: 0.0, unused: 0 })?;
        }
    }
    launch("probe_shares", &Probe { logs: merged.lse, ..arguments })?;
    let by_head = |buffer: &M::Buffer, width: usize| -> Result<Vec<Vec<f32>>, M::Error> {
        Ok(machine.download::<f32>(buffer)?.chunks(width).map(<[f32]>::to_vec).collect())
    };
    let of_heads = by_head(&columns, seen)?.into_iter().zip(by_head(&distances, seen)?).zip(by_head(&far, rows)?);
    Ok(of_heads.map(|((columns, distances), far)| Mass { columns, distances, far }).collect())
}
