//! Frames become visual tokens, a few temporal patches at a time, so that pixels never pile up.
//!
//! Comes in: frames in time order. Goes out: [`VisualTokens`] of some patches at a time. Never: which frames to look at, or which
//! tokens are worth keeping.

use longsight_models::{Card, Frame, ModelError, Size, VisualTokens, Vlm};

/// Patches that the vision tower is given at once. At the released 8B model's widths a patch takes about 40 KB on its
/// way through the tower, so a chunk takes 80 MB; smaller chunks make the matrix products slower.
const CHUNK_PATCHES: usize = 2048;

/// Pictures that wait for their chunk at most, as decoded: what a small model would otherwise collect of large frames.
const CHUNK_BYTES: usize = 64 << 20;

/// Bytes that a chunk takes: source pictures of `pixels` pixels, `frames` at most, and what becomes of them, `per_frame` patches each.
#[must_use]
pub fn held_bytes(card: &Card, pixels: u64, frames: u64, per_frame: usize) -> (u64, u64) {
    let rgb = pixels * 3;
    let chunk = chunk_frames(card, per_frame) as u64;
    let pictures = (CHUNK_BYTES as u64 + rgb).min(chunk.min(frames) * rgb);
    let patches = chunk.min(frames) * per_frame as u64 / card.temporal_patch as u64;
    // The pixels of a patch in both frames and the rows inside the tower's layers, as f32.
    let inner = 3 * card.temporal_patch * card.patch * card.patch + 12 * card.vision_hidden;
    (pictures, patches * inner as u64 * 4)
}

/// Frames that are encoded at once.
fn chunk_frames(card: &Card, per_frame: usize) -> usize {
    card.temporal_patch * (CHUNK_PATCHES / per_frame.max(1)).max(1)
}

/// Why frames could not become visual tokens.
#[derive(Debug, thiserror::Error)]
pub enum VisionError<E> {
    /// The stage before failed
    #[error(transparent)]
    Frames(E),
    /// The model refused
    #[error(transparent)]
    Model(#[from] ModelError),
}

/// Takes frames one by one and encodes them in chunks.
pub struct Encoder<'m> {
    model: &'m dyn Vlm,
    size: Size,
    chunk_frames: usize,
    waiting: Vec<Frame>,
    waiting_bytes: usize,
    /// Pooling in the tower, patch by patch, over and over; none where it is empty
    strides: Vec<usize>,
    /// Frames further apart share no temporal patch
    hole_s: f64,
    /// Temporal patches that are through
    patches: usize,
}

impl<'m> Encoder<'m> {
    /// An encoder of frames that are resized to `size` (as [`longsight_models::Processor::frame_size`] gives).
    #[must_use]
    pub fn new(model: &'m dyn Vlm, size: Size) -> Self {
        let card = model.card();
        let per_frame = (size.width as usize / card.patch) * (size.height as usize / card.patch);
        let chunk_frames = chunk_frames(card, per_frame);
        let strides = Vec::new();
        let (waiting, hole_s) = (Vec::new(), f64::INFINITY);
        Self { model, size, chunk_frames, waiting, waiting_bytes: 0, strides, hole_s, patches: 0 }
    }

    /// The same with temporal patches pooled before the tower merges them, each by its stride; `strides` begin anew when they are over.
    #[must_use]
    pub fn pooled(self, strides: Vec<usize>) -> Self {
        Self { strides, ..self }
    }

    /// The same with frames that lie more than `hole_s` seconds apart in temporal patches of their own, the earlier one repeated: what
    /// begins behind a hole would otherwise seem to begin before it.
    #[must_use]
    pub fn apart(self, hole_s: f64) -> Self {
        Self { hole_s, ..self }
    }

    /// Adds the next frame, and gives the tokens of the chunk that it completes; pictures are dropped when they have been encoded.
    ///
    /// # Errors
    /// When the model refuses the chunk.
    pub fn push(&mut self, frame: Frame) -> Result<Option<VisualTokens>, ModelError> {
        let per_patch = self.model.card().temporal_patch;
        if let Some(last) = self.waiting.last()
            && frame.time.seconds() - last.time.seconds() > self.hole_s
        {
            let last = last.clone();
            let whole = self.waiting.len().next_multiple_of(per_patch);
            self.waiting.resize(whole, last);
        }
        self.waiting_bytes += frame.image.as_raw().len();
        self.waiting.push(frame);
        let whole = self.waiting.len().is_multiple_of(per_patch);
        let full = self.waiting.len() >= self.chunk_frames || self.waiting_bytes >= CHUNK_BYTES;
        if whole && full { self.encode_waiting().map(Some) } else { Ok(None) }
    }

    /// The tokens of what is left, if anything is; an odd last frame is repeated, as the families do.
    ///
    /// # Errors
    /// When the model refuses the last chunk.
    pub fn finish(mut self) -> Result<Option<VisualTokens>, ModelError> {
        if self.waiting.is_empty() { Ok(None) } else { self.encode_waiting().map(Some) }
    }

    fn encode_waiting(&mut self) -> Result<VisualTokens, ModelError> {
        let patches = self.model.processor().patch(&self.waiting, self.size)?;
        self.waiting.clear();
        self.waiting_bytes = 0;
        let first = self.patches;
        self.patches += patches.grid().t;
        let strides: Vec<usize> = self
            .strides
            .iter()
            .copied()
            .cycle()
            .skip(first % self.strides.len().max(1))
            .take(patches.grid().t)
            .collect();
        self.model.encode_pooled(&patches, &strides)
    }
}

/// Encodes a stream of frames into one table.
///
/// # Errors
/// The stream's first error, or the model's.
pub fn encode<E>(
    model: &dyn Vlm,
    size: Size,
    frames: impl IntoIterator<Item = Result<Frame, E>>,
) -> Result<VisualTokens, VisionError<E>> {
    let mut encoder = Encoder::new(model, size);
    let mut chunks = Vec::new();
    for frame in frames {
        chunks.extend(encoder.push(frame.map_err(VisionError::Frames)?)?);
    }
    chunks.extend(encoder.finish()?);
    Ok(VisualTokens::concat(&chunks)?)
}
