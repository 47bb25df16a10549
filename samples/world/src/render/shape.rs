//! Signed distances to the outlines, in units of the radius: negative inside, y down.

use crate::words::Shape;

/// No outline goes further from the centre than this to any side, in radii.
pub(super) const REACH: f32 = 1.22;

const SQUARE: f32 = 0.86;
const ARM: f32 = 0.34;
const RING: [f32; 2] = [0.74, 0.26];
const DIAMOND: f32 = 0.70;
const STAR: f32 = 0.46;
/// The triangle's corners: tip, and half the base with its height.
const TIP: f32 = -1.0;
const BASE: [f32; 2] = [0.95, 0.72];

/// A crescent is the unit disc without a disc of radius `BITE[1]` whose centre lies `BITE[0]` to the right.
const BITE: [f32; 2] = [0.52, 0.78];
/// The corners of a flash of lightning, in order.
const BOLT: [[f32; 2]; 6] = [[0.25, -1.0], [-0.62, 0.18], [-0.06, 0.18], [-0.3, 1.0], [0.62, -0.26], [0.08, -0.26]];
/// An hourglass widens by this much for each step up or down from its waist, which is twice `WAIST` wide.
const FLARE: f32 = 0.6;
const WAIST: f32 = 0.15;
/// An arrow points upwards: half the width of its shaft, and where its head ends.
const SHAFT: f32 = 0.26;
const HEAD: f32 = 0.12;

/// How far `(x, y)` lies outside `shape`, which is leaner or stouter than usual by `build` from -1 to 1.
pub(super) fn distance(shape: Shape, build: f32, x: f32, y: f32) -> f32 {
    let built = |usual: f32, by: f32| usual + by * build;
    match shape {
        Shape::Circle => length(x, y) - 1.0,
        // Corners that would leave REACH if these two were much stouter.
        Shape::Square => {
            let half = SQUARE + 0.06 * build.min(0.0);
            rectangle(x, y, half, half)
        }
        Shape::Triangle => triangle(x, y, BASE[1] + 0.2 * build.min(0.2)),
        Shape::Star => star(x, y, built(STAR, 0.09)),
        Shape::Heart => heart(x * built(1.0, -0.12), y),
        Shape::Cross => {
            let arm = built(ARM, 0.09);
            rectangle(x, y, 1.0, arm).min(rectangle(x, y, arm, 1.0))
        }
        Shape::Diamond => {
            let half = built(DIAMOND, 0.15);
            (x.abs() + (y.abs() - 1.0) * half) / length(1.0, half)
        }
        Shape::Ring => {
            let half = built(RING[1], 0.1);
            (length(x, y) - (1.0 - half)).abs() - half
        }
        Shape::Arrow => arrow(x, y, built(SHAFT, 0.08), built(HEAD, 0.2)),
        Shape::Crescent => {
            let middle = built(BITE[0], 0.08);
            (length(x, y) - 1.0).max(BITE[1] - length(x - middle, y))
        }
        Shape::Hourglass => hourglass(x, y, built(FLARE, 0.12), built(WAIST, 0.1)),
        Shape::Bolt => polygon(&BOLT, x * built(1.0, -0.2), y),
    }
}

fn length(x: f32, y: f32) -> f32 {
    (x * x + y * y).sqrt()
}

fn rectangle(x: f32, y: f32, half_width: f32, half_height: f32) -> f32 {
    let (u, v) = (x.abs() - half_width, y.abs() - half_height);
    length(u.max(0.0), v.max(0.0)) + u.max(v).min(0.0)
}

/// The larger of the distances to the slanted sides and to the base.
fn triangle(x: f32, y: f32, base: f32) -> f32 {
    let height = base - TIP;
    let side = (x.abs() * height - (y - TIP) * BASE[0]) / length(height, BASE[0]);
    side.max(y - base)
}

/// A triangular head on a shaft.
fn arrow(x: f32, y: f32, shaft: f32, neck: f32) -> f32 {
    let side = (x.abs() * (neck + 1.0) - (y + 1.0) * 0.9) / length(neck + 1.0, 0.9);
    let head = side.max(y - neck);
    head.min(rectangle(x, y - 0.5, shaft, 0.5))
}

/// Two triangles, tip to tip.
fn hourglass(x: f32, y: f32, flare: f32, waist: f32) -> f32 {
    let side = (x.abs() - (y.abs() * flare + waist)) / length(1.0, flare);
    side.max(y.abs() - 0.95)
}

/// The distance to the nearest edge, negative inside (crossings of a ray, after Inigo Quilez).
fn polygon(corners: &[[f32; 2]], x: f32, y: f32) -> f32 {
    let mut nearest = f32::MAX;
    let mut inside = false;
    let mut last = corners[corners.len() - 1];
    for &corner in corners {
        let (ex, ey) = (last[0] - corner[0], last[1] - corner[1]);
        let (wx, wy) = (x - corner[0], y - corner[1]);
        let along = ((wx * ex + wy * ey) / (ex * ex + ey * ey)).clamp(0.0, 1.0);
        nearest = nearest.min(length(wx - ex * along, wy - ey * along));
        if (corner[1] > y) != (last[1] > y) && wx < ex * wy / ey {
            inside = !inside;
        }
        last = corner;
    }
    if inside { -nearest } else { nearest }
}

/// Five points, by folding the plane into one half of one point (after Inigo Quilez, "2D distance functions").
fn star(x: f32, y: f32, inner: f32) -> f32 {
    // Cosine and sine of 36 degrees.
    const COS: f32 = 0.809_017;
    const SIN: f32 = 0.587_785_25;
    let (mut px, mut py) = (x.abs(), -y);
    let fold = (COS * px - SIN * py).max(0.0) * 2.0;
    (px, py) = (px - fold * COS, py + fold * SIN);
    let fold = (-COS * px - SIN * py).max(0.0) * 2.0;
    (px, py) = (px + fold * COS, py + fold * SIN);
    (px, py) = (px.abs(), py - 1.0);
    let (bx, by) = (inner * SIN, inner * COS - 1.0);
    let along = ((px * bx + py * by) / (bx * bx + by * by)).clamp(0.0, 1.0);
    let side = py * bx - px * by;
    length(px - bx * along, py - by * along).copysign(side)
}

/// A square on its corner with two half discs (after Inigo Quilez), scaled to the unit circle.
fn heart(x: f32, y: f32) -> f32 {
    const SCALE: f32 = 0.6;
    let (px, py) = (x.abs() * SCALE, 0.56 - y * SCALE);
    let signed = if px + py > 1.0 {
        length(px - 0.25, py - 0.75) - 0.353_553_4
    } else {
        let along = 0.5 * (px + py).max(0.0);
        length(px, py - 1.0).min(length(px - along, py - along)).copysign(px - py)
    };
    signed / SCALE
}
