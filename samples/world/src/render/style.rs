//! How a script is drawn: what another renderer of the same script would do differently.

use crate::dice::{Dice, Split};

/// The stream of choices a style is drawn from.
const PURPOSE: u8 = 3;

/// The hand that draws. None of it is part of what happens in a clip.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Style {
    /// Width of an object's edge from nothing to full cover, in pixels.
    pub edge: f32,
    /// Width of a line around an object, in radii, and its brightness; 0 draws none.
    pub line: (f32, u8),
    /// Objects are drawn so many times as large.
    pub size: f32,
    /// How much wider than a cell the strokes of letters are on each side, in cells.
    pub bold: f32,
    /// How far letters lean to the right, in cells of width for one of height.
    pub slant: f32,
    /// All brightness is multiplied by this: a dim or a harsh camera.
    pub light: f32,
    /// How lean or stout shapes are that can be either and keep their names, from -1 to 1: the arms of crosses, the points of stars.
    pub build: f32,
    /// What letters look like.
    pub hand: Hand,
}

/// What letters look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hand {
    /// Cells of a grid, five by seven.
    Cells,
    /// Strokes of a round pen, as a sans serif has them.
    Pen,
}

impl Default for Style {
    fn default() -> Self {
        Self { edge: 1.0, line: (0.0, 0), size: 1.0, bold: 0.1, slant: 0.0, light: 1.0, build: 0.0, hand: Hand::Cells }
    }
}

impl Style {
    /// A style drawn from a clip's seed, for training: half of them are the default but for one thing, the others differ in
    /// everything.
    pub fn drawn(split: Split, seed: u64) -> Self {
        let mut dice = Dice::new(split, seed, PURPOSE);
        let every = dice.chance(50);
        let only = dice.below(8);
        let mut style = Self::default();
        let mut real = |part: usize, low: f64, high: f64, old: f32| {
            let new = dice.real(low, high) as f32;
            if every || part == only { new } else { old }
        };
        style.edge = real(0, 0.4, 2.4, style.edge);
        let line = real(1, -0.1, 0.16, style.line.0).max(0.0);
        style.size = real(2, 0.92, 1.1, style.size);
        style.bold = real(3, 0.0, 0.22, style.bold);
        style.slant = real(4, -0.2, 0.2, style.slant);
        style.light = real(5, 0.8, 1.12, style.light);
        style.build = real(6, -1.0, 1.0, style.build);
        style.line = (line, *dice.pick(&[0, 0, 40, 255]));
        if dice.chance(if every || only == 7 { 70 } else { 25 }) {
            style.hand = Hand::Pen;
        }
        style
    }
}
