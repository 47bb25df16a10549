//! The formula, a pixel at a time in f64.

use super::{CUBIC, Matrix, Planes};

/// See [`super::to_rgb`].
#[must_use]
pub fn to_rgb(planes: Planes, width: usize, matrix: Matrix) -> Vec<u8> {
    let weights = matrix.weights();
    let [far, near, next, last] = CUBIC.map(f64::from);
    // Around pixel `x` lie the samples x / 2 - 2 .. x / 2 + 2; an even one is nearer to the sample before, an odd one to the next.
    let taps = |x: usize| -> [(isize, f64); 4] {
        let i = (x / 2) as isize;
        if x.is_multiple_of(2) {
            [(i - 2, last), (i - 1, next), (i, near), (i + 1, far)]
        } else {
            [(i - 1, far), (i, near), (i + 1, next), (i + 2, last)]
        }
    };
    let (half, half_rows) = (width.div_ceil(2), planes.y.len().div_ceil(2));
    let clamp = |i: isize, len: usize| i.clamp(0, len as isize - 1) as usize;
    let chroma = |plane: &[&[u8]], x: usize, y: usize| -> f64 {
        let row = |row: isize| -> f64 {
            taps(x).iter().map(|&(i, weight)| weight * f64::from(plane[clamp(row, half_rows)][clamp(i, half)])).sum()
        };
        taps(y).iter().map(|&(i, weight)| weight * row(i)).sum::<f64>() - 128.0
    };
    let mut out = Vec::new();
    for (y, row) in planes.y.iter().enumerate() {
        for (x, &luma) in row[..width].iter().enumerate() {
            let luma = f64::from(weights.luma) * (f64::from(luma) - f64::from(weights.black));
            let (u, v) = (chroma(planes.u, x, y), chroma(planes.v, x, y));
            let red = luma + f64::from(weights.red_v) * v;
            let green = luma + f64::from(weights.green_u) * u + f64::from(weights.green_v) * v;
            let blue = luma + f64::from(weights.blue_u) * u;
            out.extend([red, green, blue].map(|level| level.round().clamp(0.0, 255.0) as u8));
        }
    }
    out
}
