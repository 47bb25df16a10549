//! One row of the running softmax: scores become weights, with the largest score and the sum of weights.

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

/// Below this, e^x is smaller than the smallest normal f32 and counts as 0.
const UNDERFLOW: f32 = -87.0;

/// e^x for x <= 0 within 2 units in the last place: `2^n * e^r` with `|r| <= ln 2 / 2`, and e^r by its Taylor-like
/// minimax polynomial of degree 6 (Cephes' `expf` coefficients). No branch, so that it vectorises.
#[inline(always)]
fn exp_negative(x: f32) -> f32 {
    /// 1.5 * 2^23: adding it leaves the nearest whole number in the low bits of the significand.
    const ROUND: f32 = 12_582_912.0;
    /// ln 2 in two parts, the first with zeros at its end, so that `n * LN2_HIGH` is exact.
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    let clamped = if x > UNDERFLOW { x } else { UNDERFLOW };
    let shifted = clamped * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = clamped - n * LN2_HIGH - n * LN2_LOW;
    let mut p = 1.987_569_1e-4;
    p = p * r + 1.398_199_9e-3;
    p = p * r + 8.333_452e-3;
    p = p * r + 4.166_579_6e-2;
    p = p * r + 1.666_666_5e-1;
    p = p * r + 0.5;
    let power = f32::from_bits(shifted.to_bits().wrapping_add(127) << 23);
    let result = (p * r * r + r + 1.0) * power;
    if x > UNDERFLOW { result } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponentials_are_right_to_a_few_units_in_the_last_place() {
        for step in 0..870_000 {
            let x = step as f32 * -1e-4;
            let (got, want) = (exp_negative(x), f64::from(x).exp());
            assert!((f64::from(got) / want - 1.0).abs() < 3e-7, "e^{x}: {got} for {want}");
        }
        assert_eq!(exp_negative(0.0), 1.0);
        assert_eq!(exp_negative(-200.0), 0.0);
        assert_eq!(exp_negative(f32::NEG_INFINITY), 0.0);
    }
}
