//! Blocks of rows against panels of 64 columns, a stretch of the inner dimension at a time, some panels while the rows' stretch is
//! in the second-level cache.
//!
//! Vectors take rows of a stretch one after the other, since rows that lie a power of two apart would share a few lines of the
//! first-level cache, and panels step by step. Tiles take both sides tile by tile, a KiB each.

use super::{Elems, Packed, Rows, Store};
use crate::aligned::Aligned;
use crate::compiled;
use crate::element::Element;
#[cfg(target_arch = "x86_64")]
use crate::lanes::{Amx, Avx2, Avx512, Avx512Bf16};
use crate::lanes::{LANES, Lanes, Portable};
use crate::level::Level;
use crate::product::product;
#[cfg(target_arch = "x86_64")]
use crate::tiles::{self, Pair, SIDE};
use rayon::prelude::*;
use std::marker::PhantomData;

/// Columns of a panel.
const PANEL: usize = 64;
/// Rows that meet a panel before the next is fetched: weights are read from memory once for so many rows.
const ROWS: usize = 256;
/// Panels that meet a stretch of rows before the next is fetched, where there are enough for all threads.
const PANELS: usize = 4;
/// Steps of the inner dimension taken at once: 64 columns of them fill two thirds of the first-level cache.
const STEPS: usize = 128;
/// Elements of a tile.
#[cfg(target_arch = "x86_64")]
const TILE: usize = 2 * tiles::STEPS * SIDE;

/// Steps of the inner dimension, filled up to what the level takes at once.
fn steps<L: Lanes>(input: usize) -> usize {
    input.div_ceil(L::STEP).next_multiple_of(L::WHOLE.2)
}

/// Weights `[output, input]` in panels of 64 columns, `[steps][64][STEP]`, or for tiles `[4][tiles][16 pairs][16][2]`.
pub(super) fn pack<T: Element>(level: Level, weights: &[T], output: usize, input: usize) -> Elems {
    match level {
        #[cfg(target_arch = "x86_64")]
        Level::Amx => Elems::Bf16(panels::<Amx, T>(weights, output, input, tilewise(input))),
        #[cfg(target_arch = "x86_64")]
        Level::Avx512Bf16 => Elems::Bf16(panels::<Avx512Bf16, T>(weights, output, input, stepwise::<Avx512Bf16>)),
        _ => Elems::F32(panels::<Portable, T>(weights, output, input, stepwise::<Portable>)),
    }
}

/// One column of what [`pack`] made.
pub(super) fn unpack(packed: &Packed, output: usize, to: &mut [f32]) {
    #[cfg(target_arch = "x86_64")]
    let wide = |bits: u16| half::bf16::from_bits(bits).to_f32();
    match (&packed.panels, packed.level) {
        #[cfg(target_arch = "x86_64")]
        (Elems::Bf16(panels), Level::Amx) => column::<Amx>(panels, output, tilewise(packed.input), wide, to),
        #[cfg(target_arch = "x86_64")]
        (Elems::Bf16(panels), _) => column::<Avx512Bf16>(panels, output, stepwise::<Avx512Bf16>, wide, to),
        #[cfg(not(target_arch = "x86_64"))]
        (Elems::Bf16(_), _) => unreachable!("weights for a level that this processor does not have"),
        (Elems::F32(panels), _) => column::<Portable>(panels, output, stepwise::<Portable>, |x| x, to),
    }
}

/// Where element `i` of a panel's column stands.
fn stepwise<L: Lanes>(column: usize, i: usize) -> usize {
    (i / L::STEP * PANEL + column) * L::STEP + i % L::STEP
}

/// The same, for tiles.
#[cfg(target_arch = "x86_64")]
fn tilewise(input: usize) -> impl Fn(usize, usize) -> usize + Sync {
    let along = steps::<Amx>(input) / tiles::STEPS;
    move |column, i| {
        let (tile, pair) = (column / SIDE * along + i / (2 * tiles::STEPS), i / 2 % tiles::STEPS);
        tile * TILE + (pair * SIDE + column % SIDE) * 2 + i % 2
    }
}

fn column<L: Lanes>(
    panels: &[L::Elem],
    output: usize,
    place: impl Fn(usize, usize) -> usize,
    wide: impl Fn(L::Elem) -> f32,
    to: &mut [f32],
) {
    let panel = &panels[output / PANEL * steps::<L>(to.len()) * L::STEP * PANEL..];
    to.iter_mut().enumerate().for_each(|(i, to)| *to = wide(panel[place(output % PANEL, i)]));
}

/// Panels whose element `i` of a column stands where `place` says.
fn panels<L: Lanes, T: Element>(
    weights: &[T],
    output: usize,
    input: usize,
    place: impl Fn(usize, usize) -> usize + Sync,
) -> Aligned<L::Elem> {
    let len = steps::<L>(input) * L::STEP * PANEL;
    let mut panels = Aligned::new(output.div_ceil(PANEL) * len);
    if len > 0 {
        panels.par_chunks_mut(len).zip(weights.par_chunks(PANEL * input)).for_each(|(panel, columns)| {
            for (column, weights) in columns.chunks(input).enumerate() {
                for (i, &weight) in weights.iter().enumerate() {
                    panel[place(column, i)] = L::elem(weight.to_f32());
                }
            }
        });
    }
    panels
}

/// Rows as elements, filled up to whole blocks: `[stretch][rows][STEPS * STEP]`, or for tiles
/// `[stretch][rows / 16][tiles][16][32]`. `row` writes one.
pub(super) fn fill(to: &mut Rows, row: &(impl Fn(usize, &mut [f32]) + Sync)) {
    let Rows { elems, level, rows, input } = to;
    match (elems, *level) {
        #[cfg(target_arch = "x86_64")]
        (Elems::Bf16(elems), Level::Amx) => fill_on::<Amx>(Level::Amx, elems, *rows, *input, row),
        #[cfg(target_arch = "x86_64")]
        (Elems::Bf16(elems), level) => fill_on::<Avx512Bf16>(level, elems, *rows, *input, row),
        #[cfg(not(target_arch = "x86_64"))]
        (Elems::Bf16(_), _) => unreachable!("rows for a level that this processor does not have"),
        (Elems::F32(elems), _) => fill_on::<Portable>(Level::Portable, elems, *rows, *input, row),
    }
}

fn fill_on<L: Lanes>(
    level: Level,
    elems: &mut Aligned<L::Elem>,
    rows: usize,
    input: usize,
    row: &(impl Fn(usize, &mut [f32]) + Sync),
) {
    let (all, width) = (rows.next_multiple_of(L::WHOLE.0), steps::<L>(input) * L::STEP);
    elems.fit(all * width);
    let to = Out(elems.as_mut_ptr());
    (0..rows).into_par_iter().with_min_len(16).for_each_init(
        || vec![0.0; width],
        |values, index| {
            row(index, &mut values[..input]);
            compiled::run(level, Place::<L> { values, row: index, all, to: &to });
        },
    );
}

/// What tasks write to.
struct Out<E>(*mut E);

// SAFETY: every task writes its own rows and columns of a buffer that outlives the run.
unsafe impl<E: Send> Sync for Out<E> {}

/// One row to its places.
struct Place<'a, L: Lanes> {
    values: &'a [f32],
    row: usize,
    all: usize,
    to: &'a Out<L::Elem>,
}

impl<L: Lanes> compiled::Work for Place<'_, L> {
    #[inline(always)]
    unsafe fn run(self) {
        let Self { values, row, all, to } = self;
        let len = STEPS * L::STEP;
        for (stretch, values) in values.chunks(len).enumerate() {
            let start = stretch * len * all;
            if L::WHOLE.0 == 1 {
                // SAFETY: the rows of a stretch lie one after the other, each as long as `values`, and this one is the task's.
                unsafe { store::<L>(values, to.0.add(start + row * values.len())) };
                continue;
            }
            // A tile has as many rows as columns of sums, and 64 bytes of each.
            let (side, wide) = (L::WHOLE.0 / 2, 64 / size_of::<L::Elem>());
            let start = start + row / side * side * values.len() + row % side * wide;
            for (tile, values) in values.chunks_exact(wide).enumerate() {
                // SAFETY: `side` rows of a stretch lie tile by tile, and a row of each is the task's.
                unsafe { store::<L>(values, to.0.add(start + tile * side * wide)) };
            }
        }
    }
}

/// # Safety
/// The processor has the instructions of `L`, and there is room for `values`.
#[inline(always)]
unsafe fn store<L: Lanes>(values: &[f32], to: *mut L::Elem) {
    let whole = values.len() / LANES * LANES;
    // SAFETY: the caller's.
    unsafe {
        for at in (0..whole).step_by(LANES) {
            L::store_elems(to.add(at), L::load(values.as_ptr().add(at)));
        }
        for (at, &value) in values.iter().enumerate().skip(whole) {
            *to.add(at) = L::elem(value);
        }
    }
}

pub(super) fn multiply(packed: &Packed, rows: &Rows, bias: Option<&[f32]>, out: &mut [f32], store: Store) {
    let job = Job { packed, rows: rows.rows, bias, store };
    match (&packed.panels, &rows.elems, packed.level) {
        #[cfg(target_arch = "x86_64")]
        (Elems::Bf16(panels), Elems::Bf16(left), Level::Amx) => job.run::<Amx>(panels, left, out),
        #[cfg(target_arch = "x86_64")]
        (Elems::Bf16(panels), Elems::Bf16(left), _) => job.run::<Avx512Bf16>(panels, left, out),
        #[cfg(target_arch = "x86_64")]
        (Elems::F32(panels), Elems::F32(left), Level::Avx512 | Level::Avx512Bf16 | Level::Amx) => {
            job.run::<Avx512>(panels, left, out);
        }
        #[cfg(target_arch = "x86_64")]
        (Elems::F32(panels), Elems::F32(left), Level::Avx2) => job.run::<Avx2>(panels, left, out),
        (Elems::F32(panels), Elems::F32(left), _) => job.run::<Portable>(panels, left, out),
        _ => unreachable!("rows and weights for different levels"),
    }
}

struct Job<'a> {
    packed: &'a Packed,
    rows: usize,
    bias: Option<&'a [f32]>,
    store: Store,
}

impl Job<'_> {
    fn run<L: Stretch>(&self, panels: &[L::Elem], left: &[L::Elem], out: &mut [f32]) {
        let (rows, output, steps) = (self.rows, self.packed.output, steps::<L>(self.packed.input));
        let whole = |rows: usize| rows.next_multiple_of(L::WHOLE.0);
        let (blocks, columns) = (rows.div_ceil(ROWS), output.div_ceil(PANEL));
        let to = Out(out.as_mut_ptr());
        let together = if blocks * columns >= PANELS * 4 * rayon::current_num_threads() { PANELS } else { 1 };
        let groups = columns.div_ceil(together);
        (0..blocks * groups).into_par_iter().for_each_init(
            || Aligned::new(0),
            |sums: &mut Aligned<f32>, task| {
                let to = &to;
                let (block, group) = (task / groups, task % groups);
                let (first, count) = (block * ROWS, ROWS.min(rows - block * ROWS));
                let group = group * together..columns.min((group + 1) * together);
                sums.fit(whole(ROWS.min(rows)) * PANEL * together);
                let sums = &mut sums[..whole(count) * PANEL * group.len()];
                let panel_len = steps * L::STEP * PANEL;
                let right = &panels[group.start * panel_len..group.end * panel_len];
                let left = Left {
                    elems: &left[..whole(rows) * steps * L::STEP],
                    all: whole(rows),
                    first,
                    count: whole(count),
                };
                compiled::run(self.packed.level, Sums::<L> { left, right, steps, sums, lanes: PhantomData });
                for (panel, sums) in group.zip(sums.chunks(whole(count) * PANEL)) {
                    let width = PANEL.min(output - panel * PANEL);
                    let bias = self.bias.map(|bias| &bias[panel * PANEL..][..width]);
                    for (row, sums) in sums.chunks(PANEL).take(count).enumerate() {
                        let at = (first + row) * output + panel * PANEL;
                        // SAFETY: `width` columns from `panel * PANEL` on of row `first + row` lie inside the output, and are
                        // this task's.
                        let to = unsafe { std::slice::from_raw_parts_mut(to.0.add(at), width) };
                        self.write(to, sums, bias);
                    }
                }
            },
        );
    }

    /// Sums of one row of a panel to where they go.
    #[inline]
    fn write(&self, to: &mut [f32], sums: &[f32], bias: Option<&[f32]>) {
        let pairs = to.iter_mut().zip(sums);
        match (self.store, bias) {
            (Store::Set, None) => pairs.for_each(|(to, sum)| *to = *sum),
            (Store::Set, Some(bias)) => pairs.zip(bias).for_each(|((to, sum), bias)| *to = sum + bias),
            (Store::Add, None) => pairs.for_each(|(to, sum)| *to += sum),
            (Store::Add, Some(bias)) => pairs.zip(bias).for_each(|((to, sum), bias)| *to += sum + bias),
        }
    }
}

/// Some rows of the left side.
#[derive(Clone, Copy)]
struct Left<'a, E> {
    elems: &'a [E],
    all: usize,
    first: usize,
    count: usize,
}

/// `sums = left x right` for rows of `steps` steps against some panels, `[panel][rows][64]`.
struct Sums<'a, L: Stretch> {
    left: Left<'a, L::Elem>,
    right: &'a [L::Elem],
    steps: usize,
    sums: &'a mut [f32],
    lanes: PhantomData<L>,
}

impl<L: Stretch> compiled::Work for Sums<'_, L> {
    #[inline(always)]
    unsafe fn run(self) {
        let Self { left: Left { elems, all, first, count: rows }, right, steps, sums, .. } = self;
        let panel_len = steps * L::STEP * PANEL;
        assert!(first + rows <= all && elems.len() == all * steps * L::STEP, "rows of another size");
        assert!(right.len() * rows == sums.len() * steps * L::STEP, "panels of another size");
        // SAFETY: the caller's; nothing else on this thread makes products before this function ends.
        let ready = &unsafe { L::ready() };
        let panels = right.len() / panel_len;
        let panel = |index: usize| right[index * panel_len..][..panel_len].as_ptr();
        let mut at = 0;
        while at < steps {
            let count = STEPS.min(steps - at);
            for (index, sums) in sums.chunks_exact_mut(rows * PANEL).enumerate() {
                let here = Right { panel: panel(index), steps, at };
                let next = match index + 1 {
                    next if next < panels => Right { panel: panel(next), ..here },
                    _ if at + count < steps => Right { panel: panel(0), at: at + count, ..here },
                    _ => here,
                };
                // SAFETY: `count` steps from `at` on of `rows` rows from `first` on lie inside `elems`, by the assertion, and
                // inside a whole panel; the sums are `rows` rows of it.
                unsafe {
                    let left = elems.as_ptr().add((all * at + first * count) * L::STEP);
                    let size = (rows, PANEL, count);
                    if at == 0 {
                        L::stretch::<false>(ready, size, left, [here, next], sums.as_mut_ptr());
                    } else {
                        L::stretch::<true>(ready, size, left, [here, next], sums.as_mut_ptr());
                    }
                }
            }
            at += count;
        }
    }
}

/// A stretch of a panel.
#[derive(Clone, Copy)]
struct Right<E> {
    panel: *const E,
    /// Of the whole panel
    steps: usize,
    /// Step that the stretch begins at
    at: usize,
}

/// How a level multiplies a stretch of rows with a panel.
trait Stretch: Lanes {
    /// `sums = left x right`, or `sums += left x right` with `ADD`, for sizes (rows, columns, steps); `next` is what will be read after
    /// it, from afar.
    ///
    /// # Safety
    /// As [`product`], with both sides laid out as [`fill`] and [`pack`] do.
    #[inline(always)]
    unsafe fn stretch<const ADD: bool>(
        ready: &Self::Ready,
        size: (usize, usize, usize),
        left: *const Self::Elem,
        [right, _next]: [Right<Self::Elem>; 2],
        sums: *mut f32,
    ) {
        // SAFETY: the caller's.
        unsafe {
            let right = right.panel.add(right.at * PANEL * Self::STEP);
            product::<Self, ADD>(ready, size, (left, size.2 * Self::STEP), (right, PANEL), (sums, PANEL));
        }
    }
}

impl Stretch for Portable {}
#[cfg(target_arch = "x86_64")]
impl Stretch for Avx2 {}
#[cfg(target_arch = "x86_64")]
impl Stretch for Avx512 {}
#[cfg(target_arch = "x86_64")]
impl Stretch for Avx512Bf16 {}

#[cfg(target_arch = "x86_64")]
impl Stretch for Amx {
    /// The blocks of a stretch fetch parts of the next: all of it, if there are as many rows as meet a panel.
    #[inline(always)]
    unsafe fn stretch<const ADD: bool>(
        ready: &Self::Ready,
        (rows, cols, steps): (usize, usize, usize),
        left: *const u16,
        right: [Right<u16>; 2],
        sums: *mut f32,
    ) {
        /// Blocks that fetch one tile column's stretch.
        const SHARES: usize = TILE / tiles::AHEAD;
        let count = steps / tiles::STEPS;
        let tile = |first: *const u16, second: *const u16| Pair { first, second, row: 2 * tiles::STEPS, step: TILE };
        // Where the stretch begins in a tile column of the panel, wrapping since what is fetched ahead need not be there.
        let column = |right: Right<u16>, index: usize| {
            right.panel.wrapping_add((index * right.steps + right.at) / tiles::STEPS * TILE)
        };
        let mut block = 0;
        for row in (0..rows).step_by(tiles::BLOCK) {
            for col in (0..cols).step_by(tiles::BLOCK) {
                let ahead = column(right[1], block / SHARES).wrapping_add(block % SHARES * count * tiles::AHEAD);
                block += 1;
                // SAFETY: the caller's; rows of tiles are `count` tiles long, columns of them all of the panel's, and the blocks tile the sums.
                unsafe {
                    let a = left.add(row / SIDE * count * TILE);
                    let a = tile(a, a.add(count * TILE));
                    let b = tile(column(right[0], col / SIDE), column(right[0], col / SIDE + 1));
                    tiles::block::<ADD>(ready, count, a, b, ahead, (sums.add(row * PANEL + col), PANEL));
                }
            }
        }
    }
}
