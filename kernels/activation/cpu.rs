//! Chunks on all threads, each through a loop without branches.

use super::Function;
use crate::exp::exp_negative;
use rayon::prelude::*;

/// Elements that one task does: 64 KB of input, some tens of microseconds.
const CHUNK: usize = 16_384;

pub(super) fn apply(function: Function, x: &mut [f32], up: Option<&[f32]>) {
    let Some(up) = up else {
        return x.par_chunks_mut(CHUNK).for_each(|x| chunk(function, x, None));
    };
    x.par_chunks_mut(CHUNK).zip(up.par_chunks(CHUNK)).for_each(|(x, up)| chunk(function, x, Some(up)));
}

fn chunk(function: Function, x: &mut [f32], up: Option<&[f32]>) {
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512f") {
            // SAFETY: the processor has just been asked for the feature that the function needs.
            return unsafe { chunk_avx512(function, x, up) };
        }
        if is_x86_feature_detected!("avx2") {
            // SAFETY: as above.
            return unsafe { chunk_avx2(function, x, up) };
        }
    }
    chunk_portable(function, x, up);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn chunk_avx512(function: Function, x: &mut [f32], up: Option<&[f32]>) {
    chunk_portable(function, x, up);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn chunk_avx2(function: Function, x: &mut [f32], up: Option<&[f32]>) {
    chunk_portable(function, x, up);
}

#[inline(always)]
fn chunk_portable(function: Function, x: &mut [f32], up: Option<&[f32]>) {
    match function {
        Function::Silu => each(x, up, |x| x * logistic(x)),
        Function::QuickGelu => each(x, up, |x| x * logistic(1.702 * x)),
        Function::GeluTanh => each(x, up, |x| x * logistic(1.595_769 * (x + 0.044_715 * x * x * x))),
        Function::Gelu => each(x, up, |x| 0.5 * x * (1.0 + erf(x * std::f32::consts::FRAC_1_SQRT_2))),
    }
}

#[inline(always)]
fn each(x: &mut [f32], up: Option<&[f32]>, f: impl Fn(f32) -> f32) {
    match up {
        None => x.iter_mut().for_each(|x| *x = f(*x)),
        Some(up) => x.iter_mut().zip(up).for_each(|(x, up)| *x = f(*x) * up),
    }
}

/// `1 / (1 + e^-x)`, from the side on which the exponential cannot overflow.
#[inline(always)]
fn logistic(x: f32) -> f32 {
    let e = exp_negative(-x.abs());
    let numerator = if x < 0.0 { e } else { 1.0 };
    numerator / (1.0 + e)
}

/// Abramowitz and Stegun 7.1.26.
#[inline(always)]
fn erf(x: f32) -> f32 {
    let size = x.abs();
    let t = 1.0 / (1.0 + 0.327_591_1 * size);
    let mut p = 1.061_405_4;
    p = p * t - 1.453_152;
    p = p * t + 1.421_413_7;
    p = p * t - 0.284_496_74;
    p = p * t + 0.254_829_6;
    let value = 1.0 - p * t * exp_negative(-size * size);
    if x < 0.0 { -value } else { value }
}
