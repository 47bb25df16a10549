//! The formulas, one pixel at a time.

use super::{Colour, Glance, Grid, Matrix, Picture};

/// The glance of `picture`, or every so many rows of it.
///
/// # Panics
/// When a plane holds fewer samples than the picture's size says.
#[must_use]
pub fn glance(picture: &Picture, every: usize) -> Glance {
    picture.check();
    let grid = Grid::new(picture.width, picture.height).sparse(every);
    let mut out = Glance::default();
    out.reshape(grid.columns.len(), grid.rows.len());
    let stride = out.stride();
    for (y, row) in grid.rows.iter().enumerate() {
        for (x, column) in grid.columns.iter().enumerate() {
            let [above, below] = [row.first, row.second].map(|y| {
                let [left, right] = [column.first, column.second].map(|x| bgr_at(picture, x, y));
                [0, 1, 2].map(|c| {
                    (i32::from(left[c]) * i32::from(column.weights[0])
                        + i32::from(right[c]) * i32::from(column.weights[1]))
                        >> 4
                })
            });
            let bgr = [0, 1, 2].map(|c| {
                let times = |value: i32, weight: i16| (value * i32::from(weight)) >> 16;
                let down = times(above[c], row.weights[0]) + times(below[c], row.weights[1]);
                ((down + 2) >> 2).clamp(0, 255) as u8
            });
            for (channel, value) in out.channels.iter_mut().zip(hsv(bgr)) {
                channel[y * stride + x] = value;
            }
        }
    }
    out
}

/// The colour of one pixel.
fn bgr_at(picture: &Picture, x: usize, y: usize) -> [u8; 3] {
    match picture.colour {
        Colour::Bgr => picture.planes.map(|plane| plane.sample(x, y)),
        Colour::Yuv { matrix, chroma: [across, down] } => {
            let [luma, u, v] = picture.planes;
            let chroma = (x >> across, y >> down);
            bgr(&matrix, luma.sample(x, y), u.sample(chroma.0, chroma.1), v.sample(chroma.0, chroma.1))
        }
    }
}

/// YUV to blue, green and red.
#[must_use]
pub fn bgr(matrix: &Matrix, y: u8, u: u8, v: u8) -> [u8; 3] {
    let times = |value: i32, factor: i16| (value * i32::from(factor)) >> 16;
    let luma = times(i32::from(y) * 8 - i32::from(matrix.offset), matrix.gain);
    let (u, v) = (i32::from(u) * 8 - 1024, i32::from(v) * 8 - 1024);
    [
        luma + times(u, matrix.blue_u),
        luma + times(u, matrix.green_u) + times(v, matrix.green_v),
        luma + times(v, matrix.red_v),
    ]
    .map(|value| value.clamp(0, 255) as u8)
}

/// Blue, green and red to hue (0 to 179), saturation and value.
#[must_use]
pub fn hsv(bgr: [u8; 3]) -> [u8; 3] {
    let [blue, green, red] = bgr.map(i32::from);
    let value = blue.max(green).max(red);
    let range = value - blue.min(green).min(red);
    let saturation = if value == 0 { 0 } else { range * (f64::from(255 << 12) / f64::from(value)).round() as i32 };
    let turn = if value == red {
        green - blue
    } else if value == green {
        blue - red + 2 * range
    } else {
        red - green + 4 * range
    };
    let hue = if range == 0 { 0 } else { turn * (f64::from(180 << 12) / f64::from(6 * range)).round() as i32 };
    let hue = (hue + 2048) >> 12;
    [if hue < 0 { hue + 180 } else { hue }, (saturation + 2048) >> 12, value].map(|value| value as u8)
}

/// The mean absolute difference of hue, saturation and value.
#[must_use]
pub fn delta(a: &Glance, b: &Glance) -> [f64; 3] {
    let mut sums = [0.0; 3];
    for (channel, sum) in sums.iter_mut().enumerate() {
        for y in 0..a.height {
            for x in 0..a.width {
                let at = y * a.stride() + x;
                *sum += f64::from(a.channels[channel][at].abs_diff(b.channels[channel][at]));
            }
        }
    }
    sums.map(|sum| sum / (a.width * a.height) as f64)
}
