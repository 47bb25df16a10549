//! Frames as the vision tower reads them: normalised, cut into patches, in the family's order.

use super::{Frame, ModelError, Span, Timestamp};
use candle_core::Tensor;
use std::ops::Range;

/// What a run of patches or visual tokens shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Medium {
    /// One still picture
    Image,
    /// Frames in time
    Video,
}

/// Patches along each axis, before any merging.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Grid {
    /// Temporal patches
    pub t: usize,
    /// Patch rows
    pub h: usize,
    /// Patch columns
    pub w: usize,
}

impl Grid {
    /// Patches in all.
    #[must_use]
    pub fn patches(self) -> usize {
        self.t * self.h * self.w
    }
}

/// Which frame it was, without its picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FrameRef {
    /// Ordinal in presentation order
    pub index: u64,
    /// Presentation time
    pub time: Timestamp,
}

impl From<&Frame> for FrameRef {
    fn from(frame: &Frame) -> Self {
        Self { index: frame.index, time: frame.time }
    }
}

/// The frames that one temporal patch shows; equal when the patch repeats a single frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PatchTime {
    /// Its first frame
    pub first: FrameRef,
    /// Its last frame
    pub last: FrameRef,
}

impl PatchTime {
    /// The middle between first and last frame, in seconds.
    #[must_use]
    pub fn mean_seconds(&self) -> f64 {
        (self.first.time.seconds() + self.last.time.seconds()) / 2.0
    }

    /// From the first to the last frame's time; empty for a repeated frame.
    #[must_use]
    pub fn span(&self) -> Span {
        Span::new(self.first.time.seconds(), self.last.time.seconds())
    }
}

/// Normalised pixels `[grid.patches(), channels * temporal * patch * patch]`, f32 on the CPU.
#[derive(Debug, Clone)]
pub struct Patches {
    pixels: Tensor,
    grid: Grid,
    times: Vec<PatchTime>,
    medium: Medium,
}

impl Patches {
    /// Pixels of one video (or of a chunk of whole temporal patches of it), or of one image.
    ///
    /// # Errors
    /// When the rows are not `grid.patches()` or the times not one per temporal patch.
    pub fn new(pixels: Tensor, grid: Grid, times: Vec<PatchTime>, medium: Medium) -> Result<Self, ModelError> {
        let (rows, _) = pixels.dims2()?;
        if rows != grid.patches() || times.len() != grid.t {
            return Err(ModelError::Shape {
                what: "patches",
                expected: vec![grid.patches(), grid.t],
                found: vec![rows, times.len()],
            });
        }
        Ok(Self { pixels, grid, times, medium })
    }

    /// `[grid.patches(), channels * temporal * patch * patch]`, f32.
    #[must_use]
    pub fn pixels(&self) -> &Tensor {
        &self.pixels
    }

    /// Patches along each axis.
    #[must_use]
    pub fn grid(&self) -> Grid {
        self.grid
    }

    /// One entry per temporal patch.
    #[must_use]
    pub fn times(&self) -> &[PatchTime] {
        &self.times
    }

    /// Image or video.
    #[must_use]
    pub fn medium(&self) -> Medium {
        self.medium
    }

    /// The temporal patches in `range` alone.
    ///
    /// # Errors
    /// When `range` does not lie inside `0..grid.t`.
    pub fn temporal(&self, range: Range<usize>) -> Result<Self, ModelError> {
        let times = self.times.get(range.clone()).ok_or_else(|| ModelError::Shape {
            what: "temporal patches",
            expected: vec![self.grid.t],
            found: vec![range.start, range.end],
        })?;
        let per = self.grid.h * self.grid.w;
        let pixels = self.pixels.narrow(0, range.start * per, times.len() * per)?;
        Self::new(pixels, Grid { t: times.len(), ..self.grid }, times.to_vec(), self.medium)
    }
}
