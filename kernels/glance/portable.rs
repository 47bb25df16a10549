//! Plain loops over rows, in blocks of fixed length that compilers turn into vector code on any processor.

use super::rows::Picks;
use super::{LANES, Matrix};

/// Copies the samples wanted of a row.
pub(super) fn pick(row: &[u8], picks: &Picks, out: &mut [u8]) {
    for (out, &at) in out.iter_mut().zip(&picks.positions) {
        *out = row[at as usize];
    }
}

/// Converts picked YUV samples to BGR and blends each pair, in 1/128.
pub(super) fn across_yuv(picked: [&[u8]; 3], matrix: &Matrix, weights: &[i16], out: [&mut [i16]; 3]) {
    let times = |value: i16, factor: i16| ((i32::from(value) * i32::from(factor)) >> 16) as i16;
    let [blue, green, red] = out;
    let blocks = picked[0].as_chunks::<LANES>().0.iter();
    let blocks = blocks.zip(picked[1].as_chunks::<LANES>().0).zip(picked[2].as_chunks::<LANES>().0);
    for (x, ((y, u), v)) in blocks.enumerate() {
        let y = y.map(|y| times(i16::from(y) * 8 - matrix.offset, matrix.gain));
        let [u, v] = [u, v].map(|chroma| chroma.map(|chroma| i16::from(chroma) * 8 - 1024));
        let mut bgr = [[0i16; LANES]; 3];
        for lane in 0..LANES {
            let (y, u, v) = (y[lane], u[lane], v[lane]);
            bgr[0][lane] = (y + times(u, matrix.blue_u)).clamp(0, 255);
            bgr[1][lane] = (y + times(u, matrix.green_u) + times(v, matrix.green_v)).clamp(0, 255);
            bgr[2][lane] = (y + times(v, matrix.red_v)).clamp(0, 255);
        }
        let weights = &weights[x * LANES..][..LANES];
        let half = x * LANES / 2..(x + 1) * LANES / 2;
        for (out, colour) in [&mut blue[half.clone()], &mut green[half.clone()], &mut red[half]].into_iter().zip(bgr) {
            blend(&colour, weights, out);
        }
    }
}

/// Blends each pair of picked BGR samples, in 1/128.
pub(super) fn across_bgr(picked: [&[u8]; 3], weights: &[i16], out: [&mut [i16]; 3]) {
    for (picked, out) in picked.into_iter().zip(out) {
        let blocks = picked.as_chunks::<LANES>().0.iter().zip(weights.as_chunks::<LANES>().0);
        for ((samples, weights), out) in blocks.zip(out.chunks_exact_mut(LANES / 2)) {
            blend(&samples.map(i16::from), weights, out);
        }
    }
}

fn blend(samples: &[i16; LANES], weights: &[i16], out: &mut [i16]) {
    for ((out, pair), weights) in out.iter_mut().zip(samples.as_chunks::<2>().0).zip(weights.as_chunks::<2>().0) {
        let [left, right] = [0, 1].map(|side: usize| i32::from(pair[side]) * i32::from(weights[side]));
        *out = ((left + right) >> 4) as i16;
    }
}

/// Blends two rows and converts them to hue, saturation and value.
pub(super) fn down(above: [&[i16]; 3], below: [&[i16]; 3], weights: [i16; 2], out: [&mut [u8]; 3]) {
    let [hues, saturations, values] = out;
    let blocks = hues.as_chunks_mut::<LANES>().0.iter_mut();
    let blocks = blocks.zip(saturations.as_chunks_mut::<LANES>().0).zip(values.as_chunks_mut::<LANES>().0);
    for (block, ((hue, saturation), value)) in blocks.enumerate() {
        let [blue, green, red] = [0, 1, 2].map(|channel: usize| {
            let [above, below] = [above, below].map(|rows| &rows[channel][block * LANES..][..LANES]);
            let mut blended = [0; LANES];
            for ((blended, &above), &below) in blended.iter_mut().zip(above).zip(below) {
                let times = |value: i16, weight: i16| (i32::from(value) * i32::from(weight)) >> 16;
                *blended = (times(above, weights[0]) + times(below, weights[1]) + 2) >> 2;
            }
            blended
        });
        for lane in 0..LANES {
            let (blue, green, red) = (blue[lane], green[lane], red[lane]);
            let brightest = blue.max(green).max(red);
            let range = brightest - blue.min(green).min(red);
            let turn = if brightest == green { blue - red + 2 * range } else { red - green + 4 * range };
            let turn = if brightest == red { green - blue } else { turn };
            let angle = fraction(turn, range, (30 << 12) as f32);
            hue[lane] = (angle + ((angle >> 31) & 180)) as u8;
            saturation[lane] = fraction(range, brightest, (255 << 12) as f32) as u8;
            value[lane] = brightest as u8;
        }
    }
}

/// `part * round(unit / whole)`, rounded from 1/4096; 0 where both are 0.
fn fraction(part: i32, whole: i32, unit: f32) -> i32 {
    // Adding and taking away 1.5 * 2^23 rounds to the nearest integer, without a call on processors that lack it.
    const ROUND: f32 = 12_582_912.0;
    let factor = (unit / whole.max(1) as f32 + ROUND - ROUND) as i32;
    (part * factor + 2048) >> 12
}
