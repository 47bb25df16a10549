//! 256-bit integers of x86-64. Rows are padded to 16 columns, so no loop has a tail.

use super::rows::Picks;
use super::{LANES, Matrix};
use std::arch::x86_64::*;

/// Copies the samples wanted of a row, 16 neighbouring bytes at a time.
#[target_feature(enable = "avx2")]
pub(super) fn pick(row: &[u8], picks: &Picks, out: &mut [u8]) {
    let (steps, width) = picks.steps();
    assert!(row.len() >= width && out.len() >= picks.positions.len() + LANES);
    for step in steps {
        // SAFETY: `Picks` promises that steps stay inside a row of `width` bytes, and 16 bytes beyond the positions;
        // both lengths are asserted above. What a step writes beyond its own samples is overwritten by the next, as
        // steps ascend.
        unsafe {
            let bytes = _mm_loadu_si128(row.as_ptr().add(step.from as usize).cast());
            let shuffle = _mm_loadu_si128(step.shuffle.as_ptr().cast());
            _mm_storeu_si128(out.as_mut_ptr().add(step.to as usize).cast(), _mm_shuffle_epi8(bytes, shuffle));
        }
    }
}

/// Converts picked YUV samples to BGR and blends each pair, in 1/128.
#[target_feature(enable = "avx2")]
pub(super) fn across_yuv(picked: [&[u8]; 3], matrix: &Matrix, weights: &[i16], mut out: [&mut [i16]; 3]) {
    let columns = weights.len() / 2;
    assert!(columns.is_multiple_of(LANES), "rows are padded");
    assert!(picked.iter().all(|picked| picked.len() >= 2 * columns) && out.iter().all(|out| out.len() >= columns));
    let zero = _mm256_setzero_si256();
    let white = _mm256_set1_epi16(255);
    let grey = _mm256_set1_epi16(1024);
    let [offset, gain] = [matrix.offset, matrix.gain].map(|value| _mm256_set1_epi16(value));
    let [blue_u, green_u, green_v, red_v] =
        [matrix.blue_u, matrix.green_u, matrix.green_v, matrix.red_v].map(|value| _mm256_set1_epi16(value));
    for x in (0..columns).step_by(LANES) {
        // Two registers of 8 pairs each.
        let halves = [2 * x, 2 * x + 16].map(|at| {
            // SAFETY: `at + 16 <= 2 columns`, which `picked` and `weights` hold, asserted above.
            let ([y, u, v], weights) = unsafe {
                (
                    picked.map(|picked| _mm_loadu_si128(picked.as_ptr().add(at).cast())),
                    _mm256_loadu_si256(weights.as_ptr().add(at).cast()),
                )
            };
            let [y, u, v] = [y, u, v].map(|bytes| _mm256_slli_epi16::<3>(_mm256_cvtepu8_epi16(bytes)));
            let y = _mm256_mulhi_epi16(_mm256_sub_epi16(y, offset), gain);
            let [u, v] = [u, v].map(|chroma| _mm256_sub_epi16(chroma, grey));
            let blue = _mm256_add_epi16(y, _mm256_mulhi_epi16(u, blue_u));
            let green = _mm256_add_epi16(_mm256_mulhi_epi16(u, green_u), _mm256_mulhi_epi16(v, green_v));
            let red = _mm256_add_epi16(y, _mm256_mulhi_epi16(v, red_v));
            [blue, _mm256_add_epi16(y, green), red].map(|colour| {
                let colour = _mm256_min_epi16(_mm256_max_epi16(colour, zero), white);
                _mm256_srai_epi32::<4>(_mm256_madd_epi16(colour, weights))
            })
        });
        for (out, (&low, &high)) in out.iter_mut().zip(halves[0].iter().zip(&halves[1])) {
            let packed = _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_packs_epi32(low, high));
            // SAFETY: `x + 16 <= columns`, which every row of `out` holds, asserted above.
            unsafe { _mm256_storeu_si256(out.as_mut_ptr().add(x).cast(), packed) };
        }
    }
}

/// Blends two rows and converts them to hue, saturation and value.
#[target_feature(enable = "avx2")]
pub(super) fn down(above: [&[i16]; 3], below: [&[i16]; 3], weights: [i16; 2], out: [&mut [u8]; 3]) {
    let columns = out[0].len();
    assert!(columns.is_multiple_of(LANES) && out.iter().all(|out| out.len() == columns), "rows are padded");
    assert!(above.iter().chain(&below).all(|row| row.len() >= columns));
    let two = _mm256_set1_epi16(2);
    let weights = weights.map(|weight| _mm256_set1_epi16(weight));
    let [hues, saturations, values] = out;
    for x in (0..columns).step_by(LANES) {
        let [blue, green, red] = [0, 1, 2].map(|channel| {
            // SAFETY: `x + 16 <= columns`, which every row holds, asserted above.
            let rows =
                unsafe { [above[channel], below[channel]].map(|row| _mm256_loadu_si256(row.as_ptr().add(x).cast())) };
            let sum =
                _mm256_add_epi16(_mm256_mulhi_epi16(rows[0], weights[0]), _mm256_mulhi_epi16(rows[1], weights[1]));
            _mm256_srai_epi16::<2>(_mm256_add_epi16(sum, two))
        });
        let value = _mm256_max_epi16(_mm256_max_epi16(blue, green), red);
        let range = _mm256_sub_epi16(value, _mm256_min_epi16(_mm256_min_epi16(blue, green), red));
        let turn = turn(blue, green, red, value, range);
        let halves = [
            (_mm256_castsi256_si128(value), _mm256_castsi256_si128(range), _mm256_castsi256_si128(turn)),
            (
                _mm256_extracti128_si256::<1>(value),
                _mm256_extracti128_si256::<1>(range),
                _mm256_extracti128_si256::<1>(turn),
            ),
        ]
        .map(|(value, range, turn)| hue_and_saturation(value, range, turn));
        let hue = _mm256_packs_epi32(halves[0].0, halves[1].0);
        let saturation = _mm256_packs_epi32(halves[0].1, halves[1].1);
        // Both packs work within 128-bit lanes: in quarters of four, they leave
        // [h0 h2 s0 s2 | h1 h3 s1 s3].
        let packed = _mm256_permutevar8x32_epi32(
            _mm256_packus_epi16(hue, saturation),
            _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7),
        );
        let value = _mm_packus_epi16(_mm256_castsi256_si128(value), _mm256_extracti128_si256::<1>(value));
        // SAFETY: `x + 16 <= columns`, the length of each row of `out`, asserted above.
        unsafe {
            _mm_storeu_si128(hues.as_mut_ptr().add(x).cast(), _mm256_castsi256_si128(packed));
            _mm_storeu_si128(saturations.as_mut_ptr().add(x).cast(), _mm256_extracti128_si256::<1>(packed));
            _mm_storeu_si128(values.as_mut_ptr().add(x).cast(), value);
        }
    }
}

/// Six times the hue times the range: which side of the colour circle, and where on it.
#[target_feature(enable = "avx2")]
fn turn(blue: __m256i, green: __m256i, red: __m256i, value: __m256i, range: __m256i) -> __m256i {
    let twice = _mm256_slli_epi16::<1>(range);
    let of_red = _mm256_sub_epi16(green, blue);
    let of_green = _mm256_add_epi16(_mm256_sub_epi16(blue, red), twice);
    let of_blue = _mm256_add_epi16(_mm256_sub_epi16(red, green), _mm256_slli_epi16::<1>(twice));
    let turn = _mm256_blendv_epi8(of_blue, of_green, _mm256_cmpeq_epi16(value, green));
    _mm256_blendv_epi8(turn, of_red, _mm256_cmpeq_epi16(value, red))
}

/// Hue and saturation of 8 pixels as words of 32 bits. A division by 0 gives the smallest integer, which the 0 above the
/// line takes to 0.
#[target_feature(enable = "avx2")]
fn hue_and_saturation(value: __m128i, range: __m128i, turn: __m128i) -> (__m256i, __m256i) {
    let [value, range, turn] = [value, range, turn].map(|words| _mm256_cvtepi16_epi32(words));
    let half = _mm256_set1_epi32(2048);
    let fraction = |part: __m256i, whole: __m256i, unit: f32| {
        // `unit / whole` in f32 rounds to the same integer as in f64 for every whole of 1 to 255 (tests).
        let factor = _mm256_cvtps_epi32(_mm256_div_ps(_mm256_set1_ps(unit), _mm256_cvtepi32_ps(whole)));
        _mm256_srai_epi32::<12>(_mm256_add_epi32(_mm256_mullo_epi32(part, factor), half))
    };
    let saturation = fraction(range, value, (255 << 12) as f32);
    let hue = fraction(turn, range, (30 << 12) as f32);
    let below = _mm256_srai_epi32::<31>(hue);
    (_mm256_add_epi32(hue, _mm256_and_si256(below, _mm256_set1_epi32(180))), saturation)
}
