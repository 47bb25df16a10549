//! A row at a time: chroma between rows, chroma between columns, the matrix, and three rows of levels into one of pixels.

use super::{CUBIC, Planes, Weights};

/// Samples that are repeated beyond each end of a chroma row.
const EDGE: usize = 2;

/// Working rows.
struct Rows {
    /// Chroma at the height of the row, with [`EDGE`] samples more at both ends
    u: Vec<f32>,
    v: Vec<f32>,
    /// Levels of the row, an even number of them
    levels: [Vec<u8>; 3],
}

pub(super) fn to_rgb(planes: Planes, width: usize, weights: Weights, out: &mut [u8]) {
    let half = width.div_ceil(2);
    let row = || vec![0.0; half + 2 * EDGE];
    let mut rows = Rows { u: row(), v: row(), levels: std::array::from_fn(|_| vec![0; 2 * half]) };
    let last = planes.y.len().div_ceil(2) - 1;
    for (y, (luma, out)) in planes.y.iter().zip(out.chunks_exact_mut(width * 3)).enumerate() {
        // As in `reference.rs`: from the far end of the longer side to that of the shorter.
        let (i, down) = (y / 2, !y.is_multiple_of(2));
        let around = if down {
            [i.saturating_sub(1), i, (i + 1).min(last), (i + 2).min(last)]
        } else {
            [(i + 1).min(last), i, i.saturating_sub(1), i.saturating_sub(2)]
        };
        between(around.map(|row| &planes.u[row][..half]), &mut rows.u);
        between(around.map(|row| &planes.v[row][..half]), &mut rows.v);
        convert(&luma[..width], &mut rows, weights, out);
    }
}

/// One compiled copy for each level.
macro_rules! compiled {
    ($name:ident, $wide:ident, $narrow:ident, $inner:ident, ($($arg:ident: $kind:ty),*)) => {
        fn $name($($arg: $kind),*) {
            #[cfg(target_arch = "x86_64")]
            {
                if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw") {
                    // SAFETY: the processor has just been asked for the features that the function needs.
                    return unsafe { $wide($($arg),*) };
                }
                if is_x86_feature_detected!("avx2") {
                    // SAFETY: as above.
                    return unsafe { $narrow($($arg),*) };
                }
            }
            $inner($($arg),*)
        }

        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
        fn $wide($($arg: $kind),*) {
            $inner($($arg),*)
        }

        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx2")]
        fn $narrow($($arg: $kind),*) {
            $inner($($arg),*)
        }
    };
}

compiled!(between, between_avx512, between_avx2, between_rows, (rows: [&[u8]; 4], out: &mut [f32]));
compiled!(convert, convert_avx512, convert_avx2, convert_row, (luma: &[u8], rows: &mut Rows, weights: Weights, out: &mut [u8]));

/// Weighs four rows of a plane by [`CUBIC`] and repeats the ends.
#[inline(always)]
fn between_rows(rows: [&[u8]; 4], out: &mut [f32]) {
    let half = out.len() - 2 * EDGE;
    let [a, b, c, d] = rows.map(|row| &row[..half]);
    let inner = &mut out[EDGE..EDGE + half];
    for i in 0..half {
        let [a, b, c, d] = [a[i], b[i], c[i], d[i]].map(f32::from);
        inner[i] = (CUBIC[0] * a + CUBIC[1] * b) + (CUBIC[2] * c + CUBIC[3] * d);
    }
    let (first, last) = (inner[0], inner[half - 1]);
    out[..EDGE].fill(first);
    out[EDGE + half..].fill(last);
}

#[inline(always)]
fn convert_row(luma: &[u8], rows: &mut Rows, weights: Weights, out: &mut [u8]) {
    let whole = luma.len() / 2;
    let [red, green, blue] = &mut rows.levels;
    {
        let (u, v) = (&rows.u[..], &rows.v[..]);
        let [u0, u1, u2, u3, u4] = std::array::from_fn(|by| &u[by..by + whole]);
        let [v0, v1, v2, v3, v4] = std::array::from_fn(|by| &v[by..by + whole]);
        let (luma, red) = (&luma[..2 * whole], &mut red[..2 * whole]);
        let (green, blue) = (&mut green[..2 * whole], &mut blue[..2 * whole]);
        for i in 0..whole {
            let u = pair([u0[i], u1[i], u2[i], u3[i], u4[i]]);
            let v = pair([v0[i], v1[i], v2[i], v3[i], v4[i]]);
            let even = pixel(luma[2 * i], u[0], v[0], weights);
            let odd = pixel(luma[2 * i + 1], u[1], v[1], weights);
            (red[2 * i], red[2 * i + 1]) = (even[0], odd[0]);
            (green[2 * i], green[2 * i + 1]) = (even[1], odd[1]);
            (blue[2 * i], blue[2 * i + 1]) = (even[2], odd[2]);
        }
    }
    if luma.len() > 2 * whole {
        let around = |row: &[f32]| pair(std::array::from_fn(|by| row[whole + by]))[0];
        let last = pixel(luma[2 * whole], around(&rows.u), around(&rows.v), weights);
        (red[2 * whole], green[2 * whole], blue[2 * whole]) = (last[0], last[1], last[2]);
    }
    interleave([red, green, blue], out);
}

/// Chroma of the even and the odd pixel over the middle sample of five.
#[inline(always)]
fn pair(x: [f32; 5]) -> [f32; 2] {
    [
        (CUBIC[3] * x[0] + CUBIC[2] * x[1]) + (CUBIC[1] * x[2] + CUBIC[0] * x[3]),
        (CUBIC[0] * x[1] + CUBIC[1] * x[2]) + (CUBIC[2] * x[3] + CUBIC[3] * x[4]),
    ]
}

#[inline(always)]
fn pixel(luma: u8, u: f32, v: f32, weights: Weights) -> [u8; 3] {
    let luma = weights.luma * (f32::from(luma) - weights.black) + 0.5;
    let (u, v) = (u - 128.0, v - 128.0);
    [luma + weights.red_v * v, luma + (weights.green_u * u + weights.green_v * v), luma + weights.blue_u * u].map(level)
}

/// Rounded down to a level; what is beyond either end becomes that end.
#[inline(always)]
fn level(x: f32) -> u8 {
    let x = if x > 0.0 { x } else { 0.0 };
    let x = if x < 255.0 { x } else { 255.0 };
    // SAFETY: between 0 and 255, and no NaN: a comparison with NaN is false, which gives 0.
    unsafe { x.to_int_unchecked::<i32>() as u8 }
}

/// Three rows of levels into one of pixels.
#[inline(always)]
fn interleave(levels: [&[u8]; 3], out: &mut [u8]) {
    let [red, green, blue] = levels;
    let mut done = 0;
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("ssse3") {
        done = out.len() / 48 * 16;
        // SAFETY: the processor has just been asked for the feature; `done` levels of each row and three times as many
        // bytes of the pixels are there.
        unsafe { interleave_ssse3([red, green, blue].map(<[u8]>::as_ptr), out.as_mut_ptr(), done) };
    }
    let rest = out[done * 3..].chunks_exact_mut(3);
    for (((pixel, r), g), b) in rest.zip(&red[done..]).zip(&green[done..]).zip(&blue[done..]) {
        pixel.copy_from_slice(&[*r, *g, *b]);
    }
}

/// Sixteen pixels at a time.
///
/// # Safety
/// `count`, a multiple of 16, levels are there at each of `levels`, and `3 * count` bytes at `out`.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "ssse3")]
unsafe fn interleave_ssse3(levels: [*const u8; 3], out: *mut u8, count: usize) {
    use std::arch::x86_64::{__m128i, _mm_loadu_si128, _mm_or_si128, _mm_shuffle_epi8, _mm_storeu_si128};
    /// Byte `b` of the 48 is level `b / 3` of channel `b % 3`; -1 leaves a byte to the other channels.
    const fn places(part: usize, channel: usize) -> [i8; 16] {
        let mut at = [-1; 16];
        let mut i = 0;
        while i < 16 {
            let byte = part * 16 + i;
            if byte % 3 == channel {
                at[i] = (byte / 3) as i8;
            }
            i += 1;
        }
        at
    }
    const PLACES: [[[i8; 16]; 3]; 3] = {
        let mut all = [[[0; 16]; 3]; 3];
        let mut part = 0;
        while part < 3 {
            let mut channel = 0;
            while channel < 3 {
                all[part][channel] = places(part, channel);
                channel += 1;
            }
            part += 1;
        }
        all
    };
    // SAFETY: the caller's; loads and stores are unaligned.
    unsafe {
        let places = PLACES.map(|part| part.map(|places| _mm_loadu_si128(places.as_ptr().cast::<__m128i>())));
        for at in (0..count).step_by(16) {
            let from = levels.map(|row| _mm_loadu_si128(row.add(at).cast()));
            for (part, places) in places.iter().enumerate() {
                let [r, g, b] = [0, 1, 2].map(|channel| _mm_shuffle_epi8(from[channel], places[channel]));
                _mm_storeu_si128(out.add(at * 3 + part * 16).cast(), _mm_or_si128(_mm_or_si128(r, g), b));
            }
        }
    }
}
