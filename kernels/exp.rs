//! e^x for x <= 0, so plain that compilers make wide instructions of it.

/// Below this, e^x is smaller than the smallest normal f32 and counts as 0.
const UNDERFLOW: f32 = -87.0;

/// e^x for x <= 0 within 2 units in the last place: `2^n * e^r` with `|r| <= ln 2 / 2`, and e^r by its Taylor-like
/// minimax polynomial of degree 6 (Cephes' `expf` coefficients). No branch, so that it vectorises.
#[inline(always)]
pub(crate) fn exp_negative(x: f32) -> f32 {
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
