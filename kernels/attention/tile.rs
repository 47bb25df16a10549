//! The loop over keys for up to 96 query rows of one head: scores, running softmax, weighted values.
//!
//! FlashAttention-2's order (Dao, 2023): rows stay, keys pass by, and no score is kept longer than its tile. Weights are
//! powers of two; the scale carries the base's logarithm.

use super::pack::{KEYS, PANEL, Packed};
use super::{Positions, Segment};
use crate::aligned::Aligned;
use crate::lanes::{LANES, Lanes};
use crate::level::Level;
use crate::product::product;

/// Query rows of a tile: sixteen blocks of the product's six.
pub(super) const ROWS: usize = 96;
/// One thread's working memory.
pub(super) struct Scratch<E> {
    /// `[rows][steps * STEP]`
    pub(super) queries: Aligned<E>,
    scores: Aligned<f32>,
    weights: Aligned<E>,
    /// `[rows][cols]`
    pub(super) out: Aligned<f32>,
    /// The largest score of each row, in powers of two
    pub(super) largest: [f32; ROWS],
    pub(super) total: [f32; ROWS],
}

impl<E: Copy + Default> Scratch<E> {
    pub(super) fn new() -> Self {
        Self {
            queries: Aligned::new(0),
            scores: Aligned::new(ROWS * KEYS),
            weights: Aligned::new(ROWS * KEYS),
            out: Aligned::new(0),
            largest: [f32::NEG_INFINITY; ROWS],
            total: [0.0; ROWS],
        }
    }
}

/// The query rows of a tile.
pub(super) struct Rows<'a> {
    order: &'a Positions,
    first: usize,
    pub(super) count: usize,
}

impl<'a> Rows<'a> {
    pub(super) fn of(rows: super::Rows, orders: &'a [Positions]) -> Self {
        Self { order: &orders[rows.order], first: rows.first, count: rows.count }
    }

    /// Row `index` of the tile.
    #[inline(always)]
    pub(super) fn at(&self, index: usize) -> usize {
        self.order.at(self.first + index)
    }
}

/// A set of keys with their positions in the sequence.
pub(super) struct Set<'a, E> {
    pub(super) packed: &'a Packed<E>,
    pub(super) positions: &'a Positions,
}

/// Adds what the segment's keys give to the rows in `scratch`. `first` is the position of row 0; `scale` includes log2(e).
/// Gives the number of scores that were computed.
pub(super) fn run<L: Lanes>(
    level: Level,
    scratch: &mut Scratch<L::Elem>,
    rows: &Rows,
    first: usize,
    set: &Set<L::Elem>,
    segment: &Segment,
    scale: f32,
) -> usize {
    debug_assert!(level <= Level::detected());
    // SAFETY: the level was detected, so the processor has the instructions that each function is compiled to.
    unsafe {
        match level {
            Level::Portable => portable::<L>(scratch, rows, first, set, segment, scale),
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => avx2::<L>(scratch, rows, first, set, segment, scale),
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => avx512::<L>(scratch, rows, first, set, segment, scale),
            #[cfg(target_arch = "x86_64")]
            Level::Avx512Bf16 => avx512_bf16::<L>(scratch, rows, first, set, segment, scale),
            #[cfg(target_arch = "x86_64")]
            Level::Amx => amx::<L>(scratch, rows, first, set, segment, scale),
            #[cfg(not(target_arch = "x86_64"))]
            _ => portable::<L>(scratch, rows, first, set, segment, scale),
        }
    }
}

macro_rules! compiled_for {
    ($name:ident $(, $features:literal)?) => {
        $(#[target_feature(enable = $features)])?
        unsafe fn $name<L: Lanes>(scratch: &mut Scratch<L::Elem>, rows: &Rows, first: usize, set: &Set<L::Elem>, segment: &Segment, scale: f32) -> usize {
            // SAFETY: the caller's.
            unsafe { walk::<L>(scratch, rows, first, set, segment, scale) }
        }
    };
}
compiled_for!(portable);
#[cfg(target_arch = "x86_64")]
compiled_for!(avx2, "avx2,fma");
#[cfg(target_arch = "x86_64")]
compiled_for!(avx512, "avx512f");
#[cfg(target_arch = "x86_64")]
compiled_for!(avx512_bf16, "avx512f,avx512bf16");
#[cfg(target_arch = "x86_64")]
compiled_for!(amx, "avx512f,avx512dq,avx512bf16");

/// The keys of a set that the row at `position` sees through a segment, as indices into the set.
#[inline(always)]
pub(super) fn seen(segment: &Segment, positions: &Positions, position: usize) -> (usize, usize) {
    let until = segment.near.map_or(usize::MAX, |near| (position + 1).saturating_sub(near));
    let from = segment.far.map_or(0, |far| position.saturating_sub(far));
    let (from, to) = (positions.below(segment.keys.start.max(from)), positions.below(segment.keys.end.min(until)));
    (from, to.max(from))
}

/// # Safety
/// The processor has the instructions of `L`.
#[inline(always)]
unsafe fn walk<L: Lanes>(
    scratch: &mut Scratch<L::Elem>,
    rows: &Rows,
    first: usize,
    set: &Set<L::Elem>,
    segment: &Segment,
    scale: f32,
) -> usize {
    let width = set.packed.width;
    let (low, _) = seen(segment, set.positions, first + rows.at(0));
    let (_, high) = seen(segment, set.positions, first + rows.at(rows.count - 1));
    if low >= high {
        return 0;
    }
    let (row_unit, col_unit, step_unit) = L::WHOLE;
    // SAFETY: the caller's; nothing else on this thread makes products before this function ends.
    let ready = &unsafe { L::ready() };
    let mut computed = 0;
    for tile in low / KEYS..high.div_ceil(KEYS) {
        let start = tile * KEYS;
        let count = KEYS.min(high - start);
        // SAFETY: `scratch` holds whole blocks of rows of queries, scores, weights and sums as wide as `width` says, and the
        // panels and tiles of `set` are whole, whatever the number of keys in them.
        unsafe {
            for panel in 0..count.div_ceil(PANEL) {
                let keys = set.packed.panel::<L>(tile * (KEYS / PANEL) + panel);
                let cols = PANEL.min(count - panel * PANEL).next_multiple_of(col_unit);
                product::<L, false>(
                    ready,
                    (rows.count.next_multiple_of(row_unit), cols, width.steps),
                    (scratch.queries.as_ptr(), width.steps * L::STEP),
                    (keys.as_ptr(), PANEL),
                    (scratch.scores.as_mut_ptr().add(panel * PANEL), KEYS),
                );
            }
            // The rows before and after which no row's bounds fall into this tile see all of it.
            let (_, until) = seen(segment, set.positions, first + rows.at(0));
            let (from, _) = seen(segment, set.positions, first + rows.at(rows.count - 1));
            let whole = from <= start && start + count <= until;
            for i in 0..rows.count {
                let (from, until) = if whole {
                    (0, count)
                } else {
                    let (from, until) = seen(segment, set.positions, first + rows.at(i));
                    (from.saturating_sub(start).min(count), until.saturating_sub(start).min(count))
                };
                weigh::<L>(scratch, i, from..until, count, width.cols, (scale, set.packed.raises(tile)));
            }
            product::<L, true>(
                ready,
                (
                    rows.count.next_multiple_of(row_unit),
                    width.cols,
                    count.div_ceil(L::STEP).next_multiple_of(step_unit),
                ),
                (scratch.weights.as_ptr(), KEYS),
                (set.packed.values(tile).as_ptr(), width.cols),
                (scratch.out.as_mut_ptr(), width.cols),
            );
        }
        computed += rows.count * count;
    }
    computed
}

/// Scores of row `i`, times `scale` and each raised by as much, become weights, 0 outside `seen`; what the row has gathered shrinks if a
/// larger score came.
///
/// # Safety
/// The processor has the instructions of `L`; `scratch` holds row `i`, and sums of `cols` columns; what raises, raises a whole tile.
#[inline(always)]
unsafe fn weigh<L: Lanes>(
    scratch: &mut Scratch<L::Elem>,
    i: usize,
    seen: std::ops::Range<usize>,
    count: usize,
    cols: usize,
    (mut scale, raises): (f32, Option<&[f32]>),
) {
    let scores = &mut scratch.scores[i * KEYS..(i + 1) * KEYS];
    let weights = &mut scratch.weights[i * KEYS..(i + 1) * KEYS];
    if seen.is_empty() {
        weights[..count.next_multiple_of(L::WHOLE.1)].fill(L::Elem::default());
        return;
    }
    let vectors = count.next_multiple_of(L::WHOLE.1) / LANES;
    if let Some(raises) = raises {
        for j in (0..vectors * LANES).step_by(LANES) {
            // SAFETY: `vectors` whole vectors lie inside the row and inside a tile.
            unsafe {
                let score = L::load(scores.as_ptr().add(j));
                let raised = L::fma(score, L::splat(scale), L::load(raises.as_ptr().add(j)));
                L::store(scores.as_mut_ptr().add(j), raised);
            }
        }
        scale = 1.0;
    }
    if seen.start > 0 {
        scores[..seen.start].fill(f32::NEG_INFINITY);
    }
    if seen.end < vectors * LANES {
        scores[seen.end..vectors * LANES].fill(f32::NEG_INFINITY);
    }
    // SAFETY: `vectors` whole vectors lie inside both rows, and `cols` columns of sums in row `i`.
    unsafe {
        let at = scores.as_ptr();
        let mut top = L::load(at);
        for j in 1..vectors {
            top = L::max(top, L::load(at.add(j * LANES)));
        }
        let before = scratch.largest[i];
        let largest = before.max(L::largest(top) * scale);
        let (scale, minus) = (L::splat(scale), L::splat(-largest));
        let mut sum = L::splat(0.0);
        for j in 0..vectors {
            let weight = L::exp2(L::fma(L::load(at.add(j * LANES)), scale, minus));
            sum = L::add(sum, weight);
            L::store_elems(weights.as_mut_ptr().add(j * LANES), weight);
        }
        if largest > before {
            let shrink = (before - largest).exp2();
            scratch.largest[i] = largest;
            scratch.total[i] *= shrink;
            let out = scratch.out.as_mut_ptr().add(i * cols);
            for j in (0..cols).step_by(LANES) {
                L::store(out.add(j), L::mul(L::load(out.add(j)), L::splat(shrink)));
            }
        }
        scratch.total[i] += L::sum(sum);
    }
}
