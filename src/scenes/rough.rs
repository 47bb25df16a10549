//! Scenes as far as some frames of a video tell them apart: what a look knows of them for next to nothing.

use super::similarity::{Similarity, cosine, features};
use longsight_kernels::glance::{Colour, Glance, Glancer, Level, Picture, Plane};
use longsight_models::Frame;

/// A glance at a frame takes every so many of its rows: [`features`] are means over an eighth of the picture.
const ROWS: usize = 4;
/// Frames half a second apart differ more than neighbours do, for which 0.9 is meant: of the 135 cuts that `longsight scenes` finds in the ten
/// minutes of Big Buck Bunny, `ask` at two frames a second tells 118, and 28 that are none.
const THRESHOLD: f64 = 0.8;
/// The most cuts: a film that is looked at once in some seconds changes with every frame, and a list of frames says nothing.
const MAX_CUTS: usize = 299;

/// Takes the frames of a look one by one, and knows where the picture changed.
///
/// The measure is that of [`Similarity`], between neighbours that lie further apart: a cut is found at the first frame after it, a
/// scene that no frame shows not at all.
pub struct Rough {
    glancer: Glancer,
    glance: Glance,
    last: Vec<f32>,
    /// Seconds and likeness to the one before
    frames: Vec<(f64, f32)>,
}

impl Default for Rough {
    fn default() -> Self {
        let glancer = Glancer::sparse(Level::detect(), ROWS);
        Self { glancer, glance: Glance::default(), last: Vec::new(), frames: Vec::new() }
    }
}

impl Rough {
    /// Adds the next frame in time.
    pub fn push(&mut self, frame: &Frame) {
        let (image, bytes) = (&frame.image, frame.image.as_raw());
        let (width, height) = (image.width() as usize, image.height() as usize);
        if width == 0 || height == 0 {
            return;
        }
        // Blue, green and red, each from its first byte on.
        let channels =
            [2, 1, 0].map(|first| bytes.chunks_exact(3 * width).map(|row| &row[first..]).collect::<Vec<_>>());
        let planes = channels.each_ref().map(|rows| Plane { rows, step: 3, bits: 8 });
        self.glancer.look(&Picture { width, height, planes, colour: Colour::Bgr }, &mut self.glance);
        let features = features(&self.glance);
        let likeness = if self.frames.is_empty() { 1.0 } else { cosine(&self.last, &features) };
        self.frames.push((frame.time.seconds(), likeness));
        self.last = features;
    }

    /// The times of the frames that begin a new scene, ascending, without the first frame's.
    #[must_use]
    pub fn cuts(&self) -> Vec<f64> {
        let cuts =
            Similarity { threshold: THRESHOLD, max_cuts: MAX_CUTS, ..Similarity::default() }.lowest(&self.frames);
        cuts.into_iter().map(|at| self.frames[at].0).collect()
    }
}
