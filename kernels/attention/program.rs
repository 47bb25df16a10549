//! Which rows meet which keys, and the run of it on all cores.
//!
//! A program is data: a pattern writes it, this file runs it, and a GPU kernel can read it too. Keys come in *sets* (all
//! keys, a strided grid, a list of columns, summaries of several keys each), each packed once per key head. A *tile* is up to 96 query rows of a head; its
//! *segments* say which stretch of which set the rows see, and how far behind themselves. *Passes* run one after another; a
//! row that more than one pass touches gathers what they give, as if all its keys had been in one softmax.

use super::pack::{KEYS, Packed};
use super::summaries::Summaries;
use super::tile::{self, Scratch, Set};
use super::{Attended, Inputs, Mask, Shape};
use crate::element::Element;
#[cfg(target_arch = "x86_64")]
use crate::lanes::{Amx, Avx2, Avx512, Avx512Bf16};
use crate::lanes::{Lanes, Portable};
use crate::level::Level;
use rayon::prelude::*;
use std::ops::Range;
use std::sync::Arc;

/// Most rows of a [`Tile`].
pub const TILE_ROWS: usize = tile::ROWS;

/// Which keys of the sequence make a set, ascending.
#[derive(Debug, Clone, PartialEq)]
pub enum Positions {
    /// `0..n`
    All(usize),
    /// `first`, `first + step`, ...
    Strided {
        /// The first key
        first: usize,
        /// Keys from one to the next, at least 1
        step: usize,
        /// How many
        count: usize,
    },
    /// As listed
    List(Vec<usize>),
    /// Keys that stand for several each. For keys only, not for rows
    Summaries(Arc<Summaries>),
}

impl Positions {
    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::All(count) | Self::Strided { count, .. } => *count,
            Self::List(list) => list.len(),
            Self::Summaries(summaries) => summaries.len(),
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Position of member `index`.
    ///
    /// # Panics
    /// When a list has no such member.
    #[must_use]
    pub fn at(&self, index: usize) -> usize {
        match self {
            Self::All(_) => index,
            Self::Strided { first, step, .. } => first + index * step,
            Self::List(list) => list[index],
            Self::Summaries(summaries) => summaries.at[index],
        }
    }

    /// Whether members ascend and lie below `end`.
    fn ascend_below(&self, end: usize) -> bool {
        let ascend = match self {
            Self::List(list) => list.windows(2).all(|pair| pair[0] < pair[1]),
            Self::Strided { step, .. } => *step > 0,
            Self::All(_) => true,
            Self::Summaries(summaries) => summaries.at.is_sorted(),
        };
        ascend && (self.is_empty() || self.at(self.len() - 1) < end)
    }

    /// How many members lie before `position`.
    #[must_use]
    pub fn below(&self, position: usize) -> usize {
        match self {
            Self::All(count) => position.min(*count),
            // A stretch is the common case, and a division for every row of every tile would show.
            Self::Strided { first, step: 1, count } => position.saturating_sub(*first).min(*count),
            Self::Strided { first, step, count } => position.saturating_sub(*first).div_ceil(*step).min(*count),
            Self::List(list) => list.partition_point(|&member| member < position),
            Self::Summaries(summaries) => summaries.at.partition_point(|&at| at < position),
        }
    }
}

/// A stretch of one of the program's orders of query rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rows {
    /// Which order
    pub order: usize,
    /// The first of its members
    pub first: usize,
    /// How many, 1 to [`TILE_ROWS`]
    pub count: usize,
}

/// A stretch of a key set, as a row at position `r` sees it: the keys `k` of `keys` with `r - far <= k <= r - near`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// Which of the key head's sets
    pub set: usize,
    /// Positions in the sequence
    pub keys: Range<usize>,
    /// How far behind the row a key must be; `None` lets rows see keys after them
    pub near: Option<usize>,
    /// How far behind the row a key may be
    pub far: Option<usize>,
}

/// Rows of one head and what they meet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tile {
    /// Query head
    pub head: usize,
    /// Its rows
    pub rows: Rows,
    /// Which of the program's segments: no key may be in two of them for the same row
    pub segments: Range<usize>,
    /// Whether to forget what earlier passes gave these rows
    pub fresh: bool,
}

/// Attention to be done.
#[derive(Debug, Clone, PartialEq)]
pub struct Program {
    /// Position of the first query row
    pub first: usize,
    /// Query rows by how they are run together, counted from the first row
    pub orders: Vec<Positions>,
    /// For each key head, its sets
    pub sets: Vec<Vec<Positions>>,
    /// What tiles refer to
    pub segments: Vec<Segment>,
    /// Run in order; a row stands in at most one tile of each
    pub passes: Vec<Vec<Tile>>,
}

impl Program {
    /// A mask as a program.
    #[must_use]
    pub fn of(mask: Mask, shape: Shape) -> Self {
        let sets = vec![vec![Positions::All(shape.keys)]; shape.kv_heads];
        let (mut segments, mut tiles) = (Vec::new(), Vec::new());
        let mut stretch = |rows: Range<usize>, segment: Segment| {
            segments.push(segment);
            for head in 0..shape.heads {
                for first in rows.clone().step_by(TILE_ROWS) {
                    let rows = Rows { order: 0, first, count: TILE_ROWS.min(rows.end - first) };
                    tiles.push(Tile { head, rows, segments: segments.len() - 1..segments.len(), fresh: true });
                }
            }
        };
        let first = match mask {
            Mask::Causal { first } => {
                stretch(0..shape.rows, Segment { set: 0, keys: 0..shape.keys, near: Some(0), far: None });
                first
            }
            Mask::Segments(bounds) => {
                for bound in bounds.windows(2) {
                    stretch(bound[0]..bound[1], Segment { set: 0, keys: bound[0]..bound[1], near: None, far: None });
                }
                0
            }
        };
        Self { first, orders: vec![Positions::All(shape.rows)], sets, segments, passes: vec![tiles] }
    }

    /// Scores that a run will compute for each head.
    #[must_use]
    pub fn scores(&self, shape: Shape) -> Vec<usize> {
        let mut scores = vec![0; shape.heads];
        for tile in self.passes.iter().flatten() {
            let sets = &self.sets[tile.head / (shape.heads / shape.kv_heads)];
            let order = &self.orders[tile.rows.order];
            let row = |member: usize| self.first + order.at(tile.rows.first + member);
            for segment in &self.segments[tile.segments.clone()] {
                let (low, _) = tile::seen(segment, &sets[segment.set], row(0));
                let (_, high) = tile::seen(segment, &sets[segment.set], row(tile.rows.count - 1));
                // As the loop over keys goes: from the start of a block of keys on.
                scores[tile.head] += tile.rows.count * high.saturating_sub(low / KEYS * KEYS) * usize::from(low < high);
            }
        }
        scores
    }

    /// # Panics
    /// When the program does not fit the shape.
    pub(super) fn check(&self, shape: Shape) {
        assert!(self.sets.len() == shape.kv_heads, "sets of {} key heads for {}", self.sets.len(), shape.kv_heads);
        for set in self.sets.iter().flatten() {
            assert!(set.ascend_below(shape.keys), "a key set goes beyond {} keys", shape.keys);
            if let Positions::Summaries(summaries) = set {
                summaries.check(shape.dim);
            }
        }
        for order in &self.orders {
            assert!(order.ascend_below(shape.rows), "an order of rows goes beyond {} rows", shape.rows);
            assert!(!matches!(order, Positions::Summaries(_)), "rows are not summed up");
        }
        let group = shape.heads / shape.kv_heads;
        for pass in &self.passes {
            let mut met = vec![false; shape.heads * shape.rows];
            for tile in pass {
                let rows = tile.rows;
                assert!((1..=TILE_ROWS).contains(&rows.count), "a tile of {} rows", rows.count);
                let order = &self.orders[rows.order];
                assert!(tile.head < shape.heads && rows.first + rows.count <= order.len(), "a tile outside {shape:?}");
                assert!(tile.segments.end <= self.segments.len(), "a tile without its segments");
                for segment in &self.segments[tile.segments.clone()] {
                    assert!(segment.set < self.sets[tile.head / group].len(), "a segment without its set");
                }
                for row in (rows.first..rows.first + rows.count).map(|member| order.at(member)) {
                    let met = &mut met[tile.head * shape.rows + row];
                    assert!(!std::mem::replace(met, true), "row {row} twice in one pass");
                }
            }
        }
    }
}

/// Runs a program that fits the inputs.
pub(super) fn run<T: Element>(level: Level, inputs: Inputs<T>, program: &Program) -> Attended {
    match level {
        Level::Portable => run_on::<Portable, T>(level, inputs, program),
        #[cfg(target_arch = "x86_64")]
        Level::Avx2 => run_on::<Avx2, T>(level, inputs, program),
        #[cfg(target_arch = "x86_64")]
        Level::Avx512 => run_on::<Avx512, T>(level, inputs, program),
        #[cfg(target_arch = "x86_64")]
        Level::Avx512Bf16 => run_on::<Avx512Bf16, T>(level, inputs, program),
        #[cfg(target_arch = "x86_64")]
        Level::Amx => run_on::<Amx, T>(level, inputs, program),
        #[cfg(not(target_arch = "x86_64"))]
        _ => run_on::<Portable, T>(Level::Portable, inputs, program),
    }
}

/// What rows have gathered: outputs already divided by their totals, with the totals and largest scores to go on from.
struct Gathered {
    out: *mut f32,
    largest: *mut f32,
    total: *mut f32,
}

// SAFETY: the pointers are to buffers that outlive the run, and no two tiles of a pass have a row in common.
unsafe impl Sync for Gathered {}

fn run_on<L: Lanes, T: Element>(level: Level, inputs: Inputs<T>, program: &Program) -> Attended {
    let Inputs { k, v, shape: Shape { heads, kv_heads, rows, dim, .. }, .. } = inputs;
    let mut out = vec![0.0; heads * rows * dim];
    let (mut largest, mut total) = (vec![f32::NEG_INFINITY; heads * rows], vec![0.0; heads * rows]);
    let gathered = Gathered { out: out.as_mut_ptr(), largest: largest.as_mut_ptr(), total: total.as_mut_ptr() };
    let group = heads / kv_heads;
    // One key head at a time keeps the packed copy small; where that gives too few tiles to share out, more.
    let tiles_a_head = program.passes.iter().map(Vec::len).max().unwrap_or(0).div_ceil(kv_heads).max(1);
    let at_once = (4 * rayon::current_num_threads()).div_ceil(tiles_a_head).clamp(1, kv_heads);
    let mut scores = 0;
    for start in (0..kv_heads).step_by(at_once) {
        let shared = start..kv_heads.min(start + at_once);
        let packed: Vec<Vec<Packed<L::Elem>>> = shared
            .clone()
            .map(|head| program.sets[head].iter().map(|set| Packed::new::<L, T>(k, v, head, set, dim)).collect())
            .collect();
        for pass in &program.passes {
            let mut batch: Vec<&Tile> = pass.iter().filter(|tile| shared.contains(&(tile.head / group))).collect();
            // Longest first: the short ones fill the gaps at the end.
            batch.sort_by_cached_key(|tile| std::cmp::Reverse(program.keys_of(tile, group)));
            let counts = batch.into_par_iter().with_max_len(1).map_init(Scratch::new, |scratch, tile| {
                let sets = &packed[tile.head / group - shared.start];
                run_tile::<L, T>(level, inputs, program, tile, sets, &gathered, scratch)
            });
            scores += counts.sum::<usize>();
        }
    }
    // Weights are powers of two while they are summed up.
    let lse = largest.iter().zip(&total).map(|(largest, total)| (largest + total.log2()) * std::f32::consts::LN_2);
    Attended { lse: lse.collect(), out, scores }
}

impl Program {
    /// Keys that the last row of a tile meets: what the tile costs, roughly.
    pub(super) fn keys_of(&self, tile: &Tile, group: usize) -> usize {
        let sets = &self.sets[tile.head / group];
        let last = self.first + self.orders[tile.rows.order].at(tile.rows.first + tile.rows.count - 1);
        let keys = self.segments[tile.segments.clone()].iter().map(|segment| {
            let (from, to) = tile::seen(segment, &sets[segment.set], last);
            (to - from).div_ceil(KEYS)
        });
        keys.sum()
    }
}

fn run_tile<L: Lanes, T: Element>(
    level: Level,
    inputs: Inputs<T>,
    program: &Program,
    tile: &Tile,
    packed: &[Packed<L::Elem>],
    gathered: &Gathered,
    scratch: &mut Scratch<L::Elem>,
) -> usize {
    let Some(width) = packed.first().map(|packed| packed.width) else { return 0 };
    let Inputs { q, shape, scale, .. } = inputs;
    let (rows, dim) = (tile::Rows::of(tile.rows, &program.orders), shape.dim);
    let row_len = width.steps * L::STEP;
    let whole_rows = rows.count.next_multiple_of(L::WHOLE.0);
    scratch.queries.fit(whole_rows * row_len);
    scratch.out.fit(whole_rows * width.cols);
    let state = |i: usize| tile.head * shape.rows + rows.at(i);
    for i in 0..rows.count {
        let query = &mut scratch.queries[i * row_len..(i + 1) * row_len];
        for (to, &x) in query.iter_mut().zip(q.row(tile.head, rows.at(i), dim)) {
            *to = L::elem(x.to_f32());
        }
        query[dim..].fill(L::Elem::default());
        let out = &mut scratch.out[i * width.cols..(i + 1) * width.cols];
        (scratch.largest[i], scratch.total[i]) = (f32::NEG_INFINITY, 0.0);
        out.fill(0.0);
        if !tile.fresh {
            // SAFETY: `check` or the makers of programs see to it that the row is there; no other tile of this pass has it.
            unsafe {
                (scratch.largest[i], scratch.total[i]) =
                    (*gathered.largest.add(state(i)), *gathered.total.add(state(i)));
                let given = std::slice::from_raw_parts(gathered.out.add(state(i) * dim), dim);
                out.iter_mut().zip(given).for_each(|(out, given)| *out = given * scratch.total[i]);
            }
        }
    }
    let mut scores = 0;
    for segment in &program.segments[tile.segments.clone()] {
        let set = Set {
            packed: &packed[segment.set],
            positions: &program.sets[tile.head / (shape.heads / shape.kv_heads)][segment.set],
        };
        let scale = scale * std::f32::consts::LOG2_E;
        scores += tile::run::<L>(level, scratch, &rows, program.first, &set, segment, scale);
    }
    for i in 0..rows.count {
        let total = scratch.total[i];
        let share = if total > 0.0 { 1.0 / total } else { 0.0 };
        // SAFETY: as above.
        unsafe {
            (*gathered.largest.add(state(i)), *gathered.total.add(state(i))) = (scratch.largest[i], total);
            let given = std::slice::from_raw_parts_mut(gathered.out.add(state(i) * dim), dim);
            given.iter_mut().zip(&scratch.out[i * width.cols..]).for_each(|(given, out)| *given = out * share);
        }
    }
    scores
}
