//! What happens in a clip, and when: the ground truth.
//!
//! In: a seed and [`Wishes`]. Out: a [`Script`], which says everything a viewer can be asked about. Times are seconds from
//! the start of the clip, multiples of 0.5; spans are `[start, end)`. Never touches pixels.

mod board;
mod haystack;
mod place;
mod write;

pub use haystack::{Haystack, NEEDLE_S, SHORTEST_S};

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
    /// How the background moves; objects and signs do not move with it.
    pub camera: Option<Camera>,
    /// Drawn in this order.
    pub objects: Vec<Object>,
    /// Drawn over the objects.
    pub post: Option<Post>,
    /// Drawn over the post.
    pub sign: Option<Sign>,
    /// When the picture turns nearly white, for [`FLASH`] seconds.
    pub flash: Option<f64>,
    /// Largest change of a pixel's brightness by film grain, in levels of 255.
    pub grain: u8,
}

/// How long a flash lasts, in seconds.
pub const FLASH: f64 = 0.15;

/// An even movement over the background, from the start of the scene to its end.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Camera {
    /// How far the background has gone in the end: fractions of the short side, right and down.
    pub pan: [f64; 2],
    /// How many times as large the background is in the end.
    pub zoom: f64,
}

/// An upright bar from the upper to the lower edge, behind which objects pass: narrow enough to hide none of them whole.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Post {
    /// Its middle: a fraction of the width.
    pub x: f64,
    /// A fraction of the short side.
    pub width: f64,
    /// Nearly grey, sRGB.
    pub rgb: [u8; 3],
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
    /// Stripes, checks, bricks, dots or noise cells across the short side.
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
    GradientRound,
    Slanted,
    Dots,
    Bricks,
}

impl Pattern {
    /// Every pattern.
    pub const ALL: [Self; 11] = [
        Self::Solid,
        Self::GradientDown,
        Self::GradientAcross,
        Self::StripesDown,
        Self::StripesAcross,
        Self::Checker,
        Self::Noise,
        Self::GradientRound,
        Self::Slanted,
        Self::Dots,
        Self::Bricks,
    ];
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
    /// What it does.
    pub motion: Motion,
    /// Where its centre is when it appears: fractions of width and height.
    pub from: [f64; 2],
    /// Where its centre is when it vanishes.
    pub to: [f64; 2],
    /// Fractions of the short side, when it appears and when it vanishes.
    pub diameters: [f64; 2],
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

/// A word, a number or a counter on a plate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sign {
    /// Capitals or digits; of a counter what it shows at first, as `3:07`.
    pub text: String,
    /// Whether the text counts up by one every [`TICK`] seconds.
    #[serde(default)]
    pub counts: bool,
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

/// Seconds from one number of a counter to the next.
pub const TICK: f64 = 2.0;

impl Sign {
    /// What it says at `time`.
    pub fn text_at(&self, time: f64) -> String {
        if !self.counts {
            return self.text.clone();
        }
        let first = count_of(&self.text);
        let ticks = ((time - self.span[0]) / TICK).max(0.0) as u32;
        shown(first + ticks)
    }
}

/// A count as a counter shows it: `3:07` for 187.
pub(crate) fn shown(count: u32) -> String {
    format!("{}:{:02}", count / 60 % 10, count % 60)
}

fn count_of(text: &str) -> u32 {
    let (minutes, seconds) = text.split_once(':').unwrap_or(("0", text));
    minutes.parse::<u32>().unwrap_or(0) * 60 + seconds.parse::<u32>().unwrap_or(0)
}

/// One colour of one object, with the time it is seen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sighting {
    /// What is seen.
    pub pair: Pair,
    /// When.
    pub span: Span,
    /// What it does.
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
        let share = self.share(time);
        [self.from[0] + (self.to[0] - self.from[0]) * share, self.from[1] + (self.to[1] - self.from[1]) * share]
    }

    /// Its diameter at `time`, as a fraction of the short side.
    pub fn diameter(&self, time: f64) -> f64 {
        let [first, last] = self.diameters;
        first + (last - first) * self.share(time)
    }

    /// How much of its time has passed at `time`.
    fn share(&self, time: f64) -> f64 {
        let [start, end] = self.span;
        ((time - start) / (end - start)).clamp(0.0, 1.0)
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
