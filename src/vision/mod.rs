//! Frames become visual tokens, a few temporal patches at a time, so that pixels never pile up.
//!
//! Comes in: frames in time order. Goes out: one [`VisualTokens`] table. Never: which frames to look at.

use longsight_models::{Frame, ModelError, Size, VisualTokens, Vlm};

/// Patches that the vision tower is given at once. At the released 8B model's widths a patch takes about 40 KB on its
/// way through the tower, so a chunk takes 80 MB; smaller chunks make the matrix products slower.
const CHUNK_PATCHES: usize = 2048;

/// Pictures that wait for their chunk at most, as decoded: what a small model would otherwise collect of large frames.
const CHUNK_BYTES: usize = 64 << 20;

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
    chunks: Vec<VisualTokens>,
}

impl<'m> Encoder<'m> {
    /// An encoder of frames that are resized to `size` (as [`Vlm::frame_size`] gives).
    #[must_use]
    pub fn new(model: &'m dyn Vlm, size: Size) -> Self {
        let card = model.card();
        let per_patch = (size.width as usize / card.patch) * (size.height as usize / card.patch);
        let chunk_frames = card.temporal_patch * (CHUNK_PATCHES / per_patch.max(1)).max(1);
        Self { model, size, chunk_frames, waiting: Vec::new(), waiting_bytes: 0, chunks: Vec::new() }
    }

    /// Adds the next frame; its picture is dropped when its chunk has been encoded.
    ///
    /// # Errors
    /// When the model refuses the chunk that the frame completes.
    pub fn push(&mut self, frame: Frame) -> Result<(), ModelError> {
        self.waiting_bytes += frame.image.as_raw().len();
        self.waiting.push(frame);
        let whole = self.waiting.len().is_multiple_of(self.model.card().temporal_patch);
        let full = self.waiting.len() >= self.chunk_frames || self.waiting_bytes >= CHUNK_BYTES;
        if whole && full { self.encode_waiting() } else { Ok(()) }
    }

    /// All tokens; an odd last frame is repeated, as the families do.
    ///
    /// # Errors
    /// When there was no frame, or the model refuses the last chunk.
    pub fn finish(mut self) -> Result<VisualTokens, ModelError> {
        if !self.waiting.is_empty() {
            self.encode_waiting()?;
        }
        VisualTokens::concat(&self.chunks)
    }

    fn encode_waiting(&mut self) -> Result<(), ModelError> {
        let patches = self.model.patch(&self.waiting, self.size)?;
        self.waiting.clear();
        self.waiting_bytes = 0;
        self.chunks.push(self.model.encode(&patches)?);
        Ok(())
    }
}

/// Encodes a stream of frames.
///
/// # Errors
/// The stream's first error, or the model's.
pub fn encode<E>(
    model: &dyn Vlm,
    size: Size,
    frames: impl IntoIterator<Item = Result<Frame, E>>,
) -> Result<VisualTokens, VisionError<E>> {
    let mut encoder = Encoder::new(model, size);
    for frame in frames {
        encoder.push(frame.map_err(VisionError::Frames)?)?;
    }
    Ok(encoder.finish()?)
}
