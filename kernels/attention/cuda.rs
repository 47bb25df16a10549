//! Programs on a GPU: tables for `cuda.cu`, and the launches.
//!
//! A [`Program`]'s tiles are the kernel's, one a block of threads, longest first. A program of one pass that covers every row writes
//! what is asked for; otherwise outputs stay in f32 from pass to pass, as if they were one key of the weight of all they met. A few
//! rows (decoding) share a tile with the other query heads of their key head, and the keys are dealt out in stretches.

use super::{Mask, Mass, Positions, Program, Shape, TILE_ROWS, Tile};
use crate::cuda::{Half, Launch, Machine, Plain, bytes};
use std::collections::BTreeMap;

/// Query rows of a block of one warp.
const FEW_ROWS: usize = 16;
/// Fewer keys than this are not worth a block of their own.
const STRETCH: usize = 256;
/// Widths that kernels are made for; others are filled up.
const WIDTHS: [usize; 3] = [64, 80, 128];
/// Most rows of a [`probe`].
pub const PROBE_ROWS: usize = 64;
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

macro_rules! plain {
    ($($(#[$doc:meta])* struct $name:ident { $($field:ident: $kind:ty),* $(,)? })*) => { $(
        $(#[$doc])*
        #[repr(C)]
        #[derive(Debug, Clone, Copy)]
        struct $name { $($field: $kind),* }
        // SAFETY: as `cuda.cu` declares it; the sizes of the fields add up to that of the whole, so there is no padding.
        unsafe impl Plain for $name {}
        const _: () = assert!(size_of::<$name>() == 0 $(+ size_of::<$kind>())*);
    )* };
}

plain! {
    struct Members { list: u64, first: i32, step: i32, count: i32, unused: i32 }
    struct Set { positions: Members, keys: u64, values: u64, key_row: i64, value_row: i64, raise: f32, packed: i32 }
    struct Segment { set: i32, begin: i32, end: i32, near: i32, far: i32 }
    struct Block {
        head: i32, pack: i32, order: i32, first: i32, count: i32, sets: i32, segments_begin: i32, segments_end: i32, slot: i32,
        fresh: i32,
    }
    struct Attend {
        queries: u64, query_head: i64, query_row: i64, sets: u64, orders: u64, segments: u64, tiles: u64, out: u64, lse: u64,
        heads: i32, rows: i32, dim: i32, first: i32, wide: i32, scale: f32,
    }
    struct Merge { parts: u64, logs: u64, out: u64, lse: u64, slots: i32, rows: i32, dim: i32, unused: i32 }
    struct Means { rows: u64, row: i64, bounds: u64, members: u64, out: u64, groups: i32, dim: i32 }
    struct Probe {
        queries: u64, keys: u64, query_head: i64, query_row: i64, key_head: i64, key_row: i64, positions: u64, near: u64, logs: u64,
        columns: u64, distances: u64, far: u64, heads: i32, group: i32, rows: i32, dim: i32, seen: i32, stretch: i32, scale: f32,
        unused: i32,
    }
    struct Fill { values: u64, count: i64, value: f32, unused: i32 }
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
    // SAFETY: the caller's.
    let means = unsafe { Packs::of(machine, inputs, program)? };
    let mut sets = Vec::new();
    let mut bases = Vec::new();
    for (head, of_head) in program.sets.iter().enumerate() {
        bases.push(sets.len() as i32);
        for (index, set) in of_head.iter().enumerate() {
            let packed = means.found.get(&(head, index));
            let begin = |rows: Rows| rows.address + 2 * (head * rows.head) as u64;
            let (keys, values) = packed.copied().unwrap_or((begin(inputs.k), begin(inputs.v)));
            let row = |rows: Rows| if packed.is_some() { inputs.shape.dim } else { rows.row } as i64;
            sets.push(Set {
                positions: lists.members(set),
                keys,
                values,
                key_row: row(inputs.k),
                value_row: row(inputs.v),
                raise: set.log_weight() * std::f32::consts::LOG2_E,
                packed: i32::from(packed.is_some()),
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

/// # Safety
/// So many values are in the machine's memory.
unsafe fn fill<M: Machine>(machine: &M, arguments: Fill) -> Result<(), M::Error> {
    let blocks = [(arguments.count as usize).div_ceil(1024), 1, 1];
    // SAFETY: the caller's.
    unsafe { machine.launch(Launch { kernel: "fill", blocks, threads: 256, shared: 0 }, &arguments) }
}

/// # Safety
/// The arguments name memory of the machine.
unsafe fn merge<M: Machine>(machine: &M, inputs: &Inputs, arguments: &Merge) -> Result<(), M::Error> {
    let kernel = &format!("merge_{}", inputs.half.name());
    let blocks = [(arguments.rows as usize).div_ceil(4), 1, 1];
    // SAFETY: the caller's.
    unsafe { machine.launch(Launch { kernel, blocks, threads: 128, shared: 0 }, arguments) }
}

/// A few causal rows against many keys: decoding.
///
/// # Safety
/// As [`attend`].
unsafe fn few<M: Machine>(machine: &M, inputs: &Inputs, first: usize, outputs: Outputs) -> Result<(), M::Error> {
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
        raise: 0.0,
        packed: 0,
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

/// Tables one after the other, for one upload.
#[derive(Default)]
struct Tables {
    bytes: Vec<u8>,
}

impl Tables {
    /// Gives where the table begins.
    fn add<T: Plain>(&mut self, table: &[T]) -> usize {
        let begin = self.bytes.len().next_multiple_of(16);
        self.bytes.resize(begin, 0);
        self.bytes.extend_from_slice(bytes(table));
        begin
    }
}

/// The positions of lists and groups, on the machine.
struct Lists<B> {
    _positions: B,
    begin: u64,
    /// By where the list is in this process's memory, which names it for as long as the program is borrowed
    offsets: BTreeMap<*const Positions, usize>,
}

impl<B> Lists<B> {
    fn of<'a, M: Machine<Buffer = B>>(
        machine: &M,
        sets: impl Iterator<Item = &'a Positions>,
    ) -> Result<Self, M::Error> {
        let (mut positions, mut offsets) = (Vec::new(), BTreeMap::new());
        for set in sets.filter(|set| matches!(set, Positions::List(_) | Positions::Means(_))) {
            offsets.insert(std::ptr::from_ref(set), positions.len());
            positions.extend((0..set.len()).map(|member| set.at(member) as i32));
        }
        // One more, so that there is something to point at.
        positions.push(0);
        let positions = machine.upload(&positions)?;
        Ok(Self { begin: machine.address(&positions), _positions: positions, offsets })
    }

    fn members(&self, set: &Positions) -> Members {
        let count = set.len() as i32;
        let (first, step) = match *set {
            Positions::Strided { first, step, .. } => (first as i32, step as i32),
            _ => (0, 1),
        };
        let list = self.offsets.get(&std::ptr::from_ref(set)).map_or(0, |&offset| self.begin + 4 * offset as u64);
        Members { list, first, step, count, unused: 0 }
    }
}

/// Means of keys and values, by key head and set.
struct Packs<B> {
    _buffers: Vec<B>,
    found: BTreeMap<(usize, usize), (u64, u64)>,
}

impl<B> Packs<B> {
    /// # Safety
    /// The inputs are in the machine's memory.
    unsafe fn of<M: Machine<Buffer = B>>(machine: &M, inputs: &Inputs, program: &Program) -> Result<Self, M::Error> {
        let (mut buffers, mut found) = (Vec::new(), BTreeMap::new());
        let dim = inputs.shape.dim;
        for (head, sets) in program.sets.iter().enumerate() {
            for (index, set) in sets.iter().enumerate() {
                let Positions::Means(groups) = set else { continue };
                if groups.is_empty() {
                    continue;
                }
                let mut bounds = vec![0i32];
                for group in groups {
                    bounds.push(bounds[bounds.len() - 1] + group.len() as i32);
                }
                let members: Vec<i32> = groups.iter().flatten().map(|&key| key as i32).collect();
                let (bounds, members) = (machine.upload(&bounds)?, machine.upload(&members)?);
                let mut mean = |rows: Rows| -> Result<u64, M::Error> {
                    let out = machine.room(groups.len() * dim * 2)?;
                    let arguments = Means {
                        rows: rows.address + 2 * (head * rows.head) as u64,
                        row: rows.row as i64,
                        bounds: machine.address(&bounds),
                        members: machine.address(&members),
                        out: machine.address(&out),
                        groups: groups.len() as i32,
                        dim: dim as i32,
                    };
                    let kernel = format!("means_{}", inputs.half.name());
                    let launch =
                        Launch { kernel: &kernel, blocks: [groups.len().div_ceil(4), 1, 1], threads: 128, shared: 0 };
                    // SAFETY: the program was checked, so its groups are of keys that are there.
                    unsafe { machine.launch(launch, &arguments)? };
                    let address = machine.address(&out);
                    buffers.push(out);
                    Ok(address)
                };
                found.insert((head, index), (mean(inputs.k)?, mean(inputs.v)?));
                buffers.extend([bounds, members]);
            }
        }
        Ok(Self { _buffers: buffers, found })
    }
}

/// What slots gather, in f32.
struct Parts<B> {
    out: B,
    logs: B,
    slots: usize,
}

impl<B> Parts<B> {
    fn new<M: Machine<Buffer = B>>(machine: &M, inputs: &Inputs, slots: usize) -> Result<Self, M::Error> {
        let rows = slots * inputs.rows_in_all();
        Ok(Self { out: machine.room(rows * inputs.shape.dim * 4)?, logs: machine.room(rows * 4)?, slots })
    }

    /// # Safety
    /// The outputs are in the machine's memory, as large as the shape says.
    unsafe fn merge<M: Machine<Buffer = B>>(
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
