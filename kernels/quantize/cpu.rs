//! A group of rows on a thread, a row of it at a time, through loops without branches.

use super::{Bits, GROUP};
use half::f16;
use rayon::prelude::*;

pub(super) fn quantize(bits: Bits, x: &[f32], columns: usize, codes: &mut [u8], bounds: &mut [f16]) {
    let of_group = bits.bytes(GROUP, columns);
    let groups = x.par_chunks(GROUP * columns).zip(codes.par_chunks_mut(of_group));
    groups.zip(bounds.par_chunks_mut(2 * columns)).for_each(|((x, codes), bounds)| {
        let (lows, steps) = limits(bits, x, columns, bounds);
        let mut row_codes = vec![0u8; columns];
        for (x, codes) in x.chunks_exact(columns).zip(codes.chunks_exact_mut(bits.bytes(1, columns))) {
            row_to_codes(x, &lows, &steps, bits.largest(), &mut row_codes);
            match bits {
                Bits::Eight => codes.copy_from_slice(&row_codes),
                Bits::Four => {
                    let (low, high) = row_codes.split_at(columns / 2);
                    codes.iter_mut().zip(low.iter().zip(high)).for_each(|(code, (low, high))| *code = low | high << 4);
                }
            }
        }
    });
}

/// Writes the bounds of a group; gives the least numbers as they were written, and the steps' reciprocals (0 for no step).
fn limits(bits: Bits, x: &[f32], columns: usize, bounds: &mut [f16]) -> (Vec<f32>, Vec<f32>) {
    let (mut lows, mut highs) = (vec![f32::INFINITY; columns], vec![f32::NEG_INFINITY; columns]);
    for row in x.chunks_exact(columns) {
        for ((low, high), &x) in lows.iter_mut().zip(&mut highs).zip(row) {
            let x = cut(x);
            *low = low.min(x);
            *high = high.max(x);
        }
    }
    let (low_bounds, step_bounds) = bounds.split_at_mut(columns);
    let steps = lows.iter_mut().zip(highs).zip(low_bounds.iter_mut().zip(step_bounds));
    let steps = steps.map(|((low, high), (low_bound, step_bound))| {
        *low_bound = f16::from_f32(*low);
        *low = low_bound.to_f32();
        *step_bound = f16::from_f32((high - *low) / bits.largest());
        let step = step_bound.to_f32();
        if step > 0.0 { 1.0 / step } else { 0.0 }
    });
    let steps = steps.collect();
    (lows, steps)
}

#[inline]
fn row_to_codes(x: &[f32], lows: &[f32], steps: &[f32], largest: f32, codes: &mut [u8]) {
    for ((code, &x), (&low, &step)) in codes.iter_mut().zip(x).zip(lows.iter().zip(steps)) {
        *code = ((cut(x) - low) * step).round_ties_even().clamp(0.0, largest) as u8;
    }
}

fn cut(x: f32) -> f32 {
    x.clamp(f16::MIN.to_f32(), f16::MAX.to_f32())
}

pub(super) fn dequantize(bits: Bits, codes: &[u8], bounds: &[f16], columns: usize, x: &mut [f32]) {
    let of_group = bits.bytes(GROUP, columns);
    let groups = x.par_chunks_mut(GROUP * columns).zip(codes.par_chunks(of_group));
    groups.zip(bounds.par_chunks(2 * columns)).for_each_init(
        || vec![0.0; 2 * columns],
        |wide, ((x, codes), bounds)| {
            wide.iter_mut().zip(bounds).for_each(|(wide, bound)| *wide = bound.to_f32());
            let (lows, steps) = wide.split_at(columns);
            group_to_numbers(bits, codes, lows, steps, x);
        },
    );
}

fn group_to_numbers(bits: Bits, codes: &[u8], lows: &[f32], steps: &[f32], x: &mut [f32]) {
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw") {
            // SAFETY: the processor has just been asked for the features that the function needs.
            return unsafe { numbers_avx512(bits, codes, lows, steps, x) };
        }
        if is_x86_feature_detected!("avx2") {
            // SAFETY: as above.
            return unsafe { numbers_avx2(bits, codes, lows, steps, x) };
        }
    }
    numbers(bits, codes, lows, steps, x);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw")]
fn numbers_avx512(bits: Bits, codes: &[u8], lows: &[f32], steps: &[f32], x: &mut [f32]) {
    numbers(bits, codes, lows, steps, x);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn numbers_avx2(bits: Bits, codes: &[u8], lows: &[f32], steps: &[f32], x: &mut [f32]) {
    numbers(bits, codes, lows, steps, x);
}

#[inline(always)]
fn numbers(bits: Bits, codes: &[u8], lows: &[f32], steps: &[f32], x: &mut [f32]) {
    let columns = lows.len();
    for (x, codes) in x.chunks_exact_mut(columns).zip(codes.chunks_exact(bits.bytes(1, columns))) {
        match bits {
            Bits::Eight => row(x, codes, lows, steps, |code| code),
            Bits::Four => {
                let half = columns / 2;
                let (low, high) = x.split_at_mut(half);
                row(low, codes, &lows[..half], &steps[..half], |code| code & 15);
                row(high, codes, &lows[half..], &steps[half..], |code| code >> 4);
            }
        }
    }
}

#[inline(always)]
fn row(x: &mut [f32], codes: &[u8], lows: &[f32], steps: &[f32], code: impl Fn(u8) -> u8) {
    for ((x, &byte), (&low, &step)) in x.iter_mut().zip(codes).zip(lows.iter().zip(steps)) {
        *x = low + step * f32::from(code(byte));
    }
}
