//! A few rows (decoding): they share a tile with the other query heads of their key head, and the keys are dealt out in stretches.

use super::parts::Parts;
use super::tables::{Block, Members, Segment, Set, Tables};
use super::{FEW_ROWS, Inputs, KEYS, Outputs, Rows, STRETCH, UNBOUNDED, arguments, run};
use crate::attention::Shape;
use crate::cuda::Machine;

/// A few causal rows against many keys: decoding.
///
/// # Safety
/// As [`attend`].
pub(super) unsafe fn few<M: Machine>(
    machine: &M,
    inputs: &Inputs,
    first: usize,
    outputs: Outputs,
) -> Result<(), M::Error> {
    assert!(inputs.fit(), "the kernels do not read {inputs:?}");
    let Shape { heads, kv_heads, rows, keys, .. } = inputs.shape;
    assert!(first + rows <= keys, "row {rows} sees key {}", first + rows);
    if inputs.rows_in_all() == 0 {
        return Ok(());
    }
    let (group, seen) = (heads / kv_heads, first + rows);
    let pack = group.min(FEW_ROWS);
    let rows_a_tile = FEW_ROWS / pack;
    let tiles = kv_heads * group.div_ceil(pack) * rows.div_ceil(rows_a_tile);
    let stretches = (machine.wanted_blocks() / tiles).clamp(1, seen.div_ceil(STRETCH));
    let width = seen.div_ceil(stretches).next_multiple_of(KEYS);
    let stretches = seen.div_ceil(width);
    let positions = Members { list: 0, first: 0, step: 1, count: keys as i32, unused: 0 };
    let begin = |rows: Rows, head: usize| rows.address + 2 * (head * rows.head) as u64;
    let sets = (0..kv_heads).map(|head| Set {
        positions,
        keys: begin(inputs.k, head),
        values: begin(inputs.v, head),
        key_row: inputs.k.row as i64,
        value_row: inputs.v.row as i64,
        raises: 0,
    });
    let segments = (0..stretches).map(|at| Segment {
        set: 0,
        begin: (at * width) as i32,
        end: ((at + 1) * width).min(seen) as i32,
        near: 0,
        far: UNBOUNDED,
    });
    let mut blocks = Vec::new();
    for stretch in 0..stretches {
        for head in (0..heads).step_by(group).flat_map(|head| (head..head + group).step_by(pack)) {
            let pack = pack.min(group - head % group);
            for at in (0..rows).step_by(rows_a_tile) {
                blocks.push(Block {
                    head: head as i32,
                    pack: pack as i32,
                    order: 0,
                    first: at as i32,
                    count: (pack * rows_a_tile.min(rows - at)) as i32,
                    sets: (head / group) as i32,
                    segments_begin: stretch as i32,
                    segments_end: stretch as i32 + 1,
                    slot: stretch as i32,
                    fresh: 1,
                });
            }
        }
    }
    let mut tables = Tables::default();
    let order = [Members { count: rows as i32, ..positions }];
    let (sets, segments): (Vec<Set>, Vec<Segment>) = (sets.collect(), segments.collect());
    let at = [tables.add(&sets), tables.add(&order), tables.add(&segments), tables.add(&blocks)];
    let tables = machine.upload(&tables.bytes)?;
    let at = at.map(|offset| machine.address(&tables) + offset as u64);
    let parts = if stretches == 1 { None } else { Some(Parts::new(machine, inputs, stretches)?) };
    let outs = parts
        .as_ref()
        .map_or((outputs.out, outputs.lse), |parts| (machine.address(&parts.out), machine.address(&parts.logs)));
    let arguments = arguments(inputs, at, outs, first, parts.is_some());
    // SAFETY: rows and keys are those of the shape; the caller vouches for the rest.
    unsafe {
        run(machine, inputs, "attend_few", FEW_ROWS, blocks.len(), &arguments)?;
        parts.map_or(Ok(()), |parts| parts.merge(machine, inputs, outputs))
    }
}
