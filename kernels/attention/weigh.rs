//! One row of the running softmax: scores become weights, with the largest score and the sum of weights.

use crate::exp::exp_negative;

/// Replaces `scores` by `exp(scores - max)`, where `max` is the larger of `largest` and the row's own largest score;
/// gives `max` and the sum of the weights. The scores must be finite or minus infinity, with `largest` or one of them finite.
pub(super) fn weigh(scores: &mut [f32], largest: f32) -> (f32, f32) {
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512f") {
            // SAFETY: the processor has just been asked for the feature that the function needs.
            return unsafe { weigh_avx512(scores, largest) };
        }
        if is_x86_feature_detected!("avx2") {
            // SAFETY: as above.
            return unsafe { weigh_avx2(scores, largest) };
        }
    }
    weigh_portable(scores, largest)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn weigh_avx512(scores: &mut [f32], largest: f32) -> (f32, f32) {
    weigh_portable(scores, largest)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn weigh_avx2(scores: &mut [f32], largest: f32) -> (f32, f32) {
    weigh_portable(scores, largest)
}

/// Sums kept apart so that the compiler may use wide registers: floating-point addition may not be reordered for it.
const LANES: usize = 16;

#[inline(always)]
fn weigh_portable(scores: &mut [f32], largest: f32) -> (f32, f32) {
    let mut tops = [largest; LANES];
    let mut chunks = scores.chunks_exact(LANES);
    for chunk in &mut chunks {
        for (top, &score) in tops.iter_mut().zip(chunk) {
            *top = if score > *top { score } else { *top };
        }
    }
    let max = chunks.remainder().iter().chain(&tops).copied().fold(largest, f32::max);

    let mut sums = [0.0; LANES];
    let mut chunks = scores.chunks_exact_mut(LANES);
    for chunk in &mut chunks {
        for (sum, score) in sums.iter_mut().zip(chunk) {
            *score = exp_negative(*score - max);
            *sum += *score;
        }
    }
    let mut total: f32 = sums.iter().sum();
    for score in chunks.into_remainder() {
        *score = exp_negative(*score - max);
        total += *score;
    }
    (max, total)
}
