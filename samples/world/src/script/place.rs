//! Where objects and signs may be: mostly inside the picture, beside one another, not under the sign.

use crate::dice::Dice;
use crate::words::Motion;

use super::{Object, Sign, Span};

/// The part of the picture's height that objects may use, as `[top, bottom]`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room(pub(super) [f64; 2]);

/// Share of the radius that must lie inside the picture or the room.
const INSIDE: f64 = 0.85;
/// A moving object goes at least this far, as a fraction of the picture: a third of its own size, seen at a glance.
const SHORTEST_WAY: f64 = 0.22;
/// Distance of two centres, in sums of their radii, below which they would overlap too much.
const APART: f64 = 0.95;

/// A diameter, and the two ends of the way.
pub(super) struct Place {
    pub(super) diameter: f64,
    pub(super) from: [f64; 2],
    pub(super) to: [f64; 2],
}

/// A random place for an object that goes in direction `motion`; `None` where the room is too small for the way.
pub(super) fn place(dice: &mut Dice, room: Room, motion: Motion, crowd: usize) -> Option<Place> {
    let height = room.0[1] - room.0[0];
    let largest = (if crowd > 1 { 0.38 } else { 0.45_f64 }).min(height / 1.2);
    let diameter = rounded(dice.real(0.25, largest.max(0.26)));
    let margin = diameter / 2.0 * INSIDE;
    let across = [margin, 1.0 - margin];
    let down = [room.0[0] + margin, room.0[1] - margin];
    let start = [rounded(dice.real(across[0], across[1])), rounded(dice.real(down[0], down[1]))];
    let (axis, range, sign) = match motion {
        Motion::Still => return Some(Place { diameter, from: start, to: start }),
        Motion::Left => (0, across, -1.0),
        Motion::Right => (0, across, 1.0),
        Motion::Up => (1, down, -1.0),
        Motion::Down => (1, down, 1.0),
    };
    let length = range[1] - range[0];
    if length < SHORTEST_WAY {
        return None;
    }
    let way = dice.real(SHORTEST_WAY.max(length * 0.45), length);
    let low = dice.real(range[0], range[1] - way);
    let (mut from, mut to) = (start, start);
    (from[axis], to[axis]) =
        if sign > 0.0 { (rounded(low), rounded(low + way)) } else { (rounded(low + way), rounded(low)) };
    Some(Place { diameter, from, to })
}

/// Whether `one` stays beside every object in `others` while both are visible.
pub(super) fn keeps_apart(one: &Object, others: &[Object]) -> bool {
    others.iter().all(|other| {
        let start = one.span[0].max(other.span[0]);
        let end = one.span[1].min(other.span[1]);
        let least = APART * (one.diameter + other.diameter) / 2.0;
        start >= end
            || (0..=24).all(|step| {
                let time = start + (end - start) * f64::from(step) / 24.0;
                let ([ax, ay], [bx, by]) = (one.centre(time), other.centre(time));
                (ax - bx) * (ax - bx) + (ay - by) * (ay - by) >= least * least
            })
    })
}

/// A sign for `text` and the room it leaves to objects. Without objects it may be anywhere.
pub(super) fn hang(dice: &mut Dice, text: String, span: Span, alone: bool) -> (Sign, Room) {
    let cells = (text.len() * 6 + 1) as f64;
    let stroke = rounded(dice.real(0.029, 0.038).min(0.97 / cells));
    let (width, height) = (cells * stroke, 9.0 * stroke);
    let x = dice.real(width / 2.0, (1.0 - width / 2.0).max(width / 2.0));
    let [top, bottom] = [height / 2.0 + 0.01, 1.0 - height / 2.0 - 0.01];
    let (y, room) = match (alone, dice.chance(50)) {
        (true, _) => (dice.real(top, bottom), Room([0.0, 1.0])),
        (false, true) => (top, Room([height + 0.02, 1.0])),
        (false, false) => (bottom, Room([0.0, 1.0 - height - 0.02])),
    };
    // Nearly grey plates: a plate must not be taken for a coloured square.
    let dark: [u8; 3] = std::array::from_fn(|_| dice.between(15, 45) as u8);
    let light: [u8; 3] = std::array::from_fn(|_| dice.between(205, 235) as u8);
    let (ink, plate) = if dice.chance(50) { (dark, light) } else { (light, dark) };
    (Sign { text, span, centre: [rounded(x), rounded(y)], stroke, ink, plate }, room)
}

/// Four decimals: a script reads well as JSON and comes back from it unchanged.
fn rounded(share: f64) -> f64 {
    (share * 1e4).round() / 1e4
}
