//! Plain loops over rows.

use super::rows::Picks;
use super::{Matrix, reference};

/// Copies the samples wanted of a row.
pub(super) fn pick(row: &[u8], picks: &Picks, out: &mut [u8]) {
    for (out, &at) in out.iter_mut().zip(&picks.positions) {
        *out = row[at as usize];
    }
}

/// Converts picked YUV samples to BGR and blends each pair, in 1/128.
pub(super) fn across_yuv(picked: [&[u8]; 3], matrix: &Matrix, weights: &[i16], out: [&mut [i16]; 3]) {
    let [y, u, v] = picked;
    let [blue, green, red] = out;
    for x in 0..weights.len() / 2 {
        let [left, right] = [2 * x, 2 * x + 1].map(|at| reference::bgr(matrix, y[at], u[at], v[at]));
        let weights = [weights[2 * x], weights[2 * x + 1]];
        blue[x] = blend(left[0], right[0], weights);
        green[x] = blend(left[1], right[1], weights);
        red[x] = blend(left[2], right[2], weights);
    }
}

/// Blends each pair of picked BGR samples, in 1/128.
pub(super) fn across_bgr(picked: [&[u8]; 3], weights: &[i16], out: [&mut [i16]; 3]) {
    for (picked, out) in picked.into_iter().zip(out) {
        for ((out, pair), weights) in out.iter_mut().zip(picked.chunks_exact(2)).zip(weights.chunks_exact(2)) {
            *out = blend(pair[0], pair[1], [weights[0], weights[1]]);
        }
    }
}

fn blend(left: u8, right: u8, weights: [i16; 2]) -> i16 {
    ((i32::from(left) * i32::from(weights[0]) + i32::from(right) * i32::from(weights[1])) >> 4) as i16
}

/// Blends two rows and converts them to hue, saturation and value.
pub(super) fn down(above: [&[i16]; 3], below: [&[i16]; 3], weights: [i16; 2], out: [&mut [u8]; 3]) {
    let times = |value: i16, weight: i16| (i32::from(value) * i32::from(weight)) >> 16;
    let [hue, saturation, value] = out;
    for x in 0..hue.len() {
        let bgr = [0, 1, 2]
            .map(|c| ((times(above[c][x], weights[0]) + times(below[c][x], weights[1]) + 2) >> 2).clamp(0, 255) as u8);
        [hue[x], saturation[x], value[x]] = reference::hsv(bgr);
    }
}
