//! Backgrounds: two muted colours, spread by a pattern.

use image::RgbImage;

use crate::script::{Background, Pattern};

use super::{Size, mix};

pub(super) fn draw(background: &Background, size: Size) -> RgbImage {
    let short = size.short();
    let cells = background.cells as f32;
    RgbImage::from_fn(size.width, size.height, |column, row| {
        let (x, y) = (column as f32 + 0.5, row as f32 + 0.5);
        let (u, v) = (x / short * cells, y / short * cells);
        let share = match background.pattern {
            Pattern::Solid => 0.0,
            Pattern::GradientDown => y / size.height as f32,
            Pattern::GradientAcross => x / size.width as f32,
            Pattern::StripesDown => odd(u as u32),
            Pattern::StripesAcross => odd(v as u32),
            Pattern::Checker => odd(u as u32 + v as u32),
            Pattern::Noise => noise(u, v, background.grain),
        };
        let [one, other] = [background.one, background.other];
        image::Rgb(std::array::from_fn(|channel| mix(one[channel], other[channel], share)))
    })
}

fn odd(cell: u32) -> f32 {
    (cell & 1) as f32
}

/// Value noise: random levels on the lattice, smoothly joined.
fn noise(u: f32, v: f32, grain: u32) -> f32 {
    let (column, row) = (u as u32, v as u32);
    let smooth = |part: f32| part * part * (3.0 - 2.0 * part);
    let (across, down) = (smooth(u - column as f32), smooth(v - row as f32));
    let level = |i: u32, j: u32| lattice(column + i, row + j, grain);
    let top = level(0, 0) + (level(1, 0) - level(0, 0)) * across;
    let bottom = level(0, 1) + (level(1, 1) - level(0, 1)) * across;
    top + (bottom - top) * down
}

/// A level in `0..1` for a lattice point (the finaliser of MurmurHash3).
fn lattice(column: u32, row: u32, grain: u32) -> f32 {
    let mut hash = grain ^ column.wrapping_mul(0x9E37_79B1) ^ row.wrapping_mul(0x85EB_CA77);
    hash = (hash ^ (hash >> 16)).wrapping_mul(0x85EB_CA6B);
    hash = (hash ^ (hash >> 13)).wrapping_mul(0xC2B2_AE35);
    ((hash ^ (hash >> 16)) >> 8) as f32 / 16_777_216.0
}
