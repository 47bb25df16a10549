//! Backgrounds: two muted colours, spread by a pattern, seen by a camera.

use image::RgbImage;

use crate::script::{Background, Camera, Pattern};

use super::{Size, mix};

/// Which part of the background is seen: it has moved by `pan` short sides and is `zoom` times as large.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct View {
    pan: [f32; 2],
    zoom: f32,
}

impl View {
    pub(super) const STILL: Self = Self { pan: [0.0, 0.0], zoom: 1.0 };

    /// What the camera shows when `share` of its way is done.
    pub(super) fn of(camera: &Camera, share: f64) -> Self {
        let zoom = 1.0 + (camera.zoom - 1.0) * share;
        Self { pan: camera.pan.map(|way| (way * share) as f32), zoom: zoom as f32 }
    }
}

pub(super) fn draw(background: &Background, size: Size, view: View) -> RgbImage {
    let short = size.short();
    let cells = background.cells as f32;
    let (width, height) = (size.width as f32, size.height as f32);
    RgbImage::from_fn(size.width, size.height, |column, row| {
        // Zooming is about the middle of the picture.
        let seen = |at: u32, long: f32, pan: f32| (at as f32 + 0.5 - long / 2.0) / view.zoom + long / 2.0 - pan * short;
        let (x, y) = (seen(column, width, view.pan[0]), seen(row, height, view.pan[1]));
        let (u, v) = (x / short * cells, y / short * cells);
        let share = match background.pattern {
            Pattern::Solid => 0.0,
            Pattern::GradientDown => (y / height).clamp(0.0, 1.0),
            Pattern::GradientAcross => (x / width).clamp(0.0, 1.0),
            Pattern::StripesDown => odd(cell(u)),
            Pattern::StripesAcross => odd(cell(v)),
            Pattern::Checker => odd(cell(u).wrapping_add(cell(v))),
            Pattern::Noise => noise(u, v, background.grain),
            Pattern::GradientRound => {
                let (dx, dy) = (x / width - 0.5, y / height - 0.5);
                ((dx * dx + dy * dy).sqrt() * 1.5).min(1.0)
            }
            Pattern::Slanted => odd(cell(u + v)),
            Pattern::Dots => {
                let (dx, dy) = (u - u.floor() - 0.5, v - v.floor() - 0.5);
                if dx * dx + dy * dy < DOT * DOT { 1.0 } else { 0.0 }
            }
            Pattern::Bricks => {
                let (row, beside) = (v * 2.0, odd(cell(v * 2.0)) / 2.0);
                let (along, up) = (u + beside, row);
                if along - along.floor() < JOINT || up - up.floor() < JOINT * 2.0 { 1.0 } else { 0.0 }
            }
        };
        let [one, other] = [background.one, background.other];
        image::Rgb(std::array::from_fn(|channel| mix(one[channel], other[channel], share)))
    })
}

/// Radius of a dot and width of the joint between bricks, in cells.
const DOT: f32 = 0.3;
const JOINT: f32 = 0.1;

/// The cell that a coordinate lies in; those before the first count on downwards.
fn cell(at: f32) -> u32 {
    at.floor() as i32 as u32
}

fn odd(cell: u32) -> f32 {
    (cell & 1) as f32
}

/// Value noise: random levels on the lattice, smoothly joined.
fn noise(u: f32, v: f32, grain: u32) -> f32 {
    let (column, row) = (cell(u), cell(v));
    let smooth = |part: f32| part * part * (3.0 - 2.0 * part);
    let (across, down) = (smooth(u - u.floor()), smooth(v - v.floor()));
    let level = |i: u32, j: u32| lattice(column.wrapping_add(i), row.wrapping_add(j), grain);
    let top = level(0, 0) + (level(1, 0) - level(0, 0)) * across;
    let bottom = level(0, 1) + (level(1, 1) - level(0, 1)) * across;
    top + (bottom - top) * down
}

/// A level in `0..1` for a lattice point (the finaliser of MurmurHash3).
pub(super) fn lattice(column: u32, row: u32, grain: u32) -> f32 {
    let mut hash = grain ^ column.wrapping_mul(0x9E37_79B1) ^ row.wrapping_mul(0x85EB_CA77);
    hash = (hash ^ (hash >> 16)).wrapping_mul(0x85EB_CA6B);
    hash = (hash ^ (hash >> 13)).wrapping_mul(0xC2B2_AE35);
    ((hash ^ (hash >> 16)) >> 8) as f32 / 16_777_216.0
}
