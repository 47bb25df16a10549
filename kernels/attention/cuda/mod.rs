//! Programs on a GPU: tables for `cuda.cu`, and the launches.
//!
//! A [`Program`]'s tiles are the kernel's, one a block of threads, longest first. A program of one pass that covers every row writes
//! what is asked for; otherwise outputs stay in f32 from pass to pass, as if they were one key of the weight of all they met.

mod few;
mod parts;
mod probe;
mod tables;

use super::{Mask, Program, Shape, TILE_ROWS, Tile};
use crate::cuda::{Half, Launch, Machine};
use few::few;
use parts::{Parts, fill};
pub use probe::{PROBE_ROWS, probe};
use tables::{Attend, Block, Fill, Lists, Members, Packs, Segment, Set, Tables};

/// Query rows of a block of one warp.
const FEW_ROWS: usize = 16;
/// Fewer keys than this are not worth a block of their own.
const STRETCH: usize = 256;
/// Widths that kernels are made for; others are filled up.
const WIDTHS: [usize; 3] = [64, 80, 128];
/// Keys of a step, as in `tile.cuh`.
const KEYS: usize = 64;
/// Positions lie below this, so that "no bound" is a distance too.
const UNBOUNDED: i32 = 1 << 30;

/// Rows in the memory of a machine: row `r` of head `h` begins `h * head + r * row` elements after `address`.
#[derive(Debug, Clone, Copy)]
pub struct Rows {
    /// A multiple of 16
    pub address: u64,
    /// Elements from one head to the next, a multiple of 8
    pub head: usize,
    /// Elements from one row to the next, a multiple of 8
    pub row: usize,
}

/// What is attended, by what, in the memory of a machine.
#[derive(Debug, Clone, Copy)]
pub struct Inputs {
    /// What they consist of
    pub half: Half,
    /// Queries, `heads` x `rows`
    pub q: Rows,
    /// Keys, `kv_heads` x `keys`
    pub k: Rows,
    /// Values, shaped like the keys
    pub v: Rows,
    /// Their sizes
    pub shape: Shape,
    /// What scores are multiplied by
    pub scale: f32,
}

/// Whether there are kernels for heads of this width: up to 128, in eights.
#[must_use]
pub fn takes_width(dim: usize) -> bool {
    (8..=WIDTHS[2]).contains(&dim) && dim.is_multiple_of(8)
}

impl Inputs {
    /// Whether the kernels read such rows, by their width, alignment and number.
    #[must_use]
    pub fn fit(&self) -> bool {
        let aligned =
            |rows: Rows| rows.address.is_multiple_of(16) && rows.head.is_multiple_of(8) && rows.row.is_multiple_of(8);
        let Shape { dim, keys, heads, kv_heads, .. } = self.shape;
        let sizes = takes_width(dim) && keys < UNBOUNDED as usize && kv_heads > 0;
        sizes && heads.is_multiple_of(kv_heads) && [self.q, self.k, self.v].into_iter().all(aligned)
    }

    fn width(&self) -> usize {
        WIDTHS.into_iter().find(|&width| self.shape.dim <= width).unwrap_or(WIDTHS[2])
    }

    fn rows_in_all(&self) -> usize {
        self.shape.heads * self.shape.rows
    }
}

/// Where results go.
#[derive(Debug, Clone, Copy)]
pub struct Outputs {
    /// `[heads, rows, dim]`, of what the inputs consist of
    pub out: u64,
    /// `[heads, rows]`, f32: as [`super::Attended::lse`]
    pub lse: u64,
}

/// Attention by a mask.
///
/// # Errors
/// When the machine fails.
///
/// # Panics
/// When the inputs do not [fit](Inputs::fit), or the mask is not one of the shape.
///
/// # Safety
/// Inputs and outputs are in the machine's memory, as large as the shape says, and nobody else writes them.
pub unsafe fn attend<M: Machine>(machine: &M, inputs: &Inputs, mask: Mask, outputs: Outputs) -> Result<(), M::Error> {
    match mask {
        // SAFETY: the caller's.
        Mask::Causal { first } if inputs.shape.rows < FEW_ROWS => unsafe { few(machine, inputs, first, outputs) },
        // SAFETY: the caller's.
        _ => unsafe { attend_program(machine, inputs, &Program::of(mask, inputs.shape), outputs) },
    }
}

/// Attention by a program.
///
/// # Errors
/// When the machine fails.
///
/// # Panics
/// When the inputs do not [fit](Inputs::fit), or the program does not fit the shape.
///
/// # Safety
/// Inputs and outputs are in the machine's memory, as large as the shape says, and nobody else writes them.
pub unsafe fn attend_program<M: Machine>(
    machine: &M,
    inputs: &Inputs,
    program: &Program,
    outputs: Outputs,
) -> Result<(), M::Error> {
    assert!(inputs.fit(), "the kernels do not read {inputs:?}");
    program.check(inputs.shape);
    if inputs.rows_in_all() == 0 {
        return Ok(());
    }
    let group = inputs.shape.heads / inputs.shape.kv_heads;
    let mut tables = Tables::default();
    let lists = Lists::of(machine, program.sets.iter().flatten().chain(&program.orders))?;
    let packs = Packs::of(machine, inputs.half, program)?;
    let mut sets = Vec::new();
    let mut bases = Vec::new();
    for (head, of_head) in program.sets.iter().enumerate() {
        bases.push(sets.len() as i32);
        for (index, set) in of_head.iter().enumerate() {
            let packed = packs.found.get(&(head, index));
            let begin = |rows: Rows| rows.address + 2 * (head * rows.head) as u64;
            let [keys, values, raises] = packed.copied().unwrap_or([begin(inputs.k), begin(inputs.v), 0]);
            let row = |rows: Rows| if packed.is_some() { inputs.shape.dim } else { rows.row } as i64;
            sets.push(Set {
                positions: lists.members(set),
                keys,
                values,
                key_row: row(inputs.k),
                value_row: row(inputs.v),
                raises,
            });
        }
    }
    let orders: Vec<Members> = program.orders.iter().map(|order| lists.members(order)).collect();
    let segments: Vec<Segment> = program.segments.iter().map(|own| segment(own, inputs.shape)).collect();
    let mut ends = Vec::new();
    let mut blocks = Vec::new();
    for pass in &program.passes {
        let mut tiles: Vec<&Tile> = pass.iter().collect();
        // The heads of a group stay neighbours, so that they find their keys in the cache.
        tiles.sort_by_cached_key(|tile| std::cmp::Reverse(program.keys_of(tile, group)));
        blocks.extend(tiles.into_iter().map(|tile| Block {
            head: tile.head as i32,
            pack: 1,
            order: tile.rows.order as i32,
            first: tile.rows.first as i32,
            count: tile.rows.count as i32,
            sets: bases[tile.head / group],
            segments_begin: tile.segments.start as i32,
            segments_end: tile.segments.end as i32,
            slot: 0,
            fresh: i32::from(tile.fresh),
        }));
        ends.push(blocks.len());
    }
    let at = [tables.add(&sets), tables.add(&orders), tables.add(&segments), tables.add(&blocks)];
    let tables = machine.upload(&tables.bytes)?;
    let at = at.map(|offset| machine.address(&tables) + offset as u64);

    let whole = program.passes.len() == 1
        && program.passes[0].iter().map(|tile| tile.rows.count).sum::<usize>() == inputs.rows_in_all();
    let parts = if whole { None } else { Some(Parts::new(machine, inputs, 1)?) };
    if let Some(parts) = &parts {
        let (values, count) = (machine.address(&parts.logs), inputs.rows_in_all() as i64);
        let nothing = Fill { values, count, value: f32::NEG_INFINITY, unused: 0 };
        let zeros =
            Fill { values: machine.address(&parts.out), count: count * inputs.shape.dim as i64, value: 0.0, unused: 0 };
        // SAFETY: the parts are as large as that.
        unsafe {
            fill(machine, nothing)?;
            fill(machine, zeros)?;
        }
    }
    let outs = parts
        .as_ref()
        .map_or((outputs.out, outputs.lse), |parts| (machine.address(&parts.out), machine.address(&parts.logs)));
    let arguments = arguments(inputs, at, outs, program.first, !whole);
    let mut begin = 0;
    for end in ends {
        let own = Attend { tiles: at[3] + (begin * size_of::<Block>()) as u64, ..arguments };
        // SAFETY: the tables name rows and keys of the shape, as was checked; the caller vouches for the rest.
        unsafe { run(machine, inputs, "attend", TILE_ROWS, end - begin, &own)? };
        begin = end;
    }
    match parts {
        // SAFETY: the parts and the outputs are as large as the shape says.
        Some(parts) => unsafe { parts.merge(machine, inputs, outputs) },
        None => Ok(()),
    }
}

fn arguments(inputs: &Inputs, tables: [u64; 4], (out, lse): (u64, u64), first: usize, wide: bool) -> Attend {
    let [sets, orders, segments, tiles] = tables;
    let Shape { heads, rows, dim, .. } = inputs.shape;
    Attend {
        queries: inputs.q.address,
        query_head: inputs.q.head as i64,
        query_row: inputs.q.row as i64,
        sets,
        orders,
        segments,
        tiles,
        out,
        lse,
        heads: heads as i32,
        rows: rows as i32,
        dim: dim as i32,
        first: first as i32,
        wide: i32::from(wide),
        scale: inputs.scale * std::f32::consts::LOG2_E,
    }
}

/// Elements of a row in shared memory, as in `tile.cuh`.
fn pitch(width: usize) -> usize {
    ((width / 8) | 1) * 8
}

/// # Safety
/// The arguments name memory of the machine.
unsafe fn run<M: Machine>(
    machine: &M,
    inputs: &Inputs,
    kernel: &str,
    rows: usize,
    blocks: usize,
    arguments: &Attend,
) -> Result<(), M::Error> {
    if blocks == 0 {
        return Ok(());
    }
    let width = inputs.width();
    let launch = Launch {
        kernel: &format!("{kernel}_{}_{width}", inputs.half.name()),
        blocks: [blocks, 1, 1],
        threads: rows * 2,
        shared: 2 * KEYS * pitch(width) * 2 + KEYS * 4,
    };
    // SAFETY: the caller's.
    unsafe { machine.launch(launch, arguments) }
}

fn segment(own: &super::Segment, shape: Shape) -> Segment {
    let distance = |distance: Option<usize>, without: i32| {
        distance.map_or(without, |distance| distance.min(UNBOUNDED as usize) as i32)
    };
    let end = own.keys.end.min(shape.keys) as i32;
    Segment {
        set: own.set as i32,
        begin: (own.keys.start as i32).min(end),
        end,
        near: distance(own.near, -UNBOUNDED),
        far: distance(own.far, UNBOUNDED),
    }
}
