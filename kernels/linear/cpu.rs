//! Blocks of rows against panels of 64 columns, a stretch of the inner dimension at a time, some panels while the rows' stretch is
//! in the second-level cache.

use super::{Packed, Panels};
use crate::aligned::Aligned;
use crate::element::Element;
#[cfg(target_arch = "x86_64")]
use crate::lanes::{Amx, Avx2, Avx512, Avx512Bf16};
use crate::lanes::{Lanes, Portable};
use crate::level::Level;
use crate::product::product;
use rayon::prelude::*;

/// Columns of a panel.
const PANEL: usize = 64;
/// Rows that meet a panel before the next is fetched: weights are read from memory once for so many rows.
const ROWS: usize = 256;
/// Panels that meet a stretch of rows before the next is fetched, where there are enough for all threads.
const PANELS: usize = 4;
/// Steps of the inner dimension taken at once: 64 columns of them fill two thirds of the first-level cache.
const STEPS: usize = 128;

pub(super) fn pack<T: Element>(level: Level, weights: &[T], output: usize, input: usize) -> Panels {
    match level {
        Level::Portable | Level::Avx2 | Level::Avx512 => Panels::F32(panels::<Portable, T>(weights, output, input)),
        #[cfg(target_arch = "x86_64")]
        Level::Avx512Bf16 => Panels::Bf16(panels::<Avx512Bf16, T>(weights, output, input)),
        #[cfg(target_arch = "x86_64")]
        Level::Amx => Panels::Bf16(panels::<Amx, T>(weights, output, input)),
        #[cfg(not(target_arch = "x86_64"))]
        Level::Avx512Bf16 | Level::Amx => Panels::F32(panels::<Portable, T>(weights, output, input)),
    }
}

/// Steps of the inner dimension, filled up to what the level takes at once.
fn steps<L: Lanes>(input: usize) -> usize {
    input.div_ceil(L::STEP).next_multiple_of(L::WHOLE.2)
}

fn panels<L: Lanes, T: Element>(weights: &[T], output: usize, input: usize) -> Aligned<L::Elem> {
    let len = steps::<L>(input) * L::STEP * PANEL;
    let mut panels = Aligned::new(output.div_ceil(PANEL) * len);
    if len > 0 {
        panels.par_chunks_mut(len).zip(weights.par_chunks(PANEL * input)).for_each(|(panel, columns)| {
            for (at, column) in columns.chunks(input).enumerate() {
                for (i, &weight) in column.iter().enumerate() {
                    panel[(i / L::STEP * PANEL + at) * L::STEP + i % L::STEP] = L::elem(weight.to_f32());
                }
            }
        });
    }
    panels
}

pub(super) fn forward<T: Element>(packed: &Packed, x: &[T], bias: Option<&[f32]>) -> Vec<f32> {
    match (&packed.panels, packed.level) {
        #[cfg(target_arch = "x86_64")]
        (Panels::Bf16(panels), Level::Amx) => run::<Amx, T>(packed, panels, x, bias),
        #[cfg(target_arch = "x86_64")]
        (Panels::Bf16(panels), _) => run::<Avx512Bf16, T>(packed, panels, x, bias),
        #[cfg(target_arch = "x86_64")]
        (Panels::F32(panels), Level::Avx512 | Level::Avx512Bf16 | Level::Amx) => {
            run::<Avx512, T>(packed, panels, x, bias)
        }
        #[cfg(target_arch = "x86_64")]
        (Panels::F32(panels), Level::Avx2) => run::<Avx2, T>(packed, panels, x, bias),
        (Panels::F32(panels), _) => run::<Portable, T>(packed, panels, x, bias),
        #[cfg(not(target_arch = "x86_64"))]
        (Panels::Bf16(_), _) => unreachable!("packed for a level that this processor does not have"),
    }
}

/// Where the blocks' results go.
struct Out(*mut f32);

// SAFETY: every block writes its own rows and columns of a buffer that outlives the run.
unsafe impl Sync for Out {}

fn run<L: Lanes, T: Element>(packed: &Packed, panels: &[L::Elem], x: &[T], bias: Option<&[f32]>) -> Vec<f32> {
    let (input, output) = (packed.input, packed.output);
    let rows = x.len() / input;
    let steps = steps::<L>(input);
    let whole = |rows: usize| rows.next_multiple_of(L::WHOLE.0);
    let left = left::<L, T>(x, input, whole(rows));
    let mut out = vec![0.0; rows * output];
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
            sums.fill(0.0);
            let panel_len = steps * L::STEP * PANEL;
            let right = &panels[group.start * panel_len..group.end * panel_len];
            let left = Left { elems: &left, all: whole(rows), first, count: whole(count) };
            multiply::<L>(packed.level, left, right, steps, sums);
            for (panel, sums) in group.zip(sums.chunks(whole(count) * PANEL)) {
                let width = PANEL.min(output - panel * PANEL);
                for (row, sums) in sums.chunks(PANEL).take(count).enumerate() {
                    let at = (first + row) * output + panel * PANEL;
                    // SAFETY: `width` columns from `panel * PANEL` on of row `first + row` lie inside the output, and are this
                    // task's.
                    let to = unsafe { std::slice::from_raw_parts_mut(to.0.add(at), width) };
                    match bias {
                        Some(bias) => {
                            let bias = &bias[panel * PANEL..];
                            to.iter_mut().zip(sums).zip(bias).for_each(|((to, sum), bias)| *to = sum + bias);
                        }
                        None => to.copy_from_slice(&sums[..width]),
                    }
                }
            }
        },
    );
    out
}

/// Some rows of the left side, which is `[stretch][all rows][STEPS * STEP]`.
#[derive(Clone, Copy)]
struct Left<'a, E> {
    elems: &'a [E],
    all: usize,
    first: usize,
    count: usize,
}

/// Rows as elements, one stretch of the inner dimension after the other, `[stretch][rows][STEPS * STEP]`: rows that lie a power
/// of two apart would share a few lines of the first-level cache.
fn left<L: Lanes, T: Element>(x: &[T], input: usize, rows: usize) -> Aligned<L::Elem> {
    let len = STEPS * L::STEP;
    let mut left = Aligned::new(rows * steps::<L>(input) * L::STEP);
    left.par_chunks_mut((rows * len).max(1)).enumerate().for_each(|(stretch, left)| {
        let width = left.len() / rows;
        left.par_chunks_mut(width).zip(x.par_chunks(input)).with_min_len(16).for_each(|(to, from)| {
            let from = &from[stretch * len..];
            to.iter_mut().zip(from).for_each(|(to, from)| *to = L::elem(from.to_f32()));
        });
    });
    left
}

/// `sums += left x right` for rows of `steps` steps against some panels.
fn multiply<L: Lanes>(level: Level, left: Left<L::Elem>, right: &[L::Elem], steps: usize, sums: &mut [f32]) {
    // SAFETY: the level was detected, so the processor has the instructions that each function is compiled to.
    unsafe {
        match level {
            Level::Portable => portable::<L>(left, right, steps, sums),
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => avx2::<L>(left, right, steps, sums),
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => avx512::<L>(left, right, steps, sums),
            #[cfg(target_arch = "x86_64")]
            Level::Avx512Bf16 => avx512_bf16::<L>(left, right, steps, sums),
            #[cfg(target_arch = "x86_64")]
            Level::Amx => amx::<L>(left, right, steps, sums),
            #[cfg(not(target_arch = "x86_64"))]
            _ => portable::<L>(left, right, steps, sums),
        }
    }
}

macro_rules! compiled_for {
    ($name:ident $(, $features:literal)?) => {
        $(#[target_feature(enable = $features)])?
        unsafe fn $name<L: Lanes>(left: Left<L::Elem>, right: &[L::Elem], steps: usize, sums: &mut [f32]) {
            // SAFETY: the caller's.
            unsafe { stretches::<L>(left, right, steps, sums) }
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

/// # Safety
/// The processor has the instructions of `L`.
#[inline(always)]
unsafe fn stretches<L: Lanes>(left: Left<L::Elem>, right: &[L::Elem], steps: usize, sums: &mut [f32]) {
    let Left { elems, all, first, count: rows } = left;
    let panel_len = steps * L::STEP * PANEL;
    assert!(first + rows <= all && elems.len() == all * steps * L::STEP, "rows of another size");
    assert!(right.len() * rows == sums.len() * steps * L::STEP, "panels of another size");
    // SAFETY: the caller's; nothing else on this thread makes products before this function ends.
    let ready = &unsafe { L::ready() };
    let mut at = 0;
    while at < steps {
        let count = STEPS.min(steps - at);
        for (right, sums) in right.chunks_exact(panel_len).zip(sums.chunks_exact_mut(rows * PANEL)) {
            // SAFETY: `count` steps from `at` on of `rows` rows from `first` on lie inside `elems`, by the assertion, and inside
            // a whole panel; the sums are `rows` rows of it.
            unsafe {
                product::<L, true>(
                    ready,
                    (rows, PANEL, count),
                    (elems.as_ptr().add((all * at + first * count) * L::STEP), count * L::STEP),
                    (right.as_ptr().add(at * PANEL * L::STEP), PANEL),
                    (sums.as_mut_ptr(), PANEL),
                );
            }
        }
        at += count;
    }
}
