//! What happens in a clip, and when: the ground truth.
//!
//! In: a seed and [`Wishes`]. Out: a [`Script`], which says everything a viewer can be asked about. Times are seconds from
//! the start of the clip, multiples of 0.5; spans are `[start, end)`. Never touches pixels.

mod place;
mod write;

use serde::{Deserialize, Serialize};

use crate::dice::Split;
use crate::words::{Colour, Motion, Pair, Shape};

/// Times in the script are multiples of this many seconds.
pub const GRID: f64 = 0.5;

/// A stretch of time `[start, end)` in seconds from the start of the clip.
pub type Span = [f64; 2];

/// What a clip should be like.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Wishes {
    /// Shortest length in seconds, at least 1.
    pub shortest: f64,
    /// Longest length in seconds.
    pub longest: f64,
}

impl Default for Wishes {
    fn default() -> Self {
        Self { shortest: 10.0, longest: 60.0 }
    }
}

/// A clip from first to last frame.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Script {
    /// The split its seed belongs to.
    pub split: Split,
    /// The seed it was written from.
    pub seed: u64,
    /// Length in seconds.
    pub duration: f64,
    /// One after the other, without gaps.
    pub scenes: Vec<Scene>,
}

/// A stretch with one background.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scene {
    /// When it is shown.
    pub span: Span,
    /// How it takes over from the scene before.
    pub entrance: Entrance,
    /// What lies behind everything.
    pub background: Background,
    /// Drawn in this order.
    pub objects: Vec<Object>,
    /// Drawn over the objects.
    pub sign: Option<Sign>,
}

/// How a scene takes over from the one before. A change of `seconds` ends at the start of the scene, so that the first
/// frame of a scene shows that scene alone.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Entrance {
    /// From one frame to the next.
    Cut,
    /// The old picture becomes the new one.
    CrossDissolve {
        /// How long it takes.
        seconds: f64,
    },
    /// The old picture becomes black, black becomes the new one.
    ThroughBlack {
        /// How long both together take.
        seconds: f64,
    },
}

/// A muted picture behind the objects. Colours are sRGB.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Background {
    /// How the two colours are spread.
    pub pattern: Pattern,
    /// The first colour.
    pub one: [u8; 3],
    /// The second colour.
    pub other: [u8; 3],
    /// Stripes, checks or noise cells across the short side.
    pub cells: u32,
    /// Seed of the noise.
    pub grain: u32,
}

/// How the two colours of a background are spread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Pattern {
    Solid,
    GradientDown,
    GradientAcross,
    StripesDown,
    StripesAcross,
    Checker,
    Noise,
}

/// A coloured shape that is visible during one span.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Object {
    /// Its colour in words, until it is repainted.
    pub colour: Colour,
    /// Its outline.
    pub shape: Shape,
    /// Its exact colour, sRGB.
    pub rgb: [u8; 3],
    /// When it is visible.
    pub span: Span,
    /// Which way it goes.
    pub motion: Motion,
    /// Where its centre is when it appears: fractions of width and height.
    pub from: [f64; 2],
    /// Where its centre is when it vanishes.
    pub to: [f64; 2],
    /// Fraction of the short side.
    pub diameter: f64,
    /// A change of colour while it is visible.
    pub repaint: Option<Repaint>,
}

/// A change of colour.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Repaint {
    /// When it happens.
    pub at: f64,
    /// The new colour in words.
    pub colour: Colour,
    /// The new colour, sRGB.
    pub rgb: [u8; 3],
}

/// A word or number on a plate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sign {
    /// Capitals or digits.
    pub text: String,
    /// When it is visible.
    pub span: Span,
    /// Centre of the plate: fractions of width and height.
    pub centre: [f64; 2],
    /// Width of the thinnest stroke, as a fraction of the short side; a letter is five wide and seven high.
    pub stroke: f64,
    /// Colour of the letters, sRGB.
    pub ink: [u8; 3],
    /// Colour of the plate, sRGB.
    pub plate: [u8; 3],
}

/// One colour of one object, with the time it is seen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sighting {
    /// What is seen.
    pub pair: Pair,
    /// When.
    pub span: Span,
    /// Which way it goes.
    pub motion: Motion,
    /// Whether the object has another colour before or after.
    pub repainted: bool,
}

impl Script {
    /// Everything coloured that can be seen, ordered by start.
    pub fn sightings(&self) -> Vec<Sighting> {
        let mut found: Vec<Sighting> =
            self.scenes.iter().flat_map(|scene| &scene.objects).flat_map(Object::sightings).collect();
        found.sort_by(|a, b| a.span[0].total_cmp(&b.span[0]));
        found
    }

    /// Every sign, ordered by start.
    pub fn signs(&self) -> Vec<&Sign> {
        let mut found: Vec<&Sign> = self.scenes.iter().filter_map(|scene| scene.sign.as_ref()).collect();
        found.sort_by(|a, b| a.span[0].total_cmp(&b.span[0]));
        found
    }
}

impl Object {
    /// Its centre at `time`, as fractions of width and height.
    pub fn centre(&self, time: f64) -> [f64; 2] {
        let [start, end] = self.span;
        let share = ((time - start) / (end - start)).clamp(0.0, 1.0);
        [self.from[0] + (self.to[0] - self.from[0]) * share, self.from[1] + (self.to[1] - self.from[1]) * share]
    }

    /// Its colour at `time`.
    pub fn rgb_at(&self, time: f64) -> [u8; 3] {
        match self.repaint {
            Some(repaint) if time >= repaint.at => repaint.rgb,
            _ => self.rgb,
        }
    }

    fn sightings(&self) -> Vec<Sighting> {
        let seen = |colour, span| Sighting {
            pair: Pair { colour, shape: self.shape },
            span,
            motion: self.motion,
            repainted: self.repaint.is_some(),
        };
        match self.repaint {
            None => vec![seen(self.colour, self.span)],
            Some(Repaint { at, colour, .. }) => {
                vec![seen(self.colour, [self.span[0], at]), seen(colour, [at, self.span[1]])]
            }
        }
    }
}

#[cfg(test)]
mod tests;
