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
/// Distance of two centres, in sums of their radii: beside each other, and one partly behind the other.
pub(super) const BESIDE: f64 = 0.95;
pub(super) const OVERLAPPING: f64 = 0.7;

/// A growing object is in the end this many times as large as at first.
const GROWTH: [f64; 2] = [1.6, 1.85];

/// The diameters and centres at both ends of the way.
pub(super) struct Place {
    pub(super) diameters: [f64; 2],
    pub(super) from: [f64; 2],
    pub(super) to: [f64; 2],
}

/// A random place for an object that does `motion`; `None` where the room is too small for its way.
pub(super) fn place(dice: &mut Dice, room: Room, motion: Motion, crowd: usize) -> Option<Place> {
    let height = room.0[1] - room.0[0];
    let largest = (if crowd > 1 { 0.38 } else { 0.45_f64 }).min(height / 1.2);
    let diameters = match motion {
        Motion::Grows | Motion::Shrinks => {
            let small = dice.real(0.21, 0.25);
            let large = (small * dice.real(GROWTH[0], GROWTH[1])).min(largest);
            if large < small * GROWTH[0] {
                return None;
            }
            let (small, large) = (rounded(small), rounded(large));
            if motion == Motion::Grows { [small, large] } else { [large, small] }
        }
        _ => [rounded(dice.real(0.25, largest.max(0.26))); 2],
    };
    let margin = diameters[0].max(diameters[1]) / 2.0 * INSIDE;
    let ranges = [[margin, 1.0 - margin], [room.0[0] + margin, room.0[1] - margin]];
    let (mut from, mut to) = ([0.0; 2], [0.0; 2]);
    for (axis, ([low, high], way)) in ranges.into_iter().zip(motion.way()).enumerate() {
        let length = high - low;
        if way == 0.0 {
            let middle = rounded(dice.real(low, high));
            (from[axis], to[axis]) = (middle, middle);
        } else if length < SHORTEST_WAY {
            return None;
        } else {
            let long = dice.real(SHORTEST_WAY.max(length * 0.45), length);
            let start = dice.real(low, high - long);
            let ends = (rounded(start), rounded(start + long));
            (from[axis], to[axis]) = if way > 0.0 { ends } else { (ends.1, ends.0) };
        }
    }
    Some(Place { diameters, from, to })
}

/// Whether the centres of `one` and of every object in `others` stay at least `apart` sums of their radii from each other while
/// both are visible.
pub(super) fn keeps_apart(one: &Object, others: &[Object], apart: f64) -> bool {
    others.iter().all(|other| {
        let start = one.span[0].max(other.span[0]);
        let end = one.span[1].min(other.span[1]);
        start >= end
            || (0..=24).all(|step| {
                let time = start + (end - start) * f64::from(step) / 24.0;
                let ([ax, ay], [bx, by]) = (one.centre(time), other.centre(time));
                let least = apart * (one.diameter(time) + other.diameter(time)) / 2.0;
                (ax - bx) * (ax - bx) + (ay - by) * (ay - by) >= least * least
            })
    })
}

/// A sign for `text` and the room it leaves to objects. Without objects it may be anywhere.
pub(super) fn hang(dice: &mut Dice, text: String, counts: bool, span: Span, alone: bool) -> (Sign, Room) {
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
    (Sign { text, counts, span, centre: [rounded(x), rounded(y)], stroke, ink, plate }, room)
}

/// Four decimals: a script reads well as JSON and comes back from it unchanged.
fn rounded(share: f64) -> f64 {
    (share * 1e4).round() / 1e4
}
