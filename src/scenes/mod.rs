//! Where does the picture change?
//!
//! Comes in: a video, a [`Detector`]. Goes out: [`Scenes`], which cover it without gaps, each with exact times. On the
//! way every frame becomes a glance (at most 256 pixels on the longer side) and a [`Row`] of scores; no full-size RGB
//! picture is made. Never: a model, a second look at the file for more than a gap, a time that is no frame's.
//!
//! ```text
//! file -> pieces between key frames -> glances -> rows (change, likeness) -> cuts -> scenes
//! ```

mod adaptive;
mod apart;
mod busy;
mod content;
mod flash;
mod glance;
mod list;
mod rough;
mod similarity;
mod survey;
#[cfg(test)]
mod tests;

pub use adaptive::Adaptive;
pub use apart::serve;
pub use content::Content;
pub use list::{Scene, Scenes};
pub use rough::Rough;
pub use similarity::{Similarity, cosine, features};
pub use survey::{Row, Survey, Wishes, survey};

use crate::decode::{DecodeError, Feed};
use longsight_models::Span;
use serde_json::Value;

/// Shortest scene in seconds, where nothing else is asked for.
pub const MIN_SCENE_S: f64 = 0.6;

/// A way to find scenes: rows of cheap scores in, cuts out.
pub trait Detector: Send + Sync {
    /// The name by which it is chosen.
    fn name(&self) -> &'static str;

    /// What the rows must hold.
    fn wishes(&self) -> Wishes;

    /// The indices of the frames that begin a new scene, ascending, without the first frame. `frame_rate` is the
    /// video's average, for lengths that are counted in frames.
    fn cuts(&self, rows: &[Row], frame_rate: f64) -> Vec<usize>;

    /// Its settings, for the record.
    fn settings(&self) -> Value;
}

/// Finds the scenes of a video; `progress` is told how many seconds of it are done.
///
/// # Errors
/// When the file is no video that can be read, or not one frame can be decoded.
pub fn detect(
    feed: &Feed,
    detector: &dyn Detector,
    range: Option<Span>,
    progress: &mut dyn FnMut(f64),
) -> Result<Scenes, DecodeError> {
    let survey = survey(feed, detector.wishes(), range, progress)?;
    Ok(Scenes::new(feed.path(), detector, survey))
}
